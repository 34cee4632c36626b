"""Samples and splits against hand-made cases, a naive loop, and properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.datasets import Dataset, DatasetMeta, LabelRule, Samples, build_samples, split
from backend.datasets.build import Raw, assemble
from backend.errors import UnknownNameError, UsageError

META = DatasetMeta(
    name="toy",
    title="Toy",
    item_noun="toy",
    item_noun_plural="toys",
    verb_past="played with",
    rating_min=0,
    rating_max=5,
    rating_unit="points",
    label_rule=LabelRule(threshold=3),
    time_ordered=True,
    licence="none",
    source_hash="",
)


def make(
    rows: list[tuple[int, int, float, int]], rule: LabelRule | None = None, meta: dict[str, Any] | None = None
) -> Dataset:
    """A dataset of (user, item, rating, timestamp) rows; users u0..u6, items i0..i11. Without times, no timestamps."""
    users, items, ratings, times = (np.array(column) for column in zip(*rows, strict=True))
    frame = pd.DataFrame({"item": [f"i{place}" for place in range(12)], "title": "t"})
    frame["year"] = pd.array([None] * 12, dtype="Int64")
    frame["categories"] = [()] * 12
    said = META.model_copy(update={"label_rule": rule} if rule else meta or {})
    when = times.astype(int) if said.time_ordered else None
    users_frame = pd.DataFrame({"user": [f"u{place}" for place in range(7)]})
    return assemble(said, Raw(users_frame, frame, users.astype(int), items.astype(int), ratings, when))


def with_counts(*counts: int) -> Dataset:
    """A dataset whose user j has counts[j] interactions."""
    return make([(user, 0, 4.0, time) for user, count in enumerate(counts) for time in range(count)])


interactions = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 11), st.sampled_from([0, 2.5, 3, 3.5, 5]), st.integers(0, 9)),
    min_size=1,
    max_size=84,
    unique_by=lambda row: row[:2],
)


@settings(deadline=None)  # the first example pays for imports, and shared machines stall
@given(interactions)
def test_interactions_are_sorted_whatever_their_order(rows: list[tuple[int, int, float, int]]) -> None:
    dataset = make(rows)
    found = list(zip(dataset.user_index, dataset.timestamp, dataset.item_index, dataset.rating, strict=True))
    # u0..u6 and i0..i11 are no numbers, so i10 comes before i2
    place = {f"i{place}": code for code, place in enumerate([0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9])}
    assert found == sorted((user, time, place[f"i{item}"], rating) for user, item, rating, time in rows)
    assert dataset.meta.data_hash == make(rows[::-1]).meta.data_hash
    for user in range(dataset.n_users):
        assert (dataset.user_index[dataset.user_rows(user)] == user).all()
    assert dataset.user_ptr[-1] == len(rows)


@settings(deadline=None)
@given(interactions, st.integers(0, 6))
def test_samples_match_the_naive_loop(rows: list[tuple[int, int, float, int]], min_history: int) -> None:
    dataset = make(rows)
    samples = build_samples(dataset, min_history)
    naive = []
    for user in range(dataset.n_users):
        history = [row for row in range(dataset.n_interactions) if dataset.user_index[row] == user]
        naive += history[min_history:]
    naive.sort(key=lambda row: (dataset.timestamp[row], dataset.user_index[row], dataset.item_index[row]))
    assert samples.rows.tolist() == naive
    for row, start in zip(samples.rows, samples.starts, strict=True):
        before = dataset.history_before(row)
        assert (before.start, before.stop) == (start, row)
        assert row - start >= min_history
        assert (dataset.user_index[before] == dataset.user_index[row]).all()
        assert (dataset.timestamp[before] <= dataset.timestamp[row]).all()
        assert dataset.item_index[row] not in dataset.item_index[before]


@settings(deadline=None)
@given(interactions, st.sampled_from(["chronological", "per-user"]))
def test_splits_are_disjoint_cover_all_and_follow_time(rows: list[tuple[int, int, float, int]], how) -> None:
    dataset = make(rows)
    samples = build_samples(dataset, min_history=1)
    parts = split(samples, dataset, how)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together) == sorted(samples.rows)
    for name in ("train", "validation", "test"):
        assert all(parts.name_of(int(row)) == name for row in parts.part(name))
        order = np.isin(samples.rows, parts.part(name))
        assert samples.rows[order].tolist() == parts.part(name).tolist()
    not_samples = set(range(-1, dataset.n_interactions + 2)) - set(samples.rows.tolist())
    assert all(parts.name_of(row) is None for row in not_samples)
    if how == "chronological":
        assert together.tolist() == samples.rows.tolist()
    for user in range(dataset.n_users):
        sequence = [parts.name_of(row) for row in range(*dataset.user_rows(user).indices(dataset.n_interactions))][1:]
        assert sequence == sorted(sequence, key=["train", "validation", "test"].index)


@settings(deadline=None)
@given(interactions, st.sampled_from([0.0, 2.5, 3.0]), st.booleans())
def test_labels_follow_the_rule(rows: list[tuple[int, int, float, int]], threshold: float, inclusive: bool) -> None:
    rule = LabelRule(threshold=threshold, inclusive=inclusive)
    dataset = make(rows, rule)
    naive = [rating >= threshold if inclusive else rating > threshold for rating in dataset.rating.tolist()]
    assert dataset.labels.tolist() == naive == rule.apply(dataset.rating).tolist()


def test_rules_read_well() -> None:
    assert LabelRule(threshold=3.0).describe() == "rating > 3"
    assert LabelRule(threshold=4.5, inclusive=True).describe() == "rating >= 4.5"


def test_the_fifth_earlier_interaction_makes_the_first_sample() -> None:
    dataset = with_counts(5, 6, 8)
    samples = build_samples(dataset)
    # rows 0-4, 5-10, 11-18; targets at times 5, 5, 6, 7
    assert samples.rows.tolist() == [10, 16, 17, 18]
    assert samples.starts.tolist() == [5, 11, 11, 11]


@pytest.mark.parametrize(("n", "sizes"), [(970_009, (776_007, 97_000, 97_002)), (9, (7, 0, 2)), (1, (0, 0, 1))])
def test_chronological_shares_are_rounded_down(n: int, sizes: tuple[int, int, int]) -> None:
    rows = np.arange(n)
    parts = split(Samples(rows=rows, starts=rows, min_history=0), with_counts(1))
    assert (len(parts.train), len(parts.validation), len(parts.test)) == sizes


def test_per_user_takes_the_last_tenth_of_each() -> None:
    counts = (1, 2, 3, 19, 20, 35)
    dataset = with_counts(*counts)
    parts = split(build_samples(dataset, min_history=0), dataset, "per-user")
    sizes = [np.bincount(dataset.user_index[parts.part(name)], minlength=7) for name in ("train", "validation", "test")]
    assert sizes[0].tolist() == [0, 1, 1, 17, 16, 29, 0]
    assert sizes[1].tolist() == [0, 0, 1, 1, 2, 3, 0]
    assert sizes[2].tolist() == [1, 1, 1, 1, 2, 3, 0]


def test_no_samples_is_no_error() -> None:
    dataset = with_counts(2, 1)
    for how in ("chronological", "per-user"):
        parts = split(build_samples(dataset), dataset, how)
        assert [len(parts.train), len(parts.validation), len(parts.test)] == [0, 0, 0]
        assert parts.name_of(0) is None


def test_wrong_use_is_told() -> None:
    dataset = with_counts(7)
    with pytest.raises(UsageError, match="0 or more"):
        build_samples(dataset, -1)
    with pytest.raises(UnknownNameError, match="per-user"):
        split(build_samples(dataset), dataset, "random")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="validation"):
        split(build_samples(dataset), dataset).part("dev")
