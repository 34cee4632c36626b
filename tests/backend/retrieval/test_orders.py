"""The orders in which the same chosen items enter a prompt."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import UnknownNameError
from backend.retrieval import ORDERS, STRATEGIES, RankedItem, RetrievalConfig, Retriever, order_items
from tests.backend.retrieval.naive import items_of, space_of


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_order_is_a_permutation_of_the_same_chosen_items(strategy: str) -> None:
    history = np.array([7, 3, 9, 1, 5])
    retrieval = Retriever(space_of(12)).retrieve(history, 11, RetrievalConfig(k=4, gamma=0.5, strategy=strategy))
    when = {int(code): place for place, code in enumerate(history)}
    ordered = {order: order_items(retrieval.chosen, order, when, retrieval.channels.similarity) for order in ORDERS}
    assert ordered["rank"] == list(retrieval.chosen)
    assert [when[row.item] for row in ordered["chronological"]] == sorted(when[row.item] for row in retrieval.chosen)
    similar = [retrieval.channels.similarity[row.item] for row in ordered["relevance"]]
    assert similar == sorted(similar, reverse=True)
    assert all(sorted(map(id, rows)) == sorted(map(id, retrieval.chosen)) for rows in ordered.values())


@pytest.mark.parametrize("seed", range(20))
def test_the_relevance_order_begins_with_the_relevance_channel(seed: int) -> None:
    history = np.random.default_rng(seed).permutation(40)[:25]
    retrieval = Retriever(space_of(40, seed)).retrieve(history, 3, RetrievalConfig(k=8))
    when = {int(code): place for place, code in enumerate(history)}
    ordered = items_of(order_items(retrieval.chosen, "relevance", when, retrieval.channels.similarity))
    relevant = [item for item in retrieval.channels.relevant if item in ordered]
    assert ordered[: len(relevant)] == relevant


def test_the_relevance_order_puts_the_newer_of_equally_similar_items_first() -> None:
    rows = [RankedItem(item, 1, None, None) for item in range(4)]
    when = {item: item for item in range(4)}
    ordered = order_items(rows, "relevance", when, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.9})
    assert items_of(ordered) == [3, 1, 2, 0]


def test_an_unknown_order_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'backwards'.*chronological, rank, relevance"):
        order_items([], "backwards", {}, {})
