"""What users of other tools suffer from, as far as it is the queue's, the drafts' and the database's doing.

Each test is named after where the complaint was written down.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import storage.database.connection
from backend.errors import ConflictError, NotFoundError, StorageError
from backend.labelling import Account, Judgement
from storage import Database
from storage.labels import accounts, projects
from storage.labels.projects import progress
from storage.labels.queue import next_task
from storage.labels.records import labels
from storage.labels.resolve import side_by_side
from storage.labels.roles import may
from storage.labels.values import Nothing, Task
from storage.labels.work import open_task, own_labels, requeue, save_draft, skip, submit, undo
from tests.storage.labels.conftest import NOON, after, judged, rows
from tests.storage.labels.test_queue import done, get

Make = Callable[..., str]
People = dict[str, Account]


def labelled_by(database: Database, key: str, account: Account) -> int:
    """Work until there is nothing more, through the same calls as a browser; how many were submitted."""
    count = 0
    while isinstance(task := next_task(database, key, account, NOON), Task):
        assert task.state
        version = save_draft(database, task.id, account, judged(task), 1, task.state.version, NOON).version
        submit(database, task.id, account, judged(task), 2, version, f"{account.name}-{task.id}", NOON)
        count += 1
    return count


def test_label_studio_6675_labels_lost_after_a_network_failure(database: Database, people: People, make: Make) -> None:
    """The reply to each request is lost once: the browser sends it again, and nothing is missing or there twice."""
    key, ann = make(samples=5), people["ann"]
    for number in range(5):
        task = get(database, key, ann)
        assert get(database, key, ann).id == task.id
        for _ in range(2):
            saved = save_draft(database, task.id, ann, Judgement(comment="begun"), 1, 0)
        for _ in range(2):
            submit(database, task.id, ann, judged(task), 2, saved.version, f"submission {number}")
    kept_labels = list(labels(database, key))
    assert len({label.task for label in kept_labels}) == len(kept_labels) == 5
    for label in kept_labels:
        assert (label.status, label.judgement) == ("submitted", judged(open_task(database, label.task, ann)))


def test_doccano_1236_phoenix_3949_sqlite_is_locked_and_labels_are_missing(
    database: Database, people: People, make: Make
) -> None:
    """Many write at once, and a stranger's long transactions are in between: whoever was told "kept" is kept."""
    key = make(samples=30, overlap=3)
    stop = threading.Event()

    def disturb() -> None:
        connection = sqlite3.connect(str(database.url.database), isolation_level=None, timeout=10)
        while not stop.is_set():
            connection.execute("BEGIN IMMEDIATE")
            stop.wait(0.02)
            connection.execute("COMMIT")
            stop.wait(0.005)
        connection.close()

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            told = sum(pool.map(lambda name: labelled_by(database, key, people[name]), ("ann", "bob", "cem")))
    finally:
        stop.set()
        disturbing.join()
    assert told == 90
    assert len(list(labels(database, key, status=["submitted"]))) == told


def test_doccano_1236_a_lock_that_lasts_is_said_and_the_same_can_be_sent_again(
    database: Database, people: People, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = get(database, make(), people["ann"])
    monkeypatch.setattr(storage.database.connection, "BUSY_SECONDS", 0.1)
    impatient = storage.open_database(database.url.render_as_string())
    stranger = sqlite3.connect(str(database.url.database), isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="try again"):
        save_draft(impatient, task.id, people["ann"], Judgement(comment="here"), 1, 0)
    stranger.execute("ROLLBACK")
    stranger.close()
    assert save_draft(impatient, task.id, people["ann"], Judgement(comment="here"), 1, 0).version == 1
    impatient.close()


def test_label_studio_6233_the_second_annotators_queue_is_empty(database: Database, people: People, make: Make) -> None:
    """With two labels wanted of each chain, the second person has as much to do as the first."""
    key = make(samples=6, overlap=2)
    ann, bob = people["ann"], people["bob"]
    skipped = get(database, key, ann)
    skip(database, skipped.id, ann, "cannot read it")
    assert labelled_by(database, key, ann) == 5
    assert labelled_by(database, key, bob) == 6
    assert labelled_by(database, key, people["cem"]) == 1  # what ann passed over
    nothing = next_task(database, key, people["cem"], NOON)
    assert isinstance(nothing, Nothing)
    assert nothing.reason == "done"


@pytest.mark.parametrize("overlap", [1, 2])
def test_label_studio_795_two_people_get_the_same_task(
    database: Database, people: People, make: Make, overlap: int
) -> None:
    """All ask at the same moment, again and again: a chain is never given to more than its overlap."""
    key = make(samples=12, overlap=overlap)
    crowd = list(people.values())[:4]
    projects.update_project(database, key, "rita", members=[person.name for person in crowd])
    given: Counter[str] = Counter()
    lock, start = threading.Lock(), threading.Barrier(len(crowd))

    def work(account: Account) -> None:
        start.wait()
        while isinstance(task := next_task(database, key, account, NOON), Task):
            with lock:
                given[task.id] += 1
            done(database, task, account, 0, name=f"submission-{account.name}")

    with ThreadPoolExecutor(len(crowd)) as pool:
        list(pool.map(work, crowd))
    assert given == dict.fromkeys(given, overlap)
    assert len(given) == 12
    counts = Counter(label.task for label in labels(database, key, status=["submitted"]))
    assert counts == given


def test_label_studio_4190_stale_locks_block_the_queue(database: Database, people: People, make: Make) -> None:
    """Somebody takes a task, saves a draft and never comes back: it is given to another, and their draft is kept."""
    key = make(samples=1, minutes=10)
    task = get(database, key, people["ann"])
    save_draft(database, task.id, people["ann"], Judgement(comment="begun"), 1, 0, after(5))
    waiting = next_task(database, key, people["bob"], after(14))
    assert isinstance(waiting, Nothing)
    assert (waiting.reason, waiting.until) == ("reserved", after(15))
    assert get(database, key, people["bob"], 15).id == task.id
    kept = open_task(database, task.id, people["ann"]).state
    assert kept
    assert kept.judgement.comment == "begun"
    assert progress(database, key, after(16)).reserved == 1
    assert progress(database, key, after(60)).reserved == 0


def test_argilla_5113_a_discarded_record_cannot_come_back(database: Database, people: People, make: Make) -> None:
    key, ann = make(samples=2), people["ann"]
    first = get(database, key, ann)
    save_draft(database, first.id, ann, Judgement(comment="so far"), 1, 0)
    skip(database, first.id, ann, "too tired")
    [own_label] = own_labels(database, key, ann)
    assert (own_label.status, own_label.skip_reason) == ("skipped", "too tired")
    back = undo(database, key, ann)
    assert back
    assert back.state
    assert (back.id, back.state.judgement.comment, back.state.status) == (first.id, "so far", "draft")
    skip(database, first.id, ann, "still too tired")
    assert labelled_by(database, key, ann) == 1
    nothing = next_task(database, key, ann, NOON)
    assert isinstance(nothing, Nothing)
    assert nothing.skipped == 1
    requeue(database, first.id, "ann", ann)
    assert get(database, key, ann).id == first.id


def test_badgerdoc_539_others_labels_are_visible(database: Database, people: People, make: Make) -> None:
    key = make(samples=1, overlap=3)
    tasks = {name: get(database, key, people[name]) for name in ("ann", "bob", "rita")}
    done(database, tasks["bob"], people["bob"])
    assert own_labels(database, key, people["ann"]) == []
    task = open_task(database, tasks["ann"].id, people["ann"])
    assert task.state
    assert task.state.judgement == Judgement()
    with pytest.raises(NotFoundError):
        open_task(database, task.id, people["cem"])
    assert not may(people["ann"], "review")
    assert not may(people["vic"], "review")
    with pytest.raises(ConflictError, match="open yourself"):
        side_by_side(database, key, task.id, people["rita"])
    done(database, tasks["rita"], people["rita"])
    assert len(side_by_side(database, key, task.id, people["rita"]).labels) == 2


def test_label_studio_9774_reviewed_and_nothing_found_looks_like_not_done(
    database: Database, people: People, make: Make
) -> None:
    """A chain with all steps good is submitted; one that was begun or only handed out is told from it."""
    key, ann, bob = make(samples=3, overlap=2), people["ann"], people["bob"]
    by_task: dict[str, Any] = {}
    good = get(database, key, ann)
    done(database, good, ann)
    begun = get(database, key, ann)
    save_draft(database, begun.id, ann, Judgement(), 1, 0)
    get(database, key, bob)  # handed out, and no more
    for label in labels(database, key):
        by_task[label.task] = (label.author, label.status, len(label.judgement.steps))
    assert by_task == {good.id: ("ann", "submitted", len(good.steps)), begun.id: ("ann", "draft", 0)}
    told = progress(database, key, NOON)
    assert (told.submitted, told.skipped, told.drafts, told.reserved, told.filled, told.wanted) == (1, 0, 1, 2, 1, 6)
    assert len(rows(database)) == 3


def test_the_annotator_is_who_is_logged_in_never_a_text_box(database: Database, people: People, make: Make) -> None:
    """Accounts that differ in nothing a person would see cannot both exist."""
    for name in ("Ann", " ann ", "ＡＮＮ"):
        with pytest.raises(storage.labels.accounts.UsageError, match="already"):
            accounts.add_account(database, name, None, "annotator")
