"""How sure a metric is: percentile intervals of a bootstrap over users, for one system or the difference of two, and
how often a difference as large would come by chance.

Samples of one user hang together, so whole users are drawn, with replacement, as many as there are. What is compared
is the metric over all samples of the users drawn, a user drawn twice counting twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from backend.errors import UsageError
from backend.evaluation.metrics import Float64, Int64, MetricFunction, metric_named

DRAWS = 2000
LEVEL = 0.95
# With fewer users than this a bootstrap over them tells nothing: of two, every other draw holds one of them alone.
MIN_USERS = 10
# How many numbers a block of draws may hold.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class MetricDraws:
    """A metric of all samples and of each draw (float64[draws]), so that one system's draws serve many differences."""

    value: float
    each: Float64

    def __sub__(self, other: MetricDraws) -> MetricDraws:
        """The difference of two systems on the same samples. It is paired where both were drawn with the same seed: in
        each draw both are measured on the same users, so what makes a user easy or hard for both cancels out.
        """
        return MetricDraws(self.value - other.value, self.each - other.each)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The bounds of the percentile interval. Draws in which the metric is not defined are left out; NaN where the
        value, or every draw, is not defined.
        """
        known = self.each[~np.isnan(self.each)]
        if np.isnan(self.value) or not len(known):
            return float("nan"), float("nan")
        low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
        return float(low), float(high)

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


def too_few(users: int) -> str:
    """A sentence for wherever an interval or a p-value stands that rests on too few users; empty where it does not."""
    if users >= MIN_USERS:
        return ""
    whose = f"{users} user" if users == 1 else f"{users} users"
    return (
        f"These numbers rest on {whose}: with fewer than {MIN_USERS}, intervals and p-values tell nothing of others, "
        "and no difference gets a star."
    )


def draw(
    metric: str | MetricFunction,
    users: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike,
    draws: int = DRAWS,
    seed: int = 0,
) -> MetricDraws:
    """The metric of all samples and of ``draws`` draws of users. ``users`` of any type that can be compared, ``labels``
    0 or 1, ``scores``: [n].

    ``metric``: the key of a registered one, which may compute many draws at once, or a function like theirs, which is
    called for the samples of each draw. The same seed draws the same users, whatever is measured. Raises ``UsageError``
    and ``UnknownNameError``.
    """
    codes = np.unique(np.asarray(users), return_inverse=True)[1].reshape(-1)
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if codes.shape != y.shape:
        raise UsageError(
            f"The bootstrap was given {len(codes)} users and labels of the shape {y.shape}",
            expected="one user per label",
        )
    if draws < 1:
        raise UsageError(f"{draws} draws were asked for", expected="1 or more")
    if callable(metric):
        function, at_once = metric, None
    else:
        function, at_once = metric_named(metric).function, metric_named(metric).draws
    value = float(function(codes, y, s))
    if not len(codes):
        return MetricDraws(value, np.full(draws, np.nan))
    if at_once:
        return MetricDraws(
            value, np.concatenate([at_once(codes, y, s, counts) for counts in _counts(codes, draws, seed)])
        )
    repeated = (
        np.repeat(np.arange(len(codes)), often[codes]) for block in _counts(codes, draws, seed) for often in block
    )
    drawn = (function(codes[rows], y[rows], s[rows]) for rows in repeated)
    return MetricDraws(value, np.fromiter(drawn, dtype=np.float64, count=draws))


def _counts(codes: Int64, draws: int, seed: int) -> Iterator[Int64]:
    """How often each user is drawn, [draws, users] in blocks: one stream of numbers whatever their size."""
    rng, users = np.random.default_rng(seed), int(codes.max()) + 1
    size = max(1, _BLOCK // len(codes))
    for start in range(0, draws, size):
        yield rng.multinomial(users, [1 / users] * users, size=min(size, draws - start))
