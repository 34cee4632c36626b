"""The k-core against the definition step by step, and the parts of a split by their shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets import Rules, build_samples, split
from backend.datasets.build import k_core
from tests.backend.datasets.test_samples import interactions, make


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
