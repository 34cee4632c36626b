"""The ID-based systems: what they see of a sample, what they learn, and that they learn nothing they must not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from backend.baselines import NETWORKS, NetworkConfig
from backend.baselines.fields import Fields
from backend.baselines.networks import network
from backend.baselines.training import BaselineScores, train_network
from backend.datasets import Dataset, build_samples, split
from backend.datasets.samples import Split
from backend.datasets.statistics import training_rows
from backend.errors import DataError, Stopped, UnknownNameError
from backend.evaluation import metrics

QUICK = NetworkConfig(dimensions=4, layers=(8,), max_epochs=3, batch_size=64)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more, and wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def parts(small: Dataset) -> Split:
    return split(build_samples(small), small)


def train(data: Dataset, parts: Split, folder: Path, name: str = "DeepFM", **changed: object) -> BaselineScores:
    return train_network(name, data, parts, QUICK.model_copy(update=changed), 0, checkpoint=folder / "state")


def test_the_fields_of_a_sample_are_who_and_what(small: Dataset, parts: Split) -> None:
    data = replace(small, users=small.users.assign(age=[30, 40] * (small.n_users // 2)))
    learned = training_rows(data, parts)
    fields = Fields(data, learned)
    assert [field.name for field in fields.all] == ["user", "age", "item", "title", "category"]
    codes = fields.codes(np.arange(data.n_interactions))
    for column, values in {
        0: data.user_index,
        1: data.users["age"].to_numpy()[data.user_index],
        2: data.item_index,
        3: data.items["title"].to_numpy()[data.item_index],
        4: np.array([names[0] if names else "" for names in data.categories])[data.item_index],
    }.items():
        known = set(values[learned].tolist()) - {""}
        assert fields.all[column].size == len(known) + 1
        # One number for one value, and 0 for all that the training part does not have.
        pairs = pd.DataFrame({"value": values, "code": codes[:, column]})
        assert all((code == 0) == (value not in known) for value, code in pairs.itertuples(index=False))
        told = pairs[pairs["code"] > 0]
        assert told.groupby("value")["code"].nunique().max() == told.groupby("code")["value"].nunique().max() == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_who_likes_what(name: str, small: Dataset, parts: Split, tmp_path: Path) -> None:
    # Every second item is liked by all: an ID-based system must find that out.
    liked = (small.item_index % 2).astype(np.float32) * 4 + 0.5
    data = replace(small, rating=liked)
    made = train(data, parts, tmp_path, name, max_epochs=30, patience=30, learning_rate=0.02, batch_size=16)
    assert made.rows.tolist() == sorted([*parts.validation, *parts.test])
    assert ((made.scores > 0) & (made.scores < 1)).all()
    assert made.curve[-1]["loss"] < made.curve[0]["loss"] / 2
    seen = np.isin(data.item_index[made.rows], data.item_index[training_rows(data, parts)])
    assert metrics.auc(data.labels[made.rows[seen]], made.scores[seen]) > 0.95


def test_xdeepfm_is_the_sum_of_its_three_parts() -> None:
    model = network("xDeepFM", {"user": 5, "item": 7}, QUICK).eval()
    x = {"user": torch.tensor([1, 2, 0]), "item": torch.tensor([3, 0, 6])}
    fields = torch.stack([model.embedding.embed_dict[name](x[name]) for name in ("user", "item")], dim=1)
    # A compressed interaction layer by hand: every pair's elementwise product, mixed, summed over the dimensions.
    first, second = model.cin.conv_layers
    pairs = torch.einsum("bid,bjd->bijd", fields, fields).flatten(1, 2)
    one = torch.relu(torch.einsum("oi,bid->bod", first.weight[..., 0], pairs) + first.bias[:, None])
    kept, on = one.split(one.shape[1] // 2, dim=1)
    pairs = torch.einsum("bid,bjd->bijd", fields, on).flatten(1, 2)
    two = torch.relu(torch.einsum("oi,bid->bod", second.weight[..., 0], pairs) + second.bias[:, None])
    crossed = model.cin.fc(torch.cat([kept, two], dim=1).sum(dim=2))
    flat = fields.flatten(1)
    by_hand = torch.sigmoid(model.linear(flat) + crossed + model.mlp(flat))[:, 0]
    assert torch.allclose(model(x), by_hand, atol=1e-6)


def test_what_is_to_be_predicted_is_not_learned(small: Dataset, parts: Split, tmp_path: Path) -> None:
    rating = small.rating.copy()
    rating[parts.test] = np.where(small.labels[parts.test], 0.5, 5.0)
    told, scores_when_changed = (
        train(data, parts, tmp_path / name) for name, data in (("a", small), ("b", replace(small, rating=rating)))
    )
    assert told.scores.tobytes() == scores_when_changed.scores.tobytes()


def test_a_training_that_was_stopped_ends_as_one_that_was_not(small: Dataset, parts: Split, tmp_path: Path) -> None:
    whole = train(small, parts, tmp_path / "whole")
    told: list[str] = []
    with pytest.raises(Stopped):
        train_network(
            "DeepFM", small, parts, QUICK, 0, checkpoint=tmp_path / "state",
            progress=lambda what, _fraction: told.append(what), stop=lambda: bool(told),
        )  # fmt: skip
    assert len(told) == 1
    assert train(small, parts, tmp_path).scores.tobytes() == whole.scores.tobytes()


def test_bad_input_says_what_is_wrong(small: Dataset, parts: Split, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="one of AutoInt, DCN, DeepFM, xDeepFM"):
        train(small, parts, tmp_path, "FM")
    with pytest.raises(DataError, match="no training interaction"):
        train(small, replace(parts, train=parts.train[:0]), tmp_path)
