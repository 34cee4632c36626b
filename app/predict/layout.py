"""What is on the Predict page and where; what it does is wired in ``app.predict.page``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from app.predict import choices
from app.predict.map_panel import NEAR_SCRIPT, item_map
from app.predict.other_choice_drawing import against_box
from app.predict.services import PredictServices
from app.predict.view import Request
from app.shared import frame
from app.shared.controls import bounds, to_control
from app.shared.picker import picker, split_within
from app.shared.templating import asset
from backend.prompting import KNOWLEDGE_WORDINGS
from backend.representation import VARIANTS
from backend.retrieval import STRATEGIES
from backend.settings import Settings

# The names of the controls, in the order in which handlers get their values. They are a deep link's parameters too.
NAMES = tuple(field.name for field in fields(Request))
_CHAINS_SCRIPT = asset("shared/chains.js")
_AGAINST_SCRIPT = asset("predict/other_choice.js")
# The sliders that only the strategy rerank uses.
EQUATION_8 = ("gamma", "beta")


@dataclass(frozen=True)
class Panels:
    """The parts of the page that handlers redraw, in the order of :meth:`all`."""

    notice: gr.HTML
    target: gr.HTML
    status: gr.HTML
    retrieve: gr.HTML
    nearest: gr.HTML
    map: gr.HTML
    rerank: gr.HTML
    ask: gr.HTML
    reason: gr.HTML
    merge: gr.HTML

    def all(self) -> list[gr.HTML]:
        return [getattr(self, field.name) for field in fields(self)]

    def live(self) -> list[gr.HTML]:
        """What gamma, beta and the other settings can change; first the status, where an error is always in sight."""
        return self.all()[2:]

    def near(self) -> list[gr.HTML]:
        """What another item's neighbourhood changes."""
        return [self.nearest, self.map]

    def answers(self) -> list[gr.HTML]:
        """What a running prediction changes."""
        return [self.status, self.ask, self.reason, self.merge]


@dataclass(frozen=True)
class Pickers:
    """Where a user and an item are looked for; what was picked is in the hidden controls ``user`` and ``item``."""

    user: gr.HTML
    item: gr.HTML


@dataclass(frozen=True)
class Layout:
    """All that is wired. ``controls`` has one component per name of :data:`NAMES`, in that order; ``fold`` holds the
    item map and the nearest items."""

    header: gr.HTML
    panels: Panels
    pickers: Pickers
    controls: dict[str, Any]
    fold: gr.Accordion
    ask: gr.Button
    stop: gr.Button
    join: gr.Button
    truth: gr.Checkbox


def control_update(name: str, request: Request) -> Any:
    """A control as a request sets it. Gamma and beta keep their values under strategies that do not use them."""
    value = to_control(name, getattr(request, name))
    if name not in EQUATION_8:
        return value
    return gr.update(value=value, **applicability(request.strategy))


def applicability(strategy: str) -> dict[str, Any]:
    """Whether eq. 8's sliders can be moved, and why not."""
    applies = strategy == "rerank"
    return {"interactive": applies, "info": "" if applies else choices.EQUATION_8_ONLY}


def lay_out(services: PredictServices, settings: Settings) -> Layout:
    """Put the page's components into the current Blocks, top to bottom."""
    header = gr.HTML(frame.header("/", "", ""))
    hidden = ("user", "item", "near", "dataset")
    controls: dict[str, Any] = {name: gr.Textbox(visible="hidden", elem_id=f"{name}-id") for name in hidden}
    notice = _panel("notice")

    def find_users(text: str, within: str) -> list[tuple[str, str]]:
        return services.of(split_within(within)[0]).choices.find_users(text)

    def find_items(text: str, within: str) -> list[tuple[str, str]]:
        dataset, user = split_within(within)
        return services.of(dataset).choices.find_items(user, text)

    with gr.Row(elem_classes="pickers"):
        pickers = Pickers(
            picker("user", "User: type part of an id", find_users),
            picker(
                "item",
                "Item: this user's ratings, newest first; type to search all",
                find_items,
            ),
        )
    target = _panel("target")
    with gr.Accordion("1 · Retrieve: what in the user's past bears on this", open=True):
        retrieve, fold, nearest, flat = _lay_out_retrieval(controls, settings)
    with gr.Accordion("2 · Rerank: which of it enters the prompt", open=True):
        with gr.Row():
            controls["gamma"] = _slider("gamma", settings, "gamma (γ): relevance against recency")
            controls["beta"] = _slider("beta", settings, "beta (β): how fast scores fall by rank")
            controls["k"] = _slider("k", settings, "K: past items in the prompt")
        rerank = _panel("rerank", NEAR_SCRIPT)
    with gr.Row(elem_classes="asking"):
        ask = gr.Button("Ask both models", variant="primary", elem_id="ask", scale=0, min_width=180)
        stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=90)
        join = gr.Button("Watch the run", visible="hidden", elem_id="join")
        status = _panel("status")
    with gr.Accordion("3 · Ask: the prompt, and the tuned model's answer", open=True):
        controls["knowledge"] = _radio(
            "knowledge", KNOWLEDGE_WORDINGS, settings.knowledge,
            "Injected knowledge (eq. 9): the paper's wording, graded by confidence, or none",
        )  # fmt: skip
        answer = _panel("ask-panel")
    with gr.Accordion("4 · Reason: the reasoning model's chains", open=True):
        with gr.Row():
            controls["traces"] = _slider("traces", settings, "Chains")
            controls["max_tokens"] = _slider("max_tokens", settings, "Token limit of a chain")
            controls["seed"] = gr.Number(settings.seed, label="Seed", precision=0, minimum=0, elem_id="seed")
        reason = _panel("reason", _CHAINS_SCRIPT)
    with gr.Accordion("5 · Merge: one probability out of two", open=True):
        with gr.Row():
            controls["alpha"] = _slider("alpha", settings, "alpha (α): weight of the reasoning model")
            controls["epsilon"] = _slider(
                "epsilon", settings, "epsilon (ε): floor under the variances, as the exponent x of 10ˣ"
            )
        merge = _panel("merge")
        truth = gr.Checkbox(False, label="Reveal the truth", elem_id="truth")
    panels = Panels(notice, target, status, retrieve, nearest, flat, rerank, answer, reason, merge)
    return Layout(header, panels, pickers, {name: controls[name] for name in NAMES}, fold, ask, stop, join, truth)


def _lay_out_retrieval(controls: dict[str, Any], settings: Settings) -> tuple[gr.HTML, gr.Accordion, gr.HTML, gr.HTML]:
    """Step 1: its two choices (put into ``controls``), the channels, and the fold with nearest items and map."""
    with gr.Row():
        controls["variant"] = _radio("variant", VARIANTS, settings.variant, "Compare items by (Table 6)")
        controls["strategy"] = _radio("strategy", STRATEGIES, settings.strategy, "Choose past items by (Fig. 8)")
    retrieve = _panel("retrieve", NEAR_SCRIPT)
    # No handler's output: it fetches for itself, so no slider pays for it.
    gr.HTML(against_box(), elem_id="against", elem_classes="panel", js_on_load=_AGAINST_SCRIPT, apply_default_css=False)
    with (
        gr.Accordion("Item map and nearest items", open=False, elem_id="near-fold") as fold,
        gr.Row(elem_classes="near-row"),
    ):
        flat = item_map("map", min_width=340, scale=3)
        nearest = _panel("nearest", NEAR_SCRIPT, min_width=340, scale=2)
    return retrieve, fold, nearest, flat


def _panel(name: str, script: str = "", **layout: Any) -> gr.HTML:
    # Where a move finds it: see live.js.
    script = f'rallrec.panels["{name}"] = (html) => {{ props.value = html; }};\n{script}'
    return gr.HTML("", elem_id=name, elem_classes="panel", js_on_load=script, apply_default_css=False, **layout)


def _radio(name: str, values: Iterable[str], value: str, label: str) -> gr.Radio:
    return gr.Radio(list(values), value=value, label=label, elem_id=name, elem_classes="segmented")


def _slider(name: str, settings: Settings, label: str) -> gr.Slider:
    low, high, step = bounds(settings)[name]
    value = to_control(name, getattr(settings, name))
    return gr.Slider(low, high, value=value, step=step, label=label, elem_id=name, buttons=[])
