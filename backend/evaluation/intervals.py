"""How sure a metric is: percentile intervals of a bootstrap over users, for one system or the difference of two, and
how often a difference as large would come by chance.

Samples of one user hang together, so whole users are drawn, with replacement, as many as there are. What is compared
is the metric over all samples of the users drawn, a user drawn twice counting twice. A registered metric with a way to
compute many draws at once is computed by it; any other function is called draw by draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError
from backend.evaluation.metrics import Float64, MetricFunction, metric_named

DRAWS = 2000
LEVEL = 0.95
# How many numbers a block of draws may hold.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """``value``: the metric of all samples; ``low``, ``high``: the bounds of its interval.

    ``undefined``: in how many of the ``draws`` the metric is not defined; they are left out. NaN where the value, or
    every draw, is not defined.
    """

    value: float
    low: float
    high: float
    draws: int
    undefined: int = 0


@dataclass(frozen=True)
class MetricDraws:
    """A metric of all samples and of each draw (float64[draws]), so that one system's draws serve many differences."""

    value: float
    each: Float64

    def __sub__(self, other: MetricDraws) -> MetricDraws:
        """Paired where both were drawn with the same seed from the same users."""
        return MetricDraws(self.value - other.value, self.each - other.each)

    def interval(self, level: float = LEVEL) -> Interval:
        """Percentiles; draws in which the metric is not defined are left out."""
        return _interval(self.value, self.each, level)

    @property
    def p_value(self) -> float:
        """Two-sided, that the difference is 0: twice the share of draws beyond 0 on the rarer side, ties on both.

        Never below 2 / (draws + 1): more than that, so many draws cannot tell. NaN where no draw is defined.
        """
        known = self.each[~np.isnan(self.each)]
        if np.isnan(self.value) or not len(known):
            return float("nan")
        rarer = min(int((known <= 0).sum()), int((known >= 0).sum()))
        return min(1.0, 2 * (rarer + 1) / (len(known) + 1))


def draw(
    metric: str | MetricFunction,
    users: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike,
    draws: int = DRAWS,
    seed: int = 0,
) -> MetricDraws:
    """The metric of all samples and of ``draws`` draws of users; arguments as for :func:`bootstrap`."""
    data = _Data(users, labels)
    return MetricDraws(data.value(metric, scores), data.drawn(metric, scores, draws, seed, LEVEL))


def bootstrap(
    metric: str | MetricFunction,
    users: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """The metric with its interval. ``users`` of any type that can be compared, ``labels`` 0 or 1, ``scores``: [n].

    ``metric``: the key of a registered one, or a function like theirs. The same seed draws the same users, whatever is
    measured. Raises ``UsageError`` and ``UnknownNameError``.
    """
    data = _Data(users, labels)
    drawn = data.drawn(metric, scores, draws, seed, level)
    return _interval(data.value(metric, scores), drawn, level)


def bootstrap_difference(
    metric: str | MetricFunction,
    users: ArrayLike,
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """``metric(first) - metric(second)`` of two systems' scores on the same samples, with its interval.

    Paired: in each draw both are measured on the same users, so what makes a user easy or hard for both cancels out.
    """
    data = _Data(users, labels)
    value = data.value(metric, first) - data.value(metric, second)
    drawn = data.drawn(metric, first, draws, seed, level) - data.drawn(metric, second, draws, seed, level)
    return _interval(value, drawn, level)


def _interval(value: float, drawn: Float64, level: float) -> Interval:
    known = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(known):
        return Interval(value, float("nan"), float("nan"), len(drawn), len(drawn) - len(known))
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return Interval(value, float(low), float(high), len(drawn), len(drawn) - len(known))


class _Data:
    """Samples and the users they belong to."""

    def __init__(self, users: ArrayLike, labels: ArrayLike) -> None:
        self.codes = np.unique(np.asarray(users), return_inverse=True)[1].reshape(-1)
        self.labels = np.asarray(labels, dtype=np.float64)
        if self.codes.shape != self.labels.shape:
            raise UsageError(
                f"The bootstrap was given {len(self.codes)} users and labels of the shape {self.labels.shape}",
                expected="one user per label",
            )
        self.users = int(self.codes.max(initial=-1)) + 1

    def value(self, metric: str | MetricFunction, scores: ArrayLike) -> float:
        function = metric if callable(metric) else metric_named(metric).function
        return float(function(self.codes, self.labels, np.asarray(scores, dtype=np.float64)))

    def drawn(self, metric: str | MetricFunction, scores: ArrayLike, draws: int, seed: int, level: float) -> Float64:
        """float64[draws]: the metric of each draw.

        The naive equivalent repeats every sample as often as its user was drawn and calls the metric.
        """
        if draws < 1 or not 0 < level < 1:
            raise UsageError(f"{draws} draws and a level of {level} were asked for", expected="1 or more, and 0 to 1")
        s = np.asarray(scores, dtype=np.float64)
        if not self.users:
            return np.full(draws, np.nan)
        if callable(metric):
            function, at_once = metric, None
        else:
            function, at_once = metric_named(metric).function, metric_named(metric).draws
        if at_once:
            blocks = self._counts(draws, seed)
            return np.concatenate([at_once(self.codes, self.labels, s, counts) for counts in blocks])
        one_by_one = (self._one(function, s, counts) for block in self._counts(draws, seed) for counts in block)
        return np.fromiter(one_by_one, dtype=np.float64, count=draws)

    def _counts(self, draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
        """How often each user is drawn, [draws, users] in blocks: one stream of numbers whatever their size."""
        rng = np.random.default_rng(seed)
        size = max(1, _BLOCK // max(len(self.codes), 1))
        for start in range(0, draws, size):
            yield rng.multinomial(self.users, [1 / self.users] * self.users, size=min(size, draws - start))

    def _one(self, metric: MetricFunction, scores: Float64, counts: NDArray[np.int64]) -> float:
        rows = np.repeat(np.arange(len(self.codes)), counts[self.codes])
        return float(metric(self.codes[rows], self.labels[rows], scores[rows]))
