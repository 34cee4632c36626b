"""The Users page's handlers as a stranger calls them: whatever comes is told or passed over, without internals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.app.test_server import JUNK, is_clean, picker_of, search, told


def test_a_click_draws_its_address_and_then_what_is_cached(client: TestClient, config: dict[str, Any]) -> None:
    drawn = told(client, config, "selected", [""], {"query": "?user=7"})
    assert "User 7" in drawn[3]
    assert "Looking up what is cached" in drawn[5]
    assert "?user=7" in drawn
    read = told(client, config, "read", ["?user=7", ""])
    assert "Nothing is cached of this user" in read[2]


ADDRESSES: list[Any] = [
    None, 7, [], {}, "?user=nobody", "?gamma=9&user=7", "\x00", "?user=%00", "?sort=x", "x" * 100_000,
]  # fmt: skip
NOWHERE: list[Any] = [
    *JUNK, {"address": "?user=7", "place": "1"}, {"address": 7, "place": 1}, {"address": "?user=7", "x": 1},
    {"address": "?user=nobody", "place": 1}, {"address": "?user=7&axis=no", "place": 1},
    {"address": "?user=7", "place": 1e300}, {"address": "?user=7"},
]  # fmt: skip


@pytest.mark.parametrize("event", [{}, *({"query": junk} for junk in JUNK[:6]), {"query": "?page=x"}])
def test_what_is_no_address_leads_to_the_list(client: TestClient, config: dict[str, Any], event: Any) -> None:
    drawn = told(client, config, "selected", [""], event)
    assert is_clean(json.dumps(drawn))
    assert "8 users" in drawn[2] or "page is" in drawn[2]


@pytest.mark.parametrize("handler", ["read", "read_1", "selected"])
def test_junk_in_the_hidden_values_is_no_error(client: TestClient, config: dict[str, Any], handler: str) -> None:
    for value in ADDRESSES:
        data = [value] if handler == "selected" else [value, value]
        assert is_clean(json.dumps(told(client, config, handler, data, {"query": "?user=7"}))), value


@pytest.mark.parametrize("data", NOWHERE)
def test_pointing_at_nothing_finds_nothing(client: TestClient, config: dict[str, Any], data: Any) -> None:
    answer = search(client, picker_of(config, "user-timeline"), data, "point")
    assert (answer.status_code, answer.json()) == (200, None)


def test_pointing_at_a_mark_reads_it(client: TestClient, config: dict[str, Any]) -> None:
    panel = picker_of(config, "user-timeline")
    first = search(client, panel, {"address": "?user=7", "place": 0}, "point").json()
    assert first["text"].startswith("1 of ")
    again = search(client, panel, {"address": "?user=7", "x": first["x"], "y": first["y"]}, "point").json()
    assert again == first
