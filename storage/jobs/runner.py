"""Runs the jobs that need nobody to watch them, one at a time, each in a process of its own (``storage.jobs.child``).

While a live prediction runs, the job is paused: it goes on between two of its own tokens, and loses nothing.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backend.engines import record_of
from backend.errors import RallrecError
from backend.settings import Settings
from storage.jobs.kind import JobReport
from storage.jobs.kinds import UNATTENDED
from storage.jobs.store import StoredJob
from storage.jobs.worker import Worker

# Seconds between two looks at whether a prediction wants the processor.
_LOOK = 0.1
_ROOT = Path(__file__).parents[2]

_log = logging.getLogger(__name__)


class Runner:
    """``busy``: whether a live prediction goes on or waits. Its thread is started by :meth:`wake`."""

    def __init__(self, worker: Worker, settings: Settings, busy: Callable[[], bool]) -> None:
        self._worker, self._settings, self._busy = worker, settings, busy
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def wake(self) -> None:
        """See whether a job waits."""
        with self._lock:
            self._wake.set()
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._work, name="job runner", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the job in hand, which is interrupted. Idempotent."""
        self._closed.set()
        self._wake.set()
        if self._thread:
            # The job's process is given ten seconds and then ended, which a busy machine is slow to do.
            self._thread.join(30)

    def _work(self) -> None:
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                while not self._closed.is_set() and (job := self._worker.claim(UNATTENDED)):
                    self._run(job)
            except RallrecError as error:  # the next wake tries again
                _log.warning("no job was taken. %s", error)
            except Exception:  # one job that breaks must not keep the others waiting for ever
                _log.exception("a job was lost")

    def _run(self, job: StoredJob) -> None:
        try:
            child = _Child(job, self._settings)
        except OSError as problem:
            self._worker.end(job.number, "failed", JobReport(), f"A process for the job cannot be started ({problem})")
            return
        self._worker.track(job, child.report, child.stop)
        pauses = record_of(self._settings.engine).shares_processor
        while not child.over.wait(_LOOK):
            child.pause(pauses and self._busy())
            if self._closed.is_set():
                child.stop()
                child.over.wait(10)
                break
        child.end()
        state, error = child.outcome
        if self._closed.is_set() and state != "done":
            state, error = "interrupted", ""
        self._worker.end(job.number, state, child.report(), error)


class _Child:
    """A running child: its last report, and what it is told. ``over`` is set once it has said its last."""

    def __init__(self, job: StoredJob, settings: Settings) -> None:
        self.over = threading.Event()
        self.outcome = "failed", "The job's process did not start"
        self._report = JobReport("starting a process")
        self._paused = False
        self._lock = threading.Lock()
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "storage.jobs.child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
        order = {"settings": settings.model_dump(mode="json"), "kind": job.kind, "params": job.json_text}
        self._order(json.dumps(order))
        threading.Thread(target=self._listen, name="job reports", daemon=True).start()

    def report(self) -> JobReport:
        with self._lock:
            if not self._paused:
                return self._report
            return replace(self._report, stage=f"paused while a prediction runs; {self._report.stage}")

    def pause(self, paused: bool) -> None:
        """Pause or go on."""
        if paused != self._paused:
            self._order("pause" if paused else "go")
            with self._lock:
                self._paused = paused

    def stop(self) -> None:
        self._order("stop")

    def end(self) -> None:
        """Wait for the process, which has nothing left to say."""
        with suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _order(self, line: str) -> None:
        with suppress(OSError, ValueError):  # it has ended
            assert self._process.stdin
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        try:
            if not self._hear_end():
                code = self._process.wait()
                how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
                self.outcome = "failed", f"The job's process {how}. What it had finished is kept; resume it to go on."
        finally:
            self.over.set()

    def _hear_end(self) -> bool:
        """Take in its reports; whether it said how it ended."""
        assert self._process.stdout
        for line in self._process.stdout:
            said = json.loads(line)
            if "ended" in said:
                self.outcome = said["ended"], said.get("error", "")
                return True
            with self._lock:
                self._report = JobReport(**said)
        return False
