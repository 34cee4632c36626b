"""Labelling through HTTP, over real cached chains of the scripted engine: from making a project to an undone label."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from tests.app.label.browsing import whole


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
