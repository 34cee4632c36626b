"""One user's habit and history, against the interactions themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.shared.genres import OTHER, first_genres
from app.users.people import Profiles, UserTable
from backend.datasets import Dataset


def profiles(data: Dataset) -> Profiles:
    return Profiles(data, UserTable(data))


def test_shares_are_of_the_user_s_ratings_and_of_all(small: Dataset) -> None:
    profile = profiles(small).profile(7)
    rows = small.user_rows(7)
    ratings, every = [float(r) for r in small.rating[rows]], [float(r) for r in small.rating]
    for value, mine, theirs in zip(profile.values, profile.own, profile.all, strict=True):
        assert mine == pytest.approx(ratings.count(value) / len(ratings))
        assert theirs == pytest.approx(every.count(value) / len(every))
    assert profile.habit.mean == pytest.approx(sum(ratings) / len(ratings))
    assert profile.everybody.mean == pytest.approx(sum(every) / len(every))
    assert profile.everybody.liked == pytest.approx(sum(r > 3 for r in every) / len(every))
    assert sum(profile.own) == pytest.approx(1)
    assert profile.samples == len(ratings) - 5


def test_tastes_are_of_genres_with_enough_ratings(small: Dataset) -> None:
    profile = profiles(small).profile(7)
    rows = small.user_rows(7)
    assert profile.genres

    def liked(name: str, ratings: np.ndarray, items: np.ndarray) -> list[bool]:
        return [bool(r > 3) for r, item in zip(ratings, items, strict=True) if name in small.categories[item]]

    for one in profile.genres:
        likes = liked(one.name, small.rating[rows], small.item_index[rows])
        every = liked(one.name, small.rating, small.item_index)
        assert one.ratings == len(likes) >= 5
        assert one.liked == pytest.approx(sum(likes) / len(likes))
        assert one.liked_by_all == pytest.approx(sum(every) / len(every))


def test_too_few_ratings_make_no_sample_and_no_taste(small: Dataset) -> None:
    profile = profiles(small).profile(0)
    assert (profile.habit.ratings, profile.samples, profile.genres) == (2, 0, ())


def test_what_the_dataset_says_of_a_user_is_told(small: Dataset) -> None:
    users = small.users.assign(age=range(20, 28))
    assert profiles(replace(small, users=users)).profile(3).facts == (("age", "23"),)


def test_the_timeline_is_the_whole_history_with_the_map_s_genres(small: Dataset) -> None:
    told = profiles(small).timeline(7)
    rows = small.user_rows(7)
    assert told.items.tolist() == small.item_index[rows].tolist()
    assert (np.diff(told.when) >= 0).all()
    genre, names = first_genres(small)
    assert told.genres == tuple(names)
    assert names[-1] == OTHER
    for place, item in enumerate(told.items):
        first = small.categories[item][0] if small.categories[item] else OTHER
        assert names[told.genre[place]] == names[genre[item]] == first
