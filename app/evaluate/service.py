"""The Evaluate page's look-ups: what is cached of a list of samples, at once or by a job. Knows no Gradio and no HTML.

No model is ever run from here.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from functools import cached_property

from app.evaluate.address import SAMPLES, EvaluateQuery
from app.evaluate.samples_behind import Behind, behind
from app.evaluate.view import State
from app.shared.jobs import JobsService
from backend.datasets import Dataset, build_samples, split
from backend.errors import NotPreparedError
from backend.evaluation.paper.slices import dataset_slices
from backend.evaluation.paper.systems import LabelledSamples
from storage.evaluation.labelled import SHIPPED, SampleChoice, check_apart, labelled
from storage.evaluation.looked_up import LookUp
from storage.evaluation.systems import evaluate
from storage.jobs.store import StoredJob
from storage.results.unknown import again_command
from storage.workspace import Workspace

# Lists of up to so many samples are looked up while somebody waits, larger ones by a job.
_AT_ONCE = 500
# For so many seconds a state is taken as it is, although results are being added.
_FRESH = 60.0
_STATES = 3

_Key = tuple[str, int | None]


class EvaluateService:
    """One per app and dataset. Methods may be called from any thread; they raise ``RallrecError`` for bad input."""

    def __init__(self, workspace: Workspace, jobs: JobsService) -> None:
        self._workspace, self._jobs = workspace, jobs
        self._lock = threading.Lock()
        self._states: OrderedDict[_Key, tuple[float, State]] = OrderedDict()

    @property
    def data(self) -> Dataset:
        return self._workspace.dataset()

    @cached_property
    def lists(self) -> tuple[str, ...]:
        """The samples that a page offers: the lists that ship where this dataset does, and the parts."""
        ships = SampleChoice().resolved(self._workspace, "test").what == SHIPPED
        return tuple(name for name in SAMPLES if ships or not name.startswith(SHIPPED))

    def choice(self, query: EvaluateQuery) -> SampleChoice:
        """The samples that an address means."""
        return SampleChoice(query.samples, query.limit).resolved(self._workspace, "test")

    def known(self, query: EvaluateQuery, old: bool = False) -> State | None:
        """Returns what was looked up lately; with ``old``, for a page that is open, also what is older."""
        choice = self.choice(query)
        made, state = self._states.get((choice.what, choice.limit), (0.0, None))
        return state if old or time.monotonic() - made < _FRESH else None

    def look(self, query: EvaluateQuery) -> State | None:
        """Look up what is cached; None where that is to be asked for as a job first (:meth:`start`)."""
        choice = self.choice(query)
        with self._lock:
            ready = self.known(query)
            if ready is not None:
                return ready
            samples = labelled(self._workspace, choice, "test")
            large = len(samples) > _AT_ONCE
            try:
                state = self._state(samples, choice, LookUp(kept=large))
            except NotPreparedError:
                if large:
                    return None
                raise
            self._states[choice.what, choice.limit] = (time.monotonic(), state)
            while len(self._states) > _STATES:
                self._states.popitem(last=False)
            return state

    def behind(self, state: State, query: EvaluateQuery) -> Behind | None:
        """The samples that the page's address asks for."""
        return behind(state, query, self._workspace.settings)

    def start(self, query: EvaluateQuery, owner: str) -> StoredJob:
        """Start the job that looks up what a large list needs. Raises ``UsageError`` where one goes on."""
        choice = self.choice(query)
        return self._jobs.evaluate(choice.what, choice.limit, self._workspace.settings.dataset, owner)

    def job(self, query: EvaluateQuery) -> StoredJob | None:
        """The latest job that looks it up."""
        choice = self.choice(query)
        return self._jobs.evaluating(choice.what, choice.limit, self._workspace.settings.dataset)

    def _state(self, samples: LabelledSamples, choice: SampleChoice, look_up: LookUp) -> State:
        work, data = self._workspace, self.data
        validation = labelled(work, SampleChoice(), "validation")
        if not choice.what.endswith("validation"):
            check_apart(samples, validation)
        evaluation = evaluate(work, samples, validation, None, look_up)
        slices = dataset_slices(data, split(build_samples(data), data, work.settings.split), samples.rows)
        return State(evaluation, slices, data, again_command(work.settings))
