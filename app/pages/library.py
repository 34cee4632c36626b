"""``/library``: the jobs, what the app reads and what made it, the datasets, the models and the cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from app import rendering
from app.pages import library_jobs
from app.rendering import library as drawing
from app.services.jobs import JobsService
from app.services.library import LibraryService
from backend.errors import RallrecError

ROUTE = "/library"
# The fold that is open, as a link's parameter.
_ARTIFACT = "artifact"
_OPEN_NOW = f"() => [new URLSearchParams(location.search).get('{_ARTIFACT}') ?? '']"


@dataclass(frozen=True)
class Layout:
    """The parts of the page that are drawn, in their order."""

    header: gr.HTML
    looked: gr.HTML
    own: gr.HTML
    others: gr.HTML
    datasets: gr.HTML
    models: gr.HTML
    cache: gr.HTML

    def all(self) -> list[gr.HTML]:
        return [getattr(self, field.name) for field in fields(self)]


def page(service: LibraryService, jobs: JobsService) -> None:
    """Lay out the page in the current Blocks and wire it."""
    header = gr.HTML(rendering.header(ROUTE, "", ""))
    with gr.Row(elem_classes="library-top"):
        refresh = gr.Button("Refresh", elem_id="refresh", scale=0, min_width=110)
        looked = _panel("looked", drawing.looked(""))
    shown = library_jobs.lay_out(jobs)
    panels = (_panel(f"library-{name}") for name in ("own", "others", "datasets", "models", "cache"))
    layout = Layout(header, looked, *panels)
    opened = gr.Textbox(visible="hidden", elem_id="library-open")
    _wire(service, layout, refresh, opened)
    rest = library_jobs.Rest(layout.all(), lambda fold: _draw(service, fold), opened)
    library_jobs.wire(jobs, shown, refresh, rest)


def _wire(service: LibraryService, layout: Layout, refresh: gr.Button, opened: gr.Textbox) -> None:
    def loaded(request: gr.Request) -> list[Any]:
        """Which fold is open is in the URL."""
        return _draw(service, request.query_params.get(_ARTIFACT, ""))

    def refreshed(artifact: str) -> list[Any]:
        return _draw(service, artifact)

    plain: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    gr.context.Context.root_block.load(loaded, None, layout.all(), **plain)  # type: ignore[union-attr]
    # What the browser has open is asked of its address, not of a value that would have to follow it.
    refresh.click(refreshed, opened, layout.all(), js=_OPEN_NOW, **plain)


def _draw(service: LibraryService, opened: str) -> list[Any]:
    try:
        meta = service.dataset().meta
        header = rendering.header(ROUTE, meta.title, meta.licence)
    except RallrecError:  # said where the artifacts would be
        header = rendering.header(ROUTE, "", "")
    shelf = service.shelf()
    return [
        header,
        drawing.looked(time.strftime("%H:%M:%S", time.gmtime())),
        drawing.own_artifacts(shelf, opened),
        drawing.other_artifacts(shelf, opened),
        drawing.datasets_table(service.datasets()),
        _guard(lambda: drawing.models_table(service.models())),
        _guard(lambda: drawing.cache_table(service.cache())),
    ]


def _guard(draw: Callable[[], str]) -> str:
    """One part of the page, or its error in its place."""
    try:
        return draw()
    except RallrecError as error:
        return rendering.error_box(str(error))


def _panel(name: str, value: str = "") -> gr.HTML:
    return gr.HTML(value, elem_id=name, elem_classes="panel", js_on_load=None, apply_default_css=False)
