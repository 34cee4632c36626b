"""Views to HTML and SVG: pure functions, every value escaped by the one template environment."""

from app.rendering.page import error_box, header, left_out_box, notice
from app.rendering.predict import (
    ask_panel,
    merge_panel,
    reason_panel,
    run_status,
    target_card,
)
from app.rendering.retrieval import map_overlay, nearest_panel, rerank_panel, retrieve_panel

__all__ = [
    "ask_panel",
    "error_box",
    "header",
    "left_out_box",
    "map_overlay",
    "merge_panel",
    "nearest_panel",
    "notice",
    "reason_panel",
    "rerank_panel",
    "retrieve_panel",
    "run_status",
    "target_card",
]
