"""A process as the database knows it: it says that it lives, tells how far its jobs are, and hears of wanted stops.

Whether another process lives is told by the lock on its file, which the system lets go however the process ends; where
that file cannot be seen (another machine, another home), by how long ago it said so (:data:`storage.jobs.store.LEASE`).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from backend.errors import StorageError
from storage.database.connection import Database
from storage.jobs.kind import JobParams, JobReport
from storage.jobs.store import RESUMABLE, JobStore, StoredJob

# Seconds between two signs of life.
BEAT = 1.0

_log = logging.getLogger(__name__)


@dataclass
class _Tracked:
    """A live job of this process. ``ended``: (state, report, error) once it has ended and its row does not say so."""

    report: Callable[[], JobReport]
    on_stop: Callable[[], None]
    ended: tuple[str, JobReport, str] | None = None


class Worker:
    """One per process and database. ``folder``: where the processes of this home keep their locks.

    Methods may be called from any thread. Nothing is opened, written or started before the first job.
    """

    def __init__(self, database: Callable[[], Database], folder: Path, beat: float = BEAT) -> None:
        self.name = uuid.uuid4().hex
        self._open, self._folder, self._beat = database, folder, beat
        self._jobs: dict[int, _Tracked] = {}
        self._lock = threading.Condition()
        self._file: Any = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @cached_property
    def store(self) -> JobStore:
        """The rows. Opens the database."""
        return JobStore(self._open())

    def queue(
        self, params: JobParams, owner: str, report: Callable[[], JobReport], on_stop: Callable[[], None]
    ) -> StoredJob:
        """Queue a job that this process alone can run. The same work, begun and not ended, is taken up again.

        ``report`` is asked now and then how far it is; ``on_stop`` is called when somebody asks for a stop through the
        database, or the job was taken away. Raises ``StorageError``.
        """
        self._appear()
        store = self.store
        last = store.latest(params)
        if last and last.state in RESUMABLE and store.resume(last.number, owner, self.name):
            job = store.get(last.number) or last
        else:
            job = store.add(params, owner, self.name)
        self._track(job.number, report, on_stop)
        return job

    def claim(self, kinds: tuple[str, ...]) -> StoredJob | None:
        """Take a job of these kinds that waits for any process; :meth:`track` it. Raises ``StorageError``."""
        self._appear()
        return self.store.claim(self.name, kinds)

    def track(self, job: StoredJob, report: Callable[[], JobReport], on_stop: Callable[[], None]) -> None:
        """Tell of a claimed job from now on; as for :meth:`queue`."""
        self._track(job.number, report, on_stop)

    def begin(self, number: int) -> bool:
        """Run a job of :meth:`queue`; False where it was stopped or taken away. Raises ``StorageError``."""
        return self.store.begin(number, self.name)

    def end(self, number: int, state: str, report: JobReport, error: str = "") -> None:
        """A job of this process has ended. Where the database cannot be written now, it is told later."""
        with self._lock:
            tracked = self._jobs.setdefault(number, _Tracked(lambda: report, lambda: None))
            tracked.ended = state, report, error
        self._tell_end(number)

    def sweep(self) -> int:
        """Mark the jobs of processes that have ended as interrupted; how many. Raises ``StorageError``."""
        return self.store.sweep(self._alive)

    def close(self) -> None:
        """This process stops working: its live jobs are interrupted. Idempotent."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        if self._thread:
            self._thread.join(5)
            with suppress(StorageError):
                self.store.abandon(self.name)
        if self._file:
            self._file.release()
            self._path(self.name).unlink(missing_ok=True)
            self._file = None

    def _track(self, number: int, report: Callable[[], JobReport], on_stop: Callable[[], None]) -> None:
        with self._lock:
            self._jobs[number] = _Tracked(report, on_stop)
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name="jobs", daemon=True)
                self._thread.start()
            self._lock.notify_all()

    def _live(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or bool(self._jobs))
                if self._closed:
                    return
                jobs = dict(self._jobs)
            try:
                self._tell(jobs)
            except Exception:  # the jobs go on, and so must the signs of life
                _log.exception("the database was not told of %d jobs", len(jobs))
            with self._lock:
                self._lock.wait_for(lambda: self._closed, timeout=self._beat)

    def _tell(self, jobs: dict[int, _Tracked]) -> None:
        for number in [number for number, job in jobs.items() if job.ended]:
            self._tell_end(number)
        live = {number: job for number, job in jobs.items() if not job.ended}
        if not live:
            return
        stop_asked = self.store.beat(self.name, {number: job.report() for number, job in live.items()})
        for number, job in live.items():
            if stop_asked.get(number, True) and not job.ended:
                job.on_stop()

    def _tell_end(self, number: int) -> None:
        with self._lock:
            job = self._jobs.get(number)
        if job is None or job.ended is None:
            return
        state, report, error = job.ended
        try:
            self.store.end(number, self.name, state, report, error)
        except StorageError as problem:
            _log.warning("job %d is %s, which is told to the database later. %s", number, state, problem)
            return
        with self._lock:
            self._jobs.pop(number, None)

    def _appear(self) -> None:
        """Take this process's lock; without one, its signs of life have to do."""
        from filelock import FileLock

        with self._lock:
            if self._file is not None:
                return
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                lock = FileLock(self._path(self.name), thread_local=False)
                lock.acquire(timeout=0)
                self._file = lock
            except OSError as error:
                _log.warning("no lock in %s (%s)", self._folder, error)

    def _alive(self, worker: str) -> bool | None:
        """Whether a process holds its lock; None where it has none here."""
        from filelock import FileLock, Timeout

        path = self._path(worker)
        if worker == self.name:
            return True
        if not path.is_file():
            return None
        try:
            with FileLock(path, thread_local=False).acquire(timeout=0):
                path.unlink(missing_ok=True)
            return False
        except Timeout:
            return True
        except OSError:
            return None

    def _path(self, worker: str) -> Path:
        return self._folder / f"{worker}.lock"
