"""What is kept: the database, the cached engine, artifacts, and the opened workspace that joins them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.database.connection import Database, open_database
    from storage.results.cached_engine import CachedEngine

__all__ = ["CachedEngine", "Database", "open_database"]

_HOMES = {
    "CachedEngine": "storage.results.cached_engine",
    "Database": "storage.database.connection",
    "open_database": "storage.database.connection",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that importing this package for one module of it costs nothing.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
