"""The queue and the work on a task, step by step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backend.errors import ConflictError, NotFoundError, UsageError
from backend.labelling import Account, Judgement
from storage import Database
from storage.labels import projects
from storage.labels.queue import next_task
from storage.labels.values import Nothing, Submitted, Task
from storage.labels.work import (
    history,
    leave_as_it_was,
    open_task,
    own_labels,
    reopen,
    requeue,
    save_draft,
    skip,
    submit,
    undo,
)
from tests.storage.labels.conftest import after, judged, rows

Make = Callable[..., str]
People = dict[str, Account]


def get(database: Database, key: str, account: Account, minute: float = 0) -> Task:
    task = next_task(database, key, account, after(minute))
    assert isinstance(task, Task), task
    return task


def done(database: Database, task: Task, account: Account, minute: float = 1, name: str = "submission") -> Submitted:
    assert task.state
    return submit(
        database, task.id, account, judged(task), 12.5, task.state.version, f"{name}-{task.id}", after(minute)
    )


def test_a_task_stays_somebodys_until_it_is_done(database: Database, people: People, make: Make) -> None:
    key = make()
    first = get(database, key, people["ann"])
    assert get(database, key, people["ann"], 1).id == first.id
    result = done(database, first, people["ann"])
    assert (result.problems, result.version) == ((), 1)
    assert get(database, key, people["ann"], 2).id != first.id
    [own_label] = own_labels(database, key, people["ann"])
    assert (own_label.status, own_label.seconds, own_label.title) == ("submitted", 12.5, first.chains[0].title)


def test_what_is_incomplete_is_kept_and_said(database: Database, people: People, make: Make) -> None:
    task = get(database, make(), people["ann"])
    result = submit(database, task.id, people["ann"], Judgement(comment="hm"), 3, 0, "submission", after(1))
    assert {problem.where for problem in result.problems} >= {"verdict", "scale:validity"}
    kept = open_task(database, task.id, people["ann"])
    assert kept.state
    assert (kept.state.status, kept.state.version, kept.state.judgement.comment) == ("draft", 1, "hm")


def test_a_draft_from_an_older_version_is_refused_with_what_is_kept(
    database: Database, people: People, make: Make
) -> None:
    task = get(database, make(), people["ann"])
    one, two = Judgement(comment="tab one"), Judgement(comment="tab two")
    saved = save_draft(database, task.id, people["ann"], one, 1, 0, after(1))
    assert (saved.version, saved.at, saved.reserved_until) == (1, after(1), after(31))
    with pytest.raises(ConflictError) as refused:
        save_draft(database, task.id, people["ann"], two, 1, 0, after(2))
    kept = refused.value.kept
    assert (kept["judgement"]["comment"], kept["at"]) == ("tab one", after(1).isoformat())
    # The same again is one whose reply was lost.
    assert save_draft(database, task.id, people["ann"], one, 1, 0, after(3)).version == 1
    assert save_draft(database, task.id, people["ann"], two, 1, 1, after(4)).version == 2


def test_a_submission_that_comes_again_is_told_the_same(database: Database, people: People, make: Make) -> None:
    key = make()
    task = get(database, key, people["ann"])
    first = done(database, task, people["ann"])
    assert done(database, task, people["ann"], 2) == first
    assert undo(database, key, people["ann"], after(3))
    # Sent once more from somewhere: it was taken in, and it was undone since.
    assert done(database, task, people["ann"], 4).label == first.label
    assert [row.status for row in rows(database)] == ["draft"]


def test_only_whose_task_it_is_may_work_on_it(database: Database, people: People, make: Make) -> None:
    task = get(database, make(), people["ann"])
    for attempt in (
        lambda: save_draft(database, task.id, people["bob"], Judgement(), 0, 0),
        lambda: submit(database, task.id, people["bob"], judged(task), 0, 0, "submission"),
        lambda: skip(database, task.id, people["bob"], "no"),
        lambda: open_task(database, task.id, people["bob"]),
        lambda: reopen(database, task.state.label if task.state else "", people["bob"]),
    ):
        with pytest.raises(NotFoundError):
            attempt()


def test_a_late_submission_is_taken_where_its_place_is_free_and_kept_where_it_is_not(
    database: Database, people: People, make: Make
) -> None:
    key = make(samples=1, minutes=30)
    task = get(database, key, people["ann"])
    assert get(database, key, people["bob"], 31).id == task.id  # ann is late, and nobody else is at it
    with pytest.raises(ConflictError, match="others have done") as refused:
        done(database, task, people["ann"], 32)
    assert refused.value.kept["status"] == "draft"
    kept = open_task(database, task.id, people["ann"]).state
    assert kept
    assert kept.judgement == judged(task)
    bobs = skip(database, task.id, people["bob"], "cannot read it", after(33))
    assert bobs.status == "skipped"
    again = get(database, key, people["ann"], 34)
    assert again.state
    assert (again.id, again.state.judgement) == (task.id, judged(task))
    assert done(database, again, people["ann"], 35).problems == ()


def test_undo_goes_back_one_by_one_through_submitted_and_skipped(
    database: Database, people: People, make: Make
) -> None:
    key, ann = make(samples=4), people["ann"]
    order = []
    for minute in range(4):
        task = get(database, key, ann, minute)
        order.append(task.id)
        if minute == 2:
            skip(database, task.id, ann, "too long", after(minute + 0.5))
        else:
            done(database, task, ann, minute + 0.5)
    for minute, expected in enumerate(reversed(order)):
        back = undo(database, key, ann, after(10 + minute))
        assert back
        assert back.id == expected
    assert undo(database, key, ann, after(20)) is None
    assert get(database, key, ann, 21).id == order[0]  # the one that was undone last comes first
    [version] = history(database, get(database, key, ann, 21).state.label)  # type: ignore[union-attr]
    assert (version.status, version.seconds) == ("submitted", 12.5)


def test_an_edited_label_stands_again_where_nothing_came_of_it(database: Database, people: People, make: Make) -> None:
    key, ann = make(samples=1, minutes=30), people["ann"]
    result = done(database, get(database, key, ann), ann)
    opened = reopen(database, result.label, ann, after(5))
    assert opened.state
    save_draft(database, opened.id, ann, Judgement(comment="half"), 1, opened.state.version, after(6))
    # Its place is nobody else's meanwhile.
    assert isinstance(next_task(database, key, people["bob"], after(35)), Nothing)
    [own_label] = own_labels(database, key, ann, after(40))
    assert (own_label.status, own_label.edits) == ("submitted", 1)
    kept = open_task(database, opened.id, ann).state
    assert kept
    assert kept.judgement == judged(opened)
    assert [version.judgement.comment for version in history(database, result.label)] == ["", "half"]


def test_editing_is_given_up_or_ends_in_another_submission(database: Database, people: People, make: Make) -> None:
    key, ann = make(samples=1), people["ann"]
    label = done(database, get(database, key, ann), ann).label
    reopen(database, label, ann, after(5))
    leave_as_it_was(database, label, ann)
    assert [row.status for row in rows(database)] == ["submitted"]
    opened = reopen(database, label, ann, after(6))
    assert opened.state
    submit(database, opened.id, ann, judged(opened, "bad"), 20, opened.state.version, "another-one", after(7))
    assert [row.status for row in rows(database)] == ["submitted"]
    assert {said.value for said in open_task(database, opened.id, ann).state.judgement.steps.values()} == {"bad"}  # type: ignore[union-attr]


def test_what_is_put_back_comes_last_with_its_draft(database: Database, people: People, make: Make) -> None:
    key, ann = make(samples=3), people["ann"]
    first = get(database, key, ann)
    save_draft(database, first.id, ann, Judgement(comment="later"), 1, 0, after(1))
    requeue(database, first.id, "ann", ann, after(2))
    seen = []
    for minute in (3, 4):
        task = get(database, key, ann, minute)
        seen.append(task.id)
        done(database, task, ann, minute + 0.5)
    assert first.id not in seen
    last = get(database, key, ann, 5)
    assert last.state
    assert (last.id, last.state.judgement.comment) == (first.id, "later")


def test_a_skip_needs_a_reason(database: Database, people: People, make: Make) -> None:
    task = get(database, make(), people["ann"])
    with pytest.raises(UsageError, match="reason"):
        skip(database, task.id, people["ann"], "  ")


def test_a_closed_project_lets_people_finish(database: Database, people: People, make: Make) -> None:
    key = make(samples=3)
    task = get(database, key, people["ann"])
    projects.update_project(database, key, "rita", open=False)
    assert get(database, key, people["ann"], 1).id == task.id
    done(database, task, people["ann"])
    assert next_task(database, key, people["ann"], after(2)) == Nothing(
        "closed", "This project gives out no tasks at present"
    )
