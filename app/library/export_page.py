"""The Library as a page that asks for nothing: what is there, what made it and what is missing, every fold open."""

from __future__ import annotations

from app.library import drawing as library
from app.library.service import LibraryService
from app.shared.export_page import document, source_facts
from app.shared.export_view import Players
from app.shared.frame import notice
from app.shared.still import still


def library_page(service: LibraryService, players: Players, address: str, made: str) -> str:
    """All of it but jobs and doctor, which are of the moment. Raises ``RallrecError`` where a part cannot be read."""
    shelf, meta = service.shelf(), service.dataset().meta
    parts = {
        "own": library.own_artifacts(shelf, ""),
        "others": library.other_artifacts(shelf, ""),
        "datasets": library.datasets_table(service.datasets()),
        "models": library.models_table(service.models()),
        "cache": library.cache_table(service.cache()),
    }
    return document(
        "library", "what was made ahead, and from what", [(name, "", still(html)) for name, html in parts.items()],
        source_facts(address, made, meta), meta,
        notice=notice(players.cast, players.tuned, players.reasoning), styles=("library/page.css",),
    )  # fmt: skip
