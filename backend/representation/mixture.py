"""Equation 7: several embeddings of an item as one vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError


def mix(parts: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Each part's rows scaled to unit length, then joined: [n, d_1 + d_2 + ...], float64.

    ``parts``: arrays of shape [n, d_i], at least one. A zero row of a part stays zero (an item without that signal).
    Raises ``UsageError`` where there is no part, a part is not two-dimensional, or the numbers of rows differ.
    """
    arrays = [np.asarray(part, dtype=np.float64) for part in parts]
    if not arrays or any(a.ndim != 2 or len(a) != len(arrays[0]) for a in arrays):
        raise UsageError(
            f"mix was given parts of shapes {[a.shape for a in arrays]}", expected="[n, d_i] arrays with the same n"
        )
    return np.concatenate([_unit_rows(a) for a in arrays], axis=1)


def _unit_rows(array: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    return np.divide(array, norms, out=np.zeros_like(array), where=norms > 0)
