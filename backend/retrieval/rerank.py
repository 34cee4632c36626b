"""Equation 8: one list out of the relevance channel and the recency channel.

Knows ranks only; how the channels were ranked is the business of ``backend.retrieval.channels``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
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
        parts = [
            weight / rank**beta
            for weight, rank in ((gamma, by_relevance), (1.0 - gamma, by_recency))
            if rank is not None
        ]
        chosen.append(RankedItem(item, max(parts) if combine == "max" else sum(parts), by_relevance, by_recency))
    chosen.sort(key=_sort_key)
    return chosen[:k]


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
    _check(k, 0.0, beta, combine)
    by_relevance, by_recency = _ranks(relevant[:k], "relevant"), _ranks(recent[:k], "recent")
    # In the order that decides ties, so that a stable sort by the score alone is the whole order of eq. 8.
    rows = [RankedItem(item, 0.0, by_relevance.get(item), by_recency.get(item)) for item in by_relevance | by_recency]
    rows.sort(key=_sort_key)
    if not rows:
        return [(0.0, frozenset())]
    gamma = np.arange(steps + 1)[:, None] / steps
    # A rank of infinity scores 0: for the larger of two scores as for their sum, that is an item not in the channel.
    relevance_rank = np.array([row.relevance_rank or inf for row in rows], dtype=np.float64)
    recency_rank = np.array([row.recency_rank or inf for row in rows], dtype=np.float64)
    parts = [_channel_scores(gamma, relevance_rank, beta), _channel_scores(1.0 - gamma, recency_rank, beta)]
    scores = np.maximum(*parts) if combine == "max" else np.add(*parts)
    best = np.argsort(-np.round(scores, TIE_DECIMALS), axis=1, kind="stable")[:, :k]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, best, True, axis=1)
    first = np.flatnonzero(np.r_[True, (chosen[1:] != chosen[:-1]).any(axis=1)])
    return [(step / steps, frozenset(rows[i].item for i in np.flatnonzero(chosen[step]))) for step in first.tolist()]


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
