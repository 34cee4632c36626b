"""The Evaluate page's handlers and downloads as a stranger calls them, and its panels over hostile titles."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.evaluate.address import FIGURES, PAIR, TABLES
from app.shared.export import csv_of
from tests.app.test_server import JUNK, is_clean, told

ADDRESSES: list[Any] = [
    None, 7, [], {}, "?view=x", "\x00", "?alpha=9", "?first=%00", "?samples=test&show=a", "x" * 100_000,
]  # fmt: skip


def test_a_click_draws_its_address(client: TestClient, config: dict[str, Any]) -> None:
    read = told(client, config, "evaluate_read", ["?samples=test&view=figure-9"])
    assert "Fig. 9" in read[4]
    assert "rallrec reason" in read[4]
    drawn = told(client, config, "evaluate_picked", ["link ?samples=test&view=table-7"])
    assert "Table 7" in drawn[4]
    assert drawn[-1] == "?samples=test&view=table-7"
    slid = told(client, config, "evaluate_picked", ["slide ?samples=test&alpha=0.5"])
    assert "alpha=0.5" in slid[1]


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_no_address_is_told_without_internals(client: TestClient, config: dict[str, Any], address: Any) -> None:
    for said in (address, f"link {address}", f"slide {address}"):
        assert is_clean(json.dumps(told(client, config, "evaluate_picked", [said])))
    assert is_clean(json.dumps(told(client, config, "evaluate_read", [address])))


@pytest.mark.parametrize("said", [*JUNK[:6], "start ?samples=test&view=x", "start", "start x"])
def test_junk_starts_nothing(client: TestClient, config: dict[str, Any], said: Any) -> None:
    assert is_clean(json.dumps(told(client, config, "evaluate_picked", [said])))
    assert "looking up" not in json.dumps(told(client, config, "evaluate_read", ["?samples=test"]))


def test_every_table_and_figure_can_be_downloaded(client: TestClient) -> None:
    for view in (*TABLES, *FIGURES, PAIR):
        rows = client.get("/export/evaluate.json", params={"samples": "test", "view": view})
        assert rows.status_code == 200
        assert rows.headers["content-disposition"] == f'attachment; filename="rallrec-{view}.json"'
        table = client.get("/export/evaluate.csv", params={"samples": "test", "view": view})
        records = list(csv.DictReader(io.StringIO(table.text)))
        assert len(records) == len(rows.json())
        if view in TABLES:
            assert {record["line"] for record in records} == {record["line"] for record in rows.json()}
    assert client.get("/export/evaluate.json", params={"view": "no"}).status_code == 400
    assert client.get("/export/evaluate.exe", params={"samples": "test"}).status_code == 404


def test_a_spreadsheet_runs_nothing() -> None:
    [line] = list(csv.DictReader(io.StringIO(csv_of([{"a": "=1+1", "b": -0.5, "c": None}]))))
    assert line == {"a": "'=1+1", "b": "-0.5", "c": ""}
