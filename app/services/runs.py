"""Live predictions: one at a time in a background thread, watched by as many pages as care to.

A page that is closed does not end a run, and each answer and chain is in the cache as soon as it is finished, so a run
that is stopped or whose page is gone has lost nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from backend.errors import RallrecError, Stopped
from backend.pipeline import Listener, Pipeline, Prediction, Recipe
from backend.questions import Question

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """A run as of now. ``status``: queued, running, done, stopped or failed. ``pieces``: text so far per chain."""

    status: str
    stage: str
    fraction: float | None
    waiting: int
    seconds: float
    prediction: Prediction
    pieces: dict[int, str]
    error: str = ""

    @property
    def live(self) -> bool:
        return self.status in ("queued", "running")


@dataclass
class Run:
    """One live prediction; made by :meth:`RunQueue.start`."""

    pipeline: Pipeline
    question: Question
    recipe: Recipe
    _now: Prediction
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stop: threading.Event = field(default_factory=threading.Event)
    _status: str = "queued"
    _stage: str = "waiting for the model"
    _fraction: float | None = None
    _waiting: int = 0
    _pieces: dict[int, list[str]] = field(default_factory=dict)
    _error: str = ""
    _version: int = 0
    _started: float = field(default_factory=time.monotonic)
    _ended: float | None = None

    def stop(self) -> None:
        """Ask the run to stop; what has finished is kept. A run that still waits for its turn ends at once."""
        self._stop.set()
        with self._changed:
            if self._status == "queued":
                self._set(status="stopped", stage="stopped before it began")

    def snapshot(self) -> Snapshot:
        with self._changed:
            return Snapshot(
                self._status,
                self._stage,
                self._fraction,
                self._waiting,
                (self._ended or time.monotonic()) - self._started,
                self._now,
                {index: "".join(parts) for index, parts in self._pieces.items()},
                self._error,
            )

    def watch(self, interval: float = 0.12) -> Iterator[Snapshot]:
        """Snapshots as the run goes on, at most one per ``interval`` seconds, the last one when it has ended."""
        seen = -1
        while True:
            with self._changed:
                self._changed.wait_for(partial(self._differs_from, seen), timeout=1.0)
                seen = self._version
            now = self.snapshot()
            yield now
            if not now.live:
                return
            time.sleep(interval)

    def _differs_from(self, version: int) -> bool:
        return self._version != version

    def execute(self) -> None:
        """Run it to its end, in the queue's thread. Never raises."""
        with self._changed:
            if self._status != "queued":
                return
            self._set(status="running", stage="starting", waiting=0)
        listener = Listener(stage=self._on_stage, update=self._on_update, piece=self._on_piece)
        try:
            done = self.pipeline.predict(self.question, self.recipe, listener, self._stop.is_set)
        except Stopped:
            self._set(status="stopped", stage="stopped; what had finished is kept")
        except RallrecError as error:
            self._set(status="failed", stage="failed", error=str(error))
        except Exception as error:  # a page must show it, whatever it is; the log has the traceback
            _log.exception("a live prediction failed")
            self._set(status="failed", stage="failed", error=f"{type(error).__name__}: {error}. The log says more.")
        else:
            self._set(status="done", stage="done", now=done)

    def told_to_wait(self, before: int) -> None:
        """How many runs are before this one."""
        self._set(waiting=before)

    def _on_stage(self, what: str, fraction: float | None) -> None:
        self._set(stage=what, fraction=fraction)

    def _on_update(self, prediction: Prediction) -> None:
        self._set(now=prediction)

    def _on_piece(self, index: int, text: str) -> None:
        with self._changed:
            self._pieces.setdefault(index, []).append(text)
            self._version += 1
            self._changed.notify_all()

    def _set(self, **fields: object) -> None:
        with self._changed:
            for name, value in fields.items():
                setattr(self, f"_{name}", value)
            if self._status not in ("queued", "running") and self._ended is None:
                self._ended = time.monotonic()
            self._version += 1
            self._changed.notify_all()


class RunQueue:
    """Runs one prediction at a time: a second model call beside it would only slow both down."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._lock = threading.Condition()
        self._worker: threading.Thread | None = None

    def start(self, pipeline: Pipeline, question: Question, recipe: Recipe) -> Run:
        """Queue a run; the thread is started with the first one."""
        run = Run(pipeline, question, recipe, pipeline.unasked(question, recipe))
        with self._lock:
            self._runs.append(run)
            self._announce()
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="runs", daemon=True)
                self._worker.start()
            self._lock.notify_all()
        return run

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: bool(self._runs))
                run = self._runs[0]
            run.execute()
            with self._lock:
                self._runs.pop(0)
                self._announce()

    def _announce(self) -> None:
        for place, run in enumerate(self._runs[1:], start=1):
            run.told_to_wait(place)
