"""Retrieval judged by the labels of what it finds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.datasets import Dataset, build_samples, split
from backend.errors import Stopped
from backend.evaluation.metrics import auc, gauc
from backend.evaluation.retrieval_proxy import retrieval_proxy, weighted_vote
from backend.representation import VARIANTS, ItemSpace
from backend.retrieval import STRATEGIES, RetrievalConfig, Retriever
from tests.backend.retrieval.naive import histories, space_of


def naive_vote(labels: list[bool], similarity: list[float]) -> float:
    if not labels:
        return 0.0
    mean = sum(similarity) / len(similarity)
    spread = math.sqrt(sum((s - mean) ** 2 for s in similarity) / len(similarity))
    weights = [math.exp((s - mean) / spread) if spread > 1e-6 else 1.0 for s in similarity]
    return round(sum(w for w, label in zip(weights, labels, strict=True) if label) / sum(weights), 9)


def test_two_votes_one_standard_deviation_apart_each_way() -> None:
    yes = weighted_vote(np.array([[True, False]]), np.array([[0.95, 0.93]]))
    assert yes == pytest.approx([math.e / (math.e + 1 / math.e)], abs=1e-9)
    # Only differences count: neither the common level nor the scale of similarities does.
    assert weighted_vote(np.array([[True, False]]), np.array([[1.0, -3.0]])) == pytest.approx(yes)


def test_equal_similarities_are_a_plain_mean_and_empty_places_do_not_vote() -> None:
    labels = np.array([[True, False, True, True], [True, True, True, True]])
    votes = weighted_vote(labels, np.array([[0.0, 0.0, 0.0, np.nan], [np.nan] * 4]))
    assert votes == pytest.approx([2 / 3, 0.0], abs=1e-9)


def test_every_line_is_that_of_a_loop_over_single_samples(small: Dataset) -> None:
    space, rows, config = space_of(small.n_items, 2), build_samples(small).rows, RetrievalConfig(k=4)
    table = retrieval_proxy(space, small, rows, config)
    assert [(line.strategy, line.variant) for line in table] == [("user mean", None), ("last K", None)] + [
        (strategy, variant) for strategy in STRATEGIES for variant in VARIANTS
    ]
    users, labels = small.user_index[rows], small.labels[rows]
    for line in table:
        scores = []
        for row in rows:
            past = small.history_before(int(row))
            rated = dict(zip(small.item_index[past].tolist(), small.labels[past].tolist(), strict=True))
            if line.strategy == "user mean":
                scores.append(float(np.mean(list(rated.values()))))
            elif line.strategy == "last K":
                scores.append(float(np.mean(list(rated.values())[-4:])))
            else:
                choice = config.model_copy(update={"strategy": line.strategy, "variant": line.variant})
                retrieval = Retriever(space).retrieve(small.item_index[past], int(small.item_index[row]), choice)
                items = [entry.item for entry in retrieval.chosen]
                similarity = [retrieval.channels.similarity[item] for item in items]
                scores.append(naive_vote([rated[item] for item in items], similarity))
        assert line.samples == len(rows)
        assert (line.gauc, line.auc) == pytest.approx((gauc(users, labels, scores), auc(labels, scores)))


def test_vectors_that_know_the_users_taste_win_over_recency_and_noise_does_not() -> None:
    # Even items are liked, odd ones are not; each user sees them in an order that tells nothing.
    rng = np.random.default_rng(0)
    data = histories(*(rng.permutation(200)[:60].tolist() for _ in range(30)), items=200)
    rating = np.where(data.item_index % 2, 1.0, 5.0).astype(np.float32)
    data = Dataset(**{name: getattr(data, name) for name in ("meta", "users", "items", "user_index", "item_index",
        "timestamp", "user_ptr")}, rating=rating)  # fmt: skip
    kind = np.where(np.arange(200) % 2, -1.0, 1.0)[:, None]
    noise = rng.standard_normal((200, 4)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    space = ItemSpace(
        np.concatenate([kind, noise, np.zeros((200, 1))], axis=1).astype(np.float32),
        {"text": 1, "collaborative": 4, "aligned": 1},
    )
    accuracies = {
        (line.strategy, line.variant): line.gauc
        for line in retrieval_proxy(space, data, split(build_samples(data), data).validation, RetrievalConfig())
    }
    assert accuracies["mix-then-retrieve", "text"] > 0.99
    assert accuracies["mix-then-retrieve", "id"] < 0.8
    assert accuracies["last K", None] < 0.8


def test_it_stops_when_asked(small: Dataset) -> None:
    with pytest.raises(Stopped):
        retrieval_proxy(space_of(small.n_items), small, build_samples(small).rows, RetrievalConfig(), stop=lambda: True)
