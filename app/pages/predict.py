"""``/``: one user, one item, from history to merged probability in five steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from app import rendering
from app.pages.predict_layout import NAMES, Layout, check_bounds, lay_out, to_control
from app.services.predict import PredictService
from app.services.predict_view import Request, Session, View
from backend.errors import RallrecError
from backend.settings import Settings

# Handlers that redraw at every move skip the queue and never pile up. Their values are plain, and the service checks
# them: Gradio's own pass over them is a thread hop for each.
_LIVE: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "preprocess": False,
    "postprocess": False,
    "api_visibility": "private",
}


# Browser code that opens a new entry in the history for what was picked.
_LINK = f"(...values) => {{ rallrec.link({json.dumps(NAMES)}, values, true); }}"


def page(service: PredictService, settings: Settings) -> None:
    """Lay out the page in the current Blocks and wire it."""
    layout = lay_out(service, settings)
    _wire_opening(service, layout, settings)
    _wire_pickers(service, layout)
    _wire_sliders(service, layout)
    _wire_runs(service, layout)


def _wire_opening(service: PredictService, layout: Layout, settings: Settings) -> None:
    panels, controls = layout.panels, layout.controls

    def opened(request: gr.Request) -> list[Any]:
        """The state of a page is its URL."""
        link = {name: value for name, value in request.query_params.items() if name in NAMES}
        nothing = [""] * (len(panels.all()) - 1)
        try:
            try:
                wanted = check_bounds(service.request(link), settings)
                drawn = _draw_all(service.look(wanted, _session(service, request)))
            except RallrecError as error:
                wanted, drawn = service.default_request, [rendering.error_box(str(error)), *nothing]
            meta = service.pipeline.dataset.meta
        except RallrecError as error:
            return [*[gr.skip()] * (3 + len(NAMES)), rendering.error_box(str(error)), *nothing]
        return [
            rendering.header("/", meta.title, meta.licence),
            *_picked(service, wanted.user, wanted.item),
            *(to_control(name, getattr(wanted, name)) for name in NAMES),
            *drawn,
        ]

    outputs = [layout.header, layout.pickers.user, layout.pickers.item, *controls.values(), *panels.all()]
    loaded = gr.context.Context.root_block.load(  # type: ignore[union-attr]
        opened, None, outputs, show_progress="hidden", api_visibility="private"
    )
    loaded.then(None, None, None, js=f"() => {{ rallrec.follow({json.dumps(NAMES)}); }}")


def _wire_pickers(service: PredictService, layout: Layout) -> None:
    panels, controls = layout.panels, layout.controls

    def picked(request: gr.Request, user: str, item: str, values: tuple[Any, ...]) -> list[Any]:
        named = dict(zip(NAMES, values, strict=True)) | {"user": user, "item": item}
        drawn = _guard(panels.all(), lambda: _draw_all(_look(service, request, named)))
        _record(_session(service, request), panels.all(), drawn)
        return [*_picked(service, user, item), user, item, False, *drawn]

    def user_picked(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        items = service.find_items(event.id)
        return picked(request, event.id, items[0][1] if items else "", values)

    def item_picked(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        return picked(request, values[NAMES.index("user")], event.id, values)

    inputs = [*controls.values()]
    drawn = [layout.pickers.user, layout.pickers.item, controls["user"], controls["item"], layout.truth, *panels.all()]
    for box, handler in ((layout.pickers.user, user_picked), (layout.pickers.item, item_picked)):
        event = box.select(handler, inputs, drawn, show_progress="hidden", queue=False, api_visibility="private")
        event.then(None, inputs, None, js=_LINK)


def _wire_sliders(service: PredictService, layout: Layout) -> None:
    panels, controls = layout.panels, layout.controls
    inputs = [layout.truth, *controls.values()]

    def moved(request: gr.Request, revealed: bool, *values: Any) -> list[Any]:
        named = dict(zip(NAMES, values, strict=True))
        drawn = _guard(panels.live(), lambda: _draw_live(_look(service, request, named, revealed)))
        return _only_changed(_session(service, request), panels.live(), drawn)

    def merged(request: gr.Request, revealed: bool, *values: Any) -> Any:
        named = dict(zip(NAMES, values, strict=True))
        [drawn] = _guard(
            [panels.merge],
            lambda: [
                rendering.merge_panel(
                    _revealed(service.merge(_request(service, named), _session(service, request)), revealed)
                )
            ],
        )
        _record(_session(service, request), [panels.merge], [drawn])
        return drawn

    of_question = [controls[name] for name in NAMES if name not in ("user", "item", "alpha", "epsilon")]
    of_merge = [controls["alpha"], controls["epsilon"]]
    gr.on([control.input for control in of_question], moved, inputs, panels.live(), **_LIVE)
    gr.on([control.input for control in [*of_merge, layout.truth]], merged, inputs, panels.merge, **_LIVE)


def _wire_runs(service: PredictService, layout: Layout) -> None:
    panels, controls = layout.panels, layout.controls

    def asked(request: gr.Request, revealed: bool, *values: Any) -> Iterator[list[Any]]:
        """Start a run and follow it; the page may meanwhile move to other settings, which are then left alone."""
        named = dict(zip(NAMES, values, strict=True))
        held = _session(service, request)
        try:
            service.look(_request(service, named), held)
            run = service.ask(held)
        except RallrecError as error:
            drawn = [rendering.error_box(str(error)), gr.skip(), gr.skip(), gr.skip()]
            _record(held, panels.answers(), drawn)
            yield drawn
            return
        for _ in run.watch():
            if held.run is not run:
                return
            drawn = _guard(panels.answers(), lambda: _draw_answers(_revealed(service.watch(held), revealed)))
            _record(held, panels.answers(), drawn)
            yield drawn

    def stopped(request: gr.Request) -> None:
        service.stop(_session(service, request))

    layout.ask.click(
        asked, [layout.truth, *controls.values()], panels.answers(),
        show_progress="hidden", concurrency_limit=32, trigger_mode="multiple", api_visibility="private",
    )  # fmt: skip
    layout.stop.click(stopped, None, None, queue=False, show_progress="hidden", api_visibility="private")


def _picked(service: PredictService, user: str, item: str) -> list[Any]:
    """The two pickers as they show what is picked."""
    shown = service.item_choice(item)[0] if item else ""
    return [gr.update(value=service.user_choice(user)[0]), gr.update(value=shown, within=user)]


def _request(service: PredictService, named: dict[str, Any]) -> Request:
    exponent = named["epsilon"]
    return service.request(named | {"epsilon": 10.0**exponent})


def _session(service: PredictService, request: gr.Request) -> Session:
    # Not a gr.State: Gradio hashes a state's whole content before and after every event.
    return service.session(str(request.session_hash))


def _look(service: PredictService, request: gr.Request, named: dict[str, Any], revealed: bool = False) -> View:
    return _revealed(service.look(_request(service, named), _session(service, request)), revealed)


def _revealed(view: View, revealed: bool) -> View:
    return replace(view, truth=revealed)


def _draw_all(view: View) -> list[Any]:
    meta = view.data.meta
    return [
        rendering.notice(
            view.one_model,
            view.scripted,
            view.models["tuned"],
            view.models["reasoning"],
            time_ordered=meta.time_ordered,
        ),
        rendering.target_card(view),
        *_draw_live(view),
    ]


def _draw_live(view: View) -> list[Any]:
    return [
        rendering.run_status(view),
        rendering.retrieve_panel(view),
        rendering.rerank_panel(view),
        rendering.ask_panel(view),
        rendering.reason_panel(view),
        rendering.merge_panel(view),
    ]


def _draw_answers(view: View) -> list[Any]:
    return [
        rendering.run_status(view),
        rendering.ask_panel(view),
        rendering.reason_panel(view),
        rendering.merge_panel(view),
    ]


def _guard(panels: list[gr.HTML], draw: Callable[[], list[Any]]) -> list[Any]:
    """What ``draw`` gives for these panels, or its error in the first and the others left as they are."""
    try:
        return draw()
    except RallrecError as error:
        return [rendering.error_box(str(error)), *[gr.skip()] * (len(panels) - 1)]


def _record(session: Session, panels: list[gr.HTML], drawn: list[Any]) -> None:
    """Remember what is sent to the page."""
    names = [str(panel.elem_id) for panel in panels]
    session.drawn.update((name, html) for name, html in zip(names, drawn, strict=True) if isinstance(html, str))


def _only_changed(session: Session, panels: list[gr.HTML], drawn: list[Any]) -> list[Any]:
    """Leave out what the page already shows: most moves change two panels of six. Not while a run redraws them too."""
    with session.lock:
        before = {} if session.run and session.run.snapshot().live else dict(session.drawn)
        _record(session, panels, drawn)
    return [gr.skip() if before.get(str(p.elem_id)) == html else html for p, html in zip(panels, drawn, strict=True)]
