"""The Library page's jobs: what is there, and starting, stopping and resuming them. Knows no Gradio and no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.shared.controls import read
from app.shared.per_dataset import over
from app.shared.runs import RunQueue
from backend.errors import CorruptCacheError, UsageError
from backend.knobs import KNOBS
from backend.prompting import KNOWLEDGE_WORDINGS
from backend.retrieval import exact_gamma
from backend.settings import Settings
from storage.database.tables import utc_now
from storage.jobs.kinds import KINDS, UNATTENDED, JobParams, ReasonParams, checked
from storage.jobs.runner import Runner
from storage.jobs.store import RESUMABLE, STATES, JobStore, StoredJob
from storage.precompute.graph import STAGE_NAMES
from storage.precompute.plan import Planned
from storage.workspace import Workspace

# How many jobs the page lists.
_SHOWN = 20
# Predictions that are done are in the cache; their jobs tell nothing after so long.
_FORGET = timedelta(days=30)


@dataclass(frozen=True)
class Entry:
    """One job for the page. ``params`` is None where this version cannot read them; ``waiting``: jobs before it;
    ``mine``: whether the one who looks started it; ``stops``, ``resumes``: what the one who looks may do with it;
    ``dataset``: as addresses name it, empty for the settings' own.
    """

    job: StoredJob
    params: JobParams | None
    waiting: int
    mine: bool
    stops: bool
    resumes: bool
    dataset: str = ""


class JobsService:
    """One per app, for all its datasets: ``dataset`` names one as an address does, empty for the settings' own.

    Methods may be called from any thread; they raise ``RallrecError``.
    """

    def __init__(self, workspace: Workspace, runs: RunQueue) -> None:
        self._workspace = workspace
        self._runner = Runner(workspace.worker, workspace.settings, lambda: runs.busy)
        self._forgot = False

    def jobs(self, owner: str) -> list[Entry]:
        """The latest jobs, newest first; of live predictions those alone that go on or were interrupted."""
        self._workspace.worker.sweep()
        if not self._forgot:
            self._store.forget("predict", utc_now() - _FORGET)
            self._forgot = True
        listed = dict.fromkeys(UNATTENDED, STATES) | {"predict": ("queued", "running", "interrupted")}
        entries = [self._entry(job, owner) for job in self._store.recent(_SHOWN, listed)]
        if any(entry.job.state == "queued" and entry.job.worker is None for entry in entries):
            self._runner.wake()  # it may have been queued by a process that is gone
        return entries

    def go_on(self) -> None:
        """Run what still waits since the program ran last; what ran then is interrupted."""
        self.jobs("")

    def plan(self, until: str, dataset: str = "") -> Sequence[Planned]:
        """What ``precompute`` would make; ``until``: a stage, empty for all. Raises ``UnknownNameError``."""
        return over(self._workspace, dataset).precompute().plan(until or None)

    def precompute(self, until: str, owner: str, dataset: str = "") -> StoredJob:
        """Start making what is missing. Raises ``UsageError`` where nothing is."""
        return self._start("precompute", {"until": until}, dataset, owner)

    def reason(self, given: Mapping[str, Any], owner: str, dataset: str = "") -> StoredJob:
        """Start asking both models about many samples. ``given``: as in ``ReasonParams``, without the dataset and the
        models, and further knobs by name; ``gammas`` may be text with commas. Raises ``UsageError``.
        """
        numbers = _numbers(given.get("gammas", ""))
        named = {name: value for name, value in given.items() if name in ReasonParams.model_fields}
        choices = {name: read(name, value) for name, value in given.items() if name in KNOBS.keys() - named.keys()}
        return self._start("reason", named | {"gammas": numbers, "choices": choices}, dataset, owner)

    def evaluate(self, samples: str, limit: int | None, dataset: str, owner: str) -> StoredJob:
        """Start looking up what is cached of a list of samples, for the Evaluate page. Raises ``UsageError``."""
        return self._start("evaluate", {"samples": samples, "limit": limit}, dataset, owner)

    def evaluating(self, samples: str, limit: int | None, dataset: str) -> StoredJob | None:
        """The latest job that does so."""
        return self._store.latest(self._params("evaluate", {"samples": samples, "limit": limit}, dataset))

    def stop(self, number: Any, owner: str) -> None:
        """Stop a job. A live prediction is stopped by who started it alone, the others by whoever sees this page."""
        job = self._job(number)
        if job.kind == "predict" and not job.is_of(owner):
            raise UsageError("Somebody else started this prediction", expected="a stop by whoever did")
        if not self._store.ask_to_stop(job.number):
            raise UsageError(f"Job {job.number} has ended already")

    def resume(self, number: Any, owner: str) -> None:
        """Queue a job again that did not come to its end: it goes on where it was."""
        job = self._job(number)
        if job.kind not in UNATTENDED:
            raise UsageError("A prediction is resumed on its own page", fix="open it there and ask again")
        self._refuse_twin(job.params)
        if not self._store.resume(job.number, owner):
            raise UsageError(f"Job {job.number} cannot be resumed: it is done, or was resumed already")
        self._runner.wake()

    @property
    def settings(self) -> Settings:
        """What the forms begin with."""
        return self._workspace.settings

    @property
    def stages(self) -> tuple[str, ...]:
        """What ``precompute`` can be asked for."""
        return STAGE_NAMES

    @property
    def wordings(self) -> tuple[str, ...]:
        """How the injected sentence can be worded."""
        return tuple(KNOWLEDGE_WORDINGS)

    def close(self) -> None:
        """End the job in hand, which is interrupted."""
        self._runner.close()

    @property
    def _store(self) -> JobStore:
        return self._workspace.worker.store

    def _params(self, kind: str, given: Mapping[str, Any], dataset: str) -> JobParams:
        """All parameters of a job, out of what a form gave. Raises ``UsageError``."""
        return checked(kind, KINDS[kind].given(over(self._workspace, dataset), given))

    def _start(self, kind: str, given: Mapping[str, Any], dataset: str, owner: str) -> StoredJob:
        params = self._params(kind, given, dataset)
        params.check(over(self._workspace, dataset))
        self._refuse_twin(params)
        job = self._store.add(params, owner)
        self._runner.wake()
        return job

    def _refuse_twin(self, params: JobParams) -> None:
        twin = self._store.latest(params)
        if twin and twin.live:
            raise UsageError(f"Job {twin.number} does the same and is {twin.state}", fix="wait for it, or stop it")

    def _job(self, number: Any) -> StoredJob:
        """A job by its number, which may be anything that a browser sends."""
        job = self._store.get(number) if isinstance(number, int) and 0 < number < 2**31 else None
        if job is None:
            raise UsageError(f"There is no job {number!r:.40}", fix="look at the page again")
        return job

    def _entry(self, job: StoredJob, owner: str) -> Entry:
        try:
            params = job.params
        except CorruptCacheError:
            params = None
        waits = job.state == "queued" and job.kind in UNATTENDED
        mine, named = job.is_of(owner), str(getattr(params, "dataset", ""))
        return Entry(
            job, params, self._store.waiting_before(job) if waits else 0, mine,
            stops=job.live and not job.stop_asked and (mine or job.kind in UNATTENDED),
            resumes=job.state in RESUMABLE and job.kind in UNATTENDED and params is not None,
            dataset=named if named != self._workspace.settings.dataset else "",
        )  # fmt: skip


def _numbers(text: Any) -> list[float]:
    try:
        return [exact_gamma(float(part)) for part in str(text).replace(";", ",").split(",") if part.strip()]
    except (ValueError, OverflowError):
        raise UsageError(f"gammas are {text!r:.60}", expected="numbers with commas, as in 0.5, 0.667") from None
