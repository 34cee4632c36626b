"""``/label``: the page around what labellers do. ``label.js`` fetches its views from :mod:`app.labels_view`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app import rendering

ROUTE = "/label"
_ASSETS = Path(__file__).parents[1] / "assets"
_SCRIPTS = (
    "label_keep.js",
    "label_timer.js",
    "label_sheet.js",
    "label_history.js",
    "label_voice.js",
    "label_work.js",
    "label_forms.js",
    "label.js",
    "label_results.js",
)
_ROOT = '<div id="label-root"><p class="status"><span class="pulse"></span> Fetching</p></div>'


def page() -> None:
    """Lay out the page in the current Blocks; nothing of it is Gradio's but the header."""
    gr.HTML(rendering.header(ROUTE, "", ""))
    gr.HTML(_ROOT, elem_id="label", elem_classes="panel", apply_default_css=False)
    script = "\n".join((_ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
    plain: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    gr.context.Context.root_block.load(  # type: ignore[union-attr]
        None, None, None, js=f"() => {{ {script}\nrallrec.label(); }}", **plain
    )
