"""Who is most similar to a target: dot products in float32, decided in float64 where float32 cannot tell.

A matrix product rounds differently with its shape, so a score of one sample alone and the same score in a block differ
in their last bits. What is chosen must not: scores nearer to each other than float32's error are compared by their
exact value to :data:`SIMILARITY_DECIMALS` decimals, equal ones by time. Nothing here knows users or strategies.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backend.errors import DataError

Ints = NDArray[np.integer]
# Similarities that agree to this many decimals are ties: about float32's precision, in which the vectors are kept.
SIMILARITY_DECIMALS = 6
# Rows gathered at a time: they stay in the processor's cache until they are multiplied.
_GATHER = 128
# Pairs compared in float64 at a time.
_PAIRS = 16
# Bound on the product of two rows' lengths: three parts of length 1 make 3, the rest is room for rounding.
_LENGTHS = 4.0


class Comparison:
    """m targets against n items by the dot products of their rows in ``vectors``.

    ``vectors``: [items, d], float, parts of length 1 or 0 (a memory map will do: only the rows needed are read).
    ``targets``: int[m] and ``items``: int[n] are rows of it; later items are newer. Raises ``DataError`` where a code
    has no vector.
    """

    def __init__(self, vectors: NDArray[np.floating], targets: Ints, items: Ints) -> None:
        top = int(max(items.max(initial=-1), targets.max(initial=-1)))
        if top >= len(vectors):
            raise DataError(
                f"Item {top} has no vector: there are {len(vectors)}", fix="compute them again: rallrec precompute"
            )
        self._vectors, self._targets, self._items = vectors, targets, items
        # However d products are summed, the sum is this near to the exact one. Two scores may both be off, and may tie.
        error = (vectors.shape[1] + 8) * 2.0**-24 * _LENGTHS
        self._near = 2 * error + 10.0**-SIMILARITY_DECIMALS

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """Returns float32[m, n]: targets times items; the items are gathered piece by piece."""
        targets = self._rows(self._targets)
        scores = np.empty((len(targets), len(self._items)), dtype=np.float32)
        for start in range(0, len(self._items), _GATHER):
            piece = self._items[start : start + _GATHER]
            scores[:, start : start + len(piece)] = targets @ self._rows(piece).T
        return scores

    def exact(self, rows: Ints, columns: Ints) -> NDArray[np.float64]:
        """float64[p]: :func:`exact_similarity` of target ``rows[i]`` and item ``columns[i]``."""
        return exact_similarity(self._vectors, self._targets[rows], self._items[columns])

    def best(self, k: int, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """int64[m, k]: for each target the most similar of the ``allowed`` (bool[m, n]) items, best first, then -1.

        The naive equivalent sorts each target's allowed items by :meth:`exact`, ties newer first.
        """
        m, n = allowed.shape
        best = np.full((m, k), -1, dtype=np.int64)
        if not m or not n:
            return best
        scores = np.where(allowed, self._comparable(), -np.inf)
        # The greater of each two scores stays: at least k items reach the k-th best of these, and few others do.
        peaks = scores
        while (half := peaks.shape[1] // 2) >= 8 * k:
            peaks = np.maximum(peaks[:, :half], peaks[:, half : 2 * half])
        place = max(peaks.shape[1] - k, 0)
        enough = np.partition(peaks, place, axis=1)[:, place] - np.float32(self._near)
        candidates = np.argwhere(allowed & (scores >= enough[:, None]))
        rows, columns = self._in_order(
            candidates[:, 0], candidates[:, 1], scores[candidates[:, 0], candidates[:, 1]].astype(np.float64)
        )
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = rank < k
        best[rows[kept], rank[kept]] = columns[kept]
        return best

    def _comparable(self) -> NDArray[np.float32]:
        """Returns the scores; to a target without a signal all items are equally similar, so there time decides."""
        silent = np.logical_not(self._rows(self._targets).any(axis=1))
        newer = np.arange(len(self._items), dtype=np.float32)
        return np.where(silent[:, None], newer, self.scores) if silent.any() else self.scores

    def _in_order(self, rows: Ints, columns: Ints, values: NDArray[np.float64]) -> tuple[Ints, Ints]:
        """Pairs by target, then best first. Only a pair with a near neighbour needs its exact value: all others are
        further from every other score than the errors of both."""
        order = np.lexsort((-columns, -values, rows))
        rows, columns, values = rows[order], columns[order], values[order]
        close = (rows[1:] == rows[:-1]) & (values[:-1] - values[1:] <= self._near)
        near = np.r_[False, close] | np.r_[close, False]
        if near.any():
            values[near] = self.exact(rows[near], columns[near])
            order = np.lexsort((-columns, -values, rows))
            rows, columns = rows[order], columns[order]
        return rows, columns

    def _rows(self, codes: Ints) -> NDArray[np.float32]:
        return _rows(self._vectors, codes)


def exact_similarity(vectors: NDArray[np.floating], left: Ints, right: Ints) -> NDArray[np.float64]:
    """float64[p]: the dot product of rows ``left[i]`` and ``right[i]`` of ``vectors``, to the decimals that count.

    Products of float32 are exact in float64, and each pair is summed on its own: the same bits in any company.
    """
    values = np.empty(len(left))
    for start in range(0, len(left), _PAIRS):
        piece = slice(start, start + _PAIRS)
        products = _rows(vectors, right[piece]).astype(np.float64)
        products *= _rows(vectors, left[piece])
        values[piece] = products.sum(axis=1)
    return np.round(values, SIMILARITY_DECIMALS) + 0.0  # no -0.0


def _rows(vectors: NDArray[np.floating], codes: Ints) -> NDArray[np.float32]:
    return np.asarray(vectors[codes], dtype=np.float32)
