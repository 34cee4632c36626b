"""The What-if editor's actions: each click, and that two that undo each other leave nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.what_if.edits import Plain, act
from backend.datasets import Dataset
from backend.errors import UnknownNameError, UsageError
from backend.pipeline import Recipe
from backend.what_if import Edits, Past


@pytest.fixture(scope="module")
def plain(small: Dataset) -> Plain:
    """The last sample of the small dataset."""
    past = Past.of(small, small.history_before(small.n_interactions - 1))
    return Plain(small, past, small.item_ids[int(small.item_index[-1])], Recipe())


@pytest.fixture(scope="module")
def old(plain: Plain) -> str:
    return plain.data.item_ids[int(plain.past.items[0])]


@pytest.fixture(scope="module")
def new(plain: Plain) -> str:
    """An item that the user never rated."""
    past = {*plain.past.items.tolist(), plain.data.item_code(plain.item)}
    return next(item for code, item in enumerate(plain.data.item_ids) if code not in past)


def after(plain: Plain, *actions: tuple[str, str, str]) -> str:
    edits = Edits()
    for do, name, value in actions:
        edits = act(edits, do, name, value, plain)
    return edits.canonical


def test_an_item_is_removed_and_put_back(plain: Plain, old: str) -> None:
    assert after(plain, ("remove", old, "")) == f'{{"removed":["{old}"]}}'
    assert after(plain, ("remove", old, ""), ("remove", old, "")) == f'{{"removed":["{old}"]}}'
    assert after(plain, ("remove", old, ""), ("restore", old, "")) == "{}"
    assert after(plain, ("rate", old, "1.5"), ("remove", old, "")) == f'{{"removed":["{old}"]}}'


def test_a_rating_is_an_edit_only_where_it_is_another(plain: Plain, old: str) -> None:
    rated = plain.rating(old)
    new_rating = "2.5" if rated != 2.5 else "3"
    assert after(plain, ("rate", old, new_rating)) == f'{{"rated":[{{"item":"{old}","rating":{float(new_rating)}}}]}}'
    assert after(plain, ("rate", old, new_rating), ("rate", old, f"{rated:g}")) == "{}"
    assert after(plain, ("rate", old, new_rating), ("restore", old, "")) == "{}"


def test_an_added_item_has_the_best_rating_and_is_the_newest_until_said_otherwise(plain: Plain, new: str) -> None:
    assert after(plain, ("add", new, "")) == f'{{"added":[{{"item":"{new}","rating":5.0}}]}}'
    changed = after(plain, ("add", new, ""), ("rate", new, "1"), ("place", new, "1"))
    assert changed == f'{{"added":[{{"item":"{new}","place":0,"rating":1.0}}]}}'
    assert after(plain, ("add", new, ""), ("place", new, "3"), ("place", new, "")) == after(plain, ("add", new, ""))
    for undo in ("remove", "restore"):
        assert after(plain, ("add", new, ""), (undo, new, "")) == "{}"


def test_a_past_item_that_is_added_moves_with_its_own_rating(plain: Plain, old: str) -> None:
    moved = after(plain, ("add", old, ""))
    assert moved == f'{{"added":[{{"item":"{old}","rating":{plain.rating(old)}}}],"removed":["{old}"]}}'
    assert after(plain, ("add", old, ""), ("add", old, "")) == moved
    assert after(plain, ("add", old, ""), ("restore", old, "")) == "{}"
    assert after(plain, ("add", old, ""), ("remove", old, "")) == f'{{"removed":["{old}"]}}'


def test_the_target_changes_and_comes_back_and_has_no_edits_of_its_own(plain: Plain, old: str) -> None:
    assert after(plain, ("rate", old, "1"), ("target", old, "")) == f'{{"target":"{old}"}}'
    assert after(plain, ("target", old, ""), ("target", plain.item, "")) == "{}"
    assert after(plain, ("target", old, ""), ("target", "", "")) == "{}"


def test_a_setting_is_an_edit_only_where_it_is_another(plain: Plain) -> None:
    assert after(plain, ("set", "k", "4"), ("set", "template", "answered")) == (
        '{"settings":{"k":4,"template":"answered"}}'
    )
    assert after(plain, ("set", "k", "4"), ("set", "k", "10")) == "{}"
    assert after(plain, ("set", "k", "4"), ("set", "k", "")) == "{}"
    assert after(plain, ("set", "gamma", "0.667")) == "{}"  # means 2/3, as on the Predict page
    assert after(plain, ("set", "gamma", "0.333")) == '{"settings":{"gamma":0.3333333333333333}}'


def test_a_hint_of_ones_own_begins_with_the_one_before(plain: Plain) -> None:
    assert after(plain, ("hint", "", "no")) == '{"hint":"no"}'
    address = after(plain, ("hint", "", "no"), ("hint", "", "own"))
    assert address == '{"hint":"own","sentence":"Another one think the answer might be No."}'
    assert after(plain, ("hint", "", "own"), ("sentence", "", " I  like it. ")) == (
        '{"hint":"own","sentence":"I like it."}'
    )
    assert after(plain, ("hint", "", "own"), ("sentence", "", " ")) == '{"hint":"none"}'
    assert after(plain, ("hint", "", "own"), ("hint", "", "")) == "{}"


def test_a_prompt_is_edited_only_where_its_text_is_another_and_outlives_other_edits(plain: Plain, old: str) -> None:
    plain = replace(plain, draft="Will they like it?\nYes or No.")
    edited = ("prompt", "", "Will they hate it?")
    assert after(plain, edited) == '{"prompt":"Will they hate it?"}'
    assert after(plain, edited, ("remove", old, "")) == f'{{"prompt":"Will they hate it?","removed":["{old}"]}}'
    assert after(plain, edited, ("prompt", "", " Will they like it?\r\nYes or No.\n")) == "{}"
    assert after(plain, edited, ("written", "", "")) == "{}"
    assert after(plain, edited, ("clear", "", "")) == "{}"


def test_all_is_put_back_at_once(plain: Plain, old: str, new: str) -> None:
    everything = [("remove", old, ""), ("add", new, ""), ("hint", "", "yes"), ("set", "k", "2"), ("clear", "", "")]
    assert after(plain, *everything) == "{}"


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (("explode", "", ""), "action of the editor"),
        (("set", "k", "many"), "k is 'many'"),
        (("set", "k", "0"), "k is '0'"),
        (("set", "dataset", "x"), "choice of a recipe"),
        (("hint", "", "maybe"), "hint"),
        (("rate", "1", "a lot"), "rating"),
        (("prompt", "", " "), "edited prompt cannot be used: it has 0 characters"),
        (("remove", "nothing", ""), "No item 'nothing'"),
    ],
)
def test_what_cannot_be_is_refused(plain: Plain, action: tuple[str, str, str], said: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=said):
        act(Edits(), *action, plain)
