"""Canonical rows: out of one database into another and out again, twice, and what conflicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.errors import NotFoundError, UsageError
from backend.labelling import Account, Judgement, Label
from storage import Database, open_database
from storage.labels import accounts, audit, projects
from storage.labels.records import known_answers, labels, resolved
from storage.labels.resolve import resolve, set_gold, side_by_side
from storage.labels.taking_over import take_over
from storage.labels.work import open_task, save_draft, skip, submit, undo
from tests.storage.labels.conftest import after, judged
from tests.storage.labels.test_queue import done, get

Make = Callable[..., str]
People = dict[str, Account]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    yield opened
    opened.close()


@pytest.fixture
def lived(database: Database, people: People, make: Make) -> str:
    """A project with a label that was undone and edited, a skip, a draft, a mere reservation, and a resolved task."""
    key, ann, bob = make(samples=4, overlap=2), people["ann"], people["bob"]
    first = get(database, key, ann)
    done(database, first, ann)
    again = undo(database, key, ann, after(2))
    assert again
    assert again.state
    submit(database, again.id, ann, judged(again, "bad", comment="=1+1 é 好"), 9, again.state.version, "a-second-one")
    skip(database, get(database, key, ann, 3).id, ann, "cannot read it", after(4))
    third = get(database, key, ann, 5)
    save_draft(database, third.id, ann, Judgement(comment="half"), 2.25, 0, after(6))
    done(database, get(database, key, bob, 1), bob, 2)
    get(database, key, bob, 3)
    assert resolve(database, first.id, judged(first, "neutral", verdict=None, confidence=None), "rita").problems == ()
    resolve(database, first.id, judged(first, "good"), "rita")
    return key


def test_rows_come_in_the_projects_order_and_reservations_are_none(database: Database, lived: str) -> None:
    rows = list(labels(database, lived))
    assert [(label.author, label.status) for label in rows] == [
        ("ann", "submitted"), ("bob", "submitted"), ("ann", "skipped"), ("ann", "draft"),
    ]  # fmt: skip
    assert [label.status for label in labels(database, lived, status=["skipped"])] == ["skipped"]
    assert [version.status for version in rows[0].history] == ["submitted"]
    assert rows[2].skip_reason == "cannot read it"
    [resolved_label] = resolved(database, lived)
    assert (resolved_label.kind, resolved_label.author, len(resolved_label.history)) == ("resolved", "rita", 1)


def test_a_round_trip_loses_nothing_and_can_be_made_twice(database: Database, elsewhere: Database, lived: str) -> None:
    sent = [Label.model_validate_json(label.model_dump_json()) for label in labels(database, lived)]
    [resolved_label] = resolved(database, lived)
    set_gold(database, resolved_label.task, resolved_label.judgement, "rita")
    sent += resolved(database, lived)
    assert take_over(elsewhere, sent).new == 5
    assert [*labels(elsewhere, lived), *resolved(elsewhere, lived)] == sent
    again = take_over(elsewhere, reversed(sent))
    assert (again.new, again.same, again.conflicting) == (0, 5, ())
    assert [*labels(elsewhere, lived), *resolved(elsewhere, lived)] == sent
    assert known_answers(elsewhere, lived) == {resolved_label.task: resolved_label.judgement}
    assert {listed.account.name: listed.can_log_in for listed in accounts.accounts(elsewhere)} == dict.fromkeys(
        ("ann", "bob", "rita"), False
    )


def test_what_conflicts_is_reported_and_not_overwritten(database: Database, elsewhere: Database, lived: str) -> None:
    first, *rest = sent = list(labels(database, lived))
    take_over(elsewhere, sent)
    conflicting = first.model_copy(update={"judgement": Judgement(comment="mine")})
    renamed = first.model_copy(update={"id": "f" * 24})
    shouted = rest[0].model_copy(update={"id": "e" * 24, "author": "BOB"})
    counts = take_over(elsewhere, [conflicting, renamed, shouted, *rest])
    assert (counts.new, counts.same) == (0, 3)
    assert set(counts.conflicting) == {first.id, "f" * 24, "e" * 24}
    assert list(labels(elsewhere, lived)) == sent


def test_other_rules_of_a_project_are_told_and_stay(database: Database, elsewhere: Database, lived: str) -> None:
    sent = list(labels(database, lived))
    take_over(elsewhere, sent)
    projects.update_project(database, lived, "rita", values={"guidelines": "Read twice"})
    counts = take_over(elsewhere, labels(database, lived))
    assert (counts.same, counts.projects) == (4, (lived,))
    assert projects.project(elsewhere, lived).guidelines == ""


def test_a_row_that_no_database_can_hold_leaves_nothing_behind(
    database: Database, elsewhere: Database, lived: str
) -> None:
    good, bad, *_ = labels(database, lived)
    with pytest.raises(UsageError, match="name"):
        take_over(elsewhere, [good, bad.model_copy(update={"author": " x\x00"})])
    with pytest.raises(NotFoundError):
        list(labels(elsewhere, lived))


def test_a_label_that_was_written_unblinded_says_so(database: Database, people: People, make: Make) -> None:
    key = make(samples=1)
    task = get(database, key, people["rita"])
    open_task(database, task.id, people["rita"], unblinded=True)
    done(database, task, people["rita"])
    assert [label.blind for label in labels(database, key)] == [False]


def test_who_saw_what_others_said_writes_no_blind_label_afterwards(
    database: Database, people: People, make: Make
) -> None:
    key = make(samples=2, overlap=2)
    first = get(database, key, people["ann"])
    for _ in range(2):
        side_by_side(database, key, first.id, people["rita"])
    assert [change.what for change in audit.changes(database, about=first.id)] == ["task.seen"]
    for _ in range(2):
        done(database, get(database, key, people["rita"]), people["rita"])
    blind = {label.task: label.blind for label in labels(database, key)}
    assert blind.pop(first.id) is False
    assert set(blind.values()) == {True}


def test_every_change_is_in_the_audit_log_which_nobody_changes(database: Database, lived: str) -> None:
    from sqlalchemy import text

    from backend.errors import StorageError

    told = [change.what for change in audit.changes(database)]
    assert {"project.add", "label.submit", "label.undo", "label.skip", "label.resolve", "account.add"} <= set(told)
    assert [change.about for change in audit.changes(database, about=lived)] == [lived]
    for deed in ("DELETE FROM label_audit", "UPDATE label_audit SET who = 'x'"):
        with pytest.raises(StorageError, match="only ever added to"), database.session() as session:
            session.execute(text(deed))
    assert [change.what for change in audit.changes(database)] == told


def test_a_resolved_label_can_be_made_gold_and_ordinary_again(database: Database, people: People, lived: str) -> None:
    [resolved_label] = resolved(database, lived)
    set_gold(database, resolved_label.task, resolved_label.judgement, "rita")
    assert side_by_side(database, lived, resolved_label.task).gold == resolved_label.judgement
    with pytest.raises(UsageError, match="not whole"):
        set_gold(database, resolved_label.task, Judgement(), "rita")
    set_gold(database, resolved_label.task, None, "rita")
    assert side_by_side(database, lived, resolved_label.task).gold is None
