"""``/stories``: the list, and with ``?story=`` the presenter. Steps change in the browser (``stories.js``)."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.shared import frame
from app.stories import drawing
from app.stories.service import StoryService
from backend.errors import RallrecError, UsageError

ROUTE = "/stories"
# Tells the browser's part that there is something to set going.
_STARTED = "() => { rallrec.stories(); }"


def page(service: StoryService) -> None:
    """Lay out the page in the current Blocks and wire it."""
    header = gr.HTML(frame.header(ROUTE, "", ""))
    shown = gr.HTML("", elem_id="stories", elem_classes="panel", apply_default_css=False)

    def loaded(request: gr.Request) -> list[Any]:
        return [frame.header(ROUTE, "", ""), _draw(service, request.query_params)]

    plain: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    drawn = gr.context.Context.root_block.load(loaded, None, [header, shown], **plain)  # type: ignore[union-attr]
    drawn.then(None, None, None, js=_STARTED)


def _draw(service: StoryService, query: Any) -> str:
    try:
        key = query.get("story", "")
        if not key:
            return drawing.story_list(service.shipped(), service.told())
        step = query.get("step", "1")
        if not step.isdecimal():
            raise UsageError(f"step is {step!r}", expected="a number, as in step=2", fix="mend the link")
        return drawing.presenter(service.find(key), int(step[:6]))
    except RallrecError as error:
        return frame.error_box(str(error))
