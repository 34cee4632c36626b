"""What a stranger gets who calls the handlers of runs and jobs directly, with a session and a key of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.server import create_app
from app.shared.visitors import COOKIE
from storage import open_database
from storage.jobs.store import STATES, JobStore, StoredJob
from tests.app.conftest import settings_of
from tests.app.shared.test_jobs import wait
from tests.app.test_server import CONTROLS, is_clean, moved, run_handler


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    """A server whose chains take their time."""
    with TestClient(create_app(settings_of(home, scripted_delay=0.15)), raise_server_exceptions=False) as opened:
        yield opened


def jobs(home: Path) -> list[StoredJob]:
    database = open_database(settings_of(home).url)
    recent = JobStore(database).recent(9, {"predict": STATES})
    database.close()
    return recent


def test_a_page_brings_a_key_once_and_an_interface_does_not(client: TestClient) -> None:
    first = client.get("/")
    assert "httponly" in first.headers["set-cookie"].lower()
    assert first.cookies[COOKIE] not in first.text
    assert "set-cookie" not in client.get("/").headers
    client.cookies.clear()
    assert "set-cookie" not in client.get("/healthz").headers
    assert client.get("/library").cookies[COOKIE] != first.cookies[COOKIE]


def test_a_stranger_stops_no_run_by_whatever_handler(client: TestClient, home: Path) -> None:
    config = client.get("/config").json()
    client.cookies.clear()
    client.cookies.set(COOKIE, "mine")
    told: list[Any] = []
    asking = threading.Thread(target=lambda: told.extend(run_handler(client, config, "asked", [False, *CONTROLS], "a")))
    asking.start()
    wait(lambda: [job for job in jobs(home) if job.state == "running"])
    client.cookies.clear()
    client.cookies.set(COOKIE, "yours")
    moved(client, config, CONTROLS, "b")
    said = json.dumps(run_handler(client, config, "stopped", [], "b"))
    assert "Somebody else started this run" in said
    [job] = jobs(home)
    said = json.dumps(run_handler(client, config, "picked", [], "b", {"act": "stop", "job": job.number}))
    assert "Somebody else started this prediction" in said
    assert jobs(home)[0].state == "running"
    asking.join(60)
    [done] = [message for message in told if message["msg"] == "process_completed"]
    assert done["success"]
    assert [job.state for job in jobs(home)] == ["done"]


JUNK: list[Any] = [None, {}, {"act": "stop"}, {"job": []}, {"act": "resume", "job": 7}, {"act": 1}, [], "text"]


def test_what_no_button_can_send_is_told_without_internals(client: TestClient) -> None:
    config = client.get("/config").json()
    for number, event in enumerate(JUNK):
        said = json.dumps(run_handler(client, config, "picked", [], f"x{number}", event))
        assert is_clean(said), event
        assert "no job" in said or '"success": true' not in said, event
