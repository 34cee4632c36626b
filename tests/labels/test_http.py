"""Labelling through HTTP, over real cached chains of the scripted engine: from making a project to an undone label."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.server import create_app
from storage.labels import accounts
from storage.workspace import Workspace
from tests.app.conftest import prepared_home, settings_of
from tests.labels.conftest import PASSWORD

__all__ = ["prepared_home"]
PEOPLE = {"root": "admin", "rita": "reviewer", "ann": "annotator", "bob": "annotator", "vic": "viewer"}


@pytest.fixture(scope="module")
def answered_home(prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with predictions of four samples in its cache, and people who can log in."""
    home = Path(shutil.copytree(prepared_home, tmp_path_factory.mktemp("labels") / "home"))
    workspace = Workspace(settings_of(home))
    pipeline, recipe = workspace.pipeline(), workspace.recipe()
    data = workspace.dataset()
    for row in [row for row in range(data.n_interactions) if row - data.user_ptr[data.user_index[row]] >= 5][-4:]:
        pipeline.predict(pipeline.question(int(data.user_index[row]), int(data.item_index[row]), recipe), recipe)
    for name, role in PEOPLE.items():
        accounts.add_account(workspace.database, name, PASSWORD, role)
    workspace.close()
    return home


@pytest.fixture(scope="module")
def server(answered_home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(settings_of(answered_home)), raise_server_exceptions=False) as opened:
        yield opened


class Browser:
    """One person's requests, with their cookie."""

    def __init__(self, server: TestClient, name: str | None = None) -> None:
        self._server, self.cookies = server, dict[str, str]()
        if name:
            answer = self.post("login", {"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self.cookies = {"rallrec_session": answer.cookies["rallrec_session"]}
            server.cookies.clear()

    def get(self, path: str, **query: Any) -> Any:
        self._server.cookies.clear()
        return self._server.get(f"/labels/{path}", params=query, headers=self._headers())

    def post(self, path: str, body: Any = None) -> Any:
        self._server.cookies.clear()
        return self._server.post(f"/labels/{path}", json=body or {}, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}


@pytest.fixture(scope="module")
def as_(server: TestClient) -> Any:
    """as_("ann") is her browser; as_(None) that of somebody who is not logged in."""
    known: dict[str | None, Browser] = {}
    return lambda name: known.setdefault(name, Browser(server, name))


@pytest.fixture(scope="module")
def key(as_: Any) -> str:
    wanted = {"name": "Pilot", "dataset": "ml-latest-small", "overlap": 1}
    made = as_("rita").post("projects", {"project": wanted, "members": ["ann", "bob"]})
    assert made.status_code == 201, made.text
    return str(made.json()["key"])


def whole(task: dict[str, Any]) -> dict[str, Any]:
    scales = [scale["name"] for scale in task["project"]["rubric"]["scales"]]
    return {
        "steps": {step["id"]: {"value": "neutral"} for step in task["chains"][0]["steps"]},
        "scales": dict.fromkeys(scales, 3), "verdict": "no", "confidence": 2,
    }  # fmt: skip


def test_the_day_of_an_annotator(as_: Any, key: str) -> None:
    ann = as_("ann")
    assert ann.get("me").json() == {"account": {"name": "ann", "role": "annotator"}}
    [listed] = ann.get("projects").json()["projects"]
    assert (listed["key"], listed["member"], listed["submitted"]) == (key, True, 0)
    task = ann.post("next", {"project": key}).json()["task"]
    assert task["position"]["done"] == 0
    assert task["history"]
    assert any(past["retrieved"] for past in task["history"])
    about = {"task": task["task"], "seconds": 4.5}
    saved = ann.post("draft", about | {"judgement": {"comment": "…"}, "version": 0}).json()
    lacking = ann.post("submit", about | {"judgement": {}, "version": saved["version"], "submission": "first-try"})
    assert lacking.status_code == 422
    assert {"where": "verdict", "says": "Say what you would answer: yes or no"} in lacking.json()["problems"]
    stale = ann.post("draft", about | {"judgement": {}, "version": 0})
    assert (stale.status_code, stale.json()["kept"]["version"]) == (409, 2)
    done = ann.post("submit", about | {"judgement": whole(task), "version": 2, "submission": "second-try"})
    assert done.status_code == 200, done.text
    again = ann.post("submit", about | {"judgement": whole(task), "version": 2, "submission": "second-try"})
    assert again.json() == done.json()
    [mine] = ann.get("mine", project=key).json()["labels"]
    assert (mine["label"], mine["status"], mine["seconds"]) == (done.json()["label"], "submitted", 4.5)
    assert ann.post("undo", {"project": key}).json()["task"]["draft"]["judgement"]["verdict"] == "no"
    assert len(ann.get("history", label=mine["label"]).json()["history"]) == 1


def test_what_is_wrongly_sent_is_refused_in_words(server: TestClient, as_: Any, key: str) -> None:
    ann = as_("ann")
    assert ann.post("next", {"projekt": key}).status_code == 400
    assert ann.post("next", {"project": "nothing"}).status_code == 404
    assert ann.post("draft", {"task": "x", "judgement": {}, "seconds": -1, "version": 0}).status_code == 400
    assert server.post("/labels/next", content="project=1").status_code == 415
    headers = {"content-type": "application/json"}
    for cookie, status in (("", 401), (ann.cookies["rallrec_session"], 413)):
        large = {"content": b"x" * 1_000_001, "headers": headers | {"cookie": f"rallrec_session={cookie}"}}
        assert server.post("/labels/next", **large).status_code == status
    assert server.get("/labels/mine").status_code == 401
    for answer in (ann.get("mine"), ann.get("history")):
        assert (answer.status_code, "missing" in answer.json()["problem"]) == (400, True)
