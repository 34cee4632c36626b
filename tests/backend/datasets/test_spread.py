"""Samples spread over users: the definition step by step, and properties."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets.samples import spread_sample
from backend.errors import UsageError
from tests.backend.datasets.test_samples import interactions, make, with_counts


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
