"""DeLong's test: are the AUCs of two systems on the same samples different (DeLong et al., Biometrics 44, 1988)?

The test takes samples as independent, which samples of one user are not quite. So the bootstrap over users
(``backend.evaluation.intervals``) stands beside it, and serves the other metrics too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError
from backend.evaluation.intervals import LEVEL

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class DeLong:
    """``areas``: both AUCs; ``difference``: the first minus the second, with its standard ``error`` and the bounds of
    its interval; ``z``, ``p``: the two-sided test that the difference is 0. NaN where AUC is not defined.
    """

    areas: tuple[float, float]
    difference: float
    error: float
    low: float
    high: float
    z: float
    p: float


def delong(labels: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> DeLong:
    """Compare two systems' scores. ``labels``: 0 or 1, ``first``, ``second``: [n]. Raises ``UsageError``.

    Two systems that rank all pairs alike have no error to divide by: z is 0 and p is 1.
    """
    scores = np.stack([np.asarray(given, dtype=np.float64) for given in (first, second)])
    areas, covariance = areas_and_covariance(labels, scores)
    difference = float(areas[0] - areas[1])
    error = sqrt(max(0.0, float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    # Rounding leaves a hair of variance where there is none.
    z = difference / error if error > 1e-12 else 0.0
    z = float("nan") if np.isnan(difference) else z
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return DeLong(
        (float(areas[0]), float(areas[1])), difference, error, difference - reach, difference + reach, z,
        erfc(abs(z) / sqrt(2)),
    )  # fmt: skip


def areas_and_covariance(labels: ArrayLike, scores: Float64) -> tuple[Float64, Float64]:
    """AUC of each of k systems, and their covariance matrix [k, k]; NaN where a class has no sample.

    ``scores``: [k, n]. Placements come from mid-ranks, one sort per system and class; the naive equivalent compares
    every pair of a liked and another sample.
    """
    y = np.asarray(labels)
    if scores.ndim != 2 or y.shape != scores.shape[1:] or not np.isin(y, (0, 1)).all() or np.isnan(scores).any():
        raise UsageError(
            f"DeLong's test was given labels of shape {y.shape} and scores of {scores.shape}",
            expected="labels 0 or 1, and as many scores of each system, none of them NaN",
        )
    liked, disliked = scores[:, y == 1], scores[:, y == 0]
    m, n = liked.shape[1], disliked.shape[1]
    if not m or not n:
        return np.full(len(scores), np.nan), np.full((len(scores), len(scores)), np.nan)
    # Each number is the share of the other class that a sample is on the right side of.
    of_liked = np.stack([_below(a, b) for a, b in zip(liked, disliked, strict=True)]) / n
    of_disliked = 1 - np.stack([_below(b, a) for a, b in zip(liked, disliked, strict=True)]) / m
    covariance = _covariance(of_liked) / m + _covariance(of_disliked) / n
    return of_liked.mean(axis=1), covariance


def _below(scores: Float64, others: Float64) -> Float64:
    """How many of ``others`` lie below each score, equal ones counting half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / 2


def _covariance(values: Float64) -> Float64:
    """The covariance, divided by n - 1; 0 for a single sample, which has no spread."""
    if values.shape[1] < 2:
        return np.zeros((len(values), len(values)))
    return np.atleast_2d(np.cov(values))
