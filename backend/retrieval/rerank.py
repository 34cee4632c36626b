"""Equation 8: one list out of the relevance channel and the recency channel.

Knows ranks only; how the channels were ranked is the business of ``backend.retrieval.channels``. :func:`rerank` does
one sample, :func:`rerank_rows` many at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import UsageError

# Scores that agree to this many decimals are ties.
TIE_DECIMALS = 12


@dataclass(frozen=True)
class RankedItem:
    """A chosen past item: its score of eq. 8 and its rank (from 1) in each channel, None where it is not in it."""

    item: Any
    score: float
    relevance_rank: int | None
    recency_rank: int | None


def rerank(
    relevant: Sequence[Hashable],
    recent: Sequence[Hashable],
    k: int,
    gamma: float,
    beta: float,
    combine: str = "max",
) -> list[RankedItem]:
    """The ``k`` best items of the two channels by eq. 8, best first.

    ``relevant`` (most similar to the target first) and ``recent`` (newest first) are item ids without repeats; only
    the first ``k`` of each take part. The item at rank r scores ``gamma / r**beta`` in the relevance channel and
    ``(1 - gamma) / r**beta`` in the recency channel; in both, it keeps the larger (``combine="max"``) or their sum
    (``"sum"``). Ties: items of the relevance channel first, then lower recency rank, then lower relevance rank. A
    channel whose weight is 0 still fills what the other leaves empty.

    Raises ``UsageError`` for k < 1, gamma outside [0, 1], beta < 0, an unknown ``combine`` or a repeated item.
    """
    _check(k, gamma, beta, combine)
    relevance_rank = _ranks(relevant[:k], "relevant")
    recency_rank = _ranks(recent[:k], "recent")
    chosen: list[RankedItem] = []
    for item in relevance_rank | recency_rank:
        by_relevance, by_recency = relevance_rank.get(item), recency_rank.get(item)
        score = _score(by_relevance, by_recency, gamma, beta, combine)
        chosen.append(RankedItem(item, score, by_relevance, by_recency))
    chosen.sort(key=_sort_key)
    return chosen[:k]


def rerank_rows(
    relevant: NDArray[np.int64], recent: NDArray[np.int64], k: int, gamma: float, beta: float, combine: str = "max"
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Eq. 8 for m samples at once; the naive equivalent is :func:`rerank` per row, and it gives the same bits.

    ``relevant``, ``recent``: int64[m, k], items >= 0 without repeats in a row, best first, then -1. Gives four arrays
    [m, k], best first: the chosen items (then -1), their scores (then NaN), and their ranks from 1 in the two channels
    (0: not in it). Raises ``UsageError`` as :func:`rerank` does, repeats aside.
    """
    _check(k, gamma, beta, combine)
    relevant, recent = relevant[:, :k], recent[:, :k]
    width = relevant.shape[1]
    none = width + 1  # the rank of an item that is not in the channel: after all others, with a score of 0
    same = (relevant[:, :, None] == recent[:, None, :]) & (relevant >= 0)[:, :, None]
    own = np.broadcast_to(np.arange(1, none), relevant.shape)
    repeated = same.any(axis=1)  # recent items that are in the row already, as relevant ones
    items = np.concatenate([relevant, np.where(repeated, -1, recent)], axis=1)
    first = np.concatenate([own, np.full_like(own, none)], axis=1)
    second = np.concatenate([np.where(same.any(axis=2), same.argmax(axis=2) + 1, none), own], axis=1)
    table, rounded = _score_table(width, gamma, beta, combine)
    scores = table[first, second]
    keys = (first, second, first == none, -rounded[first, second], items < 0)
    order = np.lexsort(keys, axis=1)[:, :k]
    items, scores, first, second = (np.take_along_axis(a, order, axis=1) for a in (items, scores, first, second))
    empty = items < 0
    return (
        items,
        np.where(empty, np.nan, scores),
        np.where(empty | (first == none), 0, first),
        np.where(empty | (second == none), 0, second),
    )


def gamma_breakpoints(
    relevant: Sequence[Hashable],
    recent: Sequence[Hashable],
    k: int,
    beta: float,
    combine: str = "max",
    steps: int = 100,
) -> list[tuple[float, frozenset[Hashable]]]:
    """For which gamma the chosen set changes: (first gamma of a stretch, its set), gamma in 0, 1/steps, ..., 1.

    All steps at once; the naive equivalent is :func:`rerank` per step.
    """
    gammas = np.arange(steps + 1) / steps
    rows, best = _ranked(relevant, recent, k, gammas, beta, combine)
    chosen = np.zeros((len(gammas), len(rows)), dtype=bool)
    np.put_along_axis(chosen, best, True, axis=1)
    first = np.flatnonzero(np.r_[True, (chosen[1:] != chosen[:-1]).any(axis=1)])
    return [(step / steps, frozenset(rows[i] for i in np.flatnonzero(chosen[step]))) for step in first.tolist()]


def gamma_orders(
    relevant: Sequence[Hashable],
    recent: Sequence[Hashable],
    k: int,
    beta: float,
    gammas: Sequence[float],
    combine: str = "max",
) -> list[tuple[Hashable, ...]]:
    """The items that each of ``gammas`` chooses, best first: gammas with the same list ask the models the same.

    All at once; the naive equivalent is :func:`rerank` per gamma.
    """
    rows, best = _ranked(relevant, recent, k, np.asarray(gammas, dtype=np.float64), beta, combine)
    return [tuple(rows[i] for i in order) for order in best.tolist()]


def _ranked(
    relevant: Sequence[Hashable],
    recent: Sequence[Hashable],
    k: int,
    gammas: NDArray[np.float64],
    beta: float,
    combine: str,
) -> tuple[list[Hashable], NDArray[np.int64]]:
    """All items of the channels, and per gamma the places of the ``k`` best among them, best first."""
    _check(k, float(gammas.min(initial=0.0)), beta, combine)
    _check(k, float(gammas.max(initial=0.0)), beta, combine)
    by_relevance, by_recency = _ranks(relevant[:k], "relevant"), _ranks(recent[:k], "recent")
    # In the order that decides ties, so that a stable sort by the score alone is the whole order of eq. 8.
    rows = [RankedItem(item, 0.0, by_relevance.get(item), by_recency.get(item)) for item in by_relevance | by_recency]
    rows.sort(key=_sort_key)
    # A rank of infinity scores 0: for the larger of two scores as for their sum, that is an item not in the channel.
    relevance_rank = np.array([row.relevance_rank or inf for row in rows], dtype=np.float64)
    recency_rank = np.array([row.recency_rank or inf for row in rows], dtype=np.float64)
    weight = gammas[:, None]
    parts = [_channel_scores(weight, relevance_rank, beta), _channel_scores(1.0 - weight, recency_rank, beta)]
    scores = np.maximum(*parts) if combine == "max" else np.add(*parts)
    best = np.argsort(-np.round(scores, TIE_DECIMALS), axis=1, kind="stable")[:, :k]
    return [row.item for row in rows], best


def _score(relevance_rank: int | None, recency_rank: int | None, gamma: float, beta: float, combine: str) -> float:
    parts = [
        weight / rank**beta
        for weight, rank in ((gamma, relevance_rank), (1.0 - gamma, recency_rank))
        if rank is not None
    ]
    return max(parts, default=0.0) if combine == "max" else sum(parts, 0.0)


@lru_cache(maxsize=16)
def _score_table(
    width: int, gamma: float, beta: float, combine: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[width + 2, width + 2] by the two ranks (width + 1: not in the channel): the scores, and as ties compare them."""
    ranks = [None, *range(1, width + 1), None]
    table = [[_score(first, second, gamma, beta, combine) for second in ranks] for first in ranks]
    return np.array(table), np.array([[round(score, TIE_DECIMALS) for score in row] for row in table])


def _channel_scores(weight: NDArray[np.float64], ranks: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    return np.where(np.isinf(ranks), 0.0, weight / np.where(np.isinf(ranks), 1.0, ranks) ** beta)


def _sort_key(row: RankedItem) -> tuple[float, bool, float, float]:
    return (
        -round(row.score, TIE_DECIMALS),
        row.relevance_rank is None,
        inf if row.recency_rank is None else row.recency_rank,
        inf if row.relevance_rank is None else row.relevance_rank,
    )


def _ranks(items: Sequence[Hashable], channel: str) -> dict[Hashable, int]:
    ranks = {item: rank for rank, item in enumerate(items, start=1)}
    if len(ranks) != len(items):
        raise UsageError(f"The {channel} channel names an item twice", expected="each item once per channel")
    return ranks


def _check(k: int, gamma: float, beta: float, combine: str) -> None:
    if k < 1:
        raise UsageError(f"k is {k}", expected="at least 1 item")
    if not 0 <= gamma <= 1:
        raise UsageError(f"gamma is {gamma}", expected="a weight between 0 (only recency) and 1 (only relevance)")
    if not beta >= 0:
        raise UsageError(f"beta is {beta}", expected="0 (rank does not matter) or more")
    if combine not in ("max", "sum"):
        raise UsageError(f"combine is {combine!r}", expected="'max' or 'sum'")
