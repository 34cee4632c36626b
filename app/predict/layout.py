"""What is on the Predict page and where; what it does is wired in ``app.predict.page``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from app.predict.drawing import against_box
from app.predict.service import PredictServices
from app.shared import choices, frame
from app.shared.address import SampleAddress
from app.shared.controls import bounds, options, to_control, usual
from app.shared.picker import picker, split_within
from app.shared.templating import asset
from backend.knobs import KNOBS, Knob
from backend.pipeline import Recipe
from backend.settings import Settings

_CHAINS_SCRIPT = asset("shared/chains.js")
_AGAINST_SCRIPT = asset("predict/other_choice.js")
_MAP_SCRIPT = asset("predict/map.js")
# For a panel whose buttons name items by their code: a click is the panel's ``select`` event with ``code``.
_NEAR_SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-near]");
  if (button) trigger("select", { code: Number(button.dataset.near) });
});
"""
_MAP_TEMPLATE = """
<div class="item-map">
  <div class="map-stage">
    <canvas class="map-dots" aria-hidden="true"></canvas>
    <canvas class="map-marks" tabindex="0" role="application" aria-label="Map of all items"
      aria-describedby="map-how"></canvas>
    <div class="map-zoom" role="group" aria-label="Zoom">
      <button type="button" data-zoom="1.5" aria-label="Zoom in">+</button>
      <button type="button" data-zoom="0.667" aria-label="Zoom out">−</button>
      <button type="button" data-zoom="0" aria-label="Show all">⤢</button>
    </div>
    <div class="map-tip" hidden></div>
    <p class="map-state" role="status">Loading the map.</p>
  </div>
  <p class="map-read" role="status"></p>
  <p class="map-key soft"><span>★ target</span> <span>❶ chosen, with its rank</span> <span>○ past item</span>
    <span>▢ item whose nearest are shown, with lines to them</span></p>
  <div class="map-legend" role="group" aria-label="Highlight one genre"></div>
  <p class="soft" id="map-how">One dot is one item, coloured by its first genre. Click a dot for its nearest items;
    drag to move, + and − or the wheel (once the map was clicked) to zoom; arrow keys step through the marked items.
    Distances on the map are a hint only: it flattens hundreds of dimensions into two. Similarities are in the tables.
    <span class="map-unplaced"></span></p>
</div>
"""


@dataclass(frozen=True)
class PredictPanels:
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
class PredictLayout:
    """All that is wired. ``controls`` has one component per parameter of the page's link, in its order, in which
    handlers get their values; ``fold`` holds the item map and the nearest items."""

    header: gr.HTML
    panels: PredictPanels
    pickers: Pickers
    controls: dict[str, Any]
    fold: gr.Accordion
    ask: gr.Button
    stop: gr.Button
    join: gr.Button
    truth: gr.Checkbox


def control_update(name: str, request: SampleAddress) -> Any:
    """A control as a request sets it. A knob keeps its value under strategies that do not use it."""
    value = to_control(name, request.parameters[name])
    if name in KNOBS and KNOBS[name].only:
        return gr.update(value=value, **applicability(name, request.choices["strategy"]))
    return value


def applicability(name: str, strategy: str) -> dict[str, Any]:
    """Whether a knob that is one strategy's alone can be moved, and why not."""
    applies = strategy == KNOBS[name].only
    return {"interactive": applies, "info": "" if applies else choices.EQUATION_8_ONLY}


def lay_out(services: PredictServices, settings: Settings) -> PredictLayout:
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
        with gr.Row():
            controls |= _controls("retrieval", settings, str)
        retrieve, fold, nearest, flat = _lay_out_retrieval()
    with gr.Accordion("2 · Rerank: which of it enters the prompt", open=True):
        with gr.Row():
            controls |= _controls("retrieval", settings, int, float)
        rerank = _panel("rerank", _NEAR_SCRIPT)
    with gr.Row(elem_classes="asking"):
        ask = gr.Button("Ask both models", variant="primary", elem_id="ask", scale=0, min_width=180)
        stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=90)
        join = gr.Button("Watch the run", visible="hidden", elem_id="join")
        status = _panel("status")
    with gr.Accordion("3 · Ask: the prompt, and the tuned model's answer", open=True):
        controls |= _controls("prompting", settings)
        answer = _panel("ask-panel")
    with gr.Accordion("4 · Reason: the reasoning model's chains", open=True):
        with gr.Row():
            controls |= _controls("reasoning", settings)
        reason = _panel("reason", _CHAINS_SCRIPT)
    with gr.Accordion("5 · Merge: one probability out of two", open=True):
        with gr.Row():
            controls |= _controls("merging", settings)
        merge = _panel("merge")
        truth = gr.Checkbox(False, label="Reveal the truth", elem_id="truth")
    panels = PredictPanels(notice, target, status, retrieve, nearest, flat, rerank, answer, reason, merge)
    return PredictLayout(
        header, panels, pickers, {name: controls[name] for name in SampleAddress.names()}, fold, ask, stop, join, truth
    )


def _lay_out_retrieval() -> tuple[gr.HTML, gr.Accordion, gr.HTML, gr.HTML]:
    """Step 1 below its choices: the channels, and the fold with nearest items and map."""
    retrieve = _panel("retrieve", _NEAR_SCRIPT)
    # No handler's output: it fetches for itself, so no slider pays for it.
    gr.HTML(against_box(), elem_id="against", elem_classes="panel", js_on_load=_AGAINST_SCRIPT, apply_default_css=False)
    with (
        gr.Accordion("Item map and nearest items", open=False, elem_id="near-fold") as fold,
        gr.Row(elem_classes="near-row"),
    ):
        flat = _item_map("map", min_width=340, scale=3)
        nearest = _panel("nearest", _NEAR_SCRIPT, min_width=340, scale=2)
    return retrieve, fold, nearest, flat


def _panel(name: str, script: str = "", **layout: Any) -> gr.HTML:
    # Where a move finds it: see live.js.
    script = f'rallrec.panels["{name}"] = (html) => {{ props.value = html; }};\n{script}'
    return gr.HTML("", elem_id=name, elem_classes="panel", js_on_load=script, apply_default_css=False, **layout)


def _controls(stage: str, settings: Settings, *kinds: type) -> dict[str, Any]:
    """The controls of a stage's knobs, by name, in the order of the table; ``kinds``: of these types alone."""
    return {
        name: _control(knob, settings)
        for name, knob in KNOBS.items()
        if Recipe.stage_of(name) == stage and (not kinds or knob.kind in kinds)
    }


def _control(knob: Knob, settings: Settings) -> Any:
    """A slider where the knob has one, else a choice, or a box for a number."""
    value = to_control(knob.name, usual(knob.name, settings))
    if knob.slider:
        low, high, step = bounds(settings)[knob.name]
        return gr.Slider(low, high, value=value, step=step, label=knob.label, elem_id=knob.name, buttons=[])
    if knob.kind is str:
        allowed = options(knob.name)
        return gr.Radio(allowed, value=value, label=knob.label, elem_id=knob.name, elem_classes="segmented")
    precision = 0 if knob.kind is int else None
    return gr.Number(value, label=knob.label, precision=precision, minimum=0, elem_id=knob.name)


def _item_map(elem_id: str, **layout: Any) -> gr.HTML:
    """The item map: a canvas that fetches its dots once per variant, and marks what its value (JSON) says. Its
    ``select`` event carries the ``code`` of the item that was clicked.

    Its value and the fetched titles never go through a template or ``innerHTML``: the script draws them as text.
    """
    return gr.HTML(
        "",
        html_template=_MAP_TEMPLATE,
        # What is set by a script is not watched.
        js_on_load=f'{_MAP_SCRIPT}\nrallrec.panels["{elem_id}"] = (value) => {{ props.value = value; follow(); }};',
        elem_id=elem_id,
        elem_classes="panel",
        apply_default_css=False,
        **layout,
    )
