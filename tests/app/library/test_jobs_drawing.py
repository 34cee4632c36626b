"""The jobs as they are drawn: what each is, how far, and what can be done with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.library import drawing
from app.shared.jobs import Entry
from storage.jobs.kind import JobReport
from storage.jobs.kinds import EvaluateParams, JobParams, PrecomputeParams, PredictParams, ReasonParams
from storage.jobs.store import STATES, StoredJob
from tests.app.predict.test_drawing import text_of

PLAYER = {"name": "m", "revision": "1"}
WHEN = datetime(2026, 11, 24, 23, 5, tzinfo=UTC)
PRECOMPUTE = PrecomputeParams(dataset="d", until="align")
RECIPE = {
    "retrieval": {"variant": "concat+ssl", "strategy": "rerank", "gamma": 0.5, "beta": 1.0, "k": 4, "combine": "max"},
    "prompting": {"knowledge": "paper", "template": "paper"},
    "reasoning": {"traces": 6, "max_tokens": 128, "seed": 0, "top_p": 0.95},
}
PREDICT = PredictParams.model_validate(
    {"dataset": "d", "user": "7", "item": "1&2", "prompts": "x", "recipe": RECIPE, "tuned": PLAYER, "reasoning": PLAYER}
)


def reason(**more: Any) -> ReasonParams:
    given = {"dataset": "d", "samples": "test", "limit": 1200, "gammas": [0.5, 2 / 3], "knowledge": ["paper", "none"]}
    return ReasonParams.model_validate({**given, "traces": 6, "tuned": PLAYER, "reasoning": PLAYER, **more})


def entry(params: JobParams | None = PRECOMPUTE, state: str = "running", **more: Any) -> Entry:
    kind = {PrecomputeParams: "precompute", ReasonParams: "reason", PredictParams: "predict"}.get(type(params), "new")
    fields = {"report": JobReport("aligning: epoch 3", 0.255, 2, 5), "error": "", "stop_asked": False} | more
    ended = None if state in ("queued", "running") else WHEN + timedelta(minutes=3)
    job = StoredJob(
        12, kind, "{}", "key", state, "owner-hash", "worker-name", fields["stop_asked"], fields["report"],
        fields["error"], WHEN, WHEN, None if state == "queued" else WHEN, ended,
    )  # fmt: skip
    options = {name: more.get(name, default) for name, default in (("waiting", 0), ("mine", True))}
    return Entry(job, params, options["waiting"], options["mine"], more.get("stops", False), more.get("resumes", False))


def drawn(*entries: Entry) -> str:
    return drawing.jobs_list(entries)


def test_no_jobs_say_what_they_would_be() -> None:
    assert "No jobs yet" in text_of(drawn())


def test_a_running_job_says_how_far_it_is() -> None:
    html = drawn(entry(stops=True))
    said = text_of(html)
    for words in ("precompute, until align", "running", "26 %", "2 of 5 made", "aligning: epoch 3", "this browser"):
        assert words in said
    assert 'aria-valuenow="26"' in html
    assert 'data-act="stop" data-job="12"' in html
    assert 'data-act="resume"' not in html
    assert "owner-hash" not in html
    assert "worker-name" not in html


def test_one_that_waits_says_its_place_and_one_that_is_to_stop_says_so() -> None:
    assert "2 jobs before this one" in text_of(drawn(entry(state="queued", waiting=2)))
    assert "1 job before this one" in text_of(drawn(entry(state="queued", waiting=1)))
    assert "next" in text_of(drawn(entry(state="queued")))
    assert "stopping" in text_of(drawn(entry(stop_asked=True)))


def test_an_ended_job_says_how_long_it_took_and_what_went_wrong() -> None:
    html = drawn(entry(state="failed", error="the disk is full", resumes=True, mine=False))
    said = text_of(html)
    assert "3 min" in said
    assert "2026-11-24 23:05 UTC" in said
    assert "the disk is full" in said
    assert "another browser" in said
    assert 'data-act="resume"' in html


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_sign_beside_its_colour(state: str) -> None:
    assert '<i aria-hidden="true"></i>' not in drawn(entry(state=state))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (PrecomputeParams(dataset="d"), "precompute, all stages"),
        (EvaluateParams(dataset="d", tuned=PLAYER, reasoning=PLAYER, samples="test", limit=900),
         "evaluate the systems on 900 samples of test"),
        (EvaluateParams(dataset="d", tuned=PLAYER, reasoning=PLAYER, samples="shipped-validation"),
         "evaluate the systems on all samples of validation that ship"),
        (reason(), "reason about 1,200 samples of test, gamma 0.5, 0.667, knowledge paper, none, 6 chains"),
        (reason(samples="shipped", limit=None, traces=0, gammas=[1.0]),
         "reason about all samples that ship, gamma 1, knowledge paper, none, answers only"),
        (PREDICT, "prediction for user 7, item 1&2"),
        (None, "new, of another version of the program"),
    ],
)  # fmt: skip
def test_a_job_is_named_by_what_it_does(params: JobParams | None, said: str) -> None:
    assert said in text_of(drawn(entry(params)))


def test_a_prediction_links_to_its_page() -> None:
    href = str(drawing._link(PREDICT))
    assert {name: value[0] for name, value in parse_qs(urlsplit(href).query).items()} == {
        "user": "7", "item": "1&2", "variant": "concat+ssl", "strategy": "rerank", "gamma": "0.5", "beta": "1.0",
        "k": "4", "knowledge": "paper", "traces": "6", "max_tokens": "128", "seed": "0",
    }  # fmt: skip
    assert 'href="/?user=7&amp;item=1%262&amp;' in drawn(entry(PREDICT))


def test_a_job_of_another_dataset_names_it_and_links_there() -> None:
    books = replace(entry(PREDICT), dataset="books")
    assert '<span class="tag">books</span>' in drawn(books)
    assert "&amp;dataset=books&amp;" in drawn(books)
    assert "dataset" not in drawn(entry(PREDICT))
    scored = EvaluateParams(dataset="d", tuned=PLAYER, reasoning=PLAYER, samples="test", limit=900)
    assert drawing._link(scored) == "/evaluate?samples=test&limit=900"
    assert drawing._link(scored, "books") == "/evaluate?samples=test&limit=900&dataset=books"


def test_a_what_if_links_to_its_page_unless_its_past_is_not_known() -> None:
    edited = PREDICT.model_copy(update={"edited": '{"removed":["3"]}'})
    link = urlsplit(drawing._link(edited))
    assert (link.path, parse_qs(link.query)["edits"], parse_qs(link.query)["k"]) == (
        "/what-if", ['{"removed":["3"]}'], ["4"],
    )  # fmt: skip
    assert "what-if for user 7" in text_of(drawn(entry(edited)))
    assert drawing._link(PREDICT.model_copy(update={"edited": '{"target":"3"}'})) == ""


def every_panel(text: str) -> dict[str, str]:
    job = entry(reason(knowledge=[text]), "failed", error=text, report=JobReport(text, 0.5))
    return {
        "jobs": drawn(job, entry(PREDICT.model_copy(update={"user": text}), "done")),
        "told": drawing.told(text),
        "problem": drawing.told(text, problem=True),
    }
