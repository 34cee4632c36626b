"""Who may do what: every endpoint, called directly, as everybody, against one table; and what a blind task holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from app.label.http import Allowed
from app.label.service import LabelService
from app.label.views import VIEWS
from backend.errors import NotLoggedInError
from storage.labels.roles import MAY
from tests.app.label.browsing import whole
from tests.storage.labels.conftest import PASSWORD

# What each route needs. A new route has to be put here, or the test that reads all routes fails.
NEEDS = {
    "POST login": "counts", "POST logout": "counts", "GET me": "counts", "POST password": "account",
    "GET projects": "counts", "GET projects/{key}": "project", "POST projects": "projects",
    "POST projects/preview": "projects", "POST projects/{key}": "projects", "GET projects/{key}/members": "projects",
    "POST next": "label", "GET tasks/{task}": "label", "POST draft": "label", "POST submit": "label",
    "POST skip": "label", "POST requeue": "label", "POST undo": "label", "POST reopen": "label",
    "POST leave": "label", "GET mine": "label", "GET history": "label",
    "GET side_by_side": "review", "POST resolve": "review", "POST gold": "review",
    "GET view": "counts", "GET people": "projects", "GET accounts": "administer", "POST accounts": "administer",
    "POST accounts/{name}": "administer", "GET audit": "administer",
    "GET agreement": "agreement", "GET disputed": "review", "GET insight": "agreement", "GET export": "agreement",
    "POST import": "administer",
}  # fmt: skip
# What the views of /label need: a part of GET view, which itself is for everybody.
VIEW_NEEDS = {
    "projects": "counts", "account": "counts", "work": "project", "mine": "label", "history": "label",
    "progress": "project", "project": "projects", "people": "administer",
    "agreement": "agreement", "disputed": "review", "adjudicate": "review", "insight": "agreement",
    "export": "agreement",
}  # fmt: skip
WHO = {"root": "admin", "rita": "reviewer", "ann": "annotator", "vic": "viewer", None: None}
SECRET = "what bob said of it"
FORBIDDEN_KEYS = {
    "truth", "p_yes", "p_g", "p_r", "p_final", "var_g", "var_r", "model", "tuned_model", "knowledge", "verdict",
    "gold", "qualification", "pass_share", "seed", "index", "setting", "hidden", "labels", "author", "order", "prompt",
}  # fmt: skip


def test_every_route_below_labels_has_the_rule_that_the_table_names(server: TestClient) -> None:
    rules = {}
    for route in server.app.routes:  # type: ignore[attr-defined]
        if getattr(route, "path", "").startswith("/labels/"):
            assert isinstance(route, APIRoute)
            rulers = [getattr(dependency.call, "__self__", None) for dependency in route.dependant.dependencies]
            name = f"{' '.join(route.methods)} {route.path.removeprefix('/labels/')}"
            rules[name] = [rule.action for rule in rulers if isinstance(rule, Allowed)]
    assert rules == {name: [action] for name, action in NEEDS.items()}


@pytest.mark.parametrize("name", NEEDS)
def test_every_endpoint_refuses_whom_it_is_not_for(server: TestClient, as_: Any, key: str, name: str) -> None:
    method, path = name.split(" ")
    path = path.format(key=key, task="nothing", name="nobody")
    for person, role in WHO.items():
        if name == "POST logout" and person:
            continue  # it would do so
        browser = as_(person)
        send = browser.get if method == "GET" else browser.send if name == "POST import" else browser.post
        answer = send(path)
        if role in MAY[NEEDS[name]]:
            assert answer.status_code not in (401, 403, 415, 500), (person, answer.text)
        else:
            assert answer.status_code == (401 if person is None else 403), (person, answer.text)
            assert set(answer.json()) == {"problem"}


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_refuses_whom_it_is_not_for(as_: Any, key: str, view: str) -> None:
    for person, role in WHO.items():
        page = as_(person).get("view", project=key, view=view, label="nothing")
        if role in MAY[VIEW_NEEDS[view]]:
            assert page.status_code not in (401, 403, 500), (person, page.text)
        elif person:
            assert page.status_code == 403, person
        else:
            assert "password" in page.text  # where to log in


def test_every_method_of_the_service_asks_first_whom_it_is_for() -> None:
    methods = {name for name in vars(LabelService) if not name.startswith("_")} - {"who", "database"}
    for name in methods - {"me", "log_in", "log_out", "projects"}:
        with pytest.raises(NotLoggedInError):
            getattr(LabelService, name)(None, None)


def test_who_is_no_member_labels_nothing(as_: Any, key: str) -> None:
    task = as_("bob").post("next", {"project": key}).json()["task"]
    about = {"task": task["task"], "judgement": {}, "seconds": 0, "version": 0}
    root = as_("root")  # an admin, who is no member either
    for path, body in (
        ("next", {"project": key}), ("undo", {"project": key}), ("draft", about),
        ("submit", about | {"submission": "submission"}), ("skip", {"task": task["task"], "reason": "no"}),
        ("requeue", {"task": task["task"]}),
    ):  # fmt: skip
        answer = root.post(path, body)
        assert (answer.status_code, "member" in answer.json()["problem"]) == (403, True), path
    assert as_("ann").get(f"tasks/{task['task']}").status_code == 404
    assert as_("ann").get(f"tasks/{task['task']}", unblinded=1).status_code == 403
    assert as_("rita").get(f"tasks/{task['task']}", unblinded=1).json()["hidden"]["truth"] in (True, False)
    assert "hidden" not in as_("rita").get(f"tasks/{task['task']}").json()


def walked(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every key and every plain value of a JSON, with where it stands."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield at, name
            yield from walked(below, f"{at}.{name}")
    elif isinstance(value, list):
        for below in value:
            yield from walked(below, at)
    else:
        yield at, value


def test_nothing_in_a_blind_task_gives_it_away(as_: Any) -> None:
    rules = {"name": "Blind", "dataset": "ml-latest-small", "overlap": 2, "chains": {"outcome": "any"}, "gold": 0.4}
    key = as_("rita").post("projects", {"project": rules, "members": ["ann", "bob"]}).json()["key"]
    said: dict[str, Any] = {}
    for number in range(3):
        task = as_("bob").post("next", {"project": key}).json()["task"]
        body = {"task": task["task"], "seconds": 1, "version": 0, "submission": f"bobs-number-{number}"}
        answer = as_("bob").post("submit", body | {"judgement": whole(task) | {"comment": SECRET}})
        assert answer.status_code == 200
        said[task["task"]] = as_("rita").get(f"tasks/{task['task']}", unblinded=1).json()["hidden"]
    gold = next(iter(said))
    task = as_("rita").get(f"tasks/{gold}").json()
    assert as_("rita").post("gold", {"task": gold, "judgement": whole(task)}).status_code == 200
    seen = set()
    for number in range(3):
        next_task = as_("ann").post("next", {"project": key})
        task = next_task.json()["task"]
        opened = as_("ann").get(f"tasks/{task['task']}")
        for shown in (next_task.json()["task"], opened.json()):
            named = {name for at, name in walked(shown) if isinstance(name, str) and ".rubric" not in at}
            assert not named & FORBIDDEN_KEYS
        for text in (next_task.text, opened.text):
            assert SECRET not in text
            assert "scripted" not in text
            assert "Another one think" not in text.replace("\\n", " ") or "Another one think" in str(task["chains"])
        hidden = said.get(task["task"])
        if hidden:
            numbers = {value for _, value in walked(task) if isinstance(value, float)}
            secret = {hidden[name] for name in ("p_g", "p_r", "p_final", "var_r")}
            secret |= {chain["p_yes"] for chain in hidden["chains"]}
            assert not numbers & secret
        seen.add(task["task"])
        body = {"task": task["task"], "seconds": 1, "version": 0, "submission": f"anns-number-{number}"}
        assert as_("ann").post("submit", body | {"judgement": whole(task)}).status_code == 200
    assert seen & said.keys()
    for path in ("projects", f"projects/{key}"):
        text = as_("ann").get(path).text
        assert SECRET not in text
        assert not FORBIDDEN_KEYS & {str(name) for _, name in walked(json.loads(text))}
    assert SECRET not in as_("ann").get("mine", project=key).text
    for view in ("work", "mine", "projects", "progress"):
        page = as_("ann").get("view", project=key, task=task["task"], view=view)
        assert page.status_code == 200
        assert SECRET not in page.text
        assert "scripted" not in page.text


@pytest.mark.parametrize("view", ["progress", "project", "people", "history", "mine", "work"])
def test_a_page_shows_a_stranger_counts_and_how_to_log_in(as_: Any, key: str, view: str) -> None:
    page = as_(None).get("view", project=key, view=view, task="x", label="y")
    assert SECRET not in page.text
    assert "password" in page.text


def test_without_a_login_there_are_counts_and_no_labels(as_: Any, key: str) -> None:
    listed = as_(None).get("projects").json()["projects"]
    assert {project["key"] for project in listed} >= {key}
    assert SECRET not in json.dumps(listed)
    assert as_(None).get(f"projects/{key}").status_code == 401


def test_no_handler_of_the_pages_tells_of_labels(server: TestClient, as_: Any) -> None:
    """Gradio's own endpoints, each called without a login, and as everybody: a label's text is in none."""
    handlers = [handler for handler in server.get("/config").json()["dependencies"] if handler["backend_fn"]]
    for handler in handlers:
        body = {"fn_index": handler["id"], "data": [None] * len(handler["inputs"]), "session_hash": "stranger"}
        for person in (None, "ann"):
            headers = {"cookie": "; ".join(_cookies(as_(person)))}
            answer = server.post("/gradio_api/run/predict", json=body, headers=headers)
            assert SECRET not in answer.text
            assert PASSWORD not in answer.text
    assert len(handlers) > 20


def _cookies(browser: Any) -> list[str]:
    return [f"{name}={value}" for name, value in browser.cookies.items()]
