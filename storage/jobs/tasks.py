"""What the jobs do that need nobody to watch them: the same code as their commands, told of in reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import product

from backend.batch import Batch, BatchListener, Count
from backend.errors import UsageError
from backend.types import ModelRef, Stop
from storage.evaluation.labelled import SampleChoice, check_apart, labelled
from storage.evaluation.looked_up import LookUp
from storage.evaluation.systems import evaluate as evaluate_all
from storage.jobs.kinds import EvaluateParams, Params, Player, PrecomputeParams, ReasonParams
from storage.jobs.pace import Pace, duration
from storage.jobs.store import Report
from storage.jobs.work import counted, kept, raise_failures, recalled
from storage.kept.sample_list import Sample, part_samples, read_samples
from storage.precompute.artifacts import BUNDLE, Artifact
from storage.roles import ROLES
from storage.shipped import samples_file
from storage.workspace import Workspace

Tell = Callable[[Report], None]


def perform(workspace: Workspace, params: Params, tell: Tell, stop: Stop) -> None:
    """Do the work of a job to its end. Raises ``Stopped``, and what the work raises."""
    if isinstance(params, PrecomputeParams):
        precompute(workspace, params, tell, stop)
    elif isinstance(params, ReasonParams):
        reason(workspace, params, tell, stop)
    elif isinstance(params, EvaluateParams):
        evaluate(workspace, params, tell, stop)
    else:
        raise UsageError(f"{type(params).__name__} is run by the page that asks for it", fix="ask there")


def precompute(workspace: Workspace, params: PrecomputeParams, tell: Tell, stop: Stop) -> None:
    """``rallrec precompute``: make what is missing. The report counts artifacts; its fraction is of the one in hand."""
    work = workspace.precompute(params.dataset)
    planned = [item for item in work.plan(params.until) if item.will_run]
    made: list[str] = []
    said = _Said(tell)

    def progress(what: str, fraction: float | None) -> None:
        said.say(Report(what, fraction, len(made), len(planned)))

    def on_done(artifact: Artifact) -> None:
        made.append(str(artifact.meta["kind"]))
        progress(f"made {made[-1]}", None)

    work.run(params.until, progress=progress, stop=stop, on_done=on_done)
    tell(Report(f"made {', '.join(made)}" if made else "nothing was missing", 1.0, len(made), len(planned)))


def reason(workspace: Workspace, params: ReasonParams, tell: Tell, stop: Stop) -> None:
    """``rallrec reason``: ask both models about many samples. The report counts the results of the kind in hand.

    Raises ``EngineError`` where prompts failed, after all others were asked.
    """
    workspace = workspace.over(params.dataset)
    for role in ROLES:
        _check_player(role, getattr(params, role), workspace.model(role))
    samples = _samples(workspace, params)
    ways = product(params.gammas, params.knowledge)
    recipes = [
        workspace.recipe(gamma=gamma, knowledge=wording, traces=params.traces, **params.choices)
        for gamma, wording in ways
    ]
    pipeline = workspace.pipeline()
    said = _Said(tell)

    def stage(what: str, fraction: float | None) -> None:
        said.say(Report(what, fraction))

    def count(now: Count) -> None:
        if now.wanted != now.known:
            left = now.seconds_left if now.left else None
            report = Report(counted(now), now.fraction, now.known + now.made, now.wanted)
            said.say(report, left)

    batch = Batch(pipeline, recalled(pipeline, samples, recipes, stage, stop))
    try:
        batch.run(BatchListener(stage, count), stop)
    finally:
        done = [batch.answers, batch.chains]
        finished, wanted = sum(own.known + own.made for own in done), sum(own.wanted for own in done)
        said.tell(Report(f"{kept(batch)} are there", finished / wanted if wanted else None, finished, wanted))
    raise_failures(batch, samples, recipes, "resume the job")


def evaluate(workspace: Workspace, params: EvaluateParams, tell: Tell, stop: Stop) -> None:
    """``rallrec evaluate``: what is found is kept in the home folder, where the Evaluate page reads it."""
    workspace = workspace.over(params.dataset)
    for role in ROLES:
        _check_player(role, getattr(params, role), workspace.model(role))
    said = _Said(tell)

    def stage(what: str, fraction: float | None) -> None:
        said.say(Report(what, fraction))

    samples = labelled(workspace, SampleChoice(params.samples, params.limit), "test")
    validation = labelled(workspace, SampleChoice(), "validation")
    if not params.samples.endswith("validation"):
        check_apart(samples, validation)
    systems = evaluate_all(workspace, samples, validation, None, LookUp(stage, stop)).systems
    done = sum(system.complete for system in systems.values())
    said.tell(Report(f"{done} of {len(systems)} systems are scored on {len(samples):,} samples", 1.0))


class _Said:
    """Adds how long the work will take, where that can be known."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self._pace = Pace()

    def say(self, report: Report, left: float | None = None) -> None:
        now = time.monotonic()
        if not self._pace.begins(report.stage, report.fraction, now) and left is None:
            left = self._pace.left(report.fraction, now)
        about = "" if left is None or left < 1 else f", about {duration(left)} left"
        self.tell(replace(report, stage=report.stage + about))


def _samples(workspace: Workspace, params: ReasonParams) -> list[Sample]:
    data = workspace.dataset()
    if params.samples == "shipped":
        return read_samples(samples_file(BUNDLE, "test"), data)[: params.limit]
    return part_samples(data, workspace.settings.split, params.samples, params.limit)


def _check_player(role: str, wanted: Player, model: ModelRef) -> None:
    """What a job asked of other models than play now is not mixed with what these say."""
    if wanted != Player(**asdict(model)):
        raise UsageError(
            f"This job was started when {wanted.name} with the adapter {wanted.adapter} played {role}, and now "
            f"{model.name} with the adapter {model.adapter} does",
            fix="start a new job, or the program with the settings of then",
        )
