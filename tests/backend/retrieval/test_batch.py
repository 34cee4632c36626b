"""Many samples at once choose what one at a time chooses, in any blocks, and reach the file whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.datasets import Dataset, build_samples
from backend.errors import DataError, Stopped
from backend.retrieval import (
    STRATEGIES,
    RankedItem,
    RetrievalConfig,
    Retriever,
    batch,
    rerank,
    rerank_rows,
    retrieve_rows,
    write_retrieval,
)
from tests.backend.retrieval.naive import histories, naive_chosen, space_of
from tests.backend.retrieval.test_retriever import ITEMS, configs, pasts

lists = st.lists(st.integers(0, 25), unique=True, max_size=12)


@given(st.lists(pasts, min_size=1, max_size=4), configs, st.integers(0, 30), st.booleans(), st.integers(1, 60))
@settings(deadline=None)
def test_batch_chooses_what_single_calls_and_the_naive_definition_choose(
    users: list[list[int]], config: RetrievalConfig, seed: int, odd: bool, cells: int
) -> None:
    data, space = histories(*users, items=ITEMS), space_of(ITEMS, seed, odd)
    rows = np.random.default_rng(seed).permutation(data.n_interactions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "_PAIRS", cells)
        blocks = list(retrieve_rows(space, data, rows, config))
    assert [row for block in blocks for row in block.rows] == sorted(rows)
    retriever = Retriever(space)
    for block in blocks:
        for place, row in enumerate(block.rows):
            past = data.history_before(int(row))
            history, target = data.item_index[past], int(data.item_index[row])
            single = retriever.retrieve(history, target, config)
            kept = block.past[place] >= 0
            chosen = [
                RankedItem(int(data.item_index[at]), score, first or None, second or None)
                for at, score, first, second in zip(
                    block.past[place][kept], block.score[place][kept].tolist(),
                    block.first_rank[place][kept].tolist(), block.second_rank[place][kept].tolist(), strict=True,
                )
            ]  # fmt: skip
            assert chosen == list(single.chosen)
            assert [entry.item for entry in chosen] == naive_chosen(space, history.tolist(), target, config)
            shown = [single.channels.similarity[entry.item] for entry in chosen]
            assert block.similarity[place][kept].tolist() == shown
            assert np.isnan(block.score[place][~kept]).all()
            # The newest rating of an item is the one that is named.
            assert all(
                at == past.start + np.flatnonzero(history == data.item_index[at])[-1] for at in block.past[place][kept]
            )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_samples_of_the_shipped_dataset_in_wide_vectors(shipped: Dataset, strategy: str) -> None:
    rng = np.random.default_rng(1)
    space = space_of(shipped.n_items, 5, wide=40)
    rows = rng.choice(build_samples(shipped).rows, 400, replace=False)
    config = RetrievalConfig(strategy=strategy)
    retriever = Retriever(space)
    for block in retrieve_rows(space, shipped, rows, config):
        for row, past in zip(block.rows, block.past, strict=True):
            history = shipped.item_index[shipped.history_before(int(row))]
            single = retriever.retrieve(history, int(shipped.item_index[row]), config)
            assert shipped.item_index[past[past >= 0]].tolist() == [entry.item for entry in single.chosen]


@given(
    st.lists(st.tuples(lists, lists), min_size=1, max_size=5), st.integers(1, 14),
    st.one_of(st.sampled_from([0.0, 0.5, 2 / 3, 1.0]), st.floats(0, 1)),
    st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 4)), st.sampled_from(["max", "sum"]),
)  # fmt: skip
def test_rerank_rows_is_rerank_bit_by_bit(
    channels: list[tuple[list[int], list[int]]], k: int, gamma: float, beta: float, combine: str
) -> None:
    relevant_rows, recent_rows = (
        np.array([(items[:k] + [-1] * k)[:k] for items in side]) for side in zip(*channels, strict=True)
    )
    items, scores, first, second = rerank_rows(relevant_rows, recent_rows, k, gamma, beta, combine)
    for row, (relevant, recent) in enumerate(channels):
        expected = rerank(relevant, recent, k, gamma, beta, combine)
        there = items[row] >= 0
        assert there[: len(expected)].all()
        assert not there[len(expected) :].any()
        got = zip(items[row][there], scores[row][there], first[row][there], second[row][there], strict=True)
        assert [RankedItem(item, score, one or None, two or None) for item, score, one, two in got] == expected


def test_a_file_holds_one_line_per_chosen_item(small: Dataset, tmp_path: Path) -> None:
    space, config, rows = space_of(small.n_items), RetrievalConfig(k=6), build_samples(small).rows
    path = tmp_path / "new" / "retrieval.parquet"
    fractions: list[float | None] = []
    lines = write_retrieval(path, space, small, rows, config, progress=lambda _what, done: fractions.append(done))
    table = pq.read_table(path)
    assert len(table) == lines == sum(min(6, row - small.user_ptr[small.user_index[row]]) for row in rows)
    assert (fractions[-1], fractions) == (1.0, sorted(fractions))  # type: ignore[type-var]
    metadata = table.schema.metadata
    assert RetrievalConfig.model_validate_json(metadata[b"retrieval"]) == config
    assert (metadata[b"first_channel"], metadata[b"second_channel"]) == (b"relevance", b"recency")
    by_row: dict[int, list[dict[str, Any]]] = {}
    for line in table.to_pylist():
        by_row.setdefault(line["row"], []).append(line)
    assert set(by_row) == set(rows.tolist())
    for row, mine in by_row.items():
        history = small.item_index[small.history_before(row)]
        single = Retriever(space).retrieve(history, int(small.item_index[row]), config)
        assert [line["place"] for line in mine] == list(range(1, len(single.chosen) + 1))
        assert [
            RankedItem(line["past_item"], line["score"], line["first_rank"], line["second_rank"]) for line in mine
        ] == list(single.chosen)
        assert {(line["user"], line["item"]) for line in mine} == {(small.user_index[row], small.item_index[row])}
        assert [small.item_index[int(line["past_row"])] for line in mine] == [line["past_item"] for line in mine]
        assert [line["similarity"] for line in mine] == [single.channels.similarity[e.item] for e in single.chosen]
    assert [entry.name for entry in path.parent.iterdir()] == ["retrieval.parquet"]


def test_a_stopped_or_failed_run_leaves_no_file_and_an_earlier_one_as_it_was(small: Dataset, tmp_path: Path) -> None:
    rows, path = build_samples(small).rows, tmp_path / "retrieval.parquet"
    seen: list[float | None] = []
    with pytest.raises(Stopped, match=r"Stopped after [1-9].* of .* samples"):
        write_retrieval(
            path, space_of(small.n_items), small, rows, RetrievalConfig(),
            progress=lambda _what, done: seen.append(done), stop=lambda: len(seen) == 2,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    path.write_text("earlier")
    with pytest.raises(DataError, match="has no vector"):
        write_retrieval(path, space_of(3), small, rows, RetrievalConfig())
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("retrieval.parquet", "earlier")]


def test_no_samples_are_no_blocks(small: Dataset, tmp_path: Path) -> None:
    nothing = np.array([], dtype=np.int64)
    assert list(retrieve_rows(space_of(small.n_items), small, nothing, RetrievalConfig())) == []
    assert write_retrieval(tmp_path / "x.parquet", space_of(small.n_items), small, nothing, RetrievalConfig()) == 0
