"""The rows of jobs: their states and parameters, and that no two processes take the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect, text

import storage.database.schema
from backend.errors import CorruptCacheError, UnknownNameError, UsageError
from backend.types import Sampling
from storage import CachedEngine, Database, open_database
from storage.database.tables import utc_now
from storage.jobs.kind import JobReport
from storage.jobs.kinds import KINDS, PrecomputeParams, checked, stored
from storage.jobs.store import LIVE, MOVES, JobStore, StoredJob, hashed
from tests.storage.storage_fakes import CountingEngine, ask, together

ROOT = Path(__file__).parents[3]
PARAMS = PrecomputeParams(dataset="tiny", until="align")


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database)


def state(store: JobStore, job: StoredJob) -> str:
    reread = store.get(job.number)
    assert reread
    return reread.state


def test_a_job_from_its_beginning_to_its_end(store: JobStore) -> None:
    job = store.add(PARAMS, "me")
    assert (job.kind, job.state, job.params, job.worker) == ("precompute", "queued", PARAMS, None)
    assert job.is_of("me")
    assert not job.is_of("you")
    assert not job.is_of(job.owner), "what is stored of a key is no key"
    taken = store.claim("w")
    assert taken
    assert (taken.number, taken.state, taken.worker) == (job.number, "running", "w")
    assert taken.started_at
    assert store.beat("w", {job.number: JobReport("embedding", 0.25, 5, 20)}) == {job.number: False}
    now = store.get(job.number)
    assert now
    assert now.report == JobReport("embedding", 0.25, 5, 20)
    assert store.end(job.number, "w", "failed", JobReport("embedding", 0.5, 10, 20), "the disk is full")
    ended = store.get(job.number)
    assert ended
    assert (ended.state, ended.error, ended.report.finished) == ("failed", "the disk is full", 10)
    assert ended.ended_at
    assert store.resume(job.number, "you")
    again = store.get(job.number)
    assert again
    assert (again.state, again.error, again.worker, again.ended_at) == ("queued", "", None, None)
    assert again.is_of("you")
    assert again.created_at == job.created_at
    assert again.queued_at > job.queued_at


def test_jobs_run_in_the_order_in_which_they_were_queued_and_one_that_is_resumed_goes_last(store: JobStore) -> None:
    first, second, third = (store.add(PARAMS, "me") for _ in range(3))
    assert store.ask_to_stop(first.number)
    assert state(store, first) == "stopped"
    assert store.resume(first.number, "me")
    waiting = [
        store.waiting_before(reread) for reread in map(store.get, (second.number, third.number, first.number)) if reread
    ]
    assert waiting == [0, 1, 2]
    taken = [store.claim("w") for _ in range(4)]
    assert [job and job.number for job in taken] == [second.number, third.number, first.number, None]


def test_a_job_for_one_process_is_not_claimed_and_a_kind_that_is_not_wanted_neither(store: JobStore) -> None:
    for_one = store.add(PARAMS, "me", worker="a")
    assert store.claim("b") is None
    assert not store.begin(for_one.number, "b")
    assert store.begin(for_one.number, "a")
    store.add(PARAMS, "me")
    assert store.claim("b", ["reason"]) is None
    assert store.claim("b", ["precompute"])


def test_a_stop_of_a_running_job_is_heard_by_its_worker(store: JobStore) -> None:
    job = store.add(PARAMS, "me")
    store.claim("w")
    assert store.ask_to_stop(job.number)
    assert state(store, job) == "running"
    assert store.beat("w", {job.number: JobReport()}) == {job.number: True}
    assert store.end(job.number, "w", "stopped")
    assert not store.ask_to_stop(job.number)
    assert not store.ask_to_stop(10_000)


def test_only_the_worker_that_has_a_job_can_tell_of_it_or_end_it(store: JobStore) -> None:
    job = store.add(PARAMS, "me")
    store.claim("w")
    assert store.beat("other", {job.number: JobReport("mine!", 1.0)}) == {}
    assert not store.end(job.number, "other", "done")
    assert store.abandon("w") == 1
    assert state(store, job) == "interrupted"
    assert store.beat("w", {job.number: JobReport()}) == {}
    assert not store.end(job.number, "w", "done")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all examples of a property."""
    opened = open_database(f"sqlite:///{tmp_path_factory.mktemp('shared') / 'own.db'}")
    yield opened
    opened.close()


STEPS = ("claim", "stop", "resume", "abandon", *MOVES)


@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2)), max_size=12))
def test_whatever_is_tried_in_whatever_order_only_known_moves_happen(
    shared: Database, steps: list[tuple[str, int]]
) -> None:
    with shared.session() as session:
        session.execute(text("DELETE FROM jobs"))
    store = JobStore(shared)
    jobs = [store.add(PARAMS, "me") for _ in range(3)]
    before = [job.state for job in jobs]
    for what, which in steps:
        told = _try(store, what, jobs[which].number)
        after = [state(store, job) for job in jobs]
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        assert all(new in MOVES[old] for old, new in changed)
        assert bool(told) or not changed
        assert len(changed) <= (3 if what == "abandon" else 1)
        reread_jobs = [reread for reread in (store.get(job.number) for job in jobs) if reread]
        assert all(reread.worker == "w" for reread in reread_jobs if reread.state == "running")
        before = after


def _try(store: JobStore, what: str, number: int) -> Any:
    if what == "claim":
        return store.claim("w")
    if what == "stop":
        return store.ask_to_stop(number)
    if what == "resume":
        return store.resume(number, "you")
    return store.abandon("w") if what == "abandon" else store.end(number, "w", what)


CLAIM = """
import os
import sys
sys.path[:0] = [{root!r}]
from storage import open_database
from storage.jobs.store import JobStore
store = JobStore(open_database({url!r}))
print("ready", flush=True)
sys.stdin.readline()
name = str(os.getpid())
while True:
    job = store.claim(name)
    if job is None:
        break
    print(job.number)
"""


def test_processes_on_one_database_never_take_the_same_job(database_url: str, store: JobStore) -> None:
    numbers = [store.add(PARAMS, "me").number for _ in range(40)]
    said = together(CLAIM.format(root=str(ROOT), url=database_url))
    taken = [[int(line) for line in lines.split()] for lines in said]
    assert sorted(number for claimed in taken for number in claimed) == numbers
    assert all(claimed == sorted(claimed) for claimed in taken)


def test_threads_that_resume_the_same_job_resume_it_once(store: JobStore) -> None:
    job = store.add(PARAMS, "me")
    store.ask_to_stop(job.number)
    told: list[bool] = []
    barrier = threading.Barrier(6)

    def work(number: int) -> None:
        barrier.wait()
        told.append(store.resume(job.number, str(number)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count(True) == 1


def test_lists_are_by_kind_and_state_newest_first_and_done_ones_can_be_forgotten(store: JobStore) -> None:
    jobs = [store.add(PARAMS, "me") for _ in range(3)]
    store.claim("w")
    store.end(jobs[0].number, "w", "done")
    assert [job.number for job in store.recent(2, {"precompute": MOVES})] == [jobs[2].number, jobs[1].number]
    assert [job.number for job in store.recent(9, {"precompute": ["done"], "reason": LIVE})] == [jobs[0].number]
    assert store.recent(9, {}) == []
    assert store.forget("precompute", utc_now() - timedelta(days=1)) == 0
    assert store.forget("reason", utc_now()) == 0
    assert store.forget("precompute", utc_now()) == 1
    assert store.get(jobs[0].number) is None


def test_a_row_that_another_version_wrote_is_listed_and_never_taken(store: JobStore, database: Database) -> None:
    job = store.add(PARAMS, "me")
    with database.session() as session:
        session.execute(text("UPDATE jobs SET kind = 'dream', params = '{}'"))
    assert store.claim("w") is None
    reread = store.get(job.number)
    assert reread
    with pytest.raises(CorruptCacheError, match="dream"):
        _ = reread.params


def test_what_is_stored_of_a_key_is_its_hash() -> None:
    assert hashed("me") == "2744ccd10c7533bd736ad890f9dd5cab2adb27b07d500b9493f29cdc420cb2e0"


PLAYER = {"name": "tiny", "revision": "1"}
REASON: dict[str, Any] = {
    "dataset": "d", "samples": "test", "limit": 3, "gammas": [0.5], "knowledge": ["paper"], "traces": 2,
    "tuned": PLAYER, "reasoning": PLAYER,
}  # fmt: skip


def test_parameters_come_back_as_they_were_and_equal_ones_have_one_spelling() -> None:
    params = checked("reason", REASON)
    assert stored("reason", params.json_text) == params
    assert checked("reason", dict(reversed(REASON.items()))).json_text == params.json_text
    assert set(KINDS) == {"predict", "precompute", "reason", "evaluate"}


@pytest.mark.parametrize(
    ("more", "said"),
    [({"speed": 3}, "speed"), ({"limit": 0}, "limit"), ({"gammas": []}, "gammas"), ({"traces": -1}, "traces"),
     ({"samples": "mine"}, "samples"), ({"gammas": [float("nan")]}, "gammas"),
     ({"tuned": {**PLAYER, "x": 1}}, "tuned")],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused_by_name(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked("reason", REASON | more)


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="predict"):
        checked("dream", {})


def test_a_database_of_the_version_before_keeps_its_results_and_gets_the_table(database_url: str) -> None:
    """Migration 0006, both ways."""
    engine, sampling = CountingEngine(), Sampling()
    now = open_database(database_url)
    kept = CachedEngine(engine, now).reason([ask("x")], 2, sampling)
    config = Config()
    config.set_main_option("script_location", str(storage.database.schema.MIGRATIONS))
    with now.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0005")
    assert "jobs" not in inspect(now.engine).get_table_names()
    now.close()
    again = open_database(database_url)
    # The version before knew no mass.
    without_mass = [[replace(trace, mass=None) for trace in chains] for chains in kept]
    assert CachedEngine(engine, again).reason([ask("x")], 2, sampling) == without_mass
    assert len(engine.drawn) == 2
    assert JobStore(again).add(PARAMS, "me").number == 1
    again.close()
