"""The address of a Users page: what it says is what is shown, and every link is one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.shared.controls import short_gamma
from app.users.address import (
    AXES,
    PREDICTION_COLUMNS,
    SHOWN_PREDICTIONS,
    SHOWN_USERS,
    USER_COLUMNS,
    UsersQuery,
)
from backend.errors import UsageError
from backend.prompting import KNOWLEDGE_WORDINGS


@st.composite
def queries(draw: st.DrawFn) -> UsersQuery:
    user = draw(st.sampled_from(["", "15", "a&b=c ü"]))
    columns, kinds = (PREDICTION_COLUMNS, SHOWN_PREDICTIONS) if user else (USER_COLUMNS, SHOWN_USERS)
    return UsersQuery(
        user=user,
        find=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
        sort=draw(st.sampled_from(["", *columns, *(f"-{name}" for name in columns)])),
        show=draw(st.sampled_from(kinds)),
        page=draw(st.integers(1, 10_000)),
        item=draw(st.sampled_from(["", "1", "%20"])),
        knowledge=draw(st.sampled_from(["", *KNOWLEDGE_WORDINGS])),
        gamma=draw(st.sampled_from([None, 0.0, 1.0, 1 / 2, 2 / 3, 4 / 5, 0.123456])),
        axis=draw(st.sampled_from(AXES)),
    )


@given(queries())
def test_a_link_leads_to_what_it_was_made_from(query: UsersQuery) -> None:
    assert UsersQuery.parse(query.link()) == query


def test_what_has_its_default_is_not_in_the_link() -> None:
    assert UsersQuery().link() == "/users"
    assert UsersQuery(user="15", sort="-error").link(gamma=2 / 3) == "/users?user=15&sort=-error&gamma=0.667"


def test_the_paper_s_gamma_is_short_and_any_other_is_whole() -> None:
    assert [short_gamma(g) for g in (1 / 2, 2 / 3, 4 / 5, 0.0, 1.0)] == ["0.5", "0.667", "0.8", "0", "1"]
    assert float(short_gamma(0.66712345)) == 0.66712345


def test_other_parameters_are_passed_over() -> None:
    assert UsersQuery.parse({"user": "15", "theme": "dark", "__theme": ""}) == UsersQuery(user="15")
    assert UsersQuery.parse("") == UsersQuery.parse("?") == UsersQuery.parse("/users") == UsersQuery()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sort": "p_g"}, "sort"), ({"sort": "--mean"}, "sort"), ({"user": "1", "sort": "mean"}, "sort"),
        ({"show": "wrong"}, "show"), ({"user": "1", "show": "predicted"}, "show"), ({"page": "two"}, "page"),
        ({"page": "nan"}, "page"), ({"page": "1e400"}, "page"), ({"gamma": "1.5"}, "gamma"),
        ({"gamma": "inf"}, "gamma"), ({"axis": "place"}, "axis"), ({"knowledge": "<b>"}, "knowledge"),
    ],
)  # fmt: skip
def test_what_no_link_of_the_page_says_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        UsersQuery.parse(given)


def test_every_field_is_part_of_the_address() -> None:
    query = UsersQuery(
        user="u", find="f", sort="item", show="wrong", page=3, item="i", knowledge="none", gamma=0.25, axis="order",
        dataset="d",
    )  # fmt: skip
    assert query.link() == (
        "/users?user=u&find=f&sort=item&show=wrong&page=3&item=i&knowledge=none&gamma=0.25&axis=order&dataset=d"
    )
    assert all(f"{name}=" in query.link() for name in UsersQuery.model_fields)
