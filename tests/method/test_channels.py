"""The two channels over a user's past, and the orders in which the chosen items enter a prompt."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import DataError, UnknownNameError
from backend.representation import mix
from backend.retrieval import ORDERS, RankedItem, channels, order_items, rerank


def _vectors(items: int, seed: int = 0, dtype: type = np.float16) -> np.ndarray:
    return mix([np.random.default_rng(seed).standard_normal((items, 4))]).astype(dtype)


@given(st.lists(st.integers(0, 29), unique=True, min_size=2, max_size=20), st.integers(1, 25), st.integers(0, 5))
def test_channels_hold_only_history_ranked_by_similarity_and_by_time(codes: list[int], k: int, seed: int) -> None:
    target, *history = codes
    vectors = _vectors(30, seed)
    both = channels(vectors, np.array(history), target, k)
    assert both.recent == history[::-1][:k]
    assert len(both.relevant) == len(set(both.relevant)) == min(k, len(history))
    assert set(both.relevant) <= set(history)
    assert list(both.similarity) == history
    exact = {code: float(vectors[code].astype(np.float64) @ vectors[target].astype(np.float64)) for code in history}
    assert both.similarity == pytest.approx(exact, abs=1e-6)
    ranked = [exact[code] for code in both.relevant]
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(ranked))
    left_out = [exact[code] for code in history if code not in both.relevant]
    assert all(score <= ranked[-1] + 1e-6 for score in left_out)


def test_equally_similar_items_are_ranked_newest_first() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 1], [1, 0], [0, 1]], dtype=np.float32)
    assert channels(vectors, np.array([0, 1, 2, 4]), 3, 10).relevant == [0, 4, 2, 1]
    assert channels(vectors, np.array([4, 2, 1]), 3, 2).relevant == [1, 2]


def test_an_item_without_a_signal_is_similar_to_nothing() -> None:
    vectors = np.array([[0, 0], [1, 0], [-1, 0], [1, 0]], dtype=np.float32)
    both = channels(vectors, np.array([2, 0, 1]), 3, 3)
    assert both.similarity == {2: -1.0, 0: 0.0, 1: 1.0}
    assert both.relevant == [1, 0, 2]


@pytest.mark.parametrize(("history", "target"), [([0, 3], 1), ([0, 1], 3)])
def test_an_item_without_a_vector_names_the_command_that_makes_it(history: list[int], target: int) -> None:
    with pytest.raises(DataError, match=r"Item 3 has no vector.*rallrec embed --fresh"):
        channels(_vectors(3), np.array(history), target, 5)


def test_each_order_is_a_permutation_of_the_same_chosen_items() -> None:
    history = np.array([7, 3, 9, 1, 5])
    both = channels(_vectors(12), history, 11, 4)
    chosen = rerank(both.relevant, both.recent, 4, 0.5, 1.0)
    when = {int(code): place for place, code in enumerate(history)}
    ordered = {order: order_items(chosen, order, when, both.similarity) for order in ORDERS}
    assert ordered["rank"] == chosen
    assert [when[row.item] for row in ordered["chronological"]] == sorted(when[row.item] for row in chosen)
    similar = [both.similarity[row.item] for row in ordered["relevance"]]
    assert similar == sorted(similar, reverse=True)
    assert all(sorted(map(id, rows)) == sorted(map(id, chosen)) for rows in ordered.values())


def test_the_relevance_order_keeps_the_channels_ranks_and_puts_the_rest_after_by_similarity() -> None:
    rows = [
        RankedItem("a", 1, None, 1),
        RankedItem("b", 1, 2, 2),
        RankedItem("c", 1, None, 3),
        RankedItem("d", 1, 1, 4),
    ]
    similarity = {"a": 0.1, "b": 0.9, "c": 0.2, "d": 0.9}
    ordered = order_items(rows, "relevance", dict.fromkeys("abcd", 0), similarity)
    assert [row.item for row in ordered] == ["d", "b", "c", "a"]


def test_an_unknown_order_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'backwards'.*chronological, rank, relevance"):
        order_items([], "backwards", {}, {})
