"""The metrics of an evaluation, each registered once in :data:`METRICS`: tables, figures, intervals, tests, the report,
the command and the page list what is registered there, and nothing else names them.

They are AUC, per-user AUC (section 5 and the field's GAUC), log loss, accuracy and the expected calibration error.
Labels are 0 or 1, scores are probabilities in [0, 1], both of shape [n]. A metric that is not defined for its input
is NaN, and :func:`why_undefined` says why; screens never see an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UnknownNameError, UsageError

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
# function(users [n], labels [n], scores [n]) -> a number, NaN where it is not defined
MetricFunction = Callable[[ArrayLike, ArrayLike, ArrayLike], float]
# draws(codes [n], labels [n], scores [n], counts [draws, users]) -> the metric of each draw, float64[draws]. ``codes``
# are the users as 0 .. users - 1; ``counts`` says how often each user was drawn.
DrawsFunction = Callable[[Int64, Float64, Float64, Int64], Float64]
# The figures that show a metric: "weights" is Figs. 6 and 7 and the numbers below the sliders, "strategies" Fig. 8.
MetricFigure = Literal["weights", "strategies", "cost", "slices"]
# A probability is kept this far from 0 and 1 before its logarithm is taken.
CLIP = 1e-7
# Bins of equal width that calibration is read in.
BINS = 10


@dataclass(frozen=True)
class Metric:
    """One metric. ``key`` names it in JSON and in downloads, ``name`` and ``about`` (one sentence) are for people.

    ``better``: whether a high or a low value is; ``digits`` after the point, in tables; ``figures``: which show it.
    ``draws`` computes the bootstrap's draws at once; without it, ``function`` is called for each draw.
    """

    key: str
    name: str
    function: MetricFunction
    better: Literal["high", "low"]
    about: str
    draws: DrawsFunction | None = None
    digits: int = 3
    figures: frozenset[MetricFigure] = frozenset()


def metric_named(key: str) -> Metric:
    """Raises ``UnknownNameError`` listing the registered metrics."""
    if key not in METRICS:
        raise UnknownNameError("metric", key, METRICS)
    return METRICS[key]


def metrics_of(figure: MetricFigure) -> list[Metric]:
    """The registered metrics that a figure shows."""
    return [metric for metric in METRICS.values() if figure in metric.figures]


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, ties counting half; NaN where fewer than two classes are present."""
    y, s = _pair(labels, scores)
    if y.min(initial=1) >= y.max(initial=0):  # one class, or no sample at all
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, s))


def log_loss(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean negative log likelihood in nats, probabilities clipped to [1e-7, 1 - 1e-7]; NaN where n is 0."""
    y, s = _pair(labels, scores)
    if not len(y):
        return float("nan")
    return float(_losses(y, s).mean())


def accuracy(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of samples where "score > 0.5" equals the label; NaN where n is 0."""
    y, s = _pair(labels, scores)
    return float(_hits(y, s).mean()) if len(y) else float("nan")


def gauc(users: ArrayLike, labels: ArrayLike, scores: ArrayLike) -> float:
    """Users' AUC weighted by their number of samples; users with one class are left out; NaN if none is left.

    ``users``: [n] of any type that can be compared. One sort for all users; the naive way is :func:`auc` per user.
    """
    y, s = _pair(labels, scores)
    codes = np.unique(np.asarray(users), return_inverse=True)[1]
    if len(codes) != len(y):
        raise UsageError(f"gauc was given {len(codes)} users and {len(y)} labels", expected="one user per label")
    if not len(y):
        return float("nan")
    order = np.lexsort((s, codes))
    codes, y, s = codes[order], y[order], s[order]
    first_of_user = np.searchsorted(codes, codes)
    # Mean rank (from 1) within the user of each run of equal scores.
    starts = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]) | (s[1:] != s[:-1])])
    ends = np.r_[starts[1:], len(s)]
    rank = np.repeat((starts + ends + 1) / 2, ends - starts) - first_of_user
    n = np.bincount(codes).astype(np.float64)
    positive = np.bincount(codes, weights=y)
    rank_sum = np.bincount(codes, weights=rank * y)
    both = (positive > 0) & (positive < n)
    if not both.any():
        return float("nan")
    n, positive, rank_sum = n[both], positive[both], rank_sum[both]
    area = (rank_sum - positive * (positive + 1) / 2) / (positive * (n - positive))
    return float(np.average(area, weights=n))


def ece(labels: ArrayLike, scores: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error: how far the mean score of each bin is from its share of likes, weighted by size.

    Bins are of equal width over [0, 1] (:func:`bin_of`); NaN where n is 0.
    """
    y, s = _pair(labels, scores)
    if not len(y):
        return float("nan")
    place = bin_of(s, bins)
    return float(np.abs(np.bincount(place, weights=s - y, minlength=bins)).sum() / len(y))


def bin_of(scores: ArrayLike, bins: int = BINS) -> Int64:
    """int64, the shape of ``scores``: which of ``bins`` equal parts of [0, 1] each is in; 1 is in the last."""
    return np.minimum((np.asarray(scores, dtype=np.float64) * bins).astype(np.int64), bins - 1)


def why_undefined(labels: ArrayLike) -> str | None:
    """Why AUC is NaN for these labels, as a sentence, or None where it is defined."""
    y = np.asarray(labels)
    if not len(y):
        return "There are no samples."
    if y.min() == y.max():
        return f"All {len(y)} samples have the label {int(y[0])}: AUC compares two classes."
    return None


def _pair(labels: ArrayLike, scores: ArrayLike) -> tuple[Float64, Float64]:
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise UsageError(f"Labels have shape {y.shape}, scores {s.shape}", expected="two arrays of the same length")
    if not np.isin(y, (0, 1)).all():
        raise UsageError("A label is neither 0 nor 1", expected="labels 0 or 1")
    if np.isnan(s).any():
        raise UsageError("A score is NaN", expected="numbers", fix="leave out samples without a prediction")
    return y, s


def _auc_draws(codes: Int64, labels: Float64, scores: Float64, counts: Int64) -> Float64:
    """Weighted pairs in the right order: the samples by score, and for each run of equal scores what lies below it."""
    order = np.argsort(scores, kind="stable")
    s, y = scores[order], labels[order]
    weights = counts[:, codes[order]].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])
    liked = np.add.reduceat(weights * y, starts, axis=1)
    not_liked = np.add.reduceat(weights * (1 - y), starts, axis=1)
    below = np.cumsum(not_liked, axis=1) - not_liked
    pairs = liked.sum(axis=1) * not_liked.sum(axis=1)
    return _divided((liked * (below + not_liked / 2)).sum(axis=1), pairs)


def _gauc_draws(codes: Int64, labels: Float64, scores: Float64, counts: Int64) -> Float64:
    """A user's AUC does not change with the draw, only how often it counts."""
    sizes = np.bincount(codes, minlength=counts.shape[1]).astype(np.float64)
    of_user = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes[:-1]).astype(np.int64))
    areas = np.array([gauc(np.zeros(len(places)), labels[places], scores[places]) for places in of_user])
    both = ~np.isnan(areas)
    weights = counts[:, both] * sizes[both]
    return _divided(weights @ areas[both], weights.sum(axis=1))


def _ece_draws(codes: Int64, labels: Float64, scores: Float64, counts: Int64) -> Float64:
    """How far each user's scores are from the labels, summed in each bin, counts as often as the user was drawn."""
    users = counts.shape[1]
    gaps = np.bincount(codes * BINS + bin_of(scores), weights=scores - labels, minlength=users * BINS)
    weights, sizes = counts.astype(np.float64), np.bincount(codes, minlength=users).astype(np.float64)
    return _divided(np.abs(weights @ gaps.reshape(users, BINS)).sum(axis=1), weights @ sizes)


def mean_draws(of_sample: Callable[[Float64, Float64], Float64]) -> DrawsFunction:
    """The draws of a metric that is the mean of one number per sample; ``of_sample``: (labels, scores) -> [n]."""

    def draws(codes: Int64, labels: Float64, scores: Float64, counts: Int64) -> Float64:
        sums = np.bincount(codes, weights=of_sample(labels, scores), minlength=counts.shape[1])
        sizes = np.bincount(codes, minlength=counts.shape[1]).astype(np.float64)
        weights = counts.astype(np.float64)
        return _divided(weights @ sums, weights @ sizes)

    return draws


def _divided(total: Float64, weight: Float64) -> Float64:
    """NaN where the weight is 0."""
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)


def _losses(labels: Float64, scores: Float64) -> Float64:
    p = np.clip(scores, CLIP, 1 - CLIP)
    return -np.where(labels == 1, np.log(p), np.log1p(-p))


def _hits(labels: Float64, scores: Float64) -> Float64:
    return ((scores > 0.5) == (labels == 1)).astype(np.float64)


def _without_users(function: Callable[[ArrayLike, ArrayLike], float]) -> MetricFunction:
    return lambda _users, labels, scores: function(labels, scores)


_REGISTERED = (
    Metric(
        "auc", "AUC", _without_users(auc), "high",
        "How often a liked sample has a higher score than one that was not liked; ties count half.",
        _auc_draws, figures=frozenset({"weights", "strategies", "cost", "slices"}),
    ),
    Metric(
        "gauc", "GAUC", gauc, "high", "The AUC of each user alone, averaged with the users' numbers of samples.",
        _gauc_draws,
    ),
    Metric(
        "log_loss", "log loss", _without_users(log_loss), "low",
        "The mean negative log likelihood of what happened, in nats.",
        mean_draws(_losses), figures=frozenset({"weights", "cost", "slices"}),
    ),
    Metric(
        "accuracy", "accuracy", _without_users(accuracy), "high",
        "The share of samples where a score above 0.5 means liked.",
        mean_draws(_hits), figures=frozenset({"weights", "strategies"}),
    ),
    Metric(
        "ece", "ECE", _without_users(ece), "low",
        "How far scores are from the share of likes, over ten bins of equal width.", _ece_draws,
    ),
)  # fmt: skip
# By key, in the order of the tables' columns.
METRICS: dict[str, Metric] = {metric.key: metric for metric in _REGISTERED}
