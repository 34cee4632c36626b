"""A link of which a part cannot be shown: the rest of it is, and nobody else's question takes its place."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.predict.service import PredictService, PredictServices
from app.predict.view import PredictSession
from app.shared.address import LeftOut, readable
from app.shared.frame import left_out_box
from app.what_if.service import WhatIfService
from app.what_if.view import WhatIfSession
from backend.errors import UsageError
from storage.workspace import Workspace

LINK = {"user": "7", "item": "901", "k": "4", "seed": "9"}


def refusing(*wrong: str) -> tuple[list[Mapping[str, str]], object]:
    """A look that refuses these parameters, and all that it was asked to show."""
    seen: list[Mapping[str, str]] = []

    def look(some: Mapping[str, str]) -> None:
        seen.append(some)
        for name in wrong:
            if name in some:
                raise UsageError(f"{name} is wrong")

    return seen, look


@pytest.mark.parametrize("wrong", [(), ("edits",), ("k",), ("user",), ("item", "seed"), ("user", "item", "k", "seed")])
def test_all_is_kept_but_what_is_wrong(wrong: tuple[str, ...]) -> None:
    query = {"edits": "{", **LINK}
    seen, look = refusing(*wrong)
    kept, left = readable(query, look)  # type: ignore[arg-type]
    assert kept == {name: value for name, value in query.items() if name not in wrong}
    assert {one.name for one in left} == set(wrong)
    assert all(one.why.startswith(f"{one.name} is wrong") for one in left)
    assert len(seen) <= len(query) + 1


def test_an_item_that_does_not_fit_the_user_is_left_out_and_not_the_user() -> None:
    def look(some: Mapping[str, str]) -> None:
        if {"user", "item"} <= some.keys():
            raise UsageError("too little past")

    assert readable({"item": "1", "user": "2"}, look) == ({"user": "2"}, (LeftOut("item", "too little past."),))


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"edits": "{bad"}, ["edits"]),
        ({"edits": '{"removed":["999999"]}'}, ["edits"]),
        ({"edits": "{bad", "seed": "x"}, ["seed", "edits"]),
        ({"id": "nothing"}, ["id"]),
        ({"item": "999999"}, ["item"]),
    ],
)
def test_a_broken_what_if_is_still_of_its_user_and_settings(
    workspace: Workspace, service: PredictService, more: dict[str, str], names: list[str]
) -> None:
    what_ifs, page = WhatIfService(workspace, service), WhatIfSession()
    view, left = what_ifs.look_at(LINK | more, page)
    assert [one.name for one in left] == names
    assert page.view is view
    mended = view.what_if
    assert (mended.user, view.edited, mended.recipe.retrieval.k) == ("7", False, 4)
    assert (mended.item == "901") is ("item" not in names)
    assert (mended.recipe.reasoning.seed == 9) is ("seed" not in names)


@pytest.mark.parametrize(
    ("more", "names"),
    [({"item": "999999"}, ["item"]), ({"gamma": "banana"}, ["gamma"]), ({"gamma": "7", "k": "many"}, ["k", "gamma"])],
)
def test_a_broken_prediction_is_still_of_its_user_and_settings(
    workspace: Workspace, more: dict[str, str], names: list[str]
) -> None:
    services, session = PredictServices(workspace), PredictSession()
    view, left = services.look_at(LINK | more, session)
    assert [one.name for one in left] == names
    assert (view.request.user, view.request.choices["seed"]) == ("7", 9)
    assert (view.request.item == "901") is ("item" not in names)
    assert view.request.choices["gamma"] == services.request({}).choices["gamma"]
    # What was tried on the way is no setting of this page: nothing is marked as entering since.
    assert (view.entered, view.left) == (frozenset(), ())


def test_a_whole_link_has_nothing_left_out(workspace: Workspace, service: PredictService) -> None:
    assert PredictServices(workspace).look_at(LINK, PredictSession())[1] == ()
    assert WhatIfService(workspace, service).look_at(LINK, WhatIfSession())[1] == ()
    assert left_out_box(()) == ""


def test_it_says_where_the_question_is_another_than_the_links() -> None:
    assert "another question" in left_out_box([LeftOut("item", "No item")])
    assert "another question" not in left_out_box([LeftOut("edits", "unreadable")])
