"""The item map: a canvas that fetches its dots once per variant, and marks what its value (JSON) says.

Its value and the fetched titles never go through a template or ``innerHTML``: the script draws them as text.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.shared.templating import asset

_SCRIPT = asset("predict/map.js")
# For a panel whose buttons name items by their code: a click is the panel's ``select`` event with ``code``.
NEAR_SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-near]");
  if (button) trigger("select", { code: Number(button.dataset.near) });
});
"""
_TEMPLATE = """
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


def item_map(elem_id: str, **layout: Any) -> gr.HTML:
    """The map; its ``select`` event carries the ``code`` of the item that was clicked."""
    return gr.HTML(
        "",
        html_template=_TEMPLATE,
        # What is set by a script is not watched.
        js_on_load=f'{_SCRIPT}\nrallrec.panels["{elem_id}"] = (value) => {{ props.value = value; follow(); }};',
        elem_id=elem_id,
        elem_classes="panel",
        apply_default_css=False,
        **layout,
    )
