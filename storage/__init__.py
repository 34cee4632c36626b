"""What is kept: the database, the cached engine, artifacts, and the opened workspace that joins them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.cached_engine import CachedEngine
    from storage.database import Database, open_database

__all__ = ["CachedEngine", "Database", "open_database"]

_HOMES = {
    "CachedEngine": "storage.cached_engine",
    "Database": "storage.database",
    "open_database": "storage.database",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that importing this package for one module of it costs nothing.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
