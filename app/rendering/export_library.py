"""The Library as a page that asks for nothing: what is there, what made it and what is missing, every fold open."""

from __future__ import annotations

from app.rendering import library
from app.rendering.export import document, source_facts
from app.rendering.page import notice
from app.rendering.still import still
from app.services.export import Players
from app.services.library import LibraryService


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
        notice=notice(players.cast, players.tuned, players.reasoning), styles=("library.css",),
    )  # fmt: skip
