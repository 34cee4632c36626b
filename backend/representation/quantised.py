"""Vectors as one byte per number: what keeps the item vectors small enough to ship.

Each column is scaled by itself. Mean-pooled states of an LLM have a few columns far longer than the rest and far from
zero; one scale for all would leave the others with a handful of steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.errors import DataError, UsageError

STEPS = 127  # codes lie within -127 to 127, the same way on both sides of a column's offset
_CHUNK = 65536  # rows that are worked on at once in float64


def encode(rows: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
    """``codes`` int8[n, d], ``offset`` and ``scale`` float32[d], of ``rows``: [n, d] of any float type, n at least 1.

    A column's offset is the middle of its range, its scale the largest distance from there divided by 127, and a code
    the nearest whole number of scales: no number moves by more than half its column's scale (and float32's rounding).
    A column that never changes has scale 0 and comes back as it was.

    Raises ``UsageError`` (shape), ``DataError`` (a number that is not finite).
    """
    if rows.ndim != 2 or not len(rows):
        raise UsageError(f"Vectors of shape {rows.shape} were given", expected="[n, d] with at least one row")
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise DataError("A text vector holds a number that is not finite", fix="embed the items again")
    offset = ((low + high) / 2).astype(np.float32)
    scale = (np.maximum(high - offset, offset - low) / STEPS).astype(np.float32)
    codes = np.empty(rows.shape, dtype=np.int8)
    step = np.where(scale > 0, scale, np.inf).astype(np.float64)
    for start in range(0, len(rows), _CHUNK):
        exact = (rows[start : start + _CHUNK].astype(np.float64) - offset) / step
        codes[start : start + _CHUNK] = np.rint(exact).clip(-STEPS, STEPS)
    return codes, offset, scale


def decode(codes: NDArray[np.int8], offset: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows that :func:`encode` was given, as near as the codes tell: ``codes * scale + offset``, float32[n, d].

    Raises ``UsageError`` where the three do not belong together.
    """
    if codes.dtype != np.int8 or codes.ndim != 2 or not offset.shape == scale.shape == codes.shape[1:]:
        raise UsageError(
            f"Codes {codes.dtype}{list(codes.shape)} came with offset {list(offset.shape)} and scale "
            f"{list(scale.shape)}",
            expected="int8[n, d] with [d] and [d]",
        )
    rows = codes.astype(np.float32)
    rows *= scale.astype(np.float32)
    rows += offset.astype(np.float32)
    return rows
