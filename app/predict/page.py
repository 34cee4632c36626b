"""``/``: one user, one item, from history to merged probability in five steps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from app.predict.layout import PredictLayout, applicability, control_update, lay_out
from app.predict.service import PredictService, PredictServices
from app.predict.view import PredictSession, PredictView
from app.predict.wiring import draw_all, draw_answers, draw_near, guard, live, record, request_of
from app.shared import choices, frame
from app.shared.picker import join_within
from app.shared.runs import LiveRun
from app.shared.visitors import owner_of
from backend.errors import RallrecError
from backend.knobs import KNOBS
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


def page(services: PredictServices, settings: Settings) -> None:
    """Lay out the page in the current Blocks and wire it."""
    layout = lay_out(services, settings)
    loaded = _wire_opening(services, layout, live(services, layout.panels))
    _wire_pickers(services, layout)
    _wire_strategy(layout)
    _wire_near(services, layout, loaded)
    _wire_runs(services, layout)


def _link(layout: PredictLayout, *, push: bool) -> str:
    """Browser code that puts what the controls hold into the address; ``push``: as a new entry of the history."""
    return f"rallrec.link({json.dumps([*layout.controls])}, values, {json.dumps(push)});"


def _follow(layout: PredictLayout) -> str:
    """Browser code that keeps the address in step with the controls, says what each choice means on hover, and fetches
    what is shown once the sliders rest.
    """
    exponents = [name for name, knob in KNOBS.items() if knob.exponent]
    return (
        f"rallrec.exponents = {json.dumps(exponents)}; rallrec.welcome(); rallrec.join(); rallrec.beside(); "
        f"rallrec.follow({json.dumps([*layout.controls])}); rallrec.explain({json.dumps(_EXPLAINED)});"
    )


def _wire_opening(services: PredictServices, layout: PredictLayout, key: gr.HTML) -> gr.events.Dependency:
    panels, controls = layout.panels, layout.controls

    def opened(request: gr.Request) -> list[Any]:
        """The state of a page is its URL. What of it cannot be shown is said above the rest, which is."""
        link = {name: value for name, value in request.query_params.items() if name in controls}
        dataset = link.get("dataset", "")
        nothing = [""] * (len(panels.all()) - 1)
        try:
            service = services.of(dataset)
            try:
                view, left = services.look_at(link, _session(services, request))
                sample, drawn = view.request, draw_all(view)
                drawn[0] = frame.left_out_box(left) + drawn[0]
            except RallrecError as error:
                sample, drawn = service.default_request, [frame.error_box(str(error)), *nothing]
            meta = service.pipeline.dataset.meta
        except RallrecError as error:
            head = frame.header("/", "", "", services.choices(dataset))
            return [gr.skip(), head, *[gr.skip()] * (3 + len(controls)), frame.error_box(str(error)), *nothing]
        return [
            str(request.session_hash),
            frame.header("/", meta.title, meta.licence, services.choices(dataset)),
            *_picked(service, sample.user, sample.item, sample.dataset),
            *(control_update(name, sample) for name in controls),
            gr.update(open=bool(sample.near)),
            *drawn,
        ]

    pickers = [layout.pickers.user, layout.pickers.item]
    outputs = [key, layout.header, *pickers, *controls.values(), layout.fold, *panels.all()]
    loaded = gr.context.Context.root_block.load(  # type: ignore[union-attr]
        opened, None, outputs, show_progress="hidden", api_visibility="private"
    )
    loaded.then(None, None, None, js=f"() => {{ {_follow(layout)} }}")
    return loaded


def _wire_pickers(services: PredictServices, layout: PredictLayout) -> None:
    panels, controls = layout.panels, layout.controls

    def picked(request: gr.Request, user: str, item: str, values: tuple[Any, ...]) -> list[Any]:
        named = dict(zip(controls, values, strict=True)) | {"user": user, "item": item, "near": ""}
        session = _session(services, request)
        drawn = guard(panels.all(), lambda: draw_all(_look(services, named, session)))
        record(session, panels.all(), drawn)
        service = services.of(named["dataset"])
        return [*_picked(service, user, item, named["dataset"]), user, item, "", False, *drawn]

    def user_picked(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        items = services.of(values[names.index("dataset")]).choices.find_items(event.id)
        return picked(request, event.id, items[0][1] if items else "", values)

    def item_picked(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        return picked(request, values[names.index("user")], event.id, values)

    names, inputs = [*controls], [*controls.values()]
    hidden = [controls[name] for name in ("user", "item", "near")]
    drawn = [layout.pickers.user, layout.pickers.item, *hidden, layout.truth, *panels.all()]
    for box, handler in ((layout.pickers.user, user_picked), (layout.pickers.item, item_picked)):
        event = box.select(handler, inputs, drawn, show_progress="hidden", queue=False, api_visibility="private")
        event.then(None, inputs, None, js=f"(...values) => {{ {_link(layout, push=True)} }}")


def _wire_strategy(layout: PredictLayout) -> None:
    """What a strategy does not use cannot be moved; the rest of a move is :mod:`app.predict.wiring`'s."""
    names = [name for name, knob in KNOBS.items() if knob.only]
    strategy, controls = layout.controls["strategy"], [layout.controls[name] for name in names]

    def chosen(given: Any) -> list[Any]:
        return [gr.update(**applicability(name, str(given))) for name in names]

    strategy.input(chosen, strategy, controls, **_LIVE)


def _wire_near(services: PredictServices, layout: PredictLayout, loaded: gr.events.Dependency) -> None:
    panels, near, inputs = layout.panels, layout.controls["near"], [*layout.controls.values()]

    def looked_near(request: gr.Request, *values: Any) -> list[Any]:
        """Until then the panel says that it is being looked up: the first time can take seconds."""
        session, values_by_name = _session(services, request), dict(zip(layout.controls, values, strict=True))

        def draw() -> list[Any]:
            sample = request_of(services, values_by_name)
            return draw_near(services.of(sample.dataset).open_nearest(sample, session))

        drawn = guard(panels.near(), draw)
        record(session, panels.near(), drawn)
        return drawn

    def linked_near(request: gr.Request, *values: Any) -> list[Any]:
        values_by_name = dict(zip(layout.controls, values, strict=True))
        return looked_near(request, *values) if values_by_name["near"] else [gr.skip(), gr.skip()]

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
    of_target = [layout.controls["item"], layout.controls["dataset"]]
    picked = gr.on([box.select for box in boxes], picked_near, of_target, [near, layout.fold], **_LIVE)
    drawn = picked.success(looked_near, inputs, panels.near(), **plain)
    drawn.then(None, inputs, None, js=f"(...values) => {{ {_link(layout, push=False)} rallrec.reveal('nearest'); }}")


def _wire_runs(services: PredictServices, layout: PredictLayout) -> None:
    panels, controls = layout.panels, layout.controls

    def asked(request: gr.Request, revealed: bool, *values: Any) -> Iterator[list[Any]]:
        """Start a run and follow it; the page may meanwhile move to other settings, which are then left alone."""
        session = _session(services, request)
        try:
            _look(services, dict(zip(controls, values, strict=True)), session)
            run = services.shown(session).ask(session)
        except RallrecError as error:
            drawn = [frame.error_box(str(error)), gr.skip(), gr.skip(), gr.skip()]
            record(session, panels.answers(), drawn)
            yield drawn
            return
        yield from followed(session, run, revealed)

    def followed(session: PredictSession, run: LiveRun, revealed: bool) -> Iterator[list[Any]]:
        def draw() -> list[Any]:
            return draw_answers(replace(services.shown(session).watch(session), truth=revealed))

        for _ in run.watch():
            if session.run is not run:
                return
            drawn = guard(panels.answers(), draw)
            record(session, panels.answers(), drawn)
            yield drawn

    def joined(request: gr.Request, revealed: bool) -> Iterator[list[Any]]:
        """A page that is opened while its prediction is being answered sees it being answered."""
        session = _session(services, request)
        if session.run and session.run.snapshot().live:
            yield from followed(session, session.run, revealed)
        else:
            yield [gr.skip()] * len(panels.answers())

    def stopped(request: gr.Request) -> None:
        session = _session(services, request)
        try:
            services.shown(session).stop(session)
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


def _session(services: PredictServices, request: gr.Request) -> PredictSession:
    # Not a gr.State: Gradio hashes a state's whole content before and after every event.
    session = services.session(str(request.session_hash))
    session.owner = owner_of(request)
    return session


def _look(services: PredictServices, controls: Mapping[str, Any], session: PredictSession) -> PredictView:
    """Look at what the controls hold. Raises ``RallrecError``."""
    request = request_of(services, controls)
    return services.of(request.dataset).look(request, session)
