"""Equation 10: two predictions, each weighted by how consistent its own samples are.

Pure functions on arrays. Where the predictions come from is the business of the engines and the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from backend.errors import UsageError

Float64 = NDArray[np.float64]


class MergingConfig(BaseModel):
    """``alpha``: weight of the reasoning model, >= 0. ``epsilon``: floor under both variances, > 0.

    ``p_r_temperature``: the logit of each chain's P(yes) is divided by it before the mean and the variance are taken
    (temperature scaling; 1, the paper's: as they are).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(0.1, ge=0, le=10)
    epsilon: float = Field(1e-3, gt=0, le=1)
    p_r_temperature: float = Field(1.0, gt=0)


@dataclass(frozen=True)
class MergeWeights:
    """The two weights of eq. 10 as used (``raw``) and as shares of their sum (``share``, in [0, 1])."""

    raw_reasoning: Float64
    raw_tuned: Float64

    @property
    def share_reasoning(self) -> Float64:
        return self.raw_reasoning / (self.raw_reasoning + self.raw_tuned)

    @property
    def share_tuned(self) -> Float64:
        return self.raw_tuned / (self.raw_reasoning + self.raw_tuned)


def mean_and_variance(samples: ArrayLike) -> tuple[float, float]:
    """Returns mean and population variance of one sample's repeated answers (shape [K]); NaN, NaN where K is 0."""
    values = np.asarray(samples, dtype=np.float64)
    if values.size == 0:
        return float("nan"), float("nan")
    return float(values.mean()), float(values.var())


def mean_and_variance_of_chains(p_yes: ArrayLike) -> tuple[Float64, Float64]:
    """Returns the same of many samples: ``p_yes`` is [K, n], NaN for what is no chain; NaN where a sample has none."""
    values = np.asarray(p_yes, dtype=np.float64)
    there = ~np.isnan(values)
    if there.all() and len(values):
        return values.mean(axis=0), values.var(axis=0)
    with np.errstate(invalid="ignore"):
        mean = np.where(there, values, 0.0).sum(axis=0) / there.sum(axis=0)
        return mean, (np.where(there, values - mean, 0.0) ** 2).sum(axis=0) / there.sum(axis=0)


def merge_weights(
    var_r: ArrayLike, var_g: ArrayLike, alpha: ArrayLike = 0.1, epsilon: ArrayLike = 1e-3
) -> MergeWeights:
    """``alpha / (sigma_R^2 + epsilon)`` and ``1 / (sigma_G^2 + epsilon)``, broadcast float64.

    Raises ``UsageError`` for a negative variance, a negative ``alpha`` or an ``epsilon`` that is not positive.
    """
    var_r, var_g, alpha, epsilon = (np.asarray(x, dtype=np.float64) for x in (var_r, var_g, alpha, epsilon))
    for name, value, ok, expected in (
        ("var_r", var_r, ~(var_r < 0), "variances >= 0"),
        ("var_g", var_g, ~(var_g < 0), "variances >= 0"),
        ("alpha", alpha, alpha >= 0, "alpha >= 0"),
        ("epsilon", epsilon, epsilon > 0, "epsilon > 0 (it keeps the weights finite)"),
    ):
        if not np.all(ok):
            raise UsageError(f"{name} is {value[~ok].flat[0] if value.ndim else value}", expected=expected)
    return MergeWeights(alpha / (var_r + epsilon), 1.0 / (var_g + epsilon))


def merge(
    p_r: ArrayLike,
    var_r: ArrayLike,
    p_g: ArrayLike,
    var_g: ArrayLike,
    alpha: ArrayLike = 0.1,
    epsilon: ArrayLike = 1e-3,
) -> Float64:
    """P_final of eq. 10 for broadcasting arrays; float64 of the broadcast shape, always between ``p_r`` and ``p_g``.

    ``p_r``, ``var_r``: mean and population variance of the reasoning model's K chains; ``p_g``, ``var_g``: the tuned
    model's answer and the variance over history orders; ``alpha``: weight of the reasoning model; ``epsilon``: floor
    under the variances. NaN in gives NaN out. Raises ``UsageError`` as :func:`merge_weights` does.
    """
    p_r, p_g = np.asarray(p_r, dtype=np.float64), np.asarray(p_g, dtype=np.float64)
    share = merge_weights(var_r, var_g, alpha, epsilon).share_reasoning
    # The weighted mean is clipped, because rounding can carry it a hair past the nearer of the two.
    return np.clip(p_g + share * (p_r - p_g), np.minimum(p_r, p_g), np.maximum(p_r, p_g))
