"""The flat map of the item space as one compact object for the browser, made once per dataset and variant.

What of it a page marks (history, chosen items, target) is in the page's own redraws; this never changes with them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.shared.genres import first_genres
from backend.datasets import Dataset
from storage.workspace import Workspace

# Coordinates are whole numbers from -_STEPS to _STEPS: finer than any screen, and short in the file.
_STEPS = 10_000


@dataclass(frozen=True)
class MapBody:
    """A response ready to be sent. ``tag`` changes whenever the content does."""

    plain: bytes
    zipped: bytes
    tag: str


class ItemMaps:
    """The maps of a workspace, kept once made. Methods may be called from any thread."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._bodies: dict[tuple[str, str], MapBody] = {}
        self._lock = threading.Lock()

    def body(self, dataset: str, variant: str) -> MapBody:
        """The map as JSON. Raises ``UnknownNameError``, ``NotPreparedError`` (naming the command that makes it)."""
        with self._lock:
            if (dataset, variant) not in self._bodies:
                flat = self._workspace.flat_map(variant, dataset)
                content = map_content(self._workspace.dataset(dataset), flat)
                plain = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
                tag = hashlib.sha256(plain).hexdigest()[:32]
                self._bodies[dataset, variant] = MapBody(plain, gzip.compress(plain, 6, mtime=0), tag)
            return self._bodies[dataset, variant]


def map_content(data: Dataset, flat: np.ndarray) -> dict[str, Any]:
    """By item code: ``x`` and ``y`` (null where the variant has no signal of the item), ``genre`` (a place in
    ``genres``, by the item's first category) and ``titles``; ``counts`` per genre; ``unplaced``: how many null."""
    genre, genres = first_genres(data)
    placed: np.ndarray = np.any(flat, axis=1)
    whole = np.round(np.asarray(flat, dtype=np.float64) * _STEPS).astype(int).tolist()
    shown = [point if known else (None, None) for point, known in zip(whole, placed.tolist(), strict=True)]
    return {
        "steps": _STEPS,
        "x": [x for x, _ in shown],
        "y": [y for _, y in shown],
        "genre": genre,
        "genres": genres,
        "counts": np.bincount(genre, minlength=len(genres)).tolist(),
        "titles": [data.item_label(code) for code in range(data.n_items)],
        "unplaced": int((~placed).sum()),
    }
