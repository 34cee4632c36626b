"""One sample: the channels, the strategies of Fig. 8, and what a screen is told about both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import DataError
from backend.representation import PARTS, ItemSpace
from backend.retrieval import STRATEGIES, RetrievalConfig, Retriever
from tests.backend.retrieval.naive import items_of, naive_channels, naive_chosen, space_of

ITEMS = 30
pasts = st.lists(st.integers(0, ITEMS - 1), max_size=25)
variants = st.sampled_from(["text", "id", "concat", "concat+ssl"])
configs = st.builds(
    RetrievalConfig,
    variant=variants,
    strategy=st.sampled_from(STRATEGIES),
    k=st.integers(1, 12),
    gamma=st.one_of(st.sampled_from([0.0, 0.5, 2 / 3, 1.0]), st.floats(0, 1)),
    beta=st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 3)),
    combine=st.sampled_from(["max", "sum"]),
)


def flat_space(rows: Any) -> ItemSpace:
    """Only text vectors."""
    array = np.array(rows, dtype=np.float32)
    return ItemSpace(array, {"text": array.shape[1], "collaborative": 0, "aligned": 0})


def ranked(rows: Any, history: list[int], target: int, k: int = 10) -> list[int]:
    config = RetrievalConfig(variant="text", k=k)
    return Retriever(flat_space(rows)).retrieve(np.array(history), target, config).channels.relevant


@given(pasts, st.integers(0, ITEMS - 1), configs, st.integers(0, 30), st.booleans())
def test_channels_and_choice_are_those_of_the_naive_float64_definition(
    past: list[int], target: int, config: RetrievalConfig, seed: int, odd: bool
) -> None:
    space = space_of(ITEMS, seed, odd)
    retrieval = Retriever(space).retrieve(np.array(past, dtype=np.int32), target, config)
    assert (retrieval.channels.relevant, retrieval.channels.recent) == naive_channels(space, past, target, config)
    assert items_of(retrieval.chosen) == naive_chosen(space, past, target, config)
    rows = space.variant(config.variant).astype(np.float64)
    exact = {code: float((rows[code] * rows[target]).sum()) for code in past}
    assert retrieval.channels.similarity == pytest.approx(exact, abs=2e-6)
    for code in {*retrieval.channels.relevant, *retrieval.channels.recent}:
        assert retrieval.channels.similarity[code] == round(exact[code], 6)


@pytest.mark.parametrize("strategy", ["recent", "mix-then-retrieve", "retrieve-then-mix"])
def test_gamma_beta_and_combine_belong_to_rerank_alone(strategy: str) -> None:
    retriever, past = Retriever(space_of(ITEMS, 4)), np.arange(20)
    plain, with_settings = (
        retriever.retrieve(past, 25, RetrievalConfig(strategy=strategy, gamma=gamma, beta=beta, combine=combine))
        for gamma, beta, combine in ((0.1, 0.0, "max"), (0.9, 3.0, "sum"))
    )
    assert plain == with_settings


def test_retrieve_then_mix_takes_turns_text_first() -> None:
    # Items 0 to 3 are like the target (4) in their text, in falling degree; 5 to 8 in their collaborative part.
    angles = [0.1, 0.2, 0.3, 0.4, 0.0]
    like = [[np.cos(a), np.sin(a)] for a in angles]
    unlike = [[-1.0, 0.0]] * 4
    rows = np.array([[*t, *c] for t, c in zip(like + unlike, unlike + like[4:] + like[:4], strict=True)])
    space = ItemSpace(rows.astype(np.float32), {"text": 2, "collaborative": 2, "aligned": 0})
    past = np.array([0, 1, 2, 3, 5, 6, 7, 8])
    for k, expected in ((4, [0, 5, 1, 6]), (5, [0, 5, 1, 6, 2]), (1, [0])):
        config = RetrievalConfig(strategy="retrieve-then-mix", variant="concat", k=k)
        retrieval = Retriever(space).retrieve(past, 4, config)
        assert items_of(retrieval.chosen) == expected
        assert retrieval.channels.names == ("text", "collaborative")
    by_text, by_collaborative = retrieval.channels.ranked_by
    assert by_text[0] == pytest.approx(np.cos(0.1), abs=1e-6)
    assert by_collaborative is not None
    assert by_collaborative[0] == pytest.approx(-1.0, abs=1e-6)


def test_channels_ranked_by_similarity_and_time_say_so() -> None:
    retrieval = Retriever(space_of(ITEMS)).retrieve(np.arange(9), 20, RetrievalConfig())
    assert retrieval.channels.names == ("relevance", "recency")
    assert retrieval.channels.ranked_by == (retrieval.channels.similarity, None)


def test_an_item_rated_twice_counts_once_and_as_new() -> None:
    rows = [[1, 0], [0.6, 0.8], [0, 1], [1, 0]]
    retrieval = Retriever(flat_space(rows)).retrieve(np.array([2, 0, 1, 2]), 3, RetrievalConfig(variant="text"))
    assert retrieval.channels.recent == [2, 1, 0]
    assert retrieval.channels.relevant == [0, 1, 2]
    assert sorted(items_of(retrieval.chosen)) == [0, 1, 2]
    # As new: before the equally similar 0, which has since become the older one.
    assert ranked([[1, 0], [1, 0], [0, 1], [1, 0]], [1, 0, 1], 3) == [1, 0]


def test_equally_similar_items_are_ranked_newest_first() -> None:
    rows = [[1, 0], [0, 1], [0, 1], [1, 0], [0, 1]]
    assert ranked(rows, [0, 1, 2, 4], 3) == [0, 4, 2, 1]
    assert ranked(rows, [4, 2, 1], 3, k=2) == [1, 2]


def test_differences_below_the_sixth_decimal_are_ties() -> None:
    for tiny, expected in ((2e-7, [1, 0]), (2e-6, [0, 1])):
        assert ranked([[0.5 + tiny, 0], [0.5, 0], [1, 0]], [0, 1], 2) == expected


def test_a_past_item_without_a_signal_is_similar_to_nothing_and_a_target_without_one_leaves_time_to_decide() -> None:
    rows = [[0, 0], [1, 0], [-1, 0], [1, 0]]
    retrieval = Retriever(flat_space(rows)).retrieve(np.array([2, 0, 1]), 3, RetrievalConfig(variant="text"))
    assert retrieval.channels.similarity == {2: -1.0, 0: 0.0, 1: 1.0}
    assert retrieval.channels.relevant == [1, 0, 2]
    assert ranked(rows, [2, 1, 3], 0, k=2) == [3, 1]


def test_no_history_gives_empty_lists() -> None:
    retrieval = Retriever(space_of(3)).retrieve(np.array([], dtype=np.int32), 1, RetrievalConfig())
    assert (retrieval.channels.relevant, retrieval.channels.recent, retrieval.chosen) == ([], [], ())


@pytest.mark.parametrize(("history", "target"), [([0, 3], 1), ([0, 1], 3)])
def test_an_item_without_a_vector_names_the_command_that_makes_it(history: list[int], target: int) -> None:
    with pytest.raises(DataError, match=r"Item 3 has no vector.*rallrec precompute"):
        Retriever(space_of(3)).retrieve(np.array(history), target, RetrievalConfig())


@given(st.lists(st.integers(0, ITEMS - 1), max_size=9), st.integers(0, ITEMS - 1), st.integers(0, 9))
def test_the_variants_similarity_is_the_sum_of_its_parts(items: list[int], target: int, seed: int) -> None:
    retriever = Retriever(space_of(ITEMS, seed))
    parts = retriever.part_similarities(items, target)
    assert tuple(parts) == PARTS
    for variant, names in (("text", PARTS[:1]), ("id", PARTS[1:2]), ("concat", PARTS[:2]), ("concat+ssl", PARTS)):
        whole = retriever.retrieve(np.array(items, dtype=int), target, RetrievalConfig(variant=variant))
        total = np.sum([parts[name] for name in names], axis=0)
        assert [whole.channels.similarity[code] for code in items] == pytest.approx(total.tolist(), abs=4e-6)
