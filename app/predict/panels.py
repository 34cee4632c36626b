"""What a view puts into which panel of the Predict page, and what a page is spared because it shows it already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.predict.drawing import ask_panel, merge_panel, reason_panel, run_status, target_card
from app.predict.retrieval_drawing import map_overlay, nearest_panel, rerank_panel, retrieve_panel
from app.predict.view import Session, View
from app.shared import frame
from backend.errors import RallrecError


def draw_all(view: View) -> list[Any]:
    """For ``Panels.all()``."""
    meta = view.data.meta
    return [
        frame.notice(view.cast, view.models["tuned"], view.models["reasoning"], order_note=meta.order_note),
        target_card(view),
        *draw_live(view),
    ]


def draw_live(view: View) -> list[Any]:
    """For ``Panels.live()``."""
    return [
        run_status(view),
        retrieve_panel(view),
        *draw_near(view),
        rerank_panel(view),
        ask_panel(view),
        reason_panel(view),
        merge_panel(view),
    ]


def draw_near(view: View) -> list[Any]:
    """For ``Panels.near()``."""
    return [nearest_panel(view), map_overlay(view)]


def draw_merge(view: View) -> list[Any]:
    """For ``Panels.live()``, where nothing but the merge moved."""
    return [run_status(view), *[gr.skip()] * 6, merge_panel(view)]


def draw_answers(view: View) -> list[Any]:
    """For ``Panels.answers()``."""
    return [
        run_status(view),
        ask_panel(view),
        reason_panel(view),
        merge_panel(view),
    ]


def guard(panels: list[gr.HTML], draw: Callable[[], list[Any]]) -> list[Any]:
    """What ``draw`` gives for these panels, or its error in the first and the others left as they are."""
    try:
        return draw()
    except RallrecError as error:
        return [frame.error_box(str(error)), *[gr.skip()] * (len(panels) - 1)]


def record(session: Session, panels: list[gr.HTML], drawn: list[Any]) -> None:
    """Remember what is sent to the page."""
    names = [str(panel.elem_id) for panel in panels]
    session.drawn.update((name, html) for name, html in zip(names, drawn, strict=True) if isinstance(html, str))


def changed(session: Session, panels: list[gr.HTML], drawn: list[Any]) -> dict[str, str]:
    """What the page does not show already, by panel: most moves change a few. All, while a run redraws them too."""
    html = {str(panel.elem_id): one for panel, one in zip(panels, drawn, strict=True) if isinstance(one, str)}
    with session.lock:
        before = {} if session.run and session.run.snapshot().live else dict(session.drawn)
        session.drawn.update(html)
    return {name: one for name, one in html.items() if before.get(name) != one}
