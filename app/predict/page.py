"""``/``: one user, one item, from history to merged probability in five steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from app.predict import choices
from app.predict.layout import EQUATION_8, NAMES, Layout, applicability, control_update, lay_out
from app.predict.panels import draw_all, draw_answers, draw_near, guard, record
from app.predict.service import PredictService
from app.predict.services import PredictServices
from app.predict.view import Session, View
from app.predict.wiring import live, request_of
from app.shared import frame
from app.shared.picker import join_within
from app.shared.runs import Run
from app.shared.visitors import owner_of
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


_EXPLAINED = {"variant": choices.VARIANTS, "strategy": choices.STRATEGIES}
# Browser code that opens a new entry in the history for what was picked.
_LINK = f"(...values) => {{ rallrec.link({json.dumps(NAMES)}, values, true); }}"
# The same without an entry of its own, for an item whose nearest are shown; they come into sight.
_NEAR_LINK = f"(...values) => {{ rallrec.link({json.dumps(NAMES)}, values, false); rallrec.reveal('nearest'); }}"
# Browser code that keeps the address in step with the controls, says what each choice means on hover, and fetches what
# is shown once the sliders rest.
_FOLLOW = (
    f"rallrec.welcome(); rallrec.join(); rallrec.beside(); rallrec.follow({json.dumps(NAMES)}); "
    f"rallrec.explain({json.dumps(_EXPLAINED)});"
)


def page(services: PredictServices, settings: Settings) -> None:
    """Lay out the page in the current Blocks and wire it."""
    layout = lay_out(services, settings)
    key = live(services, layout.panels)
    loaded = _wire_opening(services, layout, settings, key)
    _wire_pickers(services, layout)
    _wire_strategy(layout)
    _wire_near(services, layout, loaded)
    _wire_runs(services, layout)


def _wire_opening(services: PredictServices, layout: Layout, settings: Settings, key: gr.HTML) -> gr.events.Dependency:
    panels, controls = layout.panels, layout.controls

    def opened(request: gr.Request) -> list[Any]:
        """The state of a page is its URL. What of it cannot be shown is said above the rest, which is."""
        link = {name: value for name, value in request.query_params.items() if name in NAMES}
        dataset = link.get("dataset", "")
        nothing = [""] * (len(panels.all()) - 1)
        try:
            service = services.of(dataset)
            try:
                view, left = services.look_at(link, _session(services, request), settings)
                wanted, drawn = view.request, draw_all(view)
                drawn[0] = frame.left_out_box(left) + drawn[0]
            except RallrecError as error:
                wanted, drawn = service.default_request, [frame.error_box(str(error)), *nothing]
            meta = service.pipeline.dataset.meta
        except RallrecError as error:
            head = frame.header("/", "", "", services.choices(dataset))
            return [gr.skip(), head, *[gr.skip()] * (3 + len(NAMES)), frame.error_box(str(error)), *nothing]
        return [
            str(request.session_hash),
            frame.header("/", meta.title, meta.licence, services.choices(dataset)),
            *_picked(service, wanted.user, wanted.item, wanted.dataset),
            *(control_update(name, wanted) for name in NAMES),
            gr.update(open=bool(wanted.near)),
            *drawn,
        ]

    pickers = [layout.pickers.user, layout.pickers.item]
    outputs = [key, layout.header, *pickers, *controls.values(), layout.fold, *panels.all()]
    loaded = gr.context.Context.root_block.load(  # type: ignore[union-attr]
        opened, None, outputs, show_progress="hidden", api_visibility="private"
    )
    loaded.then(None, None, None, js=f"() => {{ {_FOLLOW} }}")
    return loaded


def _wire_pickers(services: PredictServices, layout: Layout) -> None:
    panels, controls = layout.panels, layout.controls

    def picked(request: gr.Request, user: str, item: str, values: tuple[Any, ...]) -> list[Any]:
        named = dict(zip(NAMES, values, strict=True)) | {"user": user, "item": item, "near": ""}
        held = _session(services, request)
        drawn = guard(panels.all(), lambda: draw_all(services.look(request_of(services, named), held)))
        record(held, panels.all(), drawn)
        service = services.of(named["dataset"])
        return [*_picked(service, user, item, named["dataset"]), user, item, "", False, *drawn]

    def user_picked(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        items = services.of(values[NAMES.index("dataset")]).choices.find_items(event.id)
        return picked(request, event.id, items[0][1] if items else "", values)

    def item_picked(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        return picked(request, values[NAMES.index("user")], event.id, values)

    inputs = [*controls.values()]
    hidden = [controls[name] for name in ("user", "item", "near")]
    drawn = [layout.pickers.user, layout.pickers.item, *hidden, layout.truth, *panels.all()]
    for box, handler in ((layout.pickers.user, user_picked), (layout.pickers.item, item_picked)):
        event = box.select(handler, inputs, drawn, show_progress="hidden", queue=False, api_visibility="private")
        event.then(None, inputs, None, js=_LINK)


def _wire_strategy(layout: Layout) -> None:
    """What a strategy does not use cannot be moved; the rest of a move is :mod:`app.predict.wiring`'s."""
    strategy, sliders = layout.controls["strategy"], [layout.controls[name] for name in EQUATION_8]
    strategy.input(lambda chosen: [gr.update(**applicability(str(chosen)))] * len(sliders), strategy, sliders, **_LIVE)


def _wire_near(services: PredictServices, layout: Layout, loaded: gr.events.Dependency) -> None:
    panels, near, inputs = layout.panels, layout.controls["near"], [*layout.controls.values()]

    def looked_near(request: gr.Request, *values: Any) -> list[Any]:
        """Until then the panel says that it is being looked up: the first time can take seconds."""
        held, named = _session(services, request), dict(zip(NAMES, values, strict=True))
        drawn = guard(panels.near(), lambda: draw_near(services.open_nearest(request_of(services, named), held)))
        record(held, panels.near(), drawn)
        return drawn

    def linked_near(request: gr.Request, *values: Any) -> list[Any]:
        named = dict(zip(NAMES, values, strict=True))
        return looked_near(request, *values) if named["near"] else [gr.skip(), gr.skip()]

    def closed_near(request: gr.Request) -> None:
        _session(services, request).near_open = False

    def picked_near(event: gr.EventData, target: str, dataset: str) -> list[Any]:
        """What to look up, and the fold opened, before it is looked up."""
        item = services.of(dataset).item_id(getattr(event, "code", None))
        return ["" if item == target else item, gr.update(open=True)]

    plain = {name: value for name, value in _LIVE.items() if name != "trigger_mode"}
    loaded.then(linked_near, inputs, panels.near(), **plain)
    layout.fold.expand(looked_near, inputs, panels.near(), **plain)
    layout.fold.collapse(closed_near, None, None, **plain)
    boxes = (panels.map, panels.retrieve, panels.nearest, panels.rerank)
    asked = [layout.controls["item"], layout.controls["dataset"]]
    picked = gr.on([box.select for box in boxes], picked_near, asked, [near, layout.fold], **_LIVE)
    drawn = picked.success(looked_near, inputs, panels.near(), **plain)
    drawn.then(None, inputs, None, js=_NEAR_LINK)


def _wire_runs(services: PredictServices, layout: Layout) -> None:
    panels, controls = layout.panels, layout.controls

    def asked(request: gr.Request, revealed: bool, *values: Any) -> Iterator[list[Any]]:
        """Start a run and follow it; the page may meanwhile move to other settings, which are then left alone."""
        named = dict(zip(NAMES, values, strict=True))
        held = _session(services, request)
        try:
            services.look(request_of(services, named), held)
            run = services.ask(held)
        except RallrecError as error:
            drawn = [frame.error_box(str(error)), gr.skip(), gr.skip(), gr.skip()]
            record(held, panels.answers(), drawn)
            yield drawn
            return
        yield from followed(held, run, revealed)

    def followed(held: Session, run: Run, revealed: bool) -> Iterator[list[Any]]:
        for _ in run.watch():
            if held.run is not run:
                return
            drawn = guard(panels.answers(), lambda: draw_answers(_revealed(services.watch(held), revealed)))
            record(held, panels.answers(), drawn)
            yield drawn

    def joined(request: gr.Request, revealed: bool) -> Iterator[list[Any]]:
        """A page that is opened while its prediction is being answered sees it being answered."""
        held = _session(services, request)
        if held.run and held.run.snapshot().live:
            yield from followed(held, held.run, revealed)
        else:
            yield [gr.skip()] * len(panels.answers())

    def stopped(request: gr.Request) -> None:
        try:
            services.stop(_session(services, request))
        except RallrecError as error:
            gr.Warning(str(error))

    plain: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 32, "api_visibility": "private"}
    layout.ask.click(asked, [layout.truth, *controls.values()], panels.answers(), trigger_mode="multiple", **plain)
    # Pressed by the browser where a run goes on: an event of every page would be cut off by who leaves at once.
    layout.join.click(joined, layout.truth, panels.answers(), **plain)
    layout.stop.click(stopped, None, None, **plain)


def _picked(service: PredictService, user: str, item: str, dataset: str) -> list[Any]:
    """The two pickers as they show what is picked."""
    shown = service.choices.item_choice(user, item)[0] if item else ""
    whose = gr.update(value=service.choices.user_choice(user)[0], within=join_within(dataset, ""))
    return [whose, gr.update(value=shown, within=join_within(dataset, user))]


def _session(services: PredictServices, request: gr.Request) -> Session:
    # Not a gr.State: Gradio hashes a state's whole content before and after every event.
    held = services.session(str(request.session_hash))
    held.owner = owner_of(request)
    return held


def _revealed(view: View, revealed: bool) -> View:
    return replace(view, truth=revealed)
