"""A home of version 0.1.0 opens: every label, story, what-if, job and cached result is there, and every link leads on.

``data/make_home_0_1_0.py`` made the home and the record of it with the program of version 0.1.0.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.server import create_app
from backend.labelling.formats import tables
from backend.settings import Settings, load_settings
from storage.database.schema import known_revisions
from storage.jobs.store import JobStore
from storage.kept.stories import kept_stories
from storage.kept.what_ifs import WhatIfs
from storage.labels import accounts
from storage.labels.records import labels, resolved
from storage.results.requests import AnsweredSamples
from storage.workspace import Workspace

DATA = Path(__file__).parent / "data"
SAID: dict[str, Any] = json.loads((DATA / "home-0.1.0.json").read_text("utf-8"))
LINKS: dict[str, Any] = SAID["links"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(DATA / "home-0.1.0.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        return load_settings(home=folder / "home")


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    opened = Workspace(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as opened:
        yield opened


def test_every_row_of_the_database_is_there(workspace: Workspace) -> None:
    database, key = workspace.database, SAID["project"]
    assert database.revision == known_revisions()[-1]
    written = [label.model_dump(mode="json") for label in (*labels(database, key), *resolved(database, key))]
    assert written == SAID["labels"]
    assert {row["status"] for row in written} == {"submitted", "skipped", "draft"}
    assert {row["kind"] for row in written} == {"label", "resolved"}
    csv = io.BytesIO()
    tables.write_csv(labels(database, key), csv)
    assert csv.getvalue().decode() == SAID["labels_csv"]
    people = [[row.account.name, row.account.role, row.can_log_in] for row in accounts.accounts(database)]
    assert people == SAID["accounts"]
    assert [[row.key, row.story.model_dump(mode="json")] for row in kept_stories(database)] == SAID["stories"]
    assert [
        [row.id, row.name, row.what_if.user, row.what_if.item, row.what_if.recipe_json, row.what_if.edits.canonical]
        for row in WhatIfs(database).all("ml-latest-small")
    ] == SAID["what_ifs"]
    with database.session(read_only=True) as session:
        assert [list(row) for row in session.execute(text("SELECT * FROM jobs ORDER BY number"))] == SAID["jobs"]
        counts = {name: session.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in SAID["counts"]}
    assert counts == SAID["counts"]


def test_every_job_can_be_read(workspace: Workspace) -> None:
    store = JobStore(workspace.database)
    jobs = [store.get(row[0]) for row in SAID["jobs"]]
    assert [(job.kind, job.state) for job in jobs if job] == [
        ("predict", "done"), ("precompute", "failed"), ("reason", "interrupted"), ("evaluate", "done"),
        ("precompute", "stopped"),
    ]  # fmt: skip
    for job in filter(None, jobs):
        assert store.latest(job.params) is not None
        assert job.params.json_text == job.json_text


def test_the_same_samples_are_answered_as_before(workspace: Workspace) -> None:
    assert AnsweredSamples(workspace).rows().tolist() == SAID["answered"]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_shows_the_same_numbers(client: TestClient, link: str) -> None:
    shown = client.get(link).json()
    if "library" in link:  # how much space there is, and what this version makes, may differ
        old = [artifact["key"] for artifact in LINKS[link]["artifacts"]]
        assert [artifact["key"] for artifact in shown["artifacts"] if artifact["key"] in old] == old
        assert shown["models"] == LINKS[link]["models"]
    else:
        assert _as_then(shown, LINKS[link]) == LINKS[link]


def _as_then(shown: Any, then: Any) -> Any:
    """What is shown without the fields and the lines of tables that 0.1.0 did not know. Nothing else is added, lost or
    changed, but how the commands are written that would make what is missing.
    """
    if isinstance(shown, dict) and isinstance(then, dict):
        return {
            name: then[name] if name == "run" and bool(value) == bool(then[name]) else _as_then(value, then[name])
            for name, value in shown.items()
            if name in then
        }
    if isinstance(shown, list) and isinstance(then, list):
        lines = {one["line"] for one in then if isinstance(one, dict) and "line" in one}
        shown = [one for one in shown if not (lines and one.get("line") not in lines)]
        if len(shown) != len(then):
            return shown
        return [_as_then(*pair) for pair in zip(shown, then, strict=True)]
    return shown


def test_every_view_is_drawn_and_labels_are_exported(client: TestClient) -> None:
    for page in SAID["pages"]:
        assert client.get(page).status_code == 200, page
        live = page.removeprefix("/export/").replace(".html", "", 1)
        assert client.get("/" + live.removeprefix("predict")).status_code == 200, live
    sent = client.post("/labels/login", json={"name": "root", "password": "a long password"})
    assert sent.status_code == 200, sent.text
    rows = client.get("/labels/export", params={"project": SAID["project"], "format": "jsonl"})
    exported = [json.loads(line)["id"] for line in rows.text.splitlines()]
    assert set(exported) >= {
        row["id"] for row in SAID["labels"] if (row["kind"], row["status"]) == ("label", "submitted")
    }
