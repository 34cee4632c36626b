"""The two channels of section 4.2.6: a user's past items by similarity to the target, and by time.

Joining them is the business of ``backend.retrieval.rerank``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.errors import DataError


@dataclass(frozen=True)
class Channels:
    """Item codes of one user's past: ``relevant`` most similar first, ``recent`` newest first, at most k each.

    ``similarity`` maps every past item's code to its dot product with the target (cosine, for unit vectors).
    """

    relevant: list[int]
    recent: list[int]
    similarity: dict[int, float]


def channels(vectors: NDArray[np.floating], history: NDArray[np.integer], target: int, k: int) -> Channels:
    """Rank ``history`` (item codes, oldest first, shape [n], n >= 1) for the item code ``target``.

    ``vectors``: [items, d], one row per item code, unit length or zero (eq. 7); only the rows needed are read, so a
    memory map will do. Equal similarities: the newer item first. Raises ``DataError`` where a code has no vector.
    """
    top = int(max(history.max(), target))
    if top >= len(vectors):
        raise DataError(
            f"Item {top} has no vector: there are {len(vectors)}", fix="compute them again: rallrec embed --fresh"
        )
    scores = np.asarray(vectors[history], dtype=np.float32) @ np.asarray(vectors[target], dtype=np.float32)
    newest_first = history[::-1]
    by_similarity = np.argsort(-scores[::-1], kind="stable")[:k]
    return Channels(
        relevant=newest_first[by_similarity].tolist(),
        recent=newest_first[:k].tolist(),
        similarity=dict(zip(history.tolist(), scores.tolist(), strict=True)),
    )
