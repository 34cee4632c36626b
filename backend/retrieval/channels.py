"""The two channels that eq. 8 joins (section 4.2.6): which they are for each strategy of Fig. 8, and how they rank.

Every strategy is eq. 8 over two rankings of the same past items; only the rankings and the weights differ. Joining
them is the business of ``backend.retrieval.rerank``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.representation import ItemSpace
from backend.retrieval.config import RetrievalConfig
from backend.retrieval.similarity import Comparison, Ints


@dataclass(frozen=True)
class Channels:
    """Item codes of one user's past, best first, at most k in each channel; an item rated twice counts once, as new.

    ``relevant``: the first channel, most similar to the target first. ``recent``: the second one: newest first, or for
    ``retrieve-then-mix`` by collaborative similarity. ``names``: what the two are called. ``similarity``: every past
    item's similarity to the target by the recipe's variant (a sum of cosines). ``ranked_by``: for each channel, the
    similarity that ranked it; None for the channel that time ranked. Similarities of items in a channel are exact to
    6 decimals, those of the others within float32's error.
    """

    relevant: list[int]
    recent: list[int]
    similarity: dict[int, float]
    names: tuple[str, str]
    ranked_by: tuple[dict[int, float], dict[int, float] | None]


@dataclass(frozen=True)
class Plan:
    """A strategy as a case of eq. 8: which variants rank the channels (None: time does), their names, the symbols."""

    first: str
    second: str | None
    names: tuple[str, str]
    gamma: float
    beta: float
    combine: str


def plan(config: RetrievalConfig) -> Plan:
    """``recent`` is gamma 0 and ``mix-then-retrieve`` gamma 1: the channel with all the weight fills the list.

    ``retrieve-then-mix`` weighs text and collaborative similarity the same, so that equal ranks tie and the two take
    turns, text first; but of two tied items, the one that is in both channels goes first.
    """
    if config.strategy == "retrieve-then-mix":
        return Plan("text", "id", ("text", "collaborative"), 0.5, 1.0, "max")
    names = ("relevance", "recency")
    if config.strategy == "rerank":
        return Plan(config.variant, None, names, config.gamma, config.beta, config.combine)
    return Plan(config.variant, None, names, float(config.strategy == "mix-then-retrieve"), 1.0, "max")


class ChannelRanks:
    """The channels of m targets over the same n past items, of which each target may use the ``allowed`` ones.

    ``items``: int[n] codes, oldest first; ``targets``: int[m] codes; ``allowed``: bool[m, n]. ``first`` and ``second``:
    int64[m, k], places in ``items``, best first, then -1. ``compared``: by variant, those that the channels or the
    config name.
    """

    def __init__(
        self, space: ItemSpace, items: Ints, targets: Ints, allowed: NDArray[np.bool_], config: RetrievalConfig
    ) -> None:
        self.plan = plan(config)
        variants = dict.fromkeys((config.variant, self.plan.first, self.plan.second or self.plan.first))
        self.compared = {name: Comparison(space.variant(name), targets, items) for name in variants}
        self.first = self.compared[self.plan.first].best(config.k, allowed)
        self.second = (
            self.compared[self.plan.second].best(config.k, allowed) if self.plan.second else _newest(allowed, config.k)
        )


def newest_until(items: Ints, ends: Ints) -> NDArray[np.bool_]:
    """bool[m, n]: which of ``items`` (int[n], oldest first) are in the history that stops before place ``ends[i]``.

    An item that is there twice counts at its last place only.
    """
    places = np.arange(len(items))
    by_item = np.argsort(items, kind="stable")
    again = np.full(len(items), len(items) + 1)  # the next place of the same item
    repeats = items[by_item[1:]] == items[by_item[:-1]]
    again[by_item[:-1][repeats]] = by_item[1:][repeats]
    return (places < ends[:, None]) & (again >= ends[:, None])


def _newest(allowed: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """Returns int64[m, k]: the last ``allowed`` places of each row, newest first, then -1."""
    places = np.nonzero(allowed)[1]  # row by row, each from the oldest on
    counts = allowed.sum(axis=1)
    back = np.arange(k)
    there = back < counts[:, None]
    newest = np.full(there.shape, -1, dtype=np.int64)
    newest[there] = places[(counts.cumsum()[:, None] - 1 - back)[there]]
    return newest
