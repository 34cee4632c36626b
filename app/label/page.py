"""``/label``: the page around what labellers do. ``label.js`` fetches its views from :mod:`app.label.views`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.shared import frame
from app.shared.templating import asset

ROUTE = "/label"
_SCRIPTS = (
    "label/keep.js",
    "label/timer.js",
    "label/sheet.js",
    "label/history.js",
    "label/notices.js",
    "label/work.js",
    "label/forms.js",
    "label/page.js",
    "label/results.js",
)
_ROOT = '<div id="label-root"><p class="status"><span class="pulse"></span> Fetching</p></div>'


def page() -> None:
    """Lay out the page in the current Blocks; nothing of it is Gradio's but the header."""
    gr.HTML(frame.header(ROUTE, "", ""))
    gr.HTML(_ROOT, elem_id="label", elem_classes="panel", apply_default_css=False)
    script = "\n".join(asset(name) for name in _SCRIPTS)
    plain: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    gr.context.Context.root_block.load(  # type: ignore[union-attr]
        None, None, None, js=f"() => {{ {script}\nrallrec.label(); }}", **plain
    )
