"""What a past says about a target: against a naive version, at the edges, and that it knows nothing it must not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets import Dataset, build_samples, split
from backend.datasets.samples import Split
from backend.datasets.statistics import TrainingStatistics, training_rows
from backend.errors import Stopped
from backend.evidence import STATISTICS, Evidence, EvidenceReader
from backend.representation import PARTS, ItemSpace
from tests.conftest import random_space

# The items of the small dataset point in one of three directions or in none: similarities are 0 or 1, with many ties.
AXES = np.eye(4, 3, dtype=np.float32)[np.arange(30) % 4]
PAST = st.lists(st.tuples(st.integers(0, 29), st.integers(1, 10).map(lambda half: half / 2)), max_size=40)


def parts_of(data: Dataset) -> Split:
    return split(build_samples(data), data)


def space_of(collaborative: np.ndarray) -> ItemSpace:
    return ItemSpace(collaborative, dict.fromkeys(PARTS, 0) | {"collaborative": collaborative.shape[1]})


def reader_of(data: Dataset, space: ItemSpace | None = None) -> EvidenceReader:
    space = space or random_space(data.n_items, 5)
    return EvidenceReader(data, TrainingStatistics(data, parts_of(data)), space)


def past_of(data: Dataset, row: int) -> list[tuple[int, float]]:
    block = data.history_before(row)
    return list(zip(data.item_index[block].tolist(), data.rating[block].tolist(), strict=True))


def naive(
    data: Dataset, vectors: np.ndarray, user: int, item: int, past: Sequence[tuple[int, float]]
) -> dict[str, float]:
    """Every number as its definition has it, one by one."""
    learned = training_rows(data, parts_of(data)).tolist()
    everybody = [float(data.rating[row]) for row in learned]

    def mean(values: Sequence[float], zeros: int = 0) -> float:
        return sum(values) / (len(values) + zeros) if len(values) + zeros else math.nan

    def of_others(which: int) -> list[float]:
        rows = [row for row in learned if data.item_index[row] == which and data.user_index[row] != user]
        return [float(data.rating[row]) for row in rows]

    def smoothed(which: int) -> float:
        return (sum(of_others(which)) + 5 * mean(everybody)) / (len(of_others(which)) + 5)

    ratings = [rating for _, rating in past]
    liked = [float(rating > 3) for rating in ratings]
    against = mean([rating - smoothed(which) for which, rating in past[-200:]], 3)
    kinds = [set(data.categories[which]) & set(data.categories[item]) for which, _ in past]
    alike = [rating for (_, rating), shared in zip(past, kinds, strict=True) if shared]
    similar = [float(vectors[item] @ vectors[which]) if which != item else 0.0 for which, _ in past]
    near = sorted(range(len(past)), key=lambda place: (-similar[place], -place))[:20]
    near = [place for place in near if similar[place] > 0]
    return {
        "mean": mean(ratings),
        "liked": mean(liked),
        "mean_of_10": mean(ratings[-10:]),
        "mean_of_3": mean(ratings[-3:]),
        "liked_of_10": mean(liked[-10:]),
        "spread": float(np.std(ratings)) if ratings else math.nan,
        "count": len(past),
        "item_mean": smoothed(item),
        "item_count": len(of_others(item)),
        "year": float(data.items["year"][item]),
        "categories": len(data.categories[item]),
        "against_others": against,
        "expected": smoothed(item) + against,
        "by_category": sum(rating - mean(ratings) for rating in alike) / (len(alike) + 3),
        "by_nearest": sum(similar[place] * (ratings[place] - mean(ratings)) for place in near)
        / (sum(similar[place] for place in near) + 3),
        "category_count": len(alike),
        "category_mean": mean(alike),
        "nearest_count": len(near),
        "nearest_mean": mean([ratings[place] for place in near]),
        "nearest_liked": sum(liked[place] for place in near),
    }


def expected(numbers: dict[str, float]) -> Any:
    return pytest.approx(numbers, rel=1e-5, abs=1e-5, nan_ok=True)


def same(first: Evidence, second: Evidence) -> list[bool]:
    """Of each target, whether all its numbers are the same."""
    return [str(first.at(place)) == str(second.at(place)) for place in range(len(first))]


def test_every_interaction_by_hand(small: Dataset) -> None:
    space = random_space(small.n_items, 5)
    rows = np.random.default_rng(0).permutation(small.n_interactions)
    read = reader_of(small, space).of_rows(rows)
    assert len(read) == small.n_interactions
    assert read.statistics.shape == (len(rows), len(STATISTICS)) == (len(rows), 15)
    for place, row in enumerate(rows.tolist()):
        user, item = int(small.user_index[row]), int(small.item_index[row])
        by_hand = naive(small, space.variant("id"), user, item, past_of(small, row))
        assert read.at(place) == expected(by_hand), row
        assert read.statistics[place].tolist() == expected([by_hand[name] for name in STATISTICS])


@given(user=st.integers(0, 7), item=st.integers(0, 29), past=PAST)
def test_any_past_by_hand(small: Dataset, user: int, item: int, past: list[tuple[int, float]]) -> None:
    items, ratings = np.array([one for one, _ in past], dtype=np.int64), np.array([one for _, one in past])
    read = reader_of(small, space_of(AXES)).of_past(user, item, items, ratings)
    assert read.at(0) == expected(naive(small, AXES, user, item, past))


def test_an_edited_past_speaks_for_itself(small: Dataset) -> None:
    reader, row = reader_of(small), small.n_interactions - 1
    user, item, block = int(small.user_index[row]), int(small.item_index[row]), small.history_before(row)
    items, ratings = small.item_index[block], small.rating[block]
    assert same(reader.of_past(user, item, items, ratings), reader.of_rows([row])) == [True]
    edited = reader.of_past(user, item, items, np.where(np.arange(len(items)) == 0, 0.5, ratings))
    assert edited.count[0] == len(items)
    assert edited.mean[0] == pytest.approx(np.r_[0.5, ratings[1:]].mean())
    assert edited.item_mean[0] == reader.of_rows([row]).item_mean[0]


def test_nothing_is_told_of_an_empty_past(small: Dataset) -> None:
    none = np.empty(0, dtype=np.int64)
    at = reader_of(small).of_past(0, 4, none, none.astype(np.float32)).at(0)
    unknown = {name for name, value in at.items() if math.isnan(value)}
    assert unknown == {
        "mean", "liked", "mean_of_10", "mean_of_3", "liked_of_10", "spread", "category_mean", "nearest_mean"
    }  # fmt: skip
    zero = {"count", "against_others", "by_category", "by_nearest", "category_count", "nearest_count", "nearest_liked"}
    assert {at[name] for name in zero} == {0.0}
    assert at["expected"] == at["item_mean"] > 0


def test_of_equally_similar_items_the_newest_count(small: Dataset) -> None:
    alike = space_of(np.ones((small.n_items, 1), dtype=np.float32))
    items, ratings = np.arange(1, 26), np.r_[np.full(5, 5.0), np.linspace(0.5, 2.5, 20)]
    at = reader_of(small, alike).of_past(0, 0, items, ratings).at(0)
    assert (at["nearest_count"], at["nearest_liked"]) == (20, 0)
    assert at["nearest_mean"] == pytest.approx(1.5)
    assert at["by_nearest"] == pytest.approx(20 * (1.5 - ratings.mean()) / 23)


def test_of_a_user_who_rated_an_item_twice_neither_rating_is_another_ones(small: Dataset) -> None:
    rows = np.arange(small.n_interactions)[small.user_rows(5)]
    first, again = np.intersect1d(rows, training_rows(small, parts_of(small)))[:2].tolist()
    items = small.item_index.copy()
    items[again] = items[first]
    data = replace(small, item_index=items)
    read, alone = reader_of(data).of_rows([first, again]), naive(data, np.zeros((30, 1)), 5, int(items[first]), [])
    assert read.item_mean.tolist() == pytest.approx([alone["item_mean"]] * 2)
    assert read.item_count.tolist() == [alone["item_count"]] * 2
    # The first rating is a rating before the second one; it is no other item that is similar.
    assert read.count.tolist() == [first - rows[0], again - rows[0]]
    assert (
        read.nearest_count[1]
        == reader_of(small)
        .of_past(5, int(items[first]), items[rows[0] : first], small.rating[rows[0] : first])
        .nearest_count[0]
    )


def test_what_is_to_be_predicted_reaches_no_one_but_the_users_own_later_targets(small: Dataset) -> None:
    parts = parts_of(small)
    held_out = np.r_[parts.validation, parts.test]
    rows, before = np.arange(small.n_interactions), reader_of(small)

    def turned(which: np.ndarray) -> EvidenceReader:
        rating = small.rating.copy()
        rating[which] = np.where(small.labels[which], 0.5, 5.0)
        return reader_of(replace(small, rating=rating))

    learned = training_rows(small, parts)
    assert all(same(before.of_rows(learned), turned(held_out).of_rows(learned)))
    for row in held_out.tolist():
        kept = np.array(same(before.of_rows(rows), turned(np.array([row])).of_rows(rows)))
        later = (small.user_index == small.user_index[row]) & (rows > row)
        assert (~kept).tolist() == later.tolist()


def test_many_are_read_piece_by_piece(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.evidence.statistics._PIECE", 10)
    reader, rows = reader_of(small), np.random.default_rng(1).permutation(small.n_interactions)
    told: list[float | None] = []
    table = reader.statistics_of(rows, lambda _what, fraction: told.append(fraction))
    np.testing.assert_array_equal(table, reader.of_rows(rows).statistics.astype(np.float32))
    assert all(a < b for a, b in pairwise(filter(None, told)))
    assert reader.statistics_of([]).shape == (0, 15)
    with pytest.raises(Stopped):
        reader.statistics_of(rows, stop=lambda: True)
