"""Equation 4: what LightGCN is given, what it learns, and that it can be cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_geometric.utils
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch_geometric.nn.models import LightGCN

from backend.datasets import Dataset, Split, build_samples, split
from backend.datasets.statistics import training_rows
from backend.errors import DataError, Stopped
from backend.representation import collaborative
from backend.representation.checkpoints import Run
from backend.representation.collaborative import Collaborative, CollaborativeConfig
from tests.backend.representation.conftest import Train


def _held_out(parts: Split) -> np.ndarray:
    return np.concatenate([parts.validation, parts.test])


@pytest.mark.parametrize("how", ["chronological", "per-user"])
def test_training_rows_are_train_and_what_came_before_its_end(small: Dataset, how: Any) -> None:
    parts = split(build_samples(small), small, how)
    end = max(small.timestamp[row] for row in parts.train)
    expected = [
        row
        for row in range(small.n_interactions)
        if parts.name_of(row) == "train" or (parts.name_of(row) is None and small.timestamp[row] <= end)
    ]
    rows = training_rows(small, parts)
    assert rows.tolist() == expected
    assert 0 < len(parts.train) < len(rows) < small.n_interactions
    assert not np.isin(rows, _held_out(parts)).any()
    if how == "chronological":
        assert small.timestamp[rows].max() <= small.timestamp[parts.validation].min()


def test_the_first_rows_of_users_who_come_later_are_left_out(crowds: Dataset, parts: Split) -> None:
    rows = training_rows(crowds, parts)
    unseen = [row for row in range(crowds.n_interactions) if parts.name_of(row) is None and row not in rows]
    assert len(unseen) >= 5 * 10  # the last users' first five
    assert crowds.timestamp[unseen].min() > crowds.timestamp[rows].max()


def _with_other_items(dataset: Dataset, rows: np.ndarray) -> Dataset:
    items, rating = dataset.item_index.copy(), dataset.rating.copy()
    items[rows] = (items[rows] + 7) % dataset.n_items
    rating[rows] = 0.5
    return replace(dataset, item_index=items, rating=rating)


def test_nothing_held_out_and_nothing_later_reaches_the_vectors(
    crowds: Dataset, parts: Split, train: Train, tmp_path: Path
) -> None:
    later = np.setdiff1d(np.arange(crowds.n_interactions), training_rows(crowds, parts))
    # one epoch: validation has no say in which is the best
    first = train(max_epochs=1)
    without_later = train(_with_other_items(crowds, later), max_epochs=1, checkpoint=tmp_path / "other")
    assert without_later.items.tobytes() == first.items.tobytes()
    # the test part has no say in that either
    changed = _with_other_items(crowds, parts.test)
    assert train(changed, checkpoint=tmp_path / "b").items.tobytes() == train().items.tobytes()
    taught = train(_with_other_items(crowds, parts.train[:1]), max_epochs=1, checkpoint=tmp_path / "taught")
    assert taught.items.tobytes() != first.items.tobytes()


def test_the_model_is_given_training_pairs_and_items_that_the_user_passed_over(
    crowds: Dataset, parts: Split, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_pairs, drawn = [], []
    sample = torch_geometric.utils.structured_negative_sampling

    def watched(edges: torch.Tensor, num_nodes: int) -> Any:
        given_pairs.append(edges.T.tolist())
        drawn.append(torch.stack(sample(edges, num_nodes)))
        return drawn[-1].unbind()

    monkeypatch.setattr(torch_geometric.utils, "structured_negative_sampling", watched)
    train(max_epochs=2)
    rows = training_rows(crowds, parts)
    users, items = np.unique(crowds.user_index[rows]), np.unique(crowds.item_index[rows])
    pairs = {(crowds.user_index[row], crowds.item_index[row]) for row in rows}
    assert len(given_pairs) == 2
    assert sorted((users[u], items[i]) for u, i in given_pairs[0]) == sorted(pairs)
    assert not any((users[u], items[i]) in pairs for u, _, i in drawn[0].T.tolist())
    assert not torch.equal(drawn[0], drawn[1])


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1), st.integers(0, 99))
def test_each_edge_is_met_once_with_an_item_that_is_none_of_the_users(edges: set[tuple[int, int]], seed: int) -> None:
    graph = collaborative._Graph(np.array(sorted(edges)).T, np.arange(6), n_users=5, n_items=6)
    torch.manual_seed(seed)
    users, taken, passed = (nodes.tolist() for nodes in collaborative._triples(graph))
    full = {user for user, _ in edges if sum(u == user for u, _ in edges) == 6}
    assert sorted(zip(users, (node - 5 for node in taken), strict=True)) == sorted(e for e in edges if e[0] not in full)
    assert all(5 <= node < 11 for node in passed)
    assert not edges & set(zip(users, (node - 5 for node in passed), strict=True))


def test_the_adjacency_and_its_propagation_are_those_of_lightgcn() -> None:
    # users a, b; items x, y, z; a took x and y, b took y
    graph = collaborative._Graph(np.array([[0, 0, 1], [0, 1, 1]]), np.arange(3), n_users=2, n_items=3)
    dense = collaborative._adjacency(graph).to_dense()
    expected = torch.zeros(5, 5)
    expected[0, 2] = expected[2, 0] = 1 / np.sqrt(2 * 1)
    expected[0, 3] = expected[3, 0] = 1 / np.sqrt(2 * 2)
    expected[1, 3] = expected[3, 1] = 1 / np.sqrt(1 * 2)
    torch.testing.assert_close(dense, expected)
    model = LightGCN(5, 4, 2, normalize=False)
    start = model.embedding.weight
    expected = (start + dense @ start + dense @ dense @ start) / 3
    torch.testing.assert_close(model.get_embedding(collaborative._adjacency(graph)), expected)


def test_recall_by_hand() -> None:
    items = torch.tensor([[1.0, 0.0], [0.9, 0.0], [0.0, 1.0], [0.5, 0.0], [0.0, 2.0]])
    first = (np.array([0]), np.array([1, 2]))  # ranked 1, 3, then 2 and 4: half is found among two
    second = (np.array([2, 4]), np.array([0]))  # the known themselves are not ranked; all others tie at 0
    assert collaborative._recall(items, [first], 2) == 0.5
    assert collaborative._recall(items, [first], 1) == 1.0  # one of one at most
    assert collaborative._recall(items, [first, second], 5) == 1.0
    assert collaborative._recall(items, [], 2) is None


def test_users_are_asked_about_by_what_they_rated_before_validation(crowds: Dataset, parts: Split) -> None:
    graph = collaborative._graph(crowds, training_rows(crowds, parts))
    users_questions = collaborative._questions(crowds, parts, graph, CollaborativeConfig(), seed=0)
    codes = {number: code for code, number in enumerate(graph.items) if number >= 0}
    expected = []
    for user in np.unique(crowds.user_index[parts.validation]):
        users_rows = parts.validation[crowds.user_index[parts.validation] == user]
        known = set(crowds.item_index[crowds.user_ptr[user] : users_rows.min()])
        expected.append((known, set(crowds.item_index[users_rows]) - known))
    assert [
        ({codes[n] for n in known}, {codes[n] for n in expected_items}) for known, expected_items in users_questions
    ] == expected
    few = CollaborativeConfig(validation_users=2)
    draws = [collaborative._questions(crowds, parts, graph, few, seed=seed) for seed in range(8)]
    for some in draws:
        assert len(some) == 2 < len(users_questions)
        assert all(any(np.array_equal(a, b) for b, _ in users_questions) for a, _ in some)
    assert len({tuple(a.tobytes() for a, _ in some) for some in draws}) > 1, "each seed draws its own"


def test_the_crowds_come_apart_and_the_unrated_movies_have_no_vector(train: Train) -> None:
    made = train(max_epochs=40, patience=40)
    assert made.items.shape == (40, 8)
    assert made.items.dtype == np.float32
    assert np.flatnonzero(~made.items.any(axis=1)).tolist() == [38, 39]
    unit = made.items[:38] / np.linalg.norm(made.items[:38], axis=1, keepdims=True)
    cosines, same = unit @ unit.T, np.equal.outer(np.arange(38) % 2, np.arange(38) % 2)
    assert cosines[same].mean() > cosines[~same].mean() + 0.5
    assert made.curve[-1]["loss"] < made.curve[0]["loss"] / 2
    assert made.best_epoch == 1 + int(np.argmax([point["recall"] for point in made.curve]))


def _same(a: Collaborative, b: Collaborative) -> bool:
    return a.items.tobytes() == b.items.tobytes() and (a.curve, a.best_epoch) == (b.curve, b.best_epoch)


def test_the_same_call_gives_the_same_bytes_and_another_seed_others(train: Train, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    first = train()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert _same(train(checkpoint=tmp_path / "again"), first)
    assert not _same(train(seed=2, checkpoint=tmp_path / "other"), first)


@pytest.mark.parametrize("calls", [2, 7])
def test_a_run_that_is_cut_off_and_goes_on_ends_in_the_same_bytes(train: Train, tmp_path: Path, calls: int) -> None:
    """``stop`` is asked before each epoch and each of its batches, of which there are several."""
    whole = train(checkpoint=tmp_path / "whole")
    told: list[str] = []
    stop_calls = iter(range(1000))
    with pytest.raises(Stopped):
        train(progress=lambda what, _: told.append(what), stop=lambda: next(stop_calls) >= calls)
    done = len(told)
    assert _same(train(progress=lambda what, _: told.append(what)), whole)
    assert len(told) == 5  # the epochs that were done were not done again
    assert done == (0 if calls == 2 else 1)


def test_a_damaged_state_or_one_of_another_run_is_trained_anew(train: Train, tmp_path: Path) -> None:
    whole = train(checkpoint=tmp_path / "state")
    (tmp_path / "damaged").write_bytes((tmp_path / "state").read_bytes()[:-1])
    (tmp_path / "damaged.part").write_bytes(b"what a killed run had written so far")
    assert _same(train(checkpoint=tmp_path / "damaged"), whole)
    assert not _same(train(checkpoint=tmp_path / "state", learning_rate=0.1), whole)
    assert _same(train(checkpoint=tmp_path / "state"), whole)


def test_threads_do_not_change_the_sums(shipped: Dataset, tmp_path: Path, train: Train) -> None:
    """Large enough for torch to share the work out."""
    before, parts = torch.get_num_threads(), split(build_samples(shipped), shipped)
    settings = {"max_epochs": 1, "batch_size": 40_000, "dimensions": 64}
    torch.set_num_threads(4)
    try:
        runs = [train(shipped, parts, checkpoint=tmp_path / name, **settings) for name in "ab"]
    finally:
        torch.set_num_threads(before)
    assert _same(*runs)


def test_without_validation_the_last_epoch_counts_and_without_training_there_is_nothing(
    crowds: Dataset, parts: Split, train: Train
) -> None:
    nobody = parts.train[:0]
    made = train(split=Split(parts.train, nobody, _held_out(parts)), max_epochs=3, patience=1)
    assert made.best_epoch == 3
    assert [point["recall"] for point in made.curve] == [None] * 3
    with pytest.raises(DataError, match="no training interaction"):
        train(split=Split(nobody, parts.validation, parts.test))


def test_settings_are_strict() -> None:
    assert CollaborativeConfig().recall_at == 20
    for wrong in ({"layer": 3}, {"layers": 0}, {"learning_rate": 0}, {"patience": 0}):
        with pytest.raises(ValidationError):
            CollaborativeConfig(**wrong)


def test_the_loss_is_bpr_with_the_length_of_the_batchs_own_embeddings(tmp_path: Path) -> None:
    graph = collaborative._Graph(np.array([[0, 0, 1], [0, 1, 1]]), np.arange(3), n_users=2, n_items=3)
    adjacency, triples = collaborative._adjacency(graph), torch.tensor([[0, 0], [2, 3], [4, 4]])
    model = LightGCN(5, 4, 2, normalize=False)
    start, x = model.embedding.weight.detach().clone(), model.get_embedding(adjacency).detach()
    margins = [float(x[0] @ x[2] - x[0] @ x[4]), float(x[0] @ x[3] - x[0] @ x[4])]
    expected = np.mean([np.log1p(np.exp(-margin)) for margin in margins])
    expected += 0.5 * sum(float(start[node] @ start[node]) for node in (0, 2, 3, 4)) / 2
    run = Run("test", "key", tmp_path / "state", max_epochs=1, patience=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = collaborative._one_epoch(model, optimizer, adjacency, triples, CollaborativeConfig(l2=0.5), run)
    assert loss == pytest.approx(expected, abs=1e-6)
    assert not torch.equal(model.embedding.weight, start)
