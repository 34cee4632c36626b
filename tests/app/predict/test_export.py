"""A view as a file: one page that asks for nothing, and the record that the command line prints."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fastapi.testclient import TestClient

from app.predict.export import file_name, open_view, predict_page, record_of
from app.predict.service import PredictService
from app.predict.view import PredictSession
from app.server import create_app
from backend.datasets import Dataset
from backend.errors import UsageError
from backend.record import prediction_record
from storage.workspace import Workspace
from tests.app.conftest import answered, settings_of
from tests.app.views import ParsedHtml, fetched_by, prediction_of, view_of, words

QUERY = {"user": "7", "item": "22", "gamma": "0.4", "k": "6", "alpha": "0.35"}


def page_of(service: PredictService, query: dict[str, str]) -> str:
    view = open_view(service, query)
    return predict_page(view, record_of(service, view), "2026-01-01 00:00 UTC")


def test_the_record_is_the_commands_and_holds_the_truth_on_request_only(
    service: PredictService, workspace: Workspace, session: PredictSession
) -> None:
    view = answered(service, service.request(QUERY), session)
    expected = prediction_record(service.pipeline, view.prediction, cached=True)
    assert expected["label"] is not None
    told = open_view(service, QUERY | {"truth": "1"})
    assert record_of(service, told) == expected
    for truth in ({}, {"truth": "0"}, {"truth": ""}):
        untold = record_of(service, open_view(service, QUERY | truth))
        assert untold == {name: value for name, value in expected.items() if name != "label"}


def test_the_page_asks_for_nothing_and_says_the_numbers(service: PredictService, session: PredictSession) -> None:
    view = answered(service, service.request(QUERY), session)
    html = page_of(service, QUERY)
    assert fetched_by(html) == []
    assert "url(" not in html
    assert "@import" not in html
    said = words(html)
    p, prompt = view.prediction, view.prediction.reason_prompt
    assert prompt
    assert prompt.knowledge_span
    assert f"= {p.p_final:.4f}" in said
    assert " ".join(prompt.text[: prompt.knowledge_span[0]].split()) in said
    for row in p.question.chosen:
        assert f"{row.score:.3f}" in said
    assert p.recipe.hash in said
    assert "Truth:" not in said
    assert "Truth:" in words(page_of(service, QUERY | {"truth": "1"}))
    assert "Not everything was asked" not in said


def test_links_inside_the_page_lead_to_places_in_it(service: PredictService, session: PredictSession) -> None:
    answered(service, service.request(QUERY), session)
    elements = ParsedHtml(page_of(service, QUERY)).elements
    ids = {dict(attributes).get("id") for _, attributes in elements}
    links = {dict(attributes)["href"] for tag, attributes in elements if tag == "a"}
    assert links
    assert {link[1:] for link in links} <= ids


def test_what_was_not_asked_says_so(service: PredictService) -> None:
    html = page_of(service, QUERY)
    assert "Not everything was asked" in words(html)
    assert "Nothing to merge yet" in words(html)
    assert not re.search(r"\b(nan|None)\b", html)


def test_dark_is_the_readers_choice_and_never_on_paper(service: PredictService) -> None:
    html = page_of(service, QUERY)
    assert ".dark" not in html
    assert "@media screen and (prefers-color-scheme: dark) { :root { --tuned:" in html
    assert "@media print" in html


def test_a_file_is_named_by_what_is_in_it(small: Dataset) -> None:
    view = view_of(prediction_of(small, "text"), small, "text")
    plain = replace(view, request=view.request.model_copy(update={"user": "298", "item": "2000"}))
    assert file_name(plain) == "rallrec-ml-latest-small-user-298-item-2000"
    odd = replace(view, request=view.request.model_copy(update={"user": '../"a\r\nb', "item": "电影" + "x" * 400}))
    assert re.fullmatch(r"[A-Za-z0-9-]{1,120}", file_name(odd))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"user": "nobody"}, "No user 'nobody'"),
        ({"item": "nothing"}, "No item 'nothing'"),
        ({"gamma": "7"}, "gamma is 7"),
        ({"k": "many"}, "k is 'many'"),
        ({"traces": "1000000"}, "traces is 1e+06"),
        ({"variant": "bogus"}, "variant is 'bogus'"),
        ({"strategy": "bogus"}, "strategy is 'bogus'"),
        ({"near": "nothing"}, "No item 'nothing'"),
        ({"truth": "maybe"}, "truth is 'maybe'"),
        ({"seed": "nan"}, "seed is 'nan'"),
    ],
)
def test_a_wrong_query_is_one_clear_error(client: TestClient, wrong: dict[str, str], said: str) -> None:
    for ending in ("html", "json"):
        answer = client.get(f"/export/predict.{ending}", params=QUERY | wrong)
        assert answer.status_code == 400
        assert said in answer.json()["problem"]
        assert "Content-Disposition" not in answer.headers
    if not {"truth", "near"} & wrong.keys():  # neither is part of the aside
        aside = client.get("/aside", params=QUERY | wrong)
        assert (aside.status_code, aside.json()["command"]) == (200, "")
        assert aside.json()["answered"] == {"gamma": [], "k": [], "traces": []}


def test_files_come_with_a_name_a_policy_and_no_caching(client: TestClient) -> None:
    page = client.get("/export/predict.html", params=QUERY)
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    record = client.get("/export/predict.json", params=QUERY)
    assert record.json()["gamma"] == 0.4
    assert "label" not in record.json()
    assert isinstance(client.get("/export/predict.json", params=QUERY | {"truth": "1"}).json()["label"], int)
    for answer, ending in ((page, "html"), (record, "json")):
        assert answer.headers["content-disposition"] == (
            f'attachment; filename="rallrec-ml-latest-small-user-7-item-22.{ending}"'
        )
        assert answer.headers["cache-control"] == "no-store"


def test_what_is_not_there_yet_is_no_fault_of_the_query(home: Path) -> None:
    with TestClient(create_app(settings_of(home, encoder="org/another"))) as client:
        answer = client.get("/export/predict.json", params=QUERY)
        assert answer.status_code == 503
        assert "To fix it" in answer.json()["problem"]


def test_the_aside_has_the_command_and_the_answered_values(client: TestClient) -> None:
    aside = client.get("/aside", params=QUERY).json()
    assert aside["command"].startswith("RALLREC_ENGINE=scripted rallrec predict --user 7 --item 22 ")
    assert "--gamma 0.4 " in aside["command"]
    assert json.dumps(aside["answered"]) == json.dumps({"gamma": [], "k": [], "traces": []})


def test_an_address_asks_for_the_same_again(service: PredictService) -> None:
    request: Any = service.request(QUERY | {"epsilon": "0.00501187234", "gamma": "0.667"})
    assert service.request(dict(parse_qsl(request.query()))) == request


def test_a_wrong_query_is_a_usage_error_for_who_calls_the_service(service: PredictService) -> None:
    with pytest.raises(UsageError, match="gamma is 7"):
        open_view(service, QUERY | {"gamma": "7"})
