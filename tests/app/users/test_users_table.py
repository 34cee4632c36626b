"""The list of users: every column against a walk through each user's own ratings; order, filter and pages."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from app.users.address import USER_COLUMNS, UsersQuery
from app.users.people import PAGE, UserPage, UserTable
from backend.datasets import Dataset
from tests.app.views import dataset_of
from tests.conftest import DAY


@pytest.fixture
def table(small: Dataset) -> UserTable:
    return UserTable(small)


def users(page: UserPage) -> list[str]:
    return [row.user for row in page.rows]


def test_every_value_is_that_of_the_user_s_own_ratings(small: Dataset, table: UserTable) -> None:
    predictions = np.arange(small.n_users)[::-1].copy()
    page = table.page(UsersQuery(), predictions)
    assert users(page) == small.user_ids
    for code, row in enumerate(page.rows):
        users_rows = small.user_rows(code)
        ratings = [float(r) for r in small.rating[users_rows]]
        assert row.ratings == len(ratings)
        assert row.mean == pytest.approx(sum(ratings) / len(ratings))
        assert row.liked == pytest.approx(sum(r > 3 for r in ratings) / len(ratings))
        assert (row.first, row.last) == (min(small.timestamp[users_rows]), max(small.timestamp[users_rows]))
        assert row.predictions == predictions[code]
        genres = Counter(name for item in small.item_index[users_rows] for name in small.categories[item])
        shown = [genres[name] for name in row.genres]
        assert shown == [count for _, count in genres.most_common(3)], "the same counts, whoever wins a tie"


def test_a_hand_computed_user(table: UserTable) -> None:
    # User 1 rates places 0 to 4: 1.0, 1.5, 2.0, 2.5, 3.0 on days 0, 0, 2, 3, 3.
    [row] = table.page(UsersQuery(find="1"), None).rows
    assert (row.user, row.ratings, row.mean, row.liked, row.predictions) == ("1", 5, 2.0, 0.0, None)
    assert (row.first, row.last) == (0, 3 * DAY)


@pytest.mark.parametrize("column", USER_COLUMNS)
def test_sorting_is_by_the_value_and_equal_users_stay_in_the_order_of_their_ids(
    small: Dataset, table: UserTable, column: str
) -> None:
    predictions = np.array([3, 1, 2, 0, 2, 2, 1, 0])
    keys = {
        row.user: {
            "user": int(row.user), "ratings": row.ratings, "mean": row.mean, "liked": row.liked, "first": row.first,
            "last": row.last, "genre": row.genres[:1], "predictions": row.predictions,
        }[column]
        for row in table.page(UsersQuery(), predictions).rows
    }  # fmt: skip
    rising = users(table.page(UsersQuery(sort=column), predictions))
    assert rising == sorted(small.user_ids, key=lambda user: (keys[user], int(user)))
    falling = users(table.page(UsersQuery(sort=f"-{column}"), predictions))
    by_value = sorted(small.user_ids, key=lambda user: keys[user], reverse=True)  # stable: ids rise among equals
    assert falling == by_value


def test_finding_and_filtering(table: UserTable) -> None:
    predictions = np.array([0, 1, 0, 2, 0, 0, 0, 3])
    page = table.page(UsersQuery(show="predicted", sort="-predictions"), predictions)
    assert (users(page), page.found, page.total) == (["7", "3", "1"], 3, 8)
    assert users(table.page(UsersQuery(show="predicted", find=" 3 "), predictions)) == ["3"]
    nothing = table.page(UsersQuery(find="nobody"), predictions)
    assert (nothing.rows, nothing.found, nothing.pages, nothing.page) == ((), 0, 1, 1)


def test_ids_are_found_whatever_their_case(small: Dataset) -> None:
    named = UserTable(dataset_of(small, "ÜBER"))
    assert len(named.page(UsersQuery(find="über3"), None).rows) == 1


def test_pages_together_are_the_whole_list(shipped: Dataset) -> None:
    table = UserTable(shipped)
    first = table.page(UsersQuery(sort="-ratings"), None)
    assert (first.total, first.pages, len(first.rows)) == (671, 14, PAGE)
    assert first.rows[0].ratings == 2391
    every = [
        user for n in range(first.pages) for user in users(table.page(UsersQuery(sort="-ratings", page=n + 1), None))
    ]
    assert sorted(every) == sorted(shipped.user_ids)
    beyond = table.page(UsersQuery(page=999), None)
    assert (beyond.page, len(beyond.rows)) == (14, 671 - 13 * PAGE)


def test_without_times_nothing_is_said_of_them(small: Dataset) -> None:
    untimed = replace(small, meta=small.meta.model_copy(update={"time_ordered": False}))
    page = UserTable(untimed).page(UsersQuery(sort="-last"), None)
    assert not page.time_ordered
    assert {(row.first, row.last) for row in page.rows} == {(None, None)}
    assert users(page) == small.user_ids
