"""Which alpha and epsilon merge best (eq. 10), by a loss on samples that are not the ones reported on.

Every pair of a grid is tried (Figs. 6 and 7 move one at a time). Which samples these are is the caller's choice; to
choose on the samples that are then scored would flatter the merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, log10

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError
from backend.merging.merge import MergingConfig, merge
from backend.merging.tuned import Loss

ALPHAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
EPSILONS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
# Losses that agree to this many decimals are equal.
_DECIMALS = 12


@dataclass(frozen=True)
class GridPoint:
    """A pair that was tried, and its loss."""

    alpha: float
    epsilon: float
    loss: float


@dataclass(frozen=True)
class ChosenWeights:
    """The pair with the lowest loss, what the paper's own pair loses on the same samples, and all that was tried."""

    best: GridPoint
    paper: GridPoint
    grid: tuple[GridPoint, ...]

    @property
    def config(self) -> MergingConfig:
        """Returns the chosen pair as a recipe takes it."""
        return MergingConfig(alpha=self.best.alpha, epsilon=self.best.epsilon)


def choose_weights(
    p_r: ArrayLike,
    var_r: ArrayLike,
    p_g: ArrayLike,
    var_g: ArrayLike,
    labels: ArrayLike,
    loss: Loss,
    alphas: Sequence[float] = ALPHAS,
    epsilons: Sequence[float] = EPSILONS,
) -> ChosenWeights:
    """Try every pair on n samples; of equal losses the pair nearest to the paper's (0.1, 1e-3) wins.

    ``p_r``, ``var_r``, ``p_g``, ``var_g``: float[n] as :func:`merge` takes them; ``labels``: 0 or 1, [n]; ``loss``:
    such as ``backend.evaluation.metrics.log_loss``. Near means few steps: 0.1 in alpha is as far as a power of ten in
    epsilon. Raises ``UsageError`` where there is no sample, no pair, lengths differ or a loss is NaN.
    """
    parts = [np.asarray(part, dtype=np.float64) for part in (p_r, var_r, p_g, var_g, labels)]
    shapes = [part.shape for part in parts]
    if len(set(shapes)) > 1 or parts[0].ndim != 1 or not parts[0].size:
        raise UsageError(f"Arrays of the shapes {shapes} were given", expected="five of one length, with samples")
    if not alphas or not epsilons:
        raise UsageError("The grid is empty", expected="at least one alpha and one epsilon")
    grid = tuple(_point(parts, loss, alpha, epsilon) for alpha in alphas for epsilon in epsilons)
    usual = MergingConfig()

    def key(point: GridPoint) -> tuple[float, float]:
        far = abs(point.alpha - usual.alpha) / 0.1 + abs(log10(point.epsilon / usual.epsilon))
        return round(point.loss, _DECIMALS), far

    return ChosenWeights(min(grid, key=key), _point(parts, loss, usual.alpha, usual.epsilon), grid)


def _point(parts: Sequence[NDArray[np.float64]], loss: Loss, alpha: float, epsilon: float) -> GridPoint:
    p_r, var_r, p_g, var_g, labels = parts
    value = float(loss(labels, merge(p_r, var_r, p_g, var_g, alpha, epsilon)))
    if isnan(value):
        raise UsageError(f"The loss is NaN for alpha {alpha:g} and epsilon {epsilon:g}", expected="a number")
    return GridPoint(alpha, epsilon, value)
