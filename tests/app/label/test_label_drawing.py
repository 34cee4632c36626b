"""What /label draws: titles that are cited, keys that do not collide, and that nobody's words become markup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from app.label.drawing import lists, work
from app.label.drawing.frame import TABS, frame
from backend.labelling import RUBRICS, Account, Judgement, Project, Rubric, StepJudgement, Version, rubric
from storage.labels.accounts import ListedAccount
from storage.labels.projects import ListedProject
from storage.labels.roles import MAY
from storage.labels.values import OwnLabel
from tests.app.label.test_access import VIEW_NEEDS
from tests.app.shared.test_hostile import HOSTILE, PLAIN
from tests.app.views import ParsedHtml

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN, RITA = Account(name="ann", role="annotator"), Account(name="rita", role="reviewer")


def task_json(text: str = PLAIN, *, mode: str = "chain", hidden: bool = False) -> dict[str, Any]:
    """A task as the service tells it, with ``text`` wherever somebody's words are."""
    past = {"item": text, "title": text, "genres": [text], "rating": 4.5, "date": "2016-02-01", "retrieved": True,
            "relevance_rank": 1, "recency_rank": None, "others": 3.5}  # fmt: skip
    steps = [{"id": "0123456789ab-1", "text": text}, {"id": "ba9876543210-1", "text": "Yes"}]
    told: dict[str, Any] = {
        "task": "t1", "user": {"id": text, "profile": [[text, text]]}, "history": [past, past | {"retrieved": False}],
        "target": {"item": "7", "title": text, "genres": [text], "others": None},
        "project": {"key": "k1", "name": text, "mode": mode, "first_error": False, "blind": True, "guidelines": text,
                    "rubric": asdict(rubric("1"))},
        "chains": [{"id": f"c{n}", "steps": steps} for n in range(2 if mode == "pair" else 1)],
        "draft": {"judgement": {"comment": text}, "version": 1, "seconds": 3.0, "at": NOON.isoformat()},
        "label": {"id": text, "status": "draft"}, "version": 1, "reserved_until": None,
        "position": {"done": 1, "left": 0},
    }  # fmt: skip
    if hidden:
        chain = {"model": {"name": text, "context": None}, "index": 0, "verdict": None, "p_yes": 0.5, "knowledge": text}
        told["hidden"] = {"truth": None, "p_g": 0.5, "p_r": None, "p_final": 0.5, "chains": [chain]}
    return told


def every_view(text: str) -> Iterator[tuple[str, str]]:
    """(name, HTML) of each view, with ``text`` wherever somebody's words are."""
    made = Project(name=text, dataset=text, guidelines=text)
    listed = ListedProject("k1", made, True, True, 3, 1, NOON)
    label = OwnLabel(text, text, "skipped", text, text, NOON, NOON, None, 65.0, text, 1, text)
    said = Judgement(steps={"a": StepJudgement(value="bad", tags=("irrelevant",))}, comment=text, corrected=text)
    person = {"name": text, "member": False, "submitted": 1, "skipped": 0, "drafts": 0, "reserved": 0, "left": 2,
              "seconds": None}  # fmt: skip
    account = ListedAccount(Account(name=text, role="viewer"), False, True, NOON)
    yield "work", work.work(task_json(text), rubric("1"), ANN, edits=True)
    yield "everything shown", work.work(task_json(text, hidden=True), rubric("1"), RITA)
    yield "pair", work.work(task_json(text, mode="pair"), rubric("1"), ANN)
    yield "nothing", work.nothing(text, text, text, text)
    yield "mine", lists.own_labels([label], text)
    yield (
        "history",
        lists.versions([Version(judgement=said, status="submitted", at=NOON, seconds=1)], rubric("1"), text, label),
    )
    yield "projects", lists.project_list([listed], RITA)
    yield "progress", lists.progress({"own": person})
    yield "project", lists.project_form(made, text, [text], [text], {text: text}, is_open=False)
    yield "new project", lists.project_form(made, "", [text], [text], {text: text}, is_open=True)
    yield "people", lists.everybody([account], RITA)
    yield "account", lists.own_account(Account(name=text, role="admin"))
    yield "login", lists.login(text)
    yield "frame", frame(Account(name=text, role="admin"), "work", text, text, "")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_shown_as_text_and_changes_no_element(hostile: str) -> None:
    plain, shown = dict(every_view(PLAIN)), 0
    for name, html in every_view(hostile):
        reading, plain_reading = ParsedHtml(html), ParsedHtml(plain[name])
        assert _shape(reading) == _shape(plain_reading), name
        assert (reading.open, reading.odd) == ([], []), name
        shown += any(hostile.strip() in words for words in reading.words)
    assert shown >= 9 or "\u0000" in hostile


def _shape(reading: ParsedHtml) -> list[Any]:
    return [(tag, [name for name, _ in attributes]) for tag, attributes in reading.elements]


def test_a_step_is_cut_at_the_titles_it_cites_the_longest_first() -> None:
    titles = {"Heat (1995)": "6", "Dead Heat (1995)": "7", "": "8"}
    text = "They gave Dead Heat (1995) 2 and Heat (1995) 5, Heat (1995) twice."
    assert work.pieces(text, titles) == [
        ("They gave ", ""), ("Dead Heat (1995)", "7"), (" 2 and ", ""), ("Heat (1995)", "6"), (" 5, ", ""),
        ("Heat (1995)", "6"), (" twice.", ""),
    ]  # fmt: skip
    assert work.pieces("Nothing.", titles) == [("Nothing.", "")]
    assert work.pieces("Heat (1995)", titles) == [("Heat (1995)", "6")]


def test_a_profile_counts_what_came_before_and_no_more() -> None:
    rows = [
        {"rating": 4.0, "genres": ["Drama", "War"], "retrieved": True},
        {"rating": 1.0, "genres": ["Drama"], "retrieved": False},
        {"rating": 4.0, "genres": [], "retrieved": False},
        {"rating": None, "genres": [], "retrieved": False},
    ]
    told = work.profile(rows)
    assert (told["count"], told["mean"], told["retrieved"]) == (4, 3.0, 1)
    assert told["ratings"] == [{"value": 1.0, "count": 1, "height": 50}, {"value": 4.0, "count": 2, "height": 100}]
    assert told["genres"] == [("Drama", 2), ("War", 1)]
    assert work.profile([])["mean"] is None


def test_the_letter_that_is_a_key_is_underlined() -> None:
    assert work.underlined("Can't judge", "u") == "Can&#39;t j<u>u</u>dge"
    assert work.underlined("Good", "x") == "Good <kbd>x</kbd>"


@pytest.mark.parametrize("version", RUBRICS)
def test_no_key_of_a_rubric_means_two_things(version: str) -> None:
    """Of the page: j, k, /, Enter, and the letters of its buttons."""
    of: Rubric = rubric(version)
    steps = [choice.key for choice in (*of.steps, *of.tags)]
    page = list("jkszdmxw/?")
    assert len({*steps, *page}) == len(steps) + len(page)
    assert not {*"12345"} & {*page}
    assert not {"y", "n"} & {*page}


def test_a_blind_task_shows_nothing_of_what_is_hidden() -> None:
    blind, shown = work.work(task_json(), rubric("1"), ANN), work.work(task_json(hidden=True), rubric("1"), RITA)
    assert "hidden-facts" not in blind
    assert "Show everything" not in blind
    assert "hidden-facts" in shown
    assert "Show everything" in work.work(task_json(), rubric("1"), RITA)


def test_nobody_has_a_tab_that_is_refused() -> None:
    for tab in TABS:
        assert {*tab.roles} == {role for role in MAY[VIEW_NEEDS[tab.view]] if role} - (
            {"viewer"} if tab.view == "work" else set()
        )


def test_a_project_without_a_submitted_label_has_no_time_per_task() -> None:
    counts = dict.fromkeys(("filled", "wanted", "tasks", "overlap", "hidden", "resolved"), 0)
    assert "– per task" in lists.progress({"progress": counts | {"seconds": None, "people": []}})


def test_times_are_told_in_minutes_and_seconds() -> None:
    assert [lists.clock(seconds) for seconds in (0, 65.9, 3600, None)] == ["0:00", "1:05", "60:00", "–"]
