"""Equation 8: one list out of the relevance channel and the recency channel, and where along gamma it changes.

Knows ranks only; how the channels were ranked is the business of ``backend.retrieval.channels``. :func:`rerank_rows`
does many samples at once, :func:`rerank` is its case of one row.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError
from backend.retrieval.config import shown_gammas

# Scores that agree to this many decimals are ties.
TIE_DECIMALS = 12
_TIE = 1.5 * 10.0**-TIE_DECIMALS
# How far beside a breakpoint of gamma the neighbouring sets are looked at: much nearer than two values of a slider.
_NEAR = 1e-9
# Where a rank weighs less than this, too few decimals of its scores are compared for breakpoints to hold.
_SUNK = 1e-8


@dataclass(frozen=True)
class RankedItem:
    """A chosen past item, its score of eq. 8, and its rank (from 1) in each channel; None where it is in only one."""

    item: Any
    score: float
    relevance_rank: int | None
    recency_rank: int | None


class Reranked(NamedTuple):
    """The chosen items of m samples, four arrays [m, k], best first; a place that stays empty holds -1, NaN, 0, 0.

    ``items``: int64; ``scores``: float64, eq. 8; ``first``, ``second``: int64, ranks from 1 in the two channels, 0
    where the item is not in the channel.
    """

    items: NDArray[np.int64]
    scores: NDArray[np.float64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]


@dataclass(frozen=True)
class GammaStretch:
    """From the gamma ``start`` to the start of the next stretch, or to 1, eq. 8 chooses the same set of ``items``."""

    start: float
    items: frozenset[Hashable]


def rerank(
    relevant: Sequence[Hashable],
    recent: Sequence[Hashable],
    k: int,
    gamma: float,
    beta: float,
    combine: str = "max",
) -> list[RankedItem]:
    """Returns the ``k`` best items of the two channels by eq. 8, best first.

    ``relevant`` (most similar to the target first) and ``recent`` (newest first) are item ids without repeats; only
    the first ``k`` of each take part. The item at rank r scores ``gamma / r**beta`` in the relevance channel and
    ``(1 - gamma) / r**beta`` in the recency channel; in both, it keeps the larger (``combine="max"``) or their sum
    (``"sum"``). Ties: items of the relevance channel first, then lower recency rank, then lower relevance rank. A
    channel whose weight is 0 still fills what the other leaves empty.

    Raises ``UsageError`` for k < 1, gamma outside [0, 1], beta < 0, an unknown ``combine`` or a repeated item.
    """
    _check(k, gamma, beta, combine)
    items, candidates = _candidates(relevant, recent, k, beta)
    if not items:
        return []
    [codes], [scores], [first], [second] = _reranked(candidates, k, gamma, combine)
    rows = zip(codes.tolist(), scores.tolist(), first.tolist(), second.tolist(), strict=True)
    return [RankedItem(items[code], score, one or None, two or None) for code, score, one, two in rows]


def rerank_rows(
    relevant: NDArray[np.int64], recent: NDArray[np.int64], k: int, gamma: float, beta: float, combine: str = "max"
) -> Reranked:
    """Applies eq. 8 to m samples at once; each row is chosen as :func:`rerank` says.

    ``relevant``, ``recent``: int64[m, k], items >= 0 without repeats in a row, best first, then -1. Raises
    ``UsageError`` as :func:`rerank` does, repeats aside.
    """
    _check(k, gamma, beta, combine)
    relevant, recent = relevant[:, :k], recent[:, :k]
    same = (relevant[:, :, None] == recent[:, None, :]) & (relevant >= 0)[:, :, None]
    absent = max(relevant.shape[1], recent.shape[1]) + 1
    ranks = np.broadcast_to(np.arange(1, absent), (len(relevant), absent - 1))
    items = np.concatenate([relevant, np.where(same.any(axis=1), -1, recent)], axis=1)
    first = np.concatenate([ranks[:, : relevant.shape[1]], np.full_like(recent, absent)], axis=1)
    also = np.where(same.any(axis=2), same.argmax(axis=2) + 1, absent) if recent.shape[1] else relevant * 0 + absent
    second = np.concatenate([also, ranks[:, : recent.shape[1]]], axis=1)
    first[items < 0] = second[items < 0] = absent
    order = np.argsort(_tie_key(first, second, absent), axis=1)
    items, first, second = (np.take_along_axis(values, order, axis=1) for values in (items, first, second))
    candidates = _Candidates(items, first, second, *_powers(first, second, absent, beta), absent)
    chosen = _reranked(candidates, k, gamma, combine)
    return chosen._replace(scores=np.where(chosen.items < 0, np.nan, chosen.scores))


def gamma_stretches(
    relevant: Sequence[Hashable], recent: Sequence[Hashable], k: int, beta: float, combine: str = "max"
) -> list[GammaStretch]:
    """Returns the stretches of gamma, from 0 on, in which the chosen set stays the same; neighbours differ.

    The order of two items changes where their scores are equal: with ``max`` at ``r1**beta / (r1**beta + r2**beta)``
    for a relevance rank r1 and a recency rank r2, with ``sum`` where two straight lines cross. At such a gamma the tie
    rules decide: it belongs to one of its sides, or is a stretch of its own, as narrow as a tie. The naive equivalent
    is :func:`rerank` per gamma. Where a large beta makes scores so small that ties compare few of their decimals,
    the sets are those of a slider's gammas. Raises ``UsageError`` as :func:`rerank` does.
    """
    _check(k, 0.0, beta, combine)
    items, candidates = _candidates(relevant, recent, k, beta)
    gammas = _looked_at(candidates, k, combine)
    best = _best(candidates.scores(gammas[:, None], combine), k)
    chosen = np.zeros((len(gammas), len(items)), dtype=bool)
    np.put_along_axis(chosen, best, True, axis=1)
    changes = np.flatnonzero((chosen[1:] != chosen[:-1]).any(axis=1))
    starts = [0.0, *((gammas[changes] + gammas[changes + 1]) / 2).tolist()]
    return [
        GammaStretch(start, frozenset(items[code] for code in np.flatnonzero(row).tolist()))
        for start, row in zip(starts, chosen[[0, *(changes + 1)]], strict=True)
    ]


def gamma_orders(
    relevant: Sequence[Hashable],
    recent: Sequence[Hashable],
    k: int,
    beta: float,
    gammas: Sequence[float],
    combine: str = "max",
) -> list[tuple[Hashable, ...]]:
    """Returns the items that each of ``gammas`` chooses, best first; equal lists ask the models the same.

    All at once; the naive equivalent is :func:`rerank` per gamma.
    """
    for gamma in (min(gammas, default=0.0), max(gammas, default=0.0)):
        _check(k, gamma, beta, combine)
    items, candidates = _candidates(relevant, recent, k, beta)
    best = _best(candidates.scores(np.asarray(gammas, dtype=np.float64)[:, None], combine), k)
    return [tuple(items[code] for code in codes) for codes in best.tolist()]


class _Candidates(NamedTuple):
    """The items of both channels of m samples, each row in the order that decides ties: arrays [m, n].

    ``items``: int64, -1 for an empty place; these stand last. ``first``, ``second``: int64, ranks from 1 in the two
    channels, ``absent`` where the item is not in the channel. ``by_first``, ``by_second``: float64, the denominators
    ``rank**beta``, infinite where it is not.
    """

    items: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    by_first: NDArray[np.float64]
    by_second: NDArray[np.float64]
    absent: int

    def scores(self, gamma: ArrayLike, combine: str) -> NDArray[np.float64]:
        """Returns eq. 8's scores, float64[m, n]; for one sample and ``gamma`` of the shape [g, 1], float64[g, n]."""
        gamma = np.asarray(gamma, dtype=np.float64)
        join = np.maximum if combine == "max" else np.add
        return np.asarray(join(gamma / self.by_first, (1.0 - gamma) / self.by_second))


def _candidates(
    relevant: Sequence[Hashable], recent: Sequence[Hashable], k: int, beta: float
) -> tuple[list[Hashable], _Candidates]:
    """Returns the distinct items of one sample in the order that decides ties, and the candidates, whose ``items`` are
    places in that list."""
    channels = {"relevant": relevant[:k], "recent": recent[:k]}
    ranks = [{item: rank for rank, item in enumerate(items, start=1)} for items in channels.values()]
    for (name, items), by_item in zip(channels.items(), ranks, strict=True):
        if len(by_item) != len(items):
            raise UsageError(f"The {name} channel names an item twice", expected="each item once per channel")
    absent = max(map(len, ranks)) + 1
    rows = [(item, ranks[0].get(item, absent), ranks[1].get(item, absent)) for item in ranks[0] | ranks[1]]
    rows.sort(key=lambda row: _tie_key(row[1], row[2], absent))
    first, second = (np.array([[row[channel] for row in rows]], dtype=np.int64) for channel in (1, 2))
    codes = np.arange(len(rows))[None]
    return [row[0] for row in rows], _Candidates(codes, first, second, *_powers(first, second, absent, beta), absent)


def _tie_key(first: Any, second: Any, absent: int) -> Any:
    """A key that sorts tied items: those of the relevance channel first, then by recency, then by relevance rank."""
    return ((first == absent) * (absent + 1) + second) * (absent + 1) + first


def _powers(
    first: NDArray[np.int64], second: NDArray[np.int64], absent: int, beta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    powers = np.array([np.inf, *(float(rank**beta) for rank in range(1, absent)), np.inf])
    return powers[first], powers[second]


def _best(scores: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Returns the places of the ``k`` best of each row, best first; rows are in the order that decides ties."""
    return np.argsort(-np.round(scores, TIE_DECIMALS), axis=1, kind="stable")[:, :k]


def _reranked(candidates: _Candidates, k: int, gamma: float, combine: str) -> Reranked:
    scores = candidates.scores(gamma, combine)
    rows, best = np.arange(len(scores))[:, None], _best(scores, k)
    first, second = (ranks[rows, best] % candidates.absent for ranks in (candidates.first, candidates.second))
    return Reranked(candidates.items[rows, best], scores[rows, best], first, second)


def _looked_at(candidates: _Candidates, k: int, combine: str) -> NDArray[np.float64]:
    """Returns ascending gammas from 0 to 1, between which the chosen set of one sample changes once at most.

    A breakpoint is where two items have the same score, which fewer than ``k`` items surpass, and more than ``k`` have
    or surpass. It is looked at itself, and on either side of the gammas at which the two are a tie. Where scores sink
    into the decimals that ties compare, breakpoints say nothing any more; then every gamma of a slider is looked at.
    """
    first, second = 1 / candidates.by_first[0], 1 / candidates.by_second[0]
    if min(first[first > 0].min(initial=1.0), second[second > 0].min(initial=1.0)) < _SUNK:
        return np.array(shown_gammas())
    with np.errstate(divide="ignore", invalid="ignore"):
        if combine == "max":
            slope = first[:, None] + second
            equal = second / slope
            # Nothing surpasses the score that x has as relevant and y as recent without one rank that is better.
            behind = (first <= first[:, None]).astype(float) @ (second[:, None] <= second).astype(float)
            below = (first < first[:, None]).astype(float) @ (second[:, None] < second).astype(float)
            equal[(len(first) - behind >= k) | (len(first) - below <= k)] = np.nan
        else:
            slope = (first - second)[:, None] - (first - second)
            equal = (second - second[:, None]) / slope
    pairs = np.nonzero((equal > 0) & (equal < 1))
    gammas, slope = equal[pairs], np.abs(slope[pairs])
    if combine == "sum":
        scores = candidates.scores(gammas[:, None], combine)
        level = scores[np.arange(len(gammas)), pairs[0]][:, None]
        at_edge = ((scores > level + _TIE).sum(axis=1) < k) & ((scores > level - _TIE).sum(axis=1) > k)
        gammas, slope = gammas[at_edge], slope[at_edge]
    aside = np.maximum(_NEAR, 2 * _TIE / slope)
    looked_at = np.concatenate([[0.0, 1.0], gammas, gammas - aside, gammas + aside])
    return np.unique(np.clip(looked_at, 0.0, 1.0))


def _check(k: int, gamma: float, beta: float, combine: str) -> None:
    if k < 1:
        raise UsageError(f"k is {k}", expected="at least 1 item")
    if not 0 <= gamma <= 1:
        raise UsageError(f"gamma is {gamma}", expected="a weight between 0 (only recency) and 1 (only relevance)")
    if not beta >= 0:
        raise UsageError(f"beta is {beta}", expected="0 (rank does not matter) or more")
    if combine not in ("max", "sum"):
        raise UsageError(f"combine is {combine!r}", expected="'max' or 'sum'")
