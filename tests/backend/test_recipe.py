"""The Recipe: strict, hashed, and composed from settings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from backend.errors import SettingsError, UnknownNameError
from backend.pipeline import Recipe
from backend.settings import Settings, load_settings

CHANGES: dict[str, Any] = {
    "variant": "text", "strategy": "recent", "k": 11, "gamma": 0.25, "beta": 2.0, "combine": "sum",
    "order": "chronological", "knowledge": "graded", "p_g": "mean",
    "template": "paper", "p_g_temperature": 2.0, "traces": 3, "max_tokens": 64,
    "temperature": 0.7, "top_p": 0.9, "seed": 5, "alpha": 0.2, "epsilon": 0.01, "spread": "gamma",
    "p_r_temperature": 2.0,
}  # fmt: skip


def test_the_default_recipe_is_the_one_of_the_default_settings() -> None:
    assert Recipe.from_settings(Settings(template="paper")) == Recipe()
    assert Recipe.from_settings(Settings()).prompting.template == "answered"  # the small model's profile


def test_every_choice_changes_the_hash_and_no_two_changes_collide() -> None:
    hashes = [Recipe.from_settings(Settings(), **{name: value}).hash for name, value in CHANGES.items()]
    assert len({Recipe.from_settings(Settings()).hash, *hashes}) == len(CHANGES) + 1
    fields = [name for stage in Recipe.model_fields for name in type(getattr(Recipe(), stage)).model_fields]
    assert sorted(fields) == sorted(CHANGES), "a choice is missing from this test"


def test_the_hash_is_stable_across_runs_and_through_json() -> None:
    assert Recipe().hash == "0ba9408638a58efc"
    assert Recipe.model_validate_json(Recipe().model_dump_json()).hash == "0ba9408638a58efc"


@pytest.mark.parametrize(
    ("prompting", "hash_before"),
    [
        ({"p_g": "mean"}, "2640d8eed5521da5"),
        ({"p_g_temperature": 2.0}, "4b15213ce2ba5170"),
        ({"p_g": "mean", "p_g_temperature": 0.5, "knowledge": "graded"}, "db27b98ed2c91e68"),
    ],
)
def test_what_is_said_of_p_g_is_read_and_written_where_stored_recipes_have_it(
    prompting: dict[str, Any], hash_before: str
) -> None:
    recipe = Recipe.model_validate({"prompting": prompting})
    assert recipe == Recipe().replacing(**prompting)
    assert recipe.hash == hash_before
    for left_out in (set(), {"merging"}):
        written = recipe.model_dump(mode="json", exclude=left_out)
        assert set(written) == {"retrieval", "prompting", "reasoning", "merging"} - left_out
        assert Recipe.model_validate(written) == recipe


@pytest.mark.parametrize("stage", [None, *Recipe.model_fields])
def test_an_unknown_key_is_an_error_in_every_stage(stage: str | None) -> None:
    given = {"gama": 0.5} if stage is None else {stage: {"gama": 0.5}}
    with pytest.raises(ValidationError, match="gama"):
        Recipe.model_validate(given)


def test_an_unknown_override_is_an_error_that_names_it() -> None:
    with pytest.raises(UnknownNameError, match=r"'gama'.*gamma"):
        Recipe.from_settings(Settings(), gama=0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", 0), ("k", 101), ("k", 2.5), ("gamma", -0.1), ("gamma", 1.1), ("gamma", float("nan")), ("beta", -1),
        ("beta", 11), ("combine", "mean"), ("order", "random"), ("knowledge", "loud"), ("p_g", "last"), ("traces", -1),
        ("traces", 65), ("max_tokens", 0), ("temperature", 0), ("top_p", 0), ("top_p", 1.5), ("seed", -1),
        ("seed", 2**63), ("alpha", -0.1), ("alpha", float("inf")), ("epsilon", 0), ("epsilon", 2),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_an_error_that_names_the_key_and_the_value(name: str, value: Any) -> None:
    with pytest.raises(SettingsError) as error:
        Recipe.from_settings(Settings(), **{name: value})
    assert str(error.value).startswith(f"{name} is {value!r}: ")
    assert "\n" not in str(error.value)


def test_an_override_that_is_not_given_leaves_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RALLREC_GAMMA", "0.125")
    recipe = Recipe.from_settings(load_settings(), gamma=None, k=3)
    assert (recipe.retrieval.gamma, recipe.retrieval.k) == (0.125, 3)


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Recipe().retrieval.gamma = 0.1  # type: ignore[misc]


def test_choices_that_came_later_are_written_only_where_they_differ() -> None:
    plain = Recipe()
    for stage, name, value in (("tuned", "spread", "gamma"), ("merging", "p_r_temperature", 2.0)):
        other = Recipe(**{stage: {name: value}})
        assert name not in json.dumps(plain.model_dump(mode="json"))
        assert name in json.dumps(other.model_dump(mode="json"))
        assert other.hash != plain.hash
        assert Recipe.model_validate(other.model_dump(mode="json")) == other
        assert plain.replacing(**{name: value}) == other
        assert plain.named[name] != value == other.named[name]
