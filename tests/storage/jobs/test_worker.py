"""A process and its jobs: it tells how far they are, hears of stops, and is known to be dead when it is."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from backend.errors import StorageError
from storage import Database
from storage.database.tables import JobRow, utc_now
from storage.jobs.kind import JobReport
from storage.jobs.kinds import PrecomputeParams
from storage.jobs.store import LEASE, JobStore, StoredJob
from storage.jobs.worker import Worker

ROOT = Path(__file__).parents[3]
PARAMS = PrecomputeParams(dataset="tiny", until="align")


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database)


@pytest.fixture
def worker_of(database: Database, tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    made: list[Worker] = []

    def make() -> Worker:
        made.append(Worker(lambda: database, tmp_path / "workers", beat=0.02))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


class Full:
    """A database that cannot be written."""

    @contextmanager
    def session(self, **_: Any) -> Iterator[Any]:
        raise StorageError("the disk is full")
        yield


def state(store: JobStore, job: StoredJob) -> str:
    stored = store.get(job.number)
    assert stored
    return stored.state


def until(true: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def test_the_jobs_of_a_process_that_cannot_be_seen_are_its_own_while_its_lease_lasts(
    store: JobStore, database: Database, worker_of: Callable[[], Worker]
) -> None:
    job = store.add(PARAMS, "me")
    store.claim("elsewhere")
    assert worker_of().sweep() == 0
    late = utc_now() - LEASE - timedelta(seconds=1)
    with database.session() as session:
        session.execute(update(JobRow).values(heartbeat_at=late))
    assert worker_of().sweep() == 1
    assert state(store, job) == "interrupted"


def test_a_worker_tells_how_far_its_jobs_are_and_hears_of_a_stop(
    store: JobStore, worker_of: Callable[[], Worker]
) -> None:
    worker, stopped, reports = worker_of(), threading.Event(), [JobReport("one", 0.1)]
    job = worker.queue(PARAMS, "me", lambda: reports[-1], stopped.set)
    assert worker.begin(job.number)
    reports.append(JobReport("two", 0.2, 1, 5))
    until(lambda: (store.get(job.number) or job).report == reports[-1])
    assert not stopped.is_set()
    store.ask_to_stop(job.number)
    assert stopped.wait(10)
    worker.end(job.number, "stopped", reports[-1])
    assert state(store, job) == "stopped"


def test_the_same_work_is_taken_up_again_and_done_work_is_begun_anew(
    store: JobStore, worker_of: Callable[[], Worker]
) -> None:
    first = worker_of()
    job = first.queue(PARAMS, "me", JobReport, lambda: None)
    first.close()
    assert state(store, job) == "interrupted"
    second = worker_of()
    again = second.queue(PARAMS, "you", JobReport, lambda: None)
    assert (again.number, again.worker, again.is_of("you")) == (job.number, second.name, True)
    assert second.begin(again.number)
    second.end(again.number, "done", JobReport())
    assert second.queue(PARAMS, "you", JobReport, lambda: None).number != job.number


def test_an_end_that_cannot_be_written_is_written_later(
    store: JobStore, database: Database, worker_of: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_of()
    job = worker.queue(PARAMS, "me", JobReport, lambda: None)
    worker.begin(job.number)
    with monkeypatch.context() as broken:
        broken.setattr(worker.store, "_database", Full())
        worker.end(job.number, "done", JobReport("made", 1.0))
        assert state(store, job) == "running"
    until(lambda: state(store, job) == "done")


DIE = """
import sys, time
sys.path[:0] = [{root!r}]
from pathlib import Path
from storage import open_database
from storage.jobs.kinds import PrecomputeParams
from storage.jobs.kind import JobReport
from storage.jobs.worker import Worker
worker = Worker(lambda: open_database({url!r}), Path({folder!r}), beat=0.05)
running = worker.queue(PrecomputeParams(dataset="one"), "me", lambda: JobReport("working", 0.5, 3, 6), lambda: None)
worker.begin(running.number)
worker.queue(PrecomputeParams(dataset="two"), "me", JobReport, lambda: None)
time.sleep(0.5)
print("ready", flush=True)
time.sleep(600)
"""


def test_a_process_that_is_killed_is_known_to_be_dead_at_once_and_its_jobs_can_be_taken_up(
    database_url: str, store: JobStore, tmp_path: Path, worker_of: Callable[[], Worker]
) -> None:
    code = DIE.format(root=str(ROOT), url=database_url, folder=str(tmp_path / "workers"))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout
        assert victim.stdout.readline() == "ready\n"
        worker = worker_of()
        assert worker.sweep() == 0
        victim.kill()
    assert worker.sweep() == 2
    assert worker.sweep() == 0
    jobs = store.recent(9, {"precompute": ["interrupted"]})
    assert [job.report for job in jobs] == [JobReport(), JobReport("working", 0.5, 3, 6)]
    assert store.resume(jobs[1].number, "you")
    taken = worker.claim(("precompute",))
    assert taken
    assert taken.number == jobs[1].number
    assert not list((tmp_path / "workers").glob(f"{jobs[1].worker}*"))
