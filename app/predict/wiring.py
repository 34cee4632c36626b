"""What a view puts into which panel of the Predict page, and how a move of a slider or a choice gets it there.

For a move the browser asks for the panels that it changes, and puts them in their places. That is not an event of
Gradio's: one over all panels costs 10 ms in the browser before it is sent, and on the server each panel that is left as
it is (``gr.skip()``) is built anew. What comes back is set as the value of Gradio's own components, so that its events
and these moves see the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from app.predict.drawing import (
    ask_panel,
    map_overlay,
    merge_panel,
    nearest_panel,
    reason_panel,
    rerank_panel,
    retrieve_panel,
    run_status,
    target_card,
)
from app.predict.layout import PredictPanels
from app.predict.service import PredictServices
from app.predict.view import PredictSession, PredictView
from app.shared import frame
from app.shared.address import SampleAddress
from app.shared.controls import from_control
from app.shared.templating import asset
from backend.errors import RallrecError

_SCRIPT = asset("predict/live.js")


def live(services: PredictServices, panels: PredictPanels) -> gr.HTML:
    """An unseen component that does it. Its value is the key of the open page."""
    return gr.HTML(
        "",
        html_template="<span></span>",
        js_on_load=_SCRIPT,
        server_functions=[_moving(services, panels)],
        names=list(SampleAddress.names()),
        elem_id="live",
        visible="hidden",
        apply_default_css=False,
    )


def request_of(services: PredictServices, values: Mapping[str, Any]) -> SampleAddress:
    """What the page's controls ask for, by their names. Raises ``UsageError``."""
    return services.request({name: from_control(name, value) for name, value in values.items()})


def _moving(services: PredictServices, panels: PredictPanels) -> Callable[[Any], dict[str, Any]]:
    def move(moved: Any) -> dict[str, Any]:
        """The panels that the values of the controls change, by their ids; ``page``: whose panels they are.

        ``anew``: the page does not know what it shows, so everything is sent.
        """
        # Anybody can send anything here: what is no setting is told in the status.
        given = moved if isinstance(moved, dict) else {}
        values = given.get("values")
        values = values if isinstance(values, dict) else {}
        session = services.session(str(given.get("page"))[:64])
        whole = given.get("anew") is True
        if whole:
            session.drawn.clear()
        drawn = guard(panels.live(), lambda: _draw(services, session, values, given.get("truth") is True, whole))
        return changed(session, panels.live(), drawn)

    return move


def _draw(
    services: PredictServices, session: PredictSession, values: dict[str, Any], truth: bool, whole: bool
) -> list[Any]:
    before = session.view
    request = request_of(services, values)
    view = services.of(request.dataset).merge(request, session, truth)
    # Looked up once: the same question still, under another merge.
    same = before is not None and view.explained is before.explained
    return draw_merge(view) if same and not whole else draw_live(view)


def draw_all(view: PredictView) -> list[Any]:
    """For ``PredictPanels.all()``."""
    meta = view.data.meta
    return [
        frame.notice(view.cast, view.models["tuned"], view.models["reasoning"], order_note=meta.order_note),
        target_card(view),
        *draw_live(view),
    ]


def draw_live(view: PredictView) -> list[Any]:
    """For ``PredictPanels.live()``."""
    return [
        run_status(view),
        retrieve_panel(view),
        *draw_near(view),
        rerank_panel(view),
        ask_panel(view),
        reason_panel(view),
        merge_panel(view),
    ]


def draw_near(view: PredictView) -> list[Any]:
    """For ``PredictPanels.near()``."""
    return [nearest_panel(view), map_overlay(view)]


def draw_merge(view: PredictView) -> list[Any]:
    """For ``PredictPanels.live()``, where nothing but the merge moved."""
    return [run_status(view), *[gr.skip()] * 6, merge_panel(view)]


def draw_answers(view: PredictView) -> list[Any]:
    """For ``PredictPanels.answers()``."""
    return [
        run_status(view),
        ask_panel(view),
        reason_panel(view),
        merge_panel(view),
    ]


def guard(panels: list[gr.HTML], draw: Callable[[], list[Any]]) -> list[Any]:
    """What ``draw`` gives for these panels, or its error in the first and the others left as they are."""
    try:
        return draw()
    except RallrecError as error:
        return [frame.error_box(str(error)), *[gr.skip()] * (len(panels) - 1)]


def record(session: PredictSession, panels: list[gr.HTML], drawn: list[Any]) -> None:
    """Remember what is sent to the page."""
    names = [str(panel.elem_id) for panel in panels]
    session.drawn.update((name, html) for name, html in zip(names, drawn, strict=True) if isinstance(html, str))


def changed(session: PredictSession, panels: list[gr.HTML], drawn: list[Any]) -> dict[str, str]:
    """What the page does not show already, by panel: most moves change a few. All, while a run redraws them too."""
    html = {str(panel.elem_id): one for panel, one in zip(panels, drawn, strict=True) if isinstance(one, str)}
    with session.lock:
        before = {} if session.run and session.run.snapshot().live else dict(session.drawn)
        session.drawn.update(html)
    return {name: one for name, one in html.items() if before.get(name) != one}
