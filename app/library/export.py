"""The Library as a file: what is there, what made it and what is missing, every fold open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastapi import Request

from app.library import drawing
from app.library.service import LibraryService
from app.shared.export import Exported, document, safe_name, still
from app.shared.frame import Players, players_of
from app.shared.per_dataset import PerDataset
from backend.numbers import json_ready
from storage.workspace import Workspace


def exporter(workspace: Workspace) -> Callable[[Request], Exported]:
    """Exports the page of the dataset that the address names."""
    services = PerDataset(workspace, lambda workspace: (LibraryService(workspace), workspace))

    def export(request: Request) -> Exported:
        service, workspace = services.of(request.query_params.get("dataset", ""))
        address = f"/library?dataset={workspace.other}" if workspace.other else "/library"
        return Exported(
            safe_name(service.dataset().meta.name, "library"),
            lambda: library_record(service),
            lambda made: library_page(service, players_of(workspace), address, made),
        )

    return export


def library_record(service: LibraryService) -> dict[str, Any]:
    """``artifacts``: what the dataset's pages read, in the order in which it is made; ``others``: the rest."""
    shelf = service.shelf()
    return json_ready(
        {
            "dataset": service.dataset().meta.name,
            "artifacts": [asdict(entry) for entry in shelf.own],
            "others": [asdict(entry) for entry in shelf.others],
            "datasets": [asdict(entry) for entry in service.datasets()],
            "models": [asdict(entry) for entry in service.models()],
            "cache": asdict(service.cache()),
            "space": asdict(service.space()),
        }
    )


def library_page(service: LibraryService, players: Players, address: str, made: str) -> str:
    """Makes a page of all but the jobs and the doctor, which change by the moment. Raises ``RallrecError`` where a part
    cannot be read."""
    shelf, meta = service.shelf(), service.dataset().meta
    parts = {
        "own": drawing.own_artifacts(shelf, ""),
        "others": drawing.other_artifacts(shelf, ""),
        "datasets": drawing.datasets_table(service.datasets()),
        "models": drawing.models_table(service.models()),
        "cache": drawing.cache_table(service.cache()),
    }
    return document(
        "library", "what was made ahead, and from what", [(name, "", still(html)) for name, html in parts.items()], [],
        address=address, made=made, meta=meta,
        players=players, styles=("library/page.css",),
    )  # fmt: skip
