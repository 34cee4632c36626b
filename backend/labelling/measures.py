"""A number with its interval, or a sentence why there is none. Intervals are percentiles of a bootstrap over clusters.

What hangs together is drawn together: the labels of a task for agreement, the chains of a user for quality.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.numbers import json_ready

Float64 = NDArray[np.float64]
DRAWS, SEED, LEVEL = 500, 0, 0.95


@dataclass(frozen=True)
class Measure:
    """``value`` in [``low``, ``high``] at the level :data:`LEVEL`; NaN where it is not defined, and ``why`` says so.

    ``of``: how many units, chains or labels it is a number of.
    """

    value: float
    low: float
    high: float
    of: int
    why: str = ""


def plain(value: Any) -> Any:
    """JSON's own types: dataclasses by their fields, what is not defined as null, ``why`` where there is one."""
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
        return {name: plain(getattr(value, name)) for name in names if name != "why" or getattr(value, name)}
    return [plain(part) for part in value] if isinstance(value, tuple) else json_ready(value)


def undefined(why: str, of: int = 0) -> Measure:
    """A number that does not exist."""
    return Measure(math.nan, math.nan, math.nan, of, why)


def measure(value: float, drawn: Sequence[float] | Float64, of: int, why: str) -> Measure:
    """The value with the interval of its draws. ``why`` is kept only where the value is NaN.

    Where no draw is defined, the interval is NaN and the value stands.
    """
    if math.isnan(value):
        return undefined(why, of)
    values = np.asarray(drawn, dtype=np.float64)
    known = values[~np.isnan(values)]
    if not len(known):
        return Measure(value, math.nan, math.nan, of)
    low, high = np.quantile(known, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Measure(value, float(low), float(high), of)


def drawn_times(clusters: Sequence[str], draws: int = DRAWS, seed: int = SEED) -> NDArray[np.int64]:
    """int64[draws, n]: how often each of n rows counts, whole clusters drawn with replacement, as many as there are.

    ``clusters``: the cluster of each row. No draws where there is one cluster alone: it tells nothing of others.
    """
    names, codes = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        return np.zeros((0, len(clusters)), dtype=np.int64)
    rng = np.random.default_rng(seed)
    often = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return often[:, codes.reshape(-1)]
