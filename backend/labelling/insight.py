"""Does the quality of the reasoning go with being right, with length, with disagreement, with injected knowledge?

Chains of one user hang together, so intervals are of a bootstrap over users. All is association: nothing here says
that a chain is right because it is good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelling.measures import LEVEL, Measure, drawn_times, measure, undefined
from backend.labelling.pairs import Pairs, pairs
from backend.labelling.quality import OUTCOMES, JudgedChain, Quality, judged_chains, qualities
from backend.labelling.record import Label

Float64 = NDArray[np.float64]
NO_CHAIN = "no such chain is labelled"
NOT_BOTH = "there are not labelled chains of both kinds"
NO_SPREAD = "too few chains, or all alike"
_BINS = 4
# What is left of a spread of 0 by rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Group:
    """Chains of one kind, or of one stretch of a number: their mean quality. ``at``: their mean on that number."""

    name: str
    mean: Measure
    at: float = math.nan


@dataclass(frozen=True)
class Split:
    """One quality by kind of chain. ``difference``: the first group's mean minus the second's."""

    quality: Quality
    groups: tuple[Group, ...]
    difference: Measure


@dataclass(frozen=True)
class Trend:
    """One quality along a number. ``rank``: Spearman's correlation; ``groups``: the means of about equal parts.

    ``points``: (number, quality, task) of each chain.
    """

    quality: Quality
    rank: Measure
    groups: tuple[Group, ...]
    points: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class Insight:
    """``chains``: how many are labelled, of ``users`` users, ``resolved`` of them resolved.

    ``pairs``: where two chains are compared, which of them people prefer; then nothing else is known.
    """

    chains: int
    users: int
    resolved: int
    correctness: tuple[Split, ...]
    knowledge: tuple[Split, ...]
    length: tuple[Trend, ...]
    variance: tuple[Trend, ...]
    pairs: Pairs


def insight(labels: Iterable[Label], resolved: Iterable[Label] = ()) -> Insight:
    """Of one project's labels; where a task is resolved, its resolved label stands for it."""
    own, settled = list(labels), list(resolved)
    chains = judged_chains(own, settled)
    asked = qualities(own[0].rubric) if own else ()
    return Insight(
        len(chains),
        len({chain.user for chain in chains}),
        sum(chain.resolved for chain in chains),
        tuple(_split(chains, quality, OUTCOMES, lambda chain: chain.outcome) for quality in asked),
        tuple(_split(chains, quality, ("injected", "none"), _knowledge) for quality in asked),
        tuple(_trend(chains, quality, lambda chain: float(chain.tokens)) for quality in asked),
        tuple(_trend(chains, quality, _variance) for quality in asked),
        pairs(own, settled),
    )


def record(own: Insight) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "chains": own.chains,
        "users": own.users,
        "resolved": own.resolved,
        "interval": {"level": LEVEL, "over": "users"},
        "correctness": [_split_record(split) for split in own.correctness],
        "knowledge": [_split_record(split) for split in own.knowledge],
        "length": [_trend_record(trend) for trend in own.length],
        "variance": [_trend_record(trend) for trend in own.variance],
        "pairs": own.pairs.record,
    }


def _knowledge(chain: JudgedChain) -> str:
    return "injected" if chain.injected else "none"


def _variance(chain: JudgedChain) -> float:
    return math.nan if chain.variance is None else chain.variance


def _split(
    chains: Sequence[JudgedChain], quality: Quality, names: Sequence[str], kind: Callable[[JudgedChain], str | None]
) -> Split:
    known = [chain for chain in chains if not math.isnan(chain.values[quality.name]) and kind(chain) in names]
    values = np.array([chain.values[quality.name] for chain in known])
    times = drawn_times([chain.user for chain in known])
    groups, drawn = [], []
    for name in names:
        own = np.array([kind(chain) == name for chain in known], dtype=bool)
        mean, draws = _mean(values, own, times)
        groups.append(Group(name, measure(mean, draws, int(own.sum()), NO_CHAIN)))
        drawn.append(draws)
    gap = groups[0].mean.value - groups[1].mean.value
    return Split(quality, tuple(groups), measure(gap, drawn[0] - drawn[1], len(known), NOT_BOTH))


def _mean(values: Float64, own: NDArray[np.bool_], times: NDArray[np.int64]) -> tuple[float, Float64]:
    """The mean of the chosen chains, and of each draw."""
    if not own.any():
        return math.nan, np.full(len(times), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        draws: Float64 = times @ np.where(own, values, 0.0) / (times @ own)
    return float(values[own].mean()), draws


def _trend(chains: Sequence[JudgedChain], quality: Quality, number: Callable[[JudgedChain], float]) -> Trend:
    known = [chain for chain in chains if not math.isnan(chain.values[quality.name]) and not math.isnan(number(chain))]
    x = np.array([number(chain) for chain in known])
    y = np.array([chain.values[quality.name] for chain in known])
    times = drawn_times([chain.user for chain in known])
    rank = undefined(NO_SPREAD, len(known))
    if len(known) > 2:
        once = np.ones((1, len(known)), dtype=np.int64)
        rank = measure(float(_spearman(x, y, once)[0]), _spearman(x, y, times), len(known), NO_SPREAD)
    points = tuple((float(a), float(b), chain.task) for a, b, chain in zip(x, y, known, strict=True))
    return Trend(quality, rank, _bins(x, y, times), points)


def _bins(x: Float64, y: Float64, times: NDArray[np.int64]) -> tuple[Group, ...]:
    """About equally many chains in each, equal numbers together."""
    if not len(x):
        return ()
    edges = np.unique(np.quantile(x, np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, x, side="left")
    groups = []
    for part in np.unique(place):
        own = place == part
        mean, draws = _mean(y, own, times)
        low, high = x[own].min(), x[own].max()
        name = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
        groups.append(Group(name, measure(mean, draws, int(own.sum()), NO_CHAIN), float(x[own].mean())))
    return tuple(groups)


def _spearman(x: Float64, y: Float64, times: NDArray[np.int64]) -> Float64:
    """float64[draws]: Spearman's correlation, Pearson's of the ranks; NaN where one of them does not vary.

    ``times``: [draws, chains], how often each chain counts. The naive equivalent is ``scipy.stats.spearmanr`` of the
    chains, each repeated so often.
    """
    a, b = _ranks(x, times), _ranks(y, times)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = times.sum(axis=1, keepdims=True)
        a -= (times * a).sum(axis=1, keepdims=True) / total
        b -= (times * b).sum(axis=1, keepdims=True) / total
        spread = np.sqrt((times * a * a).sum(axis=1) * (times * b * b).sum(axis=1))
        value: Float64 = np.where(spread > _ROUNDING, (times * a * b).sum(axis=1) / spread, np.nan)
    return value


def _ranks(values: Float64, times: NDArray[np.int64]) -> Float64:
    """float64[draws, chains]: the rank of each chain's value in each draw, equal ones sharing their mean rank."""
    _, places = np.unique(values, return_inverse=True)
    counts = np.zeros((len(times), places.max(initial=-1) + 1))
    np.add.at(counts.T, places, times.T)
    ranks: Float64 = (np.cumsum(counts, axis=1) - (counts - 1) / 2)[:, places]
    return ranks


def _split_record(split: Split) -> dict[str, Any]:
    return {
        "quality": split.quality.name,
        "groups": [{"name": group.name, "mean": group.mean.record} for group in split.groups],
        "first_minus_second": split.difference.record,
    }


def _trend_record(trend: Trend) -> dict[str, Any]:
    return {
        "quality": trend.quality.name,
        "spearman": trend.rank.record,
        "groups": [{"name": group.name, "at": group.at, "mean": group.mean.record} for group in trend.groups],
    }
