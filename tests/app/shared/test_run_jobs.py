"""Live runs as jobs: the database knows of them, only who started one stops it, and what was interrupted is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.predict.drawing import run_status
from app.predict.service import PredictService
from app.predict.view import PredictSession, PredictView
from app.shared.runs import RunQueue
from backend.engines.scripted import ScriptedEngine
from backend.errors import UsageError
from backend.what_if import Edits
from storage.jobs.store import STATES, StoredJob
from storage.workspace import Workspace
from tests.app.conftest import BrokenEngine, HeldEngine, answered, hold, over
from tests.app.predict.test_drawing import text_of


def jobs(workspace: Workspace) -> list[StoredJob]:
    return workspace.worker.store.recent(99, {"predict": STATES})


def end(run: Any) -> Any:
    [*_, last] = run.watch(0)
    return last


def test_a_run_is_a_job_with_its_counts_and_another_ask_is_another(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any
) -> None:
    view = answered(service, request_of(), session)
    [job] = jobs(workspace)
    assert (job.state, job.report.finished, job.report.total) == ("done", 6, 6)
    assert job.is_of(session.owner)
    assert session.owner not in job.owner + job.json_text
    assert (job.params.user, job.params.item) == ("7", "901")  # type: ignore[attr-defined]
    assert "merging" not in job.params.recipe  # type: ignore[attr-defined]
    assert view.prediction.complete
    answered(service, request_of(k=3), session)
    assert len(jobs(workspace)) == 2


def test_a_failure_is_kept_with_its_message(workspace: Workspace, service: PredictService, request_of: Any) -> None:
    p = service.look(request_of(), PredictSession()).prediction
    end(service.runs.start(over(workspace, BrokenEngine()), p.question, p.recipe))
    [job] = jobs(workspace)
    assert job.state == "failed"
    assert job.error.startswith("ZeroDivisionError")


def test_only_who_started_a_run_stops_it(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any, held_engine: HeldEngine
) -> None:
    hold(workspace, held_engine)
    service.look(request_of(), session)
    run = service.ask(session)
    assert held_engine.started.wait(10)
    stranger = PredictSession()
    shown = service.look(request_of(), stranger)
    assert shown.run is not None
    assert shown.run.live, "who opens the link watches"
    with pytest.raises(UsageError, match="Somebody else"):
        service.stop(stranger)
    with pytest.raises(UsageError, match="Somebody else"):
        service.runs.stop(run, "")
    assert run.snapshot().live
    assert not service.look(request_of(k=2), stranger).other_run, "it is not this page's to stop"
    service.look(request_of(k=3), stranger)
    strangers_run = service.ask(stranger)
    assert run.snapshot().live, "asking something else leaves it alone"
    service.stop(session)
    held_engine.gate.set()
    assert end(run).status == "stopped"
    assert end(strangers_run).status == "done"
    assert [job.state for job in jobs(workspace)] == ["done", "stopped"]


def test_the_same_browser_in_another_page_stops_its_run(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any, held_engine: HeldEngine
) -> None:
    hold(workspace, held_engine)
    service.look(request_of(), session)
    run = service.ask(session)
    reloaded = PredictSession(owner=session.owner)
    service.look(request_of(), reloaded)
    service.stop(reloaded)
    held_engine.gate.set()
    assert end(run).status == "stopped"


def test_a_queued_run_that_is_stopped_is_stopped_in_the_database_at_once(
    workspace: Workspace, request_of: Any, service: PredictService, held_engine: HeldEngine
) -> None:
    p = service.look(request_of(), PredictSession()).prediction
    queue = RunQueue(workspace.worker)
    queue.start(over(workspace, held_engine), p.question, p.recipe)
    waiting = queue.start(over(workspace, ScriptedEngine()), p.question, p.recipe, "me")
    assert queue.busy
    queue.stop(waiting, "me")
    assert next(job.state for job in jobs(workspace)) == "stopped"


def test_an_edited_prediction_is_another_job_and_no_page_of_the_plain_one_joins_it(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any, held_engine: HeldEngine
) -> None:
    hold(workspace, held_engine)
    p = service.look(request_of(), session).prediction
    edits = Edits(hint="no")
    edited = service.pipeline.question(p.question.user, p.question.item, p.recipe, edits)
    run = service.runs.start(service.pipeline, edited, p.recipe, "me")
    assert service.runs.live(service.pipeline, p.question, p.recipe) is None
    view = service.look(request_of(), PredictSession())
    assert (view.run, view.earlier) == (None, None)
    held_engine.gate.set()
    assert end(run).status == "done"
    [job] = jobs(workspace)
    assert job.params.edited == edits.canonical  # type: ignore[attr-defined]


def interrupted(workspace: Workspace, service: PredictService, session: PredictSession, request: Any) -> PredictView:
    """What a new process shows of a prediction whose process died after some of its chains."""
    cached = workspace.cached_engine("tuned")
    cached.inner = ScriptedEngine(delay=0.03)
    service.look(request, session)
    run = service.ask(session)
    for now in run.watch(0):
        if any(now.prediction.traces):
            workspace.worker.store.abandon(workspace.worker.name)  # as the next process does for a dead one
            service.stop(session)
    cached.inner = ScriptedEngine()
    return service.look(request, PredictSession())


def test_what_was_interrupted_is_said_with_its_chains_and_asking_resumes_the_same_job(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any
) -> None:
    view = interrupted(workspace, service, session, request_of(traces=4))
    kept = sum(trace is not None for trace in view.prediction.traces)
    assert 0 < kept < 4
    assert view.earlier is not None
    assert view.earlier.state == "interrupted"
    said = text_of(run_status(view))
    assert f"A run of this prediction was interrupted at {kept} of 4 chains. Ask resumes it" in said
    elsewhere = service.look(request_of(traces=4, gamma=0.1), PredictSession())
    assert elsewhere.earlier is None
    later = PredictSession()
    service.look(request_of(traces=4), later)
    assert end(service.ask(later)).status == "done"
    [job] = jobs(workspace)
    assert (job.number, job.state) == (view.earlier.number, "done")
    assert job.is_of(later.owner)
    calls = workspace.cached_engine("tuned").inner.calls  # type: ignore[attr-defined]
    assert [count for name, count in calls if name == "reason"] == [4 - kept]


def test_the_status_says_how_far_an_earlier_run_came(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any
) -> None:
    view = interrupted(workspace, service, session, request_of(traces=4))
    assert view.earlier is not None
    nothing = replace(view, prediction=service.pipeline.unasked(view.prediction.question, view.prediction.recipe))
    assert "was interrupted before its first answer" in text_of(run_status(nothing))
    alone = replace(view, prediction=replace(view.prediction, traces=(None,) * 4))
    assert "was interrupted at 1 of 3 answers" in text_of(run_status(alone))
    stopped = replace(view, earlier=replace(view.earlier, state="stopped"))
    assert "was stopped at" in text_of(run_status(stopped))
    elsewhere = replace(view, earlier=replace(view.earlier, state="running"))
    assert "Another process is answering this prediction" in text_of(run_status(elsewhere))


def test_alpha_and_epsilon_do_not_make_another_job(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any
) -> None:
    view = interrupted(workspace, service, session, request_of(traces=4))
    moved = service.look(request_of(traces=4, alpha=0.9, epsilon=0.1), PredictSession())
    assert view.earlier is not None
    assert moved.earlier is not None
    assert moved.earlier.number == view.earlier.number
