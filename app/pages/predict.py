"""``/``: one user, one item, from history to merged probability in five steps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import gradio as gr

from app import rendering
from app.pages.picker import picker
from app.rendering.curves import EPSILON_EXPONENTS
from app.services.predict import PredictService, Request, Session, View
from backend.errors import RallrecError
from backend.prompting import KNOWLEDGE_WORDINGS
from backend.settings import Settings

# The names of the controls, in the order in which handlers get their values. They are a deep link's parameters too.
NAMES = tuple(field.name for field in fields(Request))
# Handlers that redraw at every move skip the queue and never pile up.
_LIVE: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}


@dataclass(frozen=True)
class _Panels:
    """The parts of the page that handlers redraw, in the order of :meth:`all`."""

    notice: gr.HTML
    target: gr.HTML
    retrieve: gr.HTML
    status: gr.HTML
    rerank: gr.HTML
    ask: gr.HTML
    reason: gr.HTML
    merge: gr.HTML

    def all(self) -> list[gr.HTML]:
        return [getattr(self, field.name) for field in fields(self)]

    def live(self) -> list[gr.HTML]:
        """What gamma, beta and the other settings can change without a new user or item."""
        return self.all()[2:]

    def answers(self) -> list[gr.HTML]:
        """What a running prediction changes."""
        return [self.status, self.ask, self.reason, self.merge]


@dataclass(frozen=True)
class _Pickers:
    """Where a user and an item are looked for; what was picked is in the hidden controls ``user`` and ``item``."""

    user: gr.HTML
    item: gr.HTML


def page(service: PredictService, settings: Settings) -> None:
    """Lay out the page in the current Blocks and wire it."""
    header = gr.HTML(rendering.header("/", "", ""))
    panels, pickers, controls, ask, stop, truth = _layout(service, settings)
    _wire_opening(service, header, panels, pickers, controls)
    _wire_pickers(service, panels, pickers, controls, truth)
    _wire_sliders(service, panels, controls, truth)
    _wire_runs(service, panels, controls, ask, stop, truth)


def _layout(
    service: PredictService,
    settings: Settings,
) -> tuple[_Panels, _Pickers, dict[str, Any], gr.Button, gr.Button, gr.Checkbox]:
    controls: dict[str, Any] = {name: gr.Textbox(visible="hidden", elem_id=f"{name}-id") for name in ("user", "item")}
    notice = _panel("notice")
    with gr.Row(elem_classes="pickers"):
        pickers = _Pickers(
            picker("user", "User: type part of an id", lambda text, _: service.find_users(text)),
            picker(
                "item",
                "Item: this user's ratings, newest first; type to search all",
                lambda text, user: service.find_items(user, text),
            ),
        )
    target = _panel("target")
    with gr.Accordion("1 · Retrieve: what in the user's past bears on this", open=True):
        retrieve = _panel("retrieve")
    with gr.Accordion("2 · Rerank: which of it enters the prompt", open=True):
        with gr.Row():
            controls["gamma"] = _slider(
                "gamma", settings, 0, 1, 0.001, "gamma (γ): weight of relevance against recency"
            )
            controls["beta"] = _slider("beta", settings, 0, 3, 0.05, "beta (β): how fast the score falls with the rank")
            controls["k"] = _slider("k", settings, 1, 30, 1, "K: past items in the prompt")
        rerank = _panel("rerank")
    with gr.Row(elem_classes="asking"):
        ask = gr.Button("Ask both models", variant="primary", elem_id="ask", scale=0, min_width=180)
        stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=90)
        status = _panel("status")
    with gr.Accordion("3 · Ask: the prompt, and the tuned model's answer", open=True):
        controls["knowledge"] = gr.Radio(
            list(KNOWLEDGE_WORDINGS), value=settings.knowledge, elem_id="knowledge",
            label="Injected knowledge (eq. 9): the paper's wording, graded by confidence, or none",
        )  # fmt: skip
        answer = _panel("ask-panel")
    with gr.Accordion("4 · Reason: the reasoning model's chains", open=True):
        with gr.Row():
            controls["traces"] = _slider("traces", settings, 1, 16, 1, "Chains")
            controls["max_tokens"] = _slider("max_tokens", settings, 16, 512, 16, "Token limit of a chain")
            controls["seed"] = gr.Number(settings.seed, label="Seed", precision=0, minimum=0, elem_id="seed")
        reason = _panel("reason")
    with gr.Accordion("5 · Merge: one probability out of two", open=True):
        with gr.Row():
            controls["alpha"] = _slider("alpha", settings, 0, 1, 0.01, "alpha (α): weight of the reasoning model")
            controls["epsilon"] = gr.Slider(
                *EPSILON_EXPONENTS, value=math.log10(settings.epsilon), step=0.1, elem_id="epsilon",
                label="epsilon (ε): floor under the variances, as the exponent x of 10ˣ",
            )  # fmt: skip
        merge = _panel("merge")
        truth = gr.Checkbox(False, label="Reveal the truth", elem_id="truth")
    panels = _Panels(notice, target, retrieve, status, rerank, answer, reason, merge)
    return panels, pickers, {name: controls[name] for name in NAMES}, ask, stop, truth


def _wire_opening(
    service: PredictService,
    header: gr.HTML,
    panels: _Panels,
    pickers: _Pickers,
    controls: dict[str, Any],
) -> None:
    def opened(request: gr.Request) -> list[Any]:
        """The state of a page is its URL."""
        link = {name: value for name, value in request.query_params.items() if name in NAMES}
        nothing = [""] * (len(panels.all()) - 1)
        try:
            try:
                wanted = service.request(link)
                drawn = _draw_all(service.look(wanted, _session(service, request)))
            except RallrecError as error:
                wanted, drawn = service.default_request, [rendering.error_box(str(error)), *nothing]
            meta = service.pipeline.dataset.meta
        except RallrecError as error:
            return [*[gr.skip()] * (3 + len(NAMES)), rendering.error_box(str(error)), *nothing]
        return [
            rendering.header("/", meta.title, meta.licence),
            *_picked(service, wanted.user, wanted.item),
            *(_to_control(name, getattr(wanted, name)) for name in NAMES),
            *drawn,
        ]

    outputs = [header, pickers.user, pickers.item, *controls.values(), *panels.all()]
    gr.context.Context.root_block.load(  # type: ignore[union-attr]
        opened, None, outputs, show_progress="hidden", api_visibility="private"
    )


def _wire_pickers(
    service: PredictService,
    panels: _Panels,
    pickers: _Pickers,
    controls: dict[str, Any],
    truth: gr.Checkbox,
) -> None:
    def picked(request: gr.Request, user: str, item: str, values: tuple[Any, ...]) -> list[Any]:
        named = dict(zip(NAMES, values, strict=True)) | {"user": user, "item": item}
        drawn = _guard(panels.all(), lambda: _draw_all(_look(service, request, named)))
        return [*_picked(service, user, item), user, item, False, *drawn]

    def user_picked(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        items = service.find_items(event.id)
        return picked(request, event.id, items[0][1] if items else "", values)

    def item_picked(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        return picked(request, values[NAMES.index("user")], event.id, values)

    inputs = [*controls.values()]
    drawn = [pickers.user, pickers.item, controls["user"], controls["item"], truth, *panels.all()]
    for box, handler in ((pickers.user, user_picked), (pickers.item, item_picked)):
        event = box.select(handler, inputs, drawn, show_progress="hidden", queue=False, api_visibility="private")
        event.then(None, inputs, None, js=_link(push=True))


def _wire_sliders(service: PredictService, panels: _Panels, controls: dict[str, Any], truth: gr.Checkbox) -> None:
    inputs = [truth, *controls.values()]

    def moved(request: gr.Request, revealed: bool, *values: Any) -> list[Any]:
        named = dict(zip(NAMES, values, strict=True))
        return _guard(panels.live(), lambda: _draw_all(_look(service, request, named, revealed))[2:])

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
        return drawn

    of_question = [controls[name] for name in NAMES if name not in ("user", "item", "alpha", "epsilon")]
    of_merge = [controls["alpha"], controls["epsilon"]]
    of_question_moved = gr.on([control.input for control in of_question], moved, inputs, panels.live(), **_LIVE)
    of_merge_moved = gr.on([control.input for control in of_merge], merged, inputs, panels.merge, **_LIVE)
    truth.input(merged, inputs, panels.merge, **_LIVE)
    for event in (of_question_moved, of_merge_moved):
        event.then(None, [*controls.values()], None, js=_link(push=False))


def _wire_runs(
    service: PredictService,
    panels: _Panels,
    controls: dict[str, Any],
    ask: gr.Button,
    stop: gr.Button,
    truth: gr.Checkbox,
) -> None:
    def asked(request: gr.Request, revealed: bool, *values: Any) -> Iterator[list[Any]]:
        """Start a run and follow it; the page may meanwhile move to other settings, which are then left alone."""
        named = dict(zip(NAMES, values, strict=True))
        held = _session(service, request)
        try:
            service.look(_request(service, named), held)
            run = service.ask(held)
        except RallrecError as error:
            yield [rendering.error_box(str(error)), gr.skip(), gr.skip(), gr.skip()]
            return
        for _ in run.watch():
            if held.run is not run:
                return
            yield _guard(panels.answers(), lambda: _draw_answers(_revealed(service.watch(held), revealed)))

    def stopped(request: gr.Request) -> None:
        service.stop(_session(service, request))

    ask.click(
        asked, [truth, *controls.values()], panels.answers(),
        show_progress="hidden", concurrency_limit=32, trigger_mode="multiple", api_visibility="private",
    )  # fmt: skip
    stop.click(stopped, None, None, queue=False, show_progress="hidden", api_visibility="private")


def _picked(service: PredictService, user: str, item: str) -> list[Any]:
    """The two pickers as they show what is picked."""
    shown = service.item_choice(item)[0] if item else ""
    return [gr.update(value=service.user_choice(user)[0]), gr.update(value=shown, within=user)]


def _panel(name: str) -> gr.HTML:
    return gr.HTML("", elem_id=name, elem_classes="panel", js_on_load=None, apply_default_css=False)


def _slider(name: str, settings: Settings, low: float, high: float, step: float, label: str) -> gr.Slider:
    value = round(getattr(settings, name), 3)
    return gr.Slider(low, high, value=value, step=step, label=label, elem_id=name, buttons=[])


def _to_control(name: str, value: Any) -> Any:
    return round(math.log10(value), 6) if name == "epsilon" else round(value, 3) if name == "gamma" else value


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
        rendering.retrieve_panel(view),
        rendering.run_status(view),
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


def _link(*, push: bool) -> str:
    """Browser code that keeps the address bar equal to the page's state."""
    return f"(...values) => {{ rallrec.link({json.dumps(NAMES)}, values, {json.dumps(push)}); }}"
