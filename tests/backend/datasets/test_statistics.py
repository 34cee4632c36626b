"""What the training part says of items: the same as a naive loop, and never a word of validation or test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets import Dataset, DatasetMeta, LabelRule, Split, build_samples, split
from backend.datasets.statistics import MIN_OTHERS, TrainingStatistics, training_rows

META = DatasetMeta(
    name="toys", title="Toys", item_noun="toy", item_noun_plural="toys", verb_past="had", rating_min=0.5,
    rating_max=5, rating_unit="points", label_rule=LabelRule(threshold=3), time_ordered=True, licence="none",
    source_hash="0",
)  # fmt: skip
USERS, ITEMS = 6, 4
# Few items, so that a user often rates one of them again.
_interactions = st.lists(
    st.tuples(
        st.integers(0, USERS - 1),
        st.integers(0, 30),
        st.integers(0, ITEMS - 1),
        st.integers(1, 10).map(lambda half: half / 2),
    ),
    max_size=70,
)
_splits = st.sampled_from(["chronological", "per-user"])


def _dataset(rows: list[tuple[int, int, int, float]]) -> Dataset:
    """``rows``: user, time, item, rating."""
    rows = sorted(rows, key=lambda row: row[:3])
    user, time, item, rating = (np.array([row[at] for row in rows]) for at in range(4))
    users = user.astype(np.int32) if rows else np.empty(0, np.int32)
    return Dataset(
        META,
        pd.DataFrame({"user": [str(n) for n in range(USERS)]}),
        pd.DataFrame({"item": [str(n) for n in range(ITEMS)]}),
        users,
        item.astype(np.int32),
        rating.astype(np.float32),
        time.astype(np.int64),
        np.searchsorted(users, np.arange(USERS + 1)).astype(np.int64),
    )


def _parts(dataset: Dataset, how: Any, min_history: int = 2) -> Split:
    return split(build_samples(dataset, min_history), dataset, how)


def _naive_rows(dataset: Dataset, parts: Split) -> list[int]:
    train, hidden = set(parts.train.tolist()), {*parts.validation.tolist(), *parts.test.tolist()}
    last = max((dataset.timestamp[row] for row in train), default=-1)
    return [row for row in range(dataset.n_interactions) if row not in hidden and dataset.timestamp[row] <= last]


def _all_others(statistics: TrainingStatistics) -> list[float | None]:
    return [statistics.others(user, item) for user in range(USERS) for item in range(ITEMS)]


@given(_interactions, _splits)
def test_others_are_those_of_a_naive_loop_also_where_items_are_rated_again(
    interactions: list[tuple[int, int, int, float]], how: str
) -> None:
    dataset = _dataset(interactions)
    parts = _parts(dataset, how)
    rows = _naive_rows(dataset, parts)
    assert training_rows(dataset, parts).tolist() == rows
    statistics = TrainingStatistics(dataset, parts)
    for user in range(USERS):
        for item in range(ITEMS):
            ratings = [
                float(dataset.rating[row])
                for row in rows
                if dataset.item_index[row] == item and dataset.user_index[row] != user
            ]
            expected = sum(ratings) / len(ratings) if len(ratings) >= MIN_OTHERS else None
            assert statistics.others(user, item) == expected
    assert np.isnan(statistics.mean) if not rows else statistics.mean == np.mean(dataset.rating[rows], dtype="f8")


@given(_interactions, _splits)
def test_no_rating_of_validation_or_test_is_seen(interactions: list[tuple[int, int, int, float]], how: str) -> None:
    dataset = _dataset(interactions)
    parts = _parts(dataset, how)
    rating = dataset.rating.copy()
    hidden = np.concatenate([parts.validation, parts.test])
    rating[hidden] = np.where(rating[hidden] > 3, 0.5, 5)
    altered = replace(dataset, rating=rating)
    one, two = TrainingStatistics(dataset, parts), TrainingStatistics(altered, parts)
    assert _all_others(one) == _all_others(two)
    assert one.mean == two.mean or np.isnan([one.mean, two.mean]).all()


@given(_interactions, st.integers(0, USERS - 1))
def test_no_rating_of_the_user_is_seen(interactions: list[tuple[int, int, int, float]], user: int) -> None:
    dataset = _dataset(interactions)
    parts, rating = _parts(dataset, "chronological"), dataset.rating.copy()
    rating[dataset.user_rows(user)] = 5.5 - rating[dataset.user_rows(user)]
    altered = replace(dataset, rating=rating)
    for item in range(ITEMS):
        one, two = (TrainingStatistics(data, parts).others(user, item) for data in (dataset, altered))
        assert one == two


@given(_interactions)
def test_nothing_as_late_as_validation_is_learned_from_under_the_chronological_split(
    interactions: list[tuple[int, int, int, float]],
) -> None:
    dataset = _dataset(interactions)
    parts = _parts(dataset, "chronological")
    rows = training_rows(dataset, parts)
    later = np.concatenate([parts.validation, parts.test])
    assert not set(rows.tolist()) & set(later.tolist())
    if len(rows) and len(later):
        assert dataset.timestamp[rows].max() <= dataset.timestamp[later].min()


def test_an_average_of_too_few_is_none() -> None:
    # Users 0 to 3 rate item 0 first; the later ratings of item 1 make samples of user 0.
    rows = [(user, 0, 0, float(user + 1)) for user in range(4)] + [(0, 1 + n, 1, 4.0) for n in range(12)]
    dataset = _dataset(rows)
    statistics = TrainingStatistics(dataset, _parts(dataset, "chronological"))
    assert statistics.others(0, 0) == 3.0
    assert statistics.others(5, 0) == 2.5
    assert statistics.others(5, 1) == 4.0, "rated often, by one"
    assert statistics.others(0, 1) is None
    assert statistics.others(0, 2) is None


def test_the_shipped_data_has_an_average_for_most_of_what_is_asked(shipped: Dataset) -> None:
    parts = split(build_samples(shipped), shipped)
    statistics = TrainingStatistics(shipped, parts)
    rows = parts.train[:: len(parts.train) // 500]
    averages = [statistics.others(int(shipped.user_index[row]), int(shipped.item_index[row])) for row in rows]
    known = np.array([value for value in averages if value is not None])
    assert len(known) > 0.7 * len(averages)
    assert ((known >= 0.5) & (known <= 5)).all()
    assert statistics.mean == pytest.approx(3.5, abs=0.2)
