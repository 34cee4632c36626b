"""A move of a slider or a choice: the browser asks for the panels that it changes, and puts them in their places.

Not an event of Gradio's: one over all panels costs 10 ms in the browser before it is sent, and on the server each panel
that is left as it is (``gr.skip()``) is built anew. What comes back is set as the value of Gradio's own components, so
that its events and these moves see the same page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.predict.layout import NAMES, Panels
from app.predict.panels import changed, draw_live, draw_merge, guard
from app.predict.services import PredictServices
from app.predict.view import Request, Session
from app.shared.templating import asset

_SCRIPT = asset("predict/live.js")


def live(services: PredictServices, panels: Panels) -> gr.HTML:
    """An unseen component that does it. Its value is the key of the open page."""
    return gr.HTML(
        "",
        html_template="<span></span>",
        js_on_load=_SCRIPT,
        server_functions=[_moving(services, panels)],
        names=list(NAMES),
        elem_id="live",
        visible="hidden",
        apply_default_css=False,
    )


def request_of(services: PredictServices, named: dict[str, Any]) -> Request:
    """What the page's controls ask for. Raises ``UsageError``."""
    try:
        epsilon = 10.0 ** float(named["epsilon"])
    except (KeyError, TypeError, ValueError, OverflowError):
        epsilon = named.get("epsilon")  # no number: the service says so
    return services.request(named | {"epsilon": epsilon})


def _moving(services: PredictServices, panels: Panels) -> Callable[[Any], dict[str, Any]]:
    def move(asked: Any) -> dict[str, Any]:
        """The panels that the values of the controls change, by their ids; ``page``: whose panels they are.

        ``anew``: the page does not know what it shows, so everything is sent.
        """
        # Anybody can send anything here: what is no setting is told in the status.
        given = asked if isinstance(asked, dict) else {}
        values = given.get("values")
        values = values if isinstance(values, dict) else {}
        held = services.session(str(given.get("page"))[:64])
        whole = given.get("anew") is True
        if whole:
            held.drawn.clear()
        drawn = guard(panels.live(), lambda: _draw(services, held, values, given.get("truth") is True, whole))
        return changed(held, panels.live(), drawn)

    return move


def _draw(services: PredictServices, held: Session, values: dict[str, Any], truth: bool, whole: bool) -> list[Any]:
    before = held.view
    view = services.merge(request_of(services, values), held, truth)
    # Looked up once: the same question still, under another merge.
    same = before is not None and view.explained is before.explained
    return draw_merge(view) if same and not whole else draw_live(view)
