"""Two ways to choose past items side by side: what both choose, what only one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.predict.drawing import against_box, against_table
from app.predict.other_choice import ChoiceSide, ChosenItem
from app.predict.service import PredictService
from app.predict.view import PredictSession
from app.server import create_app
from app.shared.address import SampleAddress
from backend.datasets import Dataset
from backend.errors import UnknownNameError, UsageError
from backend.representation import VARIANTS
from backend.retrieval import STRATEGIES
from tests.app.conftest import settings_of
from tests.app.shared.test_hostile import HOSTILE
from tests.app.views import ParsedHtml, dataset_of

RequestOf = Callable[..., SampleAddress]
SIDES = (
    ChoiceSide("concat+ssl", "rerank", (ChosenItem(1, 2), ChosenItem(2, None), ChosenItem(3, 3))),
    ChoiceSide("text", "rerank", (ChosenItem(4, None), ChosenItem(1, 1), ChosenItem(3, 3))),
)


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(settings_of(home))) as opened:
        yield opened


def chosen(service: PredictService, request: SampleAddress) -> list[int]:
    return [row.item for row in service.look(request, PredictSession()).prediction.question.chosen]


@pytest.mark.parametrize("choice", [*VARIANTS, *STRATEGIES])
def test_each_side_is_the_list_of_its_own_page(service: PredictService, request_of: RequestOf, choice: str) -> None:
    field = "variant" if choice in VARIANTS else "strategy"
    lists = [chosen(service, request_of(k="5")), chosen(service, request_of(k="5", **{field: choice}))]
    sides = service.against(request_of(k="5"), choice)
    assert [[row.item for row in side.rows] for side in sides] == lists
    for side, elsewhere in zip(sides, reversed(lists), strict=True):
        for row in side.rows:
            assert row.there == (elsewhere.index(row.item) + 1 if row.item in elsewhere else None)
        assert set(side.own) == {row.item for row in side.rows} - set(elsewhere)
    assert getattr(sides[1], field) == choice


def test_another_name_is_refused_with_the_known_ones(service: PredictService, request_of: RequestOf) -> None:
    with pytest.raises(UnknownNameError, match=r"bogus.*concat\+ssl.*rerank"):
        service.against(request_of(), "bogus")
    with pytest.raises(UsageError, match="No user"):
        service.against(request_of(user="nobody"), "text")


def test_the_table_says_what_is_shared_and_what_only_one_has(small: Dataset) -> None:
    said = " ".join(" ".join(ParsedHtml(against_table(SIDES, small)).words).split())
    assert "2 of 3 past items enter the prompt either way." in said
    assert f"Only by concat+ssl : {small.item_label(2)}." in said
    assert f"Only by text : {small.item_label(4)}." in said
    assert said.count("✱ only here") == 2
    assert said.count("= same place") == 2
    assert "↓ at 2" in said
    assert "↑ at 1" in said


def test_the_same_choice_twice_is_said(small: Dataset) -> None:
    assert "Pick another one" in against_table((SIDES[0], SIDES[0]), small)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_titles_stay_text(small: Dataset, hostile: str) -> None:
    plain = ParsedHtml(against_table(SIDES, dataset_of(small, "plain")))
    reading = ParsedHtml(against_table(SIDES, dataset_of(small, hostile)))
    assert (reading.elements, reading.open, reading.odd) == (plain.elements, [], [])


def test_every_variant_and_strategy_can_be_picked() -> None:
    values = [
        dict(attributes).get("value") for tag, attributes in ParsedHtml(against_box()).elements if tag == "option"
    ]
    assert values == ["", *VARIANTS, *STRATEGIES]


def test_the_markup_is_served_and_a_wrong_query_is_an_error_in_words(client: TestClient) -> None:
    query = {"user": "7", "item": "22", "against": "text"}
    told = client.get("/against", params=query)
    assert told.status_code == 200
    assert "past items enter the prompt either way" in told.text
    for wrong in ({"against": "<b>"}, {"gamma": "7"}, {"against": ""}):
        answer = client.get("/against", params=query | wrong)
        assert 'class="error"' in answer.text
        assert "<b>'" not in answer.text
