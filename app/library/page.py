"""``/library``: the jobs, what the app reads and what made it, the datasets, the models, the cache, the doctor.

The address says which dataset it is about, and which fold is open.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from app.library import drawing, panels
from app.library.address import HERE, LibraryQuery
from app.library.service import DoctorService, LibraryService
from app.shared import frame
from app.shared.jobs import JobsService
from app.shared.per_dataset import PerDataset
from backend.errors import RallrecError

ROUTE = "/library"


@dataclass(frozen=True)
class LibraryLayout:
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


def page(services: PerDataset[LibraryService], jobs: JobsService, lists: Callable[[str], tuple[str, ...]]) -> None:
    """Lay out the page in the current Blocks and wire it. ``lists``: the lists of samples that a dataset has."""
    header = gr.HTML(frame.header(ROUTE, "", ""))
    with gr.Row(elem_classes="library-top"):
        refresh = gr.Button("Refresh", elem_id="refresh", scale=0, min_width=110)
        looked = _panel("looked", drawing.looked(""))
    shown = panels.lay_out_jobs(jobs)
    parts = (_panel(f"library-{name}") for name in ("own", "others", "datasets", "models", "cache"))
    layout = LibraryLayout(header, looked, *parts)
    address = gr.Textbox(visible="hidden", elem_id="library-address")
    _wire(services, layout, refresh, address)
    rest = panels.Rest(layout.all(), lambda here: _draw(services, here), address)
    panels.doctor_fold(PerDataset(services.workspace, DoctorService), refresh, address)
    panels.wire_jobs(jobs, shown, refresh, rest, lists)


def _wire(services: PerDataset[LibraryService], layout: LibraryLayout, refresh: gr.Button, address: gr.Textbox) -> None:
    def loaded(request: gr.Request) -> list[Any]:
        return _draw(services, LibraryQuery.parse(f"?{request.query_params}"))

    def refreshed(here: str) -> list[Any]:
        return _draw(services, LibraryQuery.parse(here))

    plain: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    gr.context.Context.root_block.load(loaded, None, layout.all(), **plain)  # type: ignore[union-attr]
    refresh.click(refreshed, address, layout.all(), js=HERE, **plain)


def _draw(services: PerDataset[LibraryService], here: LibraryQuery) -> list[Any]:
    try:
        service, unknown = services.of(here.dataset), ""
    except RallrecError as error:  # the rest of the page says which there are
        service, unknown = services.of(""), frame.error_box(str(error))
    try:
        meta = service.dataset().meta
        title, licence = meta.title, meta.licence
    except RallrecError:  # said where the artifacts would be
        title = licence = ""
    shelf = service.shelf()
    return [
        frame.header(ROUTE, title, licence, services.choices("" if unknown else here.dataset)),
        drawing.looked(time.strftime("%H:%M:%S", time.gmtime()), service.space()),
        unknown or drawing.own_artifacts(shelf, here.artifact),
        "" if unknown else drawing.other_artifacts(shelf, here.artifact),
        drawing.datasets_table(service.datasets()),
        _guard(lambda: drawing.models_table(service.models())),
        _guard(lambda: drawing.cache_table(service.cache())),
    ]


def _guard(draw: Callable[[], str]) -> str:
    """Draws one part of the page, or its error in its place."""
    try:
        return draw()
    except RallrecError as error:
        return frame.error_box(str(error))


def _panel(name: str, value: str = "") -> gr.HTML:
    return gr.HTML(value, elem_id=name, elem_classes="panel", js_on_load=None, apply_default_css=False)
