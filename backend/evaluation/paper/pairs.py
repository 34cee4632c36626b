"""Two systems side by side: by how much they differ and whether that could be chance, and who wins on which sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.evaluation.delong import delong
from backend.evaluation.metrics import METRICS
from backend.evaluation.paper.tables import Scored

Int64 = NDArray[np.int64]
# The paper's level of significance.
LEVEL = 0.01


@dataclass(frozen=True)
class Difference:
    """The first system's metric minus the second's, with its interval. ``method``: ``DeLong`` or ``bootstrap``."""

    metric: str
    value: float
    low: float
    high: float
    p: float
    method: str


@dataclass(frozen=True)
class Contest:
    """Places of samples: where the ``first`` system alone is right, the ``second`` alone, ``both`` and ``neither``;
    each with the samples first on which the two are farthest apart.
    """

    first: Int64
    second: Int64
    both: Int64
    neither: Int64


def differences(
    labels: ArrayLike, first: Scored, second: Scored, ours: ArrayLike, theirs: ArrayLike
) -> list[Difference]:
    """AUC by DeLong's test, and every metric by the paired bootstrap over users that both were drawn with.

    ``ours``, ``theirs``: the scores of the first and the second system, [n].
    """
    test = delong(labels, ours, theirs)
    found = [Difference("auc", test.difference, test.low, test.high, test.p, "DeLong")]
    for metric in METRICS:
        if metric in first.drawn and metric in second.drawn:
            drawn = first.drawn[metric] - second.drawn[metric]
            own = drawn.interval()
            found.append(Difference(metric, own.value, own.low, own.high, drawn.p_value, "bootstrap"))
    return found


def contest(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> Contest:
    """Who is right (score > 0.5 as the label) on which sample; all arrays are [n]."""
    y, a, b = (np.asarray(given, dtype=np.float64) for given in (labels, first, second))
    order = np.argsort(-np.abs(a - b), kind="stable")
    right_a, right_b = ((own > 0.5) == (y == 1) for own in (a, b))

    def where(mask: NDArray[np.bool_]) -> Int64:
        return order[mask[order]].astype(np.int64)

    return Contest(
        where(right_a & ~right_b), where(~right_a & right_b), where(right_a & right_b), where(~right_a & ~right_b)
    )
