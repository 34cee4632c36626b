"""The ID-based systems: what they see of a sample, what they learn, and that they learn nothing they must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from backend.baselines import NETWORKS, NetworkConfig
from backend.baselines.fields import Fields
from backend.baselines.inputs import SEQUENCES, Inputs
from backend.baselines.networks import network
from backend.baselines.training import BaselineScores, train_network
from backend.datasets import Dataset, build_samples, split
from backend.datasets.samples import Split
from backend.datasets.statistics import TrainingStatistics, training_rows
from backend.errors import DataError, Stopped, UnknownNameError
from backend.evaluation import metrics
from backend.evidence import STATISTICS, EvidenceReader
from tests.conftest import random_space

QUICK = NetworkConfig(dimensions=4, layers=(8,), max_epochs=3, batch_size=64)


@pytest.fixture
def parts(small: Dataset) -> Split:
    return split(build_samples(small), small)


def evidence_of(data: Dataset, parts: Split) -> EvidenceReader:
    return EvidenceReader(data, TrainingStatistics(data, parts), random_space(data.n_items))


def train(data: Dataset, parts: Split, folder: Path, name: str = "DeepFM", **changed: object) -> BaselineScores:
    config, evidence = QUICK.model_copy(update=changed), evidence_of(data, parts)
    return train_network(name, data, parts, config, 0, evidence=evidence, checkpoint=folder / "state")


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


@pytest.mark.parametrize("latest", [3, 50])
def test_the_past_is_the_liked_and_the_other_items_and_numbers(small: Dataset, parts: Split, latest: int) -> None:
    learned, rows = training_rows(small, parts), np.arange(small.n_interactions)
    statistics = evidence_of(small, parts).statistics_of(rows)
    inputs = Inputs(small, learned, rows, statistics, latest)
    item_codes = inputs.of(rows)["item"]
    some = rows[::7]
    given = inputs.of(some)
    assert set(given) == {*inputs.sizes, *SEQUENCES, *STATISTICS}
    for place, row in enumerate(some.tolist()):
        newest = list(range(small.history_before(row).start, row))[::-1][:latest]
        for name, liked in SEQUENCES.items():
            told = [item_codes[one] if small.labels[one] == liked else 0 for one in newest]
            assert given[name][place].tolist() == told + [0] * (latest - len(told))
    for place, name in enumerate(STATISTICS):
        column = inputs.of(learned)[name].astype(np.float64)
        known = ~np.isnan(statistics[learned, place])
        assert column[known].mean() == pytest.approx(0, abs=1e-5)
        assert column[known].std() == pytest.approx(1, abs=1e-5) or not column.any()
        assert not column[~known].any()
        # What is scaled keeps its order.
        order = np.argsort(statistics[learned[known], place], kind="stable")
        assert (np.diff(column[known][order]) >= 0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_from_the_past_of_users_it_never_saw(
    name: str, small: Dataset, parts: Split, tmp_path: Path
) -> None:
    # A user likes all or nothing, items say nothing, and who is asked about was not there in training.
    data = replace(small, rating=np.where(small.user_index % 2, 5.0, 0.5).astype(np.float32))
    learns = small.user_index[parts.train] < 6
    held_out = np.r_[parts.train[~learns], parts.validation, parts.test]
    strangers = held_out[small.user_index[held_out] >= 6]
    apart = Split(parts.train[learns], np.empty(0, dtype=np.int64), strangers)
    made = train(data, apart, tmp_path, name, max_epochs=15, learning_rate=0.02, batch_size=16)
    assert metrics.auc(data.labels[made.rows], made.scores) > 0.95


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_who_likes_what(name: str, small: Dataset, parts: Split, tmp_path: Path) -> None:
    # Every second item is liked by all: an ID-based system must find that out.
    liked = (small.item_index % 2).astype(np.float32) * 4 + 0.5
    data = replace(small, rating=liked)
    made = train(data, parts, tmp_path, name, max_epochs=20, patience=20, learning_rate=0.02, batch_size=16)
    assert made.rows.tolist() == sorted([*parts.validation, *parts.test])
    assert ((made.scores >= 0) & (made.scores <= 1)).all()
    assert made.curve[-1]["loss"] < made.curve[0]["loss"] / 2
    seen = np.isin(data.item_index[made.rows], data.item_index[training_rows(data, parts)])
    assert metrics.auc(data.labels[made.rows[seen]], made.scores[seen]) > 0.95


def test_xdeepfm_is_the_sum_of_its_three_parts() -> None:
    model = network("xDeepFM", {"user": 5, "item": 7}, QUICK).eval()
    x = {"user": torch.tensor([1, 2, 0]), "item": torch.tensor([3, 0, 6])}
    x |= {
        "liked before": torch.tensor([[1, 2], [3, 0], [0, 0]]),
        "not liked before": torch.tensor([[0, 0], [0, 4], [5, 6]]),
    }
    x |= {name: torch.randn(3) for name in STATISTICS}
    tables = model.embedding.embed_dict
    pooled = [
        torch.stack([tables["item"](codes[codes > 0]).sum(dim=0) / max(len(codes[codes > 0]), 1) for codes in x[name]])
        for name in SEQUENCES
    ]
    fields = torch.stack([tables["user"](x["user"]), tables["item"](x["item"]), *pooled], dim=1)
    numbers = torch.stack([x[name] for name in STATISTICS], dim=1)
    # A compressed interaction layer by hand: every pair's elementwise product, mixed, summed over the dimensions.
    first, second = model.cin.conv_layers
    pairs = torch.einsum("bid,bjd->bijd", fields, fields).flatten(1, 2)
    one = torch.relu(torch.einsum("oi,bid->bod", first.weight[..., 0], pairs) + first.bias[:, None])
    kept, on = one.split(one.shape[1] // 2, dim=1)
    pairs = torch.einsum("bid,bjd->bijd", fields, on).flatten(1, 2)
    two = torch.relu(torch.einsum("oi,bid->bod", second.weight[..., 0], pairs) + second.bias[:, None])
    crossed = model.cin.fc(torch.cat([kept, two], dim=1).sum(dim=2))
    flat = torch.cat([fields.flatten(1), numbers], dim=1)
    by_hand = torch.sigmoid(model.linear(flat) + crossed + model.mlp(flat))[:, 0]
    assert torch.allclose(model(x), by_hand, atol=1e-6)


def test_what_is_to_be_predicted_is_not_learned(small: Dataset, parts: Split, tmp_path: Path) -> None:
    rating = small.rating.copy()
    rating[parts.test] = np.where(small.labels[parts.test], 0.5, 5.0)
    told, turned = (
        train(data, parts, tmp_path / name) for name, data in (("a", small), ("b", replace(small, rating=rating)))
    )
    assert told.curve == turned.curve
    # A test rating is in the past of the same user's later samples alone.
    first = {int(small.user_index[row]): int(row) for row in np.sort(parts.test)[::-1]}
    before = np.array([row <= first.get(int(small.user_index[row]), row) for row in told.rows])
    assert told.scores[before].tobytes() == turned.scores[before].tobytes()
    assert (told.scores[~before] != turned.scores[~before]).all()


def test_a_training_that_was_stopped_ends_as_one_that_was_not(small: Dataset, parts: Split, tmp_path: Path) -> None:
    whole = train(small, parts, tmp_path / "whole")
    told: list[str] = []
    with pytest.raises(Stopped):
        train_network(
            "DeepFM", small, parts, QUICK, 0, evidence=evidence_of(small, parts), checkpoint=tmp_path / "state",
            progress=lambda what, _fraction: told.append(what), stop=lambda: "epoch" in "".join(told),
        )  # fmt: skip
    assert ["epoch" in line for line in told] == [False, True]
    assert train(small, parts, tmp_path).scores.tobytes() == whole.scores.tobytes()


def test_bad_input_says_what_is_wrong(small: Dataset, parts: Split, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="one of AutoInt, DCN, DeepFM, xDeepFM"):
        train(small, parts, tmp_path, "FM")
    with pytest.raises(DataError, match="no training interaction"):
        train(small, replace(parts, train=parts.train[:0]), tmp_path)
