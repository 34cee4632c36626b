"""Equation 8: properties of the reranker, and an independent naive one."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backend.errors import UsageError
from backend.retrieval import RankedItem, exact_gamma, gamma_orders, gamma_stretches, rerank, shown_gammas

lists = st.lists(st.integers(0, 25), unique=True, max_size=15)
ks = st.integers(1, 20)
gammas = st.one_of(st.sampled_from([0.0, 0.5, 2 / 3, 1.0]), st.floats(0, 1))
betas = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(0, 4))
combines = st.sampled_from(["max", "sum"])


def _items(rows: list[RankedItem]) -> list[Any]:
    return [row.item for row in rows]


def _naive(relevant: list[int], recent: list[int], k: int, gamma: float, beta: float, combine: str) -> list[list[Any]]:
    """Repeatedly look for the best item that is left, comparing any two by the rules as they are written."""
    relevant, recent = relevant[:k], recent[:k]
    pool = []
    for item in set(relevant) | set(recent):
        scores = []
        if item in relevant:
            scores.append(gamma * (relevant.index(item) + 1) ** -beta)
        if item in recent:
            scores.append((1 - gamma) * (recent.index(item) + 1) ** -beta)
        pool.append((item, max(scores) if combine == "max" else sum(scores)))

    def better(a: tuple[int, float], b: tuple[int, float]) -> bool:
        if round(a[1], 12) != round(b[1], 12):
            return a[1] > b[1]
        if (a[0] in relevant) != (b[0] in relevant):
            return a[0] in relevant
        if a[0] in recent and b[0] in recent:
            return recent.index(a[0]) < recent.index(b[0])
        if (a[0] in recent) != (b[0] in recent):
            return a[0] in recent
        return relevant.index(a[0]) < relevant.index(b[0])

    chosen = []
    while pool and len(chosen) < k:
        best = pool[0]
        for candidate in pool[1:]:
            if better(candidate, best):
                best = candidate
        pool.remove(best)
        chosen.append(best)
    return [
        [
            item,
            score,
            relevant.index(item) + 1 if item in relevant else None,
            recent.index(item) + 1 if item in recent else None,
        ]
        for item, score in chosen
    ]


@given(lists, lists, ks, gammas, betas, combines)
def test_rerank_equals_a_naive_search_for_the_best_item_that_is_left(
    relevant: list[int], recent: list[int], k: int, gamma: float, beta: float, combine: str
) -> None:
    naive = _naive(relevant, recent, k, gamma, beta, combine)
    # Two ways to compute a power may round to either side of the 12th decimal: only clear cases are compared.
    scores = [row[1] for row in naive]
    assume(all(abs(a - b) < 1e-14 or abs(a - b) > 1e-11 for a in scores for b in scores))
    rows = rerank(relevant, recent, k, gamma, beta, combine)
    assert [[row.item, row.relevance_rank, row.recency_rank] for row in rows] == [
        [item, relevance, recency] for item, _, relevance, recency in naive
    ]
    assert [row.score for row in rows] == pytest.approx(scores, abs=1e-9)


@given(lists, lists, ks, gammas, betas, combines)
def test_never_a_duplicate_never_a_stranger_and_as_many_as_there_are(
    relevant: list[int], recent: list[int], k: int, gamma: float, beta: float, combine: str
) -> None:
    items = _items(rerank(relevant, recent, k, gamma, beta, combine))
    allowed = set(relevant[:k]) | set(recent[:k])
    assert len(set(items)) == len(items) == min(k, len(allowed))
    assert set(items) <= allowed


@given(lists, lists, ks, gammas, betas, combines)
def test_scores_never_rise_along_the_list(
    relevant: list[int], recent: list[int], k: int, gamma: float, beta: float, combine: str
) -> None:
    scores = [round(row.score, 12) for row in rerank(relevant, recent, k, gamma, beta, combine)]
    assert scores == sorted(scores, reverse=True)


@given(lists, lists, ks, st.floats(0.01, 4), combines)
def test_gamma_one_begins_with_the_relevance_order(
    relevant: list[int], recent: list[int], k: int, beta: float, combine: str
) -> None:
    items = _items(rerank(relevant, recent, k, 1.0, beta, combine))
    assert items[: len(relevant[:k])] == relevant[:k]


@given(lists, lists, ks, st.floats(0.01, 4), combines)
def test_gamma_zero_begins_with_the_recency_order(
    relevant: list[int], recent: list[int], k: int, beta: float, combine: str
) -> None:
    items = _items(rerank(relevant, recent, k, 0.0, beta, combine))
    assert items[: len(recent[:k])] == recent[:k]


@given(lists, lists, ks, gammas, betas)
def test_sum_scores_an_item_of_both_channels_higher_than_max_and_others_the_same(
    relevant: list[int], recent: list[int], k: int, gamma: float, beta: float
) -> None:
    room = 2 * k + 1  # the same candidates, all of them kept
    both = [rerank(relevant[:k], recent[:k], room, gamma, beta, combine) for combine in ("max", "sum")]
    by_max, by_sum = ({row.item: row.score for row in rows} for rows in both)
    for item, score in by_sum.items():
        if item in relevant[:k] and item in recent[:k]:
            smaller = score - by_max[item]
            assert -1e-12 <= smaller <= by_max[item] + 1e-12
        else:
            assert score == by_max[item]


def test_two_thirds_and_beta_one_take_two_relevant_items_for_each_recent_one() -> None:
    items = _items(rerank(list("abcdef"), list("UVWXYZ"), 6, 2 / 3, 1.0))
    assert items == ["a", "b", "U", "c", "d", "V"]


def test_only_the_first_k_of_a_channel_take_part() -> None:
    assert _items(rerank([1, 2, 3], [3, 4, 5], 2, 0.5, 0.0)) == [1, 2]
    assert rerank([1, 2, 3], [3, 4, 5], 2, 0.1, 1.0)[0] == RankedItem(3, 0.9, None, 1)


def test_empty_channels_give_an_empty_list() -> None:
    assert rerank([], [], 5, 0.5, 1.0) == []


def _case(seed: int) -> tuple[list[int], list[int], int, float]:
    """Both channels full, K and a beta of the slider; 1 is the one that people use."""
    rng = random.Random(seed)
    k, beta = rng.randint(1, 30), rng.choice([1.0, rng.randint(0, 60) / 20])
    items = rng.randint(k, 3 * k)
    return rng.sample(range(items), k), rng.sample(range(items), k), k, beta


@pytest.mark.parametrize("combine", ["max", "sum"])
def test_the_stretch_of_every_slider_value_holds_the_set_that_rerank_chooses(combine: str) -> None:
    at_breakpoints = 0
    for seed in range(400):
        relevant, recent, k, beta = _case(seed)
        stretches = gamma_stretches(relevant, recent, k, beta, combine)
        starts = [stretch.start for stretch in stretches]
        assert starts[0] == 0.0
        assert starts == sorted(set(starts))
        assert all(one.items != next_one.items for one, next_one in itertools.pairwise(stretches))
        beside = {round(start, 3) + step for start in starts for step in (-0.001, 0, 0.001)}
        slider = {exact_gamma(round(min(max(gamma, 0), 1), 3)) for gamma in beside}
        some = [0.0, 1.0, 2 / 3, 1 / 3, 1 / 2, 4 / 5, *slider, *random.Random(seed).sample(shown_gammas(), 9)]
        at_breakpoints += sum(min(abs(start - gamma) for start in starts) < 1e-8 for gamma in slider)
        for gamma, order in zip(some, gamma_orders(relevant, recent, k, beta, some, combine), strict=True):
            in_force = [stretch.items for stretch in stretches if stretch.start <= gamma][-1]
            assert in_force == set(order), (seed, gamma)
        for gamma in (2 / 3, 1 / 3):
            in_force = [stretch.items for stretch in stretches if stretch.start <= gamma][-1]
            assert in_force == set(_items(rerank(relevant, recent, k, gamma, beta, combine))), (seed, gamma)
    assert at_breakpoints > 400


def test_the_set_changes_at_the_fractions_of_two_ranks_and_a_tie_goes_to_relevance() -> None:
    stretches = gamma_stretches(["a", "b"], ["Y", "Z"], 2, 1.0)
    assert [sorted(map(str, stretch.items)) for stretch in stretches] == [["Y", "Z"], ["Y", "a"], ["a", "b"]]
    assert [stretch.start for stretch in stretches] == pytest.approx([0, 1 / 3, 2 / 3], abs=1e-8)
    assert all(stretch.start <= exact for stretch, exact in zip(stretches, (0, 1 / 3, 2 / 3), strict=True))


@given(lists, lists, ks, st.floats(0, 10), combines, st.sampled_from(shown_gammas()))
def test_scores_that_sink_into_the_decimals_of_ties_have_stretches_too(
    relevant: list[int], recent: list[int], k: int, beta: float, combine: str, gamma: float
) -> None:
    stretches = gamma_stretches(relevant, recent, k, beta, combine)
    [*_, in_force] = [stretch.items for stretch in stretches if stretch.start <= gamma]
    assert in_force == set(_items(rerank(relevant, recent, k, gamma, beta, combine)))


@pytest.mark.parametrize(
    ("given", "exact"),
    [
        (0.667, 2 / 3), (0.333, 1 / 3), (0.5, 0.5), (0.123, 0.123), (0.0, 0.0), (1.0, 1.0), (0.001, 0.001),
        (0.143, 0.143), (0.455, 0.455), (0.167, 1 / 6), (0.833, 5 / 6), (0.999, 0.999), (0.25, 0.25), (2 / 3, 2 / 3),
        (0.6, 0.6),
    ],
)  # fmt: skip
def test_three_decimals_of_a_simple_fraction_mean_the_fraction(given: float, exact: float) -> None:
    assert exact_gamma(given) == exact


@given(lists, lists, ks, betas, combines, st.lists(gammas, max_size=6))
def test_the_orders_of_many_gammas_are_those_of_each(
    relevant: list[int], recent: list[int], k: int, beta: float, combine: str, some: list[float]
) -> None:
    one_by_one = [tuple(_items(rerank(relevant, recent, k, gamma, beta, combine))) for gamma in some]
    assert gamma_orders(relevant, recent, k, beta, some, combine) == one_by_one


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"k": 0}, "k is 0"),
        ({"gamma": 1.01}, "gamma is 1.01"),
        ({"gamma": float("nan")}, "gamma is nan"),
        ({"beta": -0.5}, "beta is -0.5"),
        ({"combine": "mean"}, "combine is 'mean'"),
        ({"relevant": [1, 1]}, "relevant channel names an item twice"),
        ({"recent": [2, 2]}, "recent channel names an item twice"),
    ],
)
def test_an_impossible_argument_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        rerank(**{"relevant": [1], "recent": [2], "k": 3, "gamma": 0.5, "beta": 1.0} | change)
