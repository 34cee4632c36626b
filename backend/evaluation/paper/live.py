"""Eq. 10 over a whole set of samples for one alpha and epsilon after another, quick enough for a slider.

What does not depend on alpha and epsilon (means and variances of the chains) is computed once. AUC needs the samples in
order: each score becomes a whole number of 31 bits with the label behind it. One sort of 32-bit integers, which a
processor does many at a time, then carries the labels along. The naive equivalent is ``merge`` of each sample and
``backend.evaluation.metrics``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError
from backend.evaluation.metrics import CLIP, Metric, metrics_of
from backend.merging import mean_and_variance_of_chains, merge_weights

Float64 = NDArray[np.float64]
# Scores are told apart in so many steps (5e-10 each): with 97,002 of them that changes AUC by 1e-9 at most.
STEPS = 2**31 - 1
_LABEL = np.uint32(1)
# From so many samples on, several points are computed at once.
_THREADED = 20_000
_KEPT = 1000


@dataclass(frozen=True)
class Point:
    """What one alpha and epsilon reach, by metric. AUC is NaN for one class alone; without samples every metric is."""

    alpha: float
    epsilon: float
    values: Mapping[str, float]


class LiveMerge:
    """The merge over n samples.

    ``chains``: [K, n], the P(yes) of each chain, NaN for a text that is none; ``p_g``, ``var_g``, ``labels`` (0 or 1):
    [n]. ``users``: [n], for metrics that look at them; without these, each sample is a user of its own.

    Raises ``UsageError`` for other shapes, a sample without any chain, or numbers that are no probabilities.
    """

    def __init__(
        self, labels: ArrayLike, chains: ArrayLike, p_g: ArrayLike, var_g: ArrayLike, users: ArrayLike | None = None
    ) -> None:
        said = np.asarray(chains, dtype=np.float64)
        self.labels = np.asarray(labels, dtype=np.float64)
        self.p_g, self.var_g = np.asarray(p_g, dtype=np.float64), np.asarray(var_g, dtype=np.float64)
        shape = self.labels.shape
        if said.ndim != 2 or not len(said) or {said.shape[1:], self.p_g.shape, self.var_g.shape} != {shape}:
            raise UsageError(
                f"Chains of shape {said.shape}, answers of {self.p_g.shape} and labels of {shape} were given",
                expected="[K, n] chains, and n of everything else",
            )
        if not np.isin(self.labels, (0, 1)).all():
            raise UsageError("A label is neither 0 nor 1", expected="labels 0 or 1")
        self.p_r, self.var_r = mean_and_variance_of_chains(said)
        for name, values in (("A chain", said[~np.isnan(said)]), ("P_R", self.p_r), ("An answer", self.p_g)):
            if not ((values >= 0) & (values <= 1)).all():  # NaN too
                raise UsageError(f"{name} is no probability", expected="numbers from 0 to 1")
        self._gap = self.p_r - self.p_g
        self._low, self._high = np.minimum(self.p_r, self.p_g), np.maximum(self.p_r, self.p_g)
        self._liked = self.labels == 1
        self._bit = self._liked.astype(np.uint32)
        self._count = int(self._liked.sum())
        self._places = np.arange(len(self.labels))
        self.users = None if users is None else np.asarray(users)
        self._points: dict[tuple[float, float], Point] = {}

    def scores(self, alpha: float, epsilon: float) -> Float64:
        """float64[n]: P_final of each sample, as ``merge`` gives it. Raises ``UsageError`` as it does."""
        merge_weights(0.0, 0.0, alpha, epsilon)  # refuses what is no weight
        share = self.var_r + epsilon
        np.divide(alpha * (self.var_g + epsilon), share, out=share)
        np.divide(share, 1 + share, out=share)
        share *= self._gap
        share += self.p_g
        return np.clip(share, self._low, self._high, out=share)

    def at(self, alpha: float, epsilon: float) -> Point:
        """The metrics of :meth:`scores` that figures over the weights show."""
        scores = self.scores(alpha, epsilon)
        values = {
            metric.key: self._measured(metric, scores) if len(scores) else float("nan")
            for metric in metrics_of("weights")
        }
        return Point(alpha, epsilon, values)

    def _measured(self, metric: Metric, scores: Float64) -> float:
        quick: Mapping[str, Callable[[Float64], float]] = {
            "auc": self._auc,
            "log_loss": self._log_loss,
            "accuracy": lambda scores: float(((scores > 0.5) == self._liked).mean()),
        }
        if metric.key in quick:
            return quick[metric.key](scores)
        return metric.function(self._places if self.users is None else self.users, self.labels, scores)

    def known(self, alpha: float, epsilon: float) -> Point:
        """As :meth:`at`, but computed once: while one slider moves, the curve over the other's values stays."""
        point = self._points.get((alpha, epsilon))
        if point is None:
            if len(self._points) >= _KEPT:
                self._points.clear()
            point = self._points[alpha, epsilon] = self.at(alpha, epsilon)
        return point

    def over_alpha(self, alphas: Iterable[float], epsilon: float) -> list[Point]:
        return self._many([(alpha, epsilon) for alpha in alphas])

    def over_epsilon(self, alpha: float, epsilons: Iterable[float]) -> list[Point]:
        return self._many([(alpha, epsilon) for epsilon in epsilons])

    def _many(self, points: Sequence[tuple[float, float]]) -> list[Point]:
        """Compute the points side by side on the processor's cores, where samples enough make it worth threads."""
        if len(self.labels) < _THREADED:
            return [self.known(*point) for point in points]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return list(threads.map(lambda point: self.known(*point), points))

    def _log_loss(self, scores: Float64) -> float:
        # What was said of what happened: P where it was liked, 1 - P where not.
        said = np.where(self._liked, scores, 1 - scores)
        return -float(np.log(np.clip(said, CLIP, 1 - CLIP, out=said)).mean())

    def _auc(self, scores: Float64) -> float:
        """Ties count half; two scores within the same of :data:`STEPS` are a tie."""
        n, liked = len(scores), self._count
        if not 0 < liked < n:
            return float("nan")
        keys = (scores * STEPS).astype(np.uint32)
        keys <<= _LABEL
        keys |= self._bit
        keys.sort()
        is_liked = (keys & _LABEL).astype(np.int64)
        keys >>= _LABEL
        first = np.empty(n, dtype=bool)
        first[0] = True
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        starts = np.flatnonzero(first)
        below = self._places - np.cumsum(is_liked) + is_liked  # others before each place
        if len(starts) == n:
            return int(below @ is_liked) / (liked * (n - liked))
        of_run = np.add.reduceat(is_liked, starts)
        sizes = np.diff(np.r_[starts, n])
        return float(of_run @ (below[starts] + (sizes - of_run) / 2)) / (liked * (n - liked))
