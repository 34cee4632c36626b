"""Results through HTTP: who may see them, that they are of what was submitted, that files lead back to where they came
from, and how a dispute is resolved.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from backend.labelling.formats import FORMATS
from tests.app.label.browsing import Browser

SCALES = ("groundedness", "validity", "coherence", "informativeness", "personalisation")
VIEWS = ("agreement", "disputed", "adjudicate", "insight", "export")


def said(task: dict[str, Any], first: str, grade: int, verdict: str = "yes", **more: Any) -> dict[str, Any]:
    """A whole judgement: the first step as given, all others good."""
    steps = {step["id"]: {"value": "good", "tags": []} for step in task["chains"][0]["steps"]}
    tags = ["irrelevant"] if first == "bad" else []
    steps[task["chains"][0]["steps"][0]["id"]] = {"value": first, "tags": tags}
    plain = {"steps": steps, "scales": dict.fromkeys(SCALES, grade), "verdict": verdict, "confidence": 3}
    return plain | more


def label_all(browser: Browser, key: str, first: str, grade: int, **more: Any) -> list[str]:
    done: list[str] = []
    while task := browser.post("next", {"project": key}).json().get("task"):
        sent = {"task": task["task"], "judgement": said(task, first, grade, **more), "seconds": 12.5,
                "version": task["version"], "submission": f"{key}-{browser.name}-{len(done)}"}  # fmt: skip
        answer = browser.post("submit", sent)
        assert answer.status_code == 200, answer.text
        done.append(task["task"])
    return done


@pytest.fixture(scope="module")
def named(as_: Any) -> Any:
    def browser(name: str | None) -> Browser:
        browser: Browser = as_(name)
        browser.name = name  # type: ignore[attr-defined]
        return browser

    return browser


@pytest.fixture(scope="module")
def done(named: Any) -> tuple[str, list[str]]:
    """The key of a project that ann and bob have labelled, and its tasks: they disagree about each first step, and by
    two on each scale; bob's comments hold markup and a formula. One more task of ann's was skipped.
    """
    project = {"name": "Spring <b>chains</b>", "dataset": "ml-latest-small", "overlap": 2}
    made = named("rita").post("projects", {"project": project, "members": ["ann", "bob"]})
    key = made.json()["key"]
    skipped = named("ann").post("next", {"project": key}).json()["task"]["task"]
    named("ann").post("skip", {"task": skipped, "reason": "=no, thanks"})
    tasks = label_all(named("ann"), key, "good", 4)
    label_all(named("bob"), key, "bad", 2, verdict="no", comment="=1+1 <script>alert(1)</script>")
    return key, tasks


def view(browser: Browser, key: str, name: str, **more: str) -> Any:
    return browser.get("view", project=key, view=name, **more)


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.content.splitlines()]


# --- who may see what ----------------------------------------------------------------------------------------------


def test_others_labels_are_not_visible_to_annotators_badgerdoc_539(named: Any, done: tuple[str, list[str]]) -> None:
    """badgerdoc 539: the labels of other annotators are visible to the annotator."""
    key, tasks = done
    for path in ("side_by_side", "disputed", "agreement", "insight", "export"):
        refused = named("ann").get(path, project=key, task=tasks[0], format="jsonl", status="resolved")
        assert refused.status_code == 403, path
    for name in VIEWS:
        shown = view(named("ann"), key, name, task=tasks[0])
        assert shown.status_code == 403
        assert "bob" not in shown.text
        assert "bob" not in view(named(None), key, name, task=tasks[0]).text


def test_a_viewer_reads_agreement_and_resolved_labels_alone(named: Any, done: tuple[str, list[str]]) -> None:
    key, _ = done
    viewer = named("vic")
    assert viewer.get("agreement", project=key).status_code == 200
    assert viewer.get("export", project=key, format="csv", status="resolved").status_code == 200
    for status in ("submitted", "all"):
        assert viewer.get("export", project=key, format="csv", status=status).status_code == 403
    assert "status=submitted" not in view(viewer, key, "export").text


# --- figures -------------------------------------------------------------------------------------------------------


def test_agreement_is_of_what_was_submitted(named: Any, done: tuple[str, list[str]]) -> None:
    key, tasks = done
    told = named("rita").get("agreement", project=key).json()
    assert (told["labels"], told["people"]) == (2 * len(tasks) + 1, ["ann", "bob"]), "bob judged what ann skipped"
    dimensions = {dimension["name"]: dimension for dimension in told["dimensions"]}
    assert dimensions["validity"]["percent"]["value"] == 0
    assert dimensions["steps"]["shared"] > len(tasks)
    assert 0 < dimensions["steps"]["percent"]["value"] < 1


def test_pages_of_results_escape_what_people_wrote_and_explain_what_is_not_defined(
    named: Any, done: tuple[str, list[str]]
) -> None:
    key, _ = done
    pages = {name: view(named("rita"), key, name) for name in VIEWS}
    for shown in pages.values():
        assert shown.status_code == 200, shown.text
        assert "<script>" not in shown.text
        assert "<b>chains" not in shown.text
    assert "&lt;script&gt;alert(1)" in pages["adjudicate"].text
    assert "there is nothing that chance could have made otherwise" in pages["agreement"].text
    matrix = view(named("rita"), key, "agreement", dimension="validity", first="ann", second="bob").text
    assert "ann (rows) against bob (columns)" in matrix
    assert 'aria-label="validity' not in matrix
    assert "Groundedness" in pages["insight"].text
    assert view(named("rita"), key, "agreement", first="ann", second="nobody").status_code == 400


def test_the_most_disputed_tasks_are_listed_with_what_divides(named: Any, done: tuple[str, list[str]]) -> None:
    key, tasks = done
    disputes = named("rita").get("disputed", project=key).json()["tasks"]
    assert {dispute["task"] for dispute in disputes} <= set(tasks)
    assert all(len(dispute["divided_steps"]) == 1 for dispute in disputes)
    assert disputes[0]["parts"][0]["score"] == 1


# --- files ---------------------------------------------------------------------------------------------------------


def test_every_format_can_be_taken_along(named: Any, done: tuple[str, list[str]]) -> None:
    key, _ = done
    for name in FORMATS:
        answer = named("rita").get("export", project=key, format=name, status="all")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-disposition"].startswith('attachment; filename="spring-b-chains-b-all')
        assert answer.headers["cache-control"] == "no-store"
    table = pq.read_table(io.BytesIO(named("rita").get("export", project=key, format="parquet").content))
    assert table.num_rows == len(lines(named("rita").get("export", project=key, format="jsonl")))
    report = named("rita").get("export", project=key, format="agreement").json()
    assert report == named("rita").get("agreement", project=key).json()
    assert "<Labels" in named("rita").get("export", project=key, format="label-studio-setup").text
    assert named("rita").get("export", project=key, format="xml").status_code == 400


def test_a_discarded_record_comes_back_and_its_export_says_so(named: Any, done: tuple[str, list[str]]) -> None:
    """argilla 5113: a discarded record that cannot come back."""
    key, _ = done
    everything = lines(named("rita").get("export", project=key, format="jsonl", status="all"))
    (skipped,) = [label for label in everything if label["status"] == "skipped"]
    assert named("ann").post("requeue", {"task": skipped["task"]}).status_code == 200
    task = named("ann").get(f"tasks/{skipped['task']}").json()
    sent = {"task": task["task"], "judgement": said(task, "good", 4), "seconds": 3, "version": task["version"],
            "submission": f"{key}-again"}  # fmt: skip
    assert named("ann").post("submit", sent).status_code == 200
    again = lines(named("rita").get("export", project=key, format="jsonl", status="all"))
    (back,) = [record for record in again if record["id"] == skipped["id"]]
    assert (back["status"], back["judgement"]["verdict"]) == ("submitted", "yes")


# --- adjudication, and the way back ---------------------------------------------------------------------------------


def test_a_dispute_is_resolved_and_made_gold(named: Any, done: tuple[str, list[str]]) -> None:
    key, _ = done
    rita = named("rita")
    task = rita.get("disputed", project=key).json()["tasks"][0]["task"]
    page = view(rita, key, "adjudicate", task=task).text
    assert page.count("differs</span>") >= 7, "a step, five scales and the verdict"
    assert 'name="judgement.verdict"' in page
    beside = rita.get("side_by_side", task=task).json()
    shown = {"chains": [{"steps": beside["chains"][0]["steps"]}]}
    lacking = rita.post("resolve", {"task": task, "judgement": {"steps": {}}})
    assert lacking.status_code == 422
    assert lacking.json()["problems"][0]["says"]
    before = lines(rita.get("export", project=key, format="jsonl"))
    assert rita.post("resolve", {"task": task, "judgement": said(shown, "bad", 3)}).status_code == 200
    assert lines(rita.get("export", project=key, format="jsonl")) == before, "raw labels stay as they are"
    (row,) = lines(rita.get("export", project=key, format="jsonl", status="resolved"))
    assert (row["kind"], row["author"], row["task"]) == ("resolved", "rita", task)
    after = view(rita, key, "adjudicate", task=task).text
    assert "Make it gold" in after
    assert "Resolved by rita" in after
    known = rita.post("gold", {"task": task, "judgement": row["judgement"], "qualification": False})
    assert known.status_code == 200
    gold = {score["person"]: score for score in rita.get("agreement", project=key).json()["gold"]}
    assert gold["bob"]["steps"]["value"] == 1
    assert gold["ann"]["steps"]["value"] < 1
    assert (gold["ann"]["scales"]["value"], gold["bob"]["scales"]["value"]) == (1, 1)
    assert "Make it an ordinary task again" in view(rita, key, "adjudicate", task=task).text


def test_an_import_says_what_it_did_and_what_is_no_label_is_refused_with_its_line(
    named: Any, done: tuple[str, list[str]]
) -> None:
    key, _ = done
    content = named("rita").get("export", project=key, format="jsonl").content
    count = len(content.splitlines())
    told = named("root").send("import", content)
    assert (told.status_code, told.json()["says"]) == (200, f"0 labels are new, {count} were here already.")
    refused = named("root").send("import", content + b"{nonsense\n")
    assert refused.status_code == 400
    assert f"Line {count + 1} of what was sent" in refused.json()["problem"]
    assert named("rita").send("import", content).status_code == 403
    assert named("root").post("import", {}).status_code == 415
