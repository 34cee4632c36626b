"""Samples, splits, the k-core and spread draws against hand-made cases, naive loops, and properties."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets import Dataset, LabelRule, Rules, Samples, build_samples, split
from backend.datasets.build import Raw, assemble, k_core
from backend.datasets.samples import spread_sample
from backend.errors import UnknownNameError, UsageError
from tests.conftest import meta_of

META = meta_of(rating_min=0)


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


@given(interactions)
def test_interactions_are_sorted_whatever_their_order(rows: list[tuple[int, int, float, int]]) -> None:
    dataset = make(rows)
    tuples = list(zip(dataset.user_index, dataset.timestamp, dataset.item_index, dataset.rating, strict=True))
    # u0..u6 and i0..i11 are no numbers, so i10 comes before i2
    place = {f"i{place}": code for code, place in enumerate([0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9])}
    assert tuples == sorted((user, time, place[f"i{item}"], rating) for user, item, rating, time in rows)
    assert dataset.meta.data_hash == make(rows[::-1]).meta.data_hash
    for user in range(dataset.n_users):
        assert (dataset.user_index[dataset.user_rows(user)] == user).all()
    assert dataset.user_ptr[-1] == len(rows)


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


def naive_core(pairs: set[tuple[int, int]], k: int) -> set[tuple[int, int]]:
    """Drop one short user or item after the other until there is none."""
    while True:
        for side in (0, 1):
            counts = {code: sum(pair[side] == code for pair in pairs) for code in {pair[side] for pair in pairs}}
            short = next((code for code, count in counts.items() if count < k), None)
            if short is not None:
                pairs = {pair for pair in pairs if pair[side] != short}
                break
        else:
            return pairs


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=50), st.integers(0, 4))
def test_the_core_is_that_of_the_definition(pairs: set[tuple[int, int]], k: int) -> None:
    listed = sorted(pairs)
    users, items = (np.array([pair[side] for pair in listed], dtype=np.int64) for side in (0, 1))
    kept = k_core(users, items, k)
    assert {pair for pair, stays in zip(listed, kept, strict=True) if stays} == naive_core(pairs, k)


def test_the_fixed_point_is_reached() -> None:
    # a chain: user n has items n and n + 1, so that dropping an end shortens the next one
    users = np.repeat(np.arange(50), 2)
    items = users + np.tile([0, 1], 50)
    assert not k_core(users, items, 2).any()
    assert k_core(users, items, 1).all()


@given(interactions, st.sampled_from([(0.9, 0.0), (0.5, 0.25), (0.7, 0.1)]), st.integers(0, 3))
def test_a_split_by_users_keeps_each_user_in_one_part(rows, shares: tuple[float, float], seed: int) -> None:
    plain = make(rows)
    rules = Rules(train=shares[0], validation=shares[1], seed=seed, split="users", min_history=1)
    data = make(rows, meta={"rules": rules})
    assert (data.meta.data_hash == plain.meta.data_hash) is False
    samples = build_samples(data)
    parts = split(samples, data)
    assert sorted(np.concatenate([parts.train, parts.validation, parts.test])) == sorted(samples.rows)
    users = [set(data.user_index[part].tolist()) for part in (parts.train, parts.validation, parts.test)]
    everybody = set().union(*users)
    assert sum(map(len, users)) == len(everybody)
    first = int(len(everybody) * round(100 * shares[0]) // 100)
    assert len(users[0]) == first
    assert len(users[1]) == len(everybody) * round(100 * shares[1]) // 100


@given(interactions)
def test_the_last_sample_of_each_user_is_its_last_interaction(rows) -> None:
    data = make(rows, meta={"rules": Rules(samples="last", min_history=2)})
    counts = np.diff(data.user_ptr)
    assert sorted(build_samples(data).rows) == [data.user_ptr[u + 1] - 1 for u in range(len(counts)) if counts[u] > 2]


@given(interactions, st.integers(0, 2))
def test_without_times_the_order_is_drawn_from_the_seed_and_the_ids_alone(rows, seed: int) -> None:
    meta = {"rules": Rules(seed=seed), "time_ordered": False}
    data, reordered = make(rows, meta=meta), make(rows[::-1], meta=meta)
    assert data.meta.data_hash == reordered.meta.data_hash
    for user in range(data.n_users):
        mine = data.user_rows(user)
        assert data.timestamp[mine].tolist() == list(range(mine.stop - mine.start))
    assert sorted(zip(data.user_index, data.rating, strict=True)) == sorted((row[0], row[2]) for row in rows)


def test_rules_refuse_what_makes_no_sense() -> None:
    for wrong in ({"train": 1.0}, {"train": 0.8, "validation": 0.2}, {"split": "random"}, {"min_history": 0}, {"k": 5}):
        with pytest.raises(ValueError):
            Rules(**wrong)


@given(interactions, st.integers(1, 7), st.one_of(st.none(), st.integers(1, 90)), st.integers(0, 5), st.data())
def test_users_give_as_evenly_as_they_can(rows, users: int, limit: int | None, seed: int, data: st.DataObject) -> None:
    dataset = make(rows)
    offered = np.array(data.draw(st.permutations(range(dataset.n_interactions))))
    offered = offered[: data.draw(st.integers(1, len(offered)))]
    stock = Counter(dataset.user_index[offered].tolist())
    users = min(users, len(stock))
    drawn = spread_sample(dataset, offered, users, limit, seed)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert set(drawn.tolist()) <= set(offered.tolist())
    assert drawn.tolist() == spread_sample(dataset, offered, users, limit, seed).tolist()

    everything = spread_sample(dataset, offered, users, None, seed)
    chosen = set(dataset.user_index[everything].tolist())
    assert len(chosen) == users
    assert len(everything) == sum(stock[user] for user in chosen)
    given_ = Counter(dataset.user_index[drawn].tolist())
    assert set(given_) <= chosen
    assert len(drawn) == min(len(everything), len(everything) if limit is None else limit)
    most = max(given_.values())
    assert all(given_[user] >= min(stock[user], most - 1) for user in chosen)

    both = {user for user in stock if len(set(dataset.labels[offered[dataset.user_index[offered] == user]])) == 2}
    assert len(chosen & both) == min(users, len(both))


def test_more_rows_are_asked_of_those_who_have_them() -> None:
    dataset = with_counts(1, 10, 2, 10)
    drawn = spread_sample(dataset, np.arange(23), users=4, limit=15)
    assert sorted(Counter(dataset.user_index[drawn].tolist()).values()) == [1, 2, 6, 6]


def test_a_larger_draw_holds_the_smaller_and_another_seed_draws_otherwise() -> None:
    dataset = with_counts(*[12] * 7)
    rows = np.arange(dataset.n_interactions)
    small, large = (set(spread_sample(dataset, rows, 3, limit, seed=1).tolist()) for limit in (5, 20))
    assert small < large
    draws = {tuple(spread_sample(dataset, rows, 3, 6, seed).tolist()) for seed in range(20)}
    assert len(draws) == 20
    users = Counter(user for draw in draws for user in set(dataset.user_index[list(draw)].tolist()))
    assert set(users) == set(range(7))


@pytest.mark.parametrize(("users", "limit", "said"), [(0, 3, "1 to 4"), (5, 3, "1 to 4"), (2, 0, "1 or more")])
def test_what_cannot_be_drawn_is_said(users: int, limit: int, said: str) -> None:
    dataset = with_counts(3, 3, 3, 3)
    with pytest.raises(UsageError, match=said):
        spread_sample(dataset, np.arange(12), users, limit)
