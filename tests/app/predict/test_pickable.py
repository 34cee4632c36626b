"""Who and what can be picked, and what a deep link asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.predict.service import PredictService
from app.predict.view import PredictSession
from app.shared.controls import to_control
from backend import datasets
from backend.datasets import MIN_HISTORY, build_samples, split
from backend.errors import RallrecError, SettingsError, UsageError
from backend.retrieval import exact_gamma
from storage.workspace import Workspace
from tests.app.conftest import settings_of
from tests.conftest import write_movielens


def ids(choices: list[tuple[str, str]]) -> list[str]:
    return [identifier for _, identifier in choices]


def test_users_with_samples_are_listed_in_id_order_with_their_number_of_ratings(service: PredictService) -> None:
    # Users 0 and 1 have 2 and 5 ratings: none of theirs has five earlier ones.
    assert service.choices.find_users() == [
        (f"User {user} · {2 + 3 * user + {2: 2, 3: 1}.get(user, 0)} ratings", str(user)) for user in range(2, 8)
    ]
    assert service.choices.find_users("6") == [("User 6 · 20 ratings", "6")]
    assert service.choices.find_users("6")[0] == service.choices.user_choice("6")


@pytest.mark.parametrize("odd", ["%", "_", ".", "(", "[0-9]", "\\", "nobody", "x" * 100_000, "\x00"])
def test_odd_characters_match_no_user(service: PredictService, odd: str) -> None:
    assert service.choices.find_users(odd) == []


def test_a_users_own_samples_come_newest_first(service: PredictService, workspace: Workspace) -> None:
    data = workspace.dataset()
    for user in ("2", "7"):
        rows = data.user_rows(data.user_code(user))
        rows_newest_first = sorted(
            range(rows.start, rows.stop), key=lambda row: (data.timestamp[row], data.item_index[row])
        )
        assert ids(service.choices.find_items(user)) == [
            data.item_ids[data.item_index[row]] for row in rows_newest_first[:4:-1]
        ]
    assert ids(service.choices.find_items("2"))[:2] == ["902", "901"]


def test_every_listed_item_of_a_user_can_be_asked_about(service: PredictService) -> None:
    for user in ids(service.choices.find_users()):
        for item in ids(service.choices.find_items(user)) + ids(service.choices.find_items(user, "movie")):
            service.look(service.request({"user": user, "item": item}), PredictSession())


def test_a_search_finds_own_items_first_and_then_the_catalogue_by_popularity(
    service: PredictService, workspace: Workspace
) -> None:
    data = workspace.dataset()
    results = ids(service.choices.find_items("3", "number"))
    own_items = ids(service.choices.find_items("3"))
    own_items = [item for item in own_items if item != "902"]
    assert results[: len(own_items)] == own_items
    rest = results[len(own_items) :]
    rated = {data.item_ids[code] for code in data.item_index[data.user_rows(data.user_code("3"))]}
    assert sorted(rest, key=int) == [str(n) for n in range(1, 31) if str(n) not in rated]
    counts = Counter(data.item_ids[code] for code in data.item_index)
    assert rest == sorted(rest, key=lambda item: (-counts[item], int(item)))
    assert len({counts[item] for item in rest}) > 1


def test_items_rated_too_early_to_be_a_sample_are_not_offered(service: PredictService, workspace: Workspace) -> None:
    data = workspace.dataset()
    rows = data.user_rows(data.user_code("7"))
    early = {data.item_ids[code] for code in data.item_index[rows][:MIN_HISTORY]}
    assert early.isdisjoint(ids(service.choices.find_items("7", "movie")))
    with pytest.raises(UsageError, match="at least 5"):
        service.look(service.request({"user": "7", "item": early.pop()}), PredictSession())


@pytest.mark.parametrize(
    ("text", "matches"),
    [("%", ["901"]), ("_", ["902"]), ("(paren", ["903"]), ("[rec] .*", ["904"]), (".*+?^$|\\", ["904"]), (".", ["904"]),
     ("étoile", ["905"]), ("UNDER_S", ["902"]), ("(1999)", ["905"]), ("no such title", []), ("m%1", []),
     ("[a-z]", []), ("x" * 100_000, [])],
)  # fmt: skip
def test_a_search_is_literal_and_ignores_case(service: PredictService, text: str, matches: list[str]) -> None:
    catalogue = set(ids(service.choices.find_items("7", text)))
    assert catalogue & {str(n) for n in range(901, 907)} == set(matches)
    if text != "(1999)":
        assert catalogue == set(matches)


def test_at_most_fifty_are_listed(tmp_path: Path) -> None:
    movies = [(n, f"Film {n}", "Drama") for n in range(1, 121)]
    ratings = [(user, 1 + (user + place) % 120, 4, place) for user in range(60) for place in range(70)]
    settings = settings_of(tmp_path)
    datasets.prepare("ml-latest-small", tmp_path / "datasets", source=write_movielens(tmp_path / "r", movies, ratings))
    service = PredictService(Workspace(settings))
    assert ids(service.choices.find_users()) == [str(n) for n in range(50)]
    assert ids(service.choices.find_users("5")) == [str(n) for n in range(60) if "5" in str(n)]
    for text in ("", "film", "f"):
        assert len(service.choices.find_items("3", text)) == 50


def test_unknown_ids_are_errors_that_say_what_there_is(service: PredictService) -> None:
    for call in (
        lambda: service.choices.find_items("nobody"),
        lambda: service.choices.user_choice(""),
        lambda: service.choices.item_choice("1", "x"),
    ):
        with pytest.raises(UsageError, match="such as"):
            call()


@pytest.mark.parametrize("how", ["chronological", "per-user"])
def test_the_default_is_the_first_test_sample_at_the_settings_values(
    open_workspace: Callable[..., Workspace], how: str
) -> None:
    workspace = open_workspace(split=how, k=4, gamma=0.25, beta=0.5, knowledge="none", seed=9, alpha=0.3, epsilon=0.01)
    data, service = workspace.dataset(), PredictService(workspace)
    row = split(build_samples(data), data, how).test[0]  # type: ignore[arg-type]
    request = service.request({})
    assert request == service.default_request
    assert (request.user, request.item) == (data.user_ids[data.user_index[row]], data.item_ids[data.item_index[row]])
    expected = {"k": 4, "gamma": 0.25, "beta": 0.5, "knowledge": "none", "seed": 9, "alpha": 0.3, "epsilon": 0.01}
    plain = {"variant": "concat+ssl", "strategy": "rerank", "traces": 3, "max_tokens": 128, "near": "", "dataset": ""}
    assert request.parameters == expected | plain | {"user": request.user, "item": request.item}


def test_a_deep_link_sets_every_field_from_text(service: PredictService) -> None:
    link = {
        "user": "7", "item": "901", "variant": "id", "strategy": "recent", "near": "902", "gamma": "0.125",
        "beta": "0.5", "k": "4", "knowledge": "graded", "traces": "2",
        "max_tokens": "32", "seed": "12", "alpha": "0.75", "epsilon": "1e-05", "unknown": "ignored",
    }  # fmt: skip
    parameters = service.request(link).parameters
    assert parameters.pop("dataset") == "", "which dataset it is, is known before"
    assert {name: str(value) for name, value in parameters.items()} == {n: v for n, v in link.items() if n != "unknown"}


def test_what_a_link_leaves_out_or_empty_keeps_its_default(service: PredictService) -> None:
    default = service.default_request
    assert service.request({"gamma": "", "k": None, "user": ""}) == default
    assert service.request({"user": "7"}).item == service.choices.find_items("7")[0][1]
    assert service.request({"user": "7", "item": "901"}).item == "901"


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", "many", "1e999", "9" * 5000, "-1", "0x1", "１e4", [1], {}, True]
)
@pytest.mark.parametrize("name", ["gamma", "beta", "k", "traces", "max_tokens", "seed", "alpha", "epsilon"])
def test_what_is_no_sensible_number_is_an_error_that_names_the_parameter(
    service: PredictService, name: str, value: Any
) -> None:
    link = {"user": "7", "item": "901", name: value}
    if value is True:
        assert service.request(link).choices[name] == 1
        return
    with pytest.raises(RallrecError, match=name) as caught:
        service.look(service.request(link), PredictSession())
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("value", ["paper ", "NONE", "<b>"])
def test_a_wording_that_does_not_exist_is_refused(service: PredictService, value: str) -> None:
    with pytest.raises(SettingsError, match="knowledge"):
        service.look(service.request({"knowledge": value}), PredictSession())


@pytest.mark.parametrize("value", ["", "texts", "CONCAT", "concat ssl", "<b>"])
@pytest.mark.parametrize("name", ["variant", "strategy", "near"])
def test_a_variant_a_strategy_or_an_item_that_does_not_exist_is_refused_by_its_name(
    service: PredictService, name: str, value: str
) -> None:
    request = service.request({"user": "7", "item": "901", name: value})
    if not value:
        assert request == service.request({"user": "7", "item": "901"})
        return
    with pytest.raises(UsageError, match="item" if name == "near" else name):
        service.look(request, PredictSession())


@pytest.mark.parametrize("code", [None, True, -1, 10**9, 1.0, "1", [], {}])
def test_what_is_no_item_code_is_refused(service: PredictService, code: Any) -> None:
    with pytest.raises(UsageError, match="is no item"):
        service.item_id(code)


def test_every_slider_value_shows_as_itself_and_comes_back(service: PredictService) -> None:
    for step in range(1001):
        gamma = exact_gamma(step / 1000)
        assert to_control("gamma", gamma) == step / 1000
        assert exact_gamma(to_control("gamma", gamma)) == gamma
    for tenth in range(-60, -9):
        epsilon = service.request({"epsilon": 10.0 ** (tenth / 10)}).choices["epsilon"]
        assert to_control("epsilon", epsilon) == tenth / 10
