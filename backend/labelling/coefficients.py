"""How well people agree, as numbers: percent, Krippendorff's alpha, Gwet's AC1 / AC2, Cohen's kappa.

Each is taken of tables of counts, and is NaN where it is not defined; a sentence says why. Alpha is the library
``krippendorff``; of the many draws of an interval it is computed at once, and so is kappa: tests compare both with the
libraries. For Gwet's coefficient no library fits the project's other parts; its formulae are those of K. L. Gwet,
*Handbook of Inter-Rater Reliability* (4th ed. 2014, chapter 5).
"""

from __future__ import annotations

import krippendorff
import numpy as np
from numpy.typing import NDArray

from backend.labelling.ratings import Level

Float64 = NDArray[np.float64]
Counts = NDArray[np.int64]

NOBODY_TWICE = "no two people judged the same thing"
ALL_ALIKE = "all answers are the same: there is nothing that chance could have made otherwise"


def weights(level: Level, categories: int) -> Float64:
    """float64[categories, categories]: how far two answers agree, 1 on the diagonal.

    Nominal: not at all elsewhere. Ordinal: quadratic, 1 - ((i - j) / (categories - 1))^2.
    """
    if level == "nominal" or categories < 2:
        return np.eye(categories)
    place = np.arange(categories)
    return 1.0 - ((place[:, None] - place) / (categories - 1)) ** 2


def percent(counts: Counts, times: Float64 | None = None) -> Float64:
    """float64[draws]: the mean share of pairs of people who gave a unit the same answer, over units with two or more.

    ``counts``: [units, categories]. ``times``: [draws, units], how often each unit counts (default: once, one draw).
    """
    return _observed(counts, np.eye(counts.shape[1]), times)


def gwet(counts: Counts, level: Level, times: Float64 | None = None) -> Float64:
    """float64[draws]: AC1 (nominal) or AC2 with quadratic weights (ordinal); arguments as in :func:`percent`.

    All categories that can be answered count, whether anybody used them or not. Chance agreement is T / (q (q - 1))
    times the sum of p_k (1 - p_k), with T the sum of the weights and p_k the mean share of category k over the units
    with one answer or more.
    """
    q = counts.shape[1]
    weight = weights(level, q)
    drawn = _times(counts, times)
    answers = counts.sum(axis=1)
    shares = counts / np.maximum(answers, 1)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        p = drawn @ shares / (drawn @ (answers > 0))[:, None]
        chance = weight.sum() / (q * (q - 1)) * (p * (1 - p)).sum(axis=1)
        value: Float64 = (_observed(counts, weight, times) - chance) / (1 - chance)
    return value


def alpha(counts: Counts, level: Level) -> float:
    """Krippendorff's alpha of one table of counts, by the library; NaN where it is not defined."""
    pairable = counts[counts.sum(axis=1) > 1]
    if not len(pairable) or np.count_nonzero(pairable.sum(axis=0)) < 2:
        return float("nan")
    return float(krippendorff.alpha(value_counts=pairable, level_of_measurement=level))


def alphas(counts: Counts, level: Level, times: Float64) -> Float64:
    """float64[draws]: Krippendorff's alpha of many draws at once; ``times`` as in :func:`percent`.

    The naive equivalent is :func:`alpha` of the units, each repeated so often.
    """
    q = counts.shape[1]
    table = counts.astype(np.float64)
    answers = table.sum(axis=1)
    pairs = table[:, :, None] * table[:, None, :] - table[:, :, None] * np.eye(q)
    together = pairs / np.maximum(answers - 1, 1)[:, None, None] * (answers > 1)[:, None, None]
    observed = (times @ together.reshape(len(table), -1)).reshape(-1, q, q)
    n = observed.sum(axis=2)
    total = n.sum(axis=1)[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (n[:, :, None] * n[:, None, :] - n[:, :, None] * np.eye(q)) / (total - 1)
        far = 1.0 - np.eye(q) if level == "nominal" else _rank_distances(n)
        value: Float64 = 1.0 - (observed * far).sum(axis=(1, 2)) / (expected * far).sum(axis=(1, 2))
    return value


def kappas(tables: Float64, level: Level) -> Float64:
    """float64[draws]: Cohen's kappa of confusion tables, [draws, categories, categories]; quadratic weights where
    ordinal. NaN where it is not defined.

    The naive equivalent is ``sklearn.metrics.cohen_kappa_score`` of the answers that each table counts.
    """
    far = 1.0 - weights(level, tables.shape[1])
    total = tables.sum(axis=(1, 2))
    chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Float64 = 1.0 - (tables * far).sum(axis=(1, 2)) * total / (chance * far).sum(axis=(1, 2))
    return value


def _rank_distances(n: Float64) -> Float64:
    """float64[draws, q, q]: Krippendorff's ordinal metric, the squared distance between the middles of two categories
    where all answers stand in a row. ``n``: [draws, q], how often each is given.
    """
    middles = np.cumsum(n, axis=1) - n / 2
    apart: Float64 = (middles[:, :, None] - middles[:, None, :]) ** 2
    return apart


def _times(counts: Counts, times: Float64 | None) -> Float64:
    return np.ones((1, len(counts))) if times is None else times


def _observed(counts: Counts, weight: Float64, times: Float64 | None) -> Float64:
    """float64[draws]: mean weighted agreement of two people about a unit, over the units with two answers or more."""
    drawn, answers = _times(counts, times), counts.sum(axis=1)
    pairs = answers * (answers - 1)
    agreed = (counts * (counts @ weight - 1)).sum(axis=1)
    shares = np.where(pairs > 0, agreed / np.maximum(pairs, 1), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Float64 = drawn @ shares / (drawn @ (pairs > 0))
    return value
