"""Two systems side by side: by how much they differ and whether that could be chance, and who wins on which sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.evaluation.delong import delong
from backend.evaluation.intervals import too_few
from backend.evaluation.metrics import METRICS
from backend.evaluation.paper.systems import SystemMetrics

Int64 = NDArray[np.int64]
# The paper's level of significance.
LEVEL = 0.01


@dataclass(frozen=True)
class Difference:
    """The first system's metric minus the second's, with its interval. ``method``: ``DeLong`` or ``bootstrap``;
    ``users``: whose samples it rests on.
    """

    metric: str
    value: float
    low: float
    high: float
    p: float
    method: str
    users: int

    @property
    def significant(self) -> bool:
        """Whether it gets a star: below the paper's level, and of enough users to say so."""
        return self.p < LEVEL and not too_few(self.users)


@dataclass(frozen=True)
class WinsAndLosses:
    """Places of samples: where the ``first`` system alone is right, the ``second`` alone, ``both`` and ``neither``;
    in each, the samples come first on which the two are farthest apart.
    """

    first: Int64
    second: Int64
    both: Int64
    neither: Int64


def differences(
    labels: ArrayLike, first: SystemMetrics, second: SystemMetrics, first_scores: ArrayLike, second_scores: ArrayLike
) -> list[Difference]:
    """AUC by DeLong's test, and every metric by the paired bootstrap over users that both were drawn with.

    ``first_scores``, ``second_scores``: [n].
    """
    test = delong(labels, first_scores, second_scores)
    tested = [Difference("auc", test.difference, test.low, test.high, test.p, "DeLong", first.users)]
    for metric in METRICS:
        if metric in first.drawn and metric in second.drawn:
            draws = first.drawn[metric] - second.drawn[metric]
            tested.append(Difference(metric, draws.value, *draws.interval(), draws.p_value, "bootstrap", first.users))
    return tested


def wins_and_losses(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> WinsAndLosses:
    """Compare two systems sample by sample; one is right where "score > 0.5" equals the label. All arrays are [n]."""
    y, a, b = (np.asarray(given, dtype=np.float64) for given in (labels, first, second))
    order = np.argsort(-np.abs(a - b), kind="stable")
    right_a, right_b = ((scores > 0.5) == (y == 1) for scores in (a, b))
    sides = (right_a & ~right_b, ~right_a & right_b, right_a & right_b, ~right_a & ~right_b)
    return WinsAndLosses(*(order[side[order]].astype(np.int64) for side in sides))
