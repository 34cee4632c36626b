"""Live predictions: one at a time in a background thread, watched by as many pages as care to.

A page that is closed does not end a run, and each answer and chain is in the cache as soon as it is finished, so a run
that is stopped or whose page is gone has lost nothing. Each run is a job in the database: what is being written lives
here, but that it was begun, how far it came and that it was interrupted outlives this process.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from backend.errors import RallrecError, Stopped, UsageError
from backend.pipeline import Listener, Pipeline, Prediction, Recipe
from backend.questions import Question
from storage.jobs.kind import JobReport
from storage.jobs.kinds import PredictParams
from storage.jobs.store import StoredJob
from storage.jobs.worker import Worker

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
class LiveRun:
    """One live prediction; made by :meth:`RunQueue.start`. ``owner``: the key of whoever started it; ``tell``: told the
    status, the report and the error with which it ends.
    """

    pipeline: Pipeline
    question: Question
    recipe: Recipe
    owner: str
    tell: Callable[[str, JobReport, str], None] = lambda *_: None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stop: threading.Event = field(default_factory=threading.Event)
    _pieces: dict[int, list[str]] = field(default_factory=dict)
    _version: int = 0
    _started: float = field(default_factory=time.monotonic)
    _ended: float | None = None

    def __post_init__(self) -> None:
        unasked = self.pipeline.unasked(self.question, self.recipe)
        self._state = Snapshot("queued", "waiting for the model", None, 0, 0.0, unasked, {})

    def stop(self) -> None:
        """Ask the run to stop; what has finished is kept. A run that still waits for its turn ends at once."""
        self._stop.set()
        with self._changed:
            waited = self._state.status == "queued"
            if waited:
                self._set(status="stopped", stage="stopped before it began")
        if waited:
            self.tell("stopped", self.report(), "")

    def snapshot(self) -> Snapshot:
        with self._changed:
            pieces = {index: "".join(parts) for index, parts in self._pieces.items()}
            return replace(self._state, seconds=(self._ended or time.monotonic()) - self._started, pieces=pieces)

    def report(self) -> JobReport:
        """How far it is, as the database is told."""
        now = self._state
        parts = len(now.prediction.answers) + len(now.prediction.traces)
        return JobReport(now.stage, now.fraction, known(now.prediction), parts)

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
            if self._state.status != "queued":
                return
            self._set(status="running", stage="starting", waiting=0)
        listener = Listener(
            stage=lambda what, fraction: self._set(stage=what, fraction=fraction),
            update=lambda prediction: self._set(prediction=prediction),
            piece=self._on_piece,
        )
        try:
            done = self.pipeline.predict(self.question, self.recipe, listener, self._stop.is_set)
        except Stopped:
            self._end(status="stopped", stage="stopped; what had finished is kept")
        except RallrecError as error:
            self._end(status="failed", stage="failed", error=str(error))
        except Exception as error:  # a page must show it, whatever it is; the log has the traceback
            _log.exception("a live prediction failed")
            self._end(status="failed", stage="failed", error=f"{type(error).__name__}: {error}. The log says more.")
        else:
            self._set(prediction=done)
            self._end(status="done", stage="done")

    def told_to_wait(self, before: int) -> None:
        """How many runs are before this one."""
        self._set(waiting=before)

    def _on_piece(self, index: int, text: str) -> None:
        with self._changed:
            self._pieces.setdefault(index, []).append(text)
            self._tell_watchers()

    def _end(self, status: str, stage: str, error: str = "") -> None:
        """The database is told before anybody who watches sees the end."""
        self.tell(status, self.report(), error)
        self._set(status=status, stage=stage, error=error)

    def _set(self, **fields: Any) -> None:
        with self._changed:
            self._state = replace(self._state, **fields)
            if not self._state.live and self._ended is None:
                self._ended = time.monotonic()
            self._tell_watchers()

    def _tell_watchers(self) -> None:
        self._version += 1
        self._changed.notify_all()


def known(prediction: Prediction) -> int:
    """How many answers and chains are there; one of unknown precision is to be asked anew."""
    return sum(part is not None and not part.unknown for part in (*prediction.answers, *prediction.traces))


class RunQueue:
    """Runs one prediction at a time: a second model call beside it would only slow both down.

    ``worker``: as whom it tells the database of its runs.
    """

    def __init__(self, worker: Worker) -> None:
        self._jobs = worker
        self._runs: list[tuple[LiveRun, int, PredictParams]] = []
        self._lock = threading.Condition()
        self._worker: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a run goes on or waits."""
        with self._lock:
            return bool(self._runs)

    def start(self, pipeline: Pipeline, question: Question, recipe: Recipe, owner: str = "") -> LiveRun:
        """Queue a run; the thread is started with the first one. A job of the same prediction that did not come to its
        end is taken up again.

        ``owner``: a key that only those hold who may stop it. Raises ``StorageError``.
        """
        run = LiveRun(pipeline, question, recipe, owner or uuid.uuid4().hex)
        params = _params(pipeline, question, recipe)
        number = self._jobs.queue(params, run.owner, run.report, run.stop).number
        run.tell = partial(self._jobs.end, number)
        with self._lock:
            self._runs.append((run, number, params))
            self._announce()
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="runs", daemon=True)
                self._worker.start()
            self._lock.notify_all()
        return run

    def stop(self, run: LiveRun, owner: str) -> None:
        """Stop a run for whoever started it; what has finished is kept. Raises ``UsageError`` for anybody else."""
        if owner != run.owner:
            raise UsageError("Somebody else started this run", expected="a stop by whoever did", fix="wait for its end")
        run.stop()

    def live(self, pipeline: Pipeline, question: Question, recipe: Recipe) -> LiveRun | None:
        """The run of exactly this prediction that goes on or waits here, whoever started it."""
        wanted_params = _params(pipeline, question, recipe)
        with self._lock:
            same = [run for run, _, params in self._runs if params == wanted_params]
        return next((run for run in same if run.snapshot().live), None)

    def last_job(self, pipeline: Pipeline, question: Question, recipe: Recipe) -> StoredJob | None:
        """The last job of exactly this prediction, of whatever process, however long ago. Raises ``StorageError``."""
        params, jobs = _params(pipeline, question, recipe), self._jobs
        job = jobs.store.latest(params)
        if job and job.live and job.worker != jobs.name and jobs.sweep():
            job = jobs.store.latest(params)
        return job

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: bool(self._runs))
                run, number, _ = self._runs[0]
            self._execute(run, number)
            with self._lock:
                self._runs.pop(0)
                self._announce()

    def _execute(self, run: LiveRun, number: int) -> None:
        try:
            if not self._jobs.begin(number):
                run.stop()
        except RallrecError as error:  # the prediction matters more than its bookkeeping
            _log.warning("job %d begins, which the database was not told. %s", number, error)
        run.execute()

    def _announce(self) -> None:
        for place, (run, *_) in enumerate(self._runs[1:], start=1):
            run.told_to_wait(place)


def _params(pipeline: Pipeline, question: Question, recipe: Recipe) -> PredictParams:
    data = pipeline.dataset
    ids = data.user_ids[question.user], data.item_ids[question.item]
    players = pipeline.tuned.model, pipeline.reasoner.model
    return PredictParams.of(data.meta.name, ids, question, recipe, *players)
