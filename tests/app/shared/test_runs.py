"""The queue of live predictions: one at a time, in order, and every one ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.shared.runs import LiveRun, RunQueue
from backend.engines.scripted import FAIL_MARK, ScriptedEngine
from backend.pipeline import Pipeline
from backend.questions import Question
from storage.results.lookup import look_up
from storage.workspace import Workspace
from tests.app.conftest import BrokenEngine, HeldEngine, hold, over

ENDED = ("done", "stopped", "failed")


@pytest.fixture
def question(workspace: Workspace) -> Callable[..., Question]:
    data = workspace.dataset()
    return lambda item="901", **more: workspace.pipeline().question(
        data.user_code("7"), data.item_code(item), workspace.recipe(**more)
    )


def start(queue: RunQueue, workspace: Workspace, question: Question, pipeline: Pipeline | None = None) -> LiveRun:
    return queue.start(pipeline or workspace.pipeline(), question, workspace.recipe())


def end(run: LiveRun) -> Any:
    [*_, last] = run.watch(0)
    return last


def test_a_run_goes_through_its_states_and_ends_with_the_prediction(
    workspace: Workspace, question: Callable[..., Question]
) -> None:
    engine = ScriptedEngine(delay=0.005)
    run = start(RunQueue(workspace.worker), workspace, question(), over(workspace, engine))
    seen = list(run.watch(0))
    statuses = list(dict.fromkeys(now.status for now in seen))
    assert statuses in (["queued", "running", "done"], ["running", "done"])
    assert all(now.live for now in seen[:-1])
    last = seen[-1]
    assert last.prediction.complete
    assert not last.live
    assert last.pieces == {trace.index: trace.text for trace in last.prediction.traces if trace}
    known = [sum(trace is not None for trace in now.prediction.traces) for now in seen]
    assert known == sorted(known)
    assert any(now.pieces and not any(now.prediction.traces) for now in seen), "nothing was streamed"
    seconds = run.snapshot().seconds
    time.sleep(0.02)
    assert run.snapshot().seconds == seconds > 0


def test_watching_one_that_has_ended_gives_its_end_at_once(
    workspace: Workspace, question: Callable[..., Question]
) -> None:
    run = start(RunQueue(workspace.worker), workspace, question())
    last = end(run)
    assert [now.status for now in run.watch()] == [last.status] == ["done"]


def test_runs_wait_their_turn_and_know_their_place(
    workspace: Workspace, question: Callable[..., Question], held_engine: HeldEngine
) -> None:
    queue, pipeline = RunQueue(workspace.worker), over(workspace, held_engine)
    runs = [start(queue, workspace, question(), pipeline) for _ in range(4)]
    assert held_engine.started.wait(10)
    assert [run.snapshot().status for run in runs] == ["running", "queued", "queued", "queued"]
    assert [run.snapshot().waiting for run in runs] == [0, 1, 2, 3]
    held_engine.gate.set()
    assert [end(run).status for run in runs] == ["done"] * 4
    ended = [run._ended for run in runs]
    assert ended == sorted(ended, key=float)
    assert held_engine.most == 1


def test_places_move_up_as_runs_end(
    workspace: Workspace, question: Callable[..., Question], held_engine: HeldEngine
) -> None:
    queue = RunQueue(workspace.worker)
    first = start(queue, workspace, question(), over(workspace, ScriptedEngine(delay=0.02)))
    second, third = (start(queue, workspace, question(), over(workspace, held_engine)) for _ in range(2))
    assert third.snapshot().waiting == 2
    assert end(first).status == "done"
    assert held_engine.started.wait(10)
    assert (second.snapshot().status, third.snapshot().waiting) == ("running", 1)


def test_a_queued_run_that_is_stopped_ends_at_once_and_never_runs(
    workspace: Workspace, question: Callable[..., Question], held_engine: HeldEngine
) -> None:
    queue, quick = RunQueue(workspace.worker), ScriptedEngine()
    start(queue, workspace, question(), over(workspace, held_engine))
    waiting = start(queue, workspace, question(), over(workspace, quick))
    behind = start(queue, workspace, question(), over(workspace, ScriptedEngine()))
    assert held_engine.started.wait(10)
    waiting.stop()
    assert end(waiting).status == "stopped"
    held_engine.gate.set()
    assert end(behind).status == "done"
    assert waiting.snapshot().status == "stopped"
    assert quick.calls == []


def test_a_stopped_run_keeps_its_finished_chains_in_the_cache(
    workspace: Workspace, question: Callable[..., Question]
) -> None:
    # Chains end at different words, the fourth (which is never closed) first.
    cached = workspace.cached_engine("tuned")
    cached.inner = ScriptedEngine(delay=0.03)
    the_question, recipe = question(traces=4), workspace.recipe(traces=4)
    run = RunQueue(workspace.worker).start(workspace.pipeline(), the_question, recipe)
    for now in run.watch(0):
        if any(now.prediction.traces):
            run.stop()
    last = run.snapshot()
    assert last.status == "stopped"
    kept = look_up(workspace.pipeline(), the_question, recipe)
    assert kept.traces == last.prediction.traces
    assert 0 < sum(trace is not None for trace in kept.traces) < 4
    again = RunQueue(workspace.worker).start(workspace.pipeline(), the_question, recipe)
    assert end(again).prediction.complete
    missing = sum(trace is None for trace in kept.traces)
    assert [call for call in cached.inner.calls if call[0] == "reason"] == [("reason", 4), ("reason", missing)]


def test_stopping_twice_or_after_the_end_changes_nothing(
    workspace: Workspace, question: Callable[..., Question]
) -> None:
    run = start(RunQueue(workspace.worker), workspace, question())
    done = end(run)
    run.stop()
    run.stop()
    assert run.snapshot() == done


def test_a_failing_engine_ends_its_run_with_the_message_and_the_next_one_runs(
    workspace: Workspace, question: Callable[..., Question]
) -> None:
    queue = RunQueue(workspace.worker)
    failing = start(queue, workspace, question("906"))
    fine = start(queue, workspace, question())
    last = end(failing)
    assert (last.status, last.live) == ("failed", False)
    assert FAIL_MARK in last.error
    assert "To fix it" in last.error
    assert last.prediction.answers == (None,) * 3
    assert (end(fine).status, end(fine).error) == ("done", "")


def test_a_bug_ends_its_run_with_its_name_and_leaves_the_traceback_in_the_log(
    workspace: Workspace, question: Callable[..., Question], caplog: pytest.LogCaptureFixture
) -> None:
    queue = RunQueue(workspace.worker)
    broken = start(queue, workspace, question(), over(workspace, BrokenEngine()))
    fine = start(queue, workspace, question())
    assert end(broken).status == "failed"
    assert end(broken).error.startswith("ZeroDivisionError: a bug in the engine")
    assert "Traceback" in caplog.text
    assert end(fine).status == "done"


def test_eight_threads_at_once_get_every_run_done_one_at_a_time(
    workspace: Workspace, question: Callable[..., Question]
) -> None:
    queue, engine = RunQueue(workspace.worker), HeldEngine()
    engine.gate.set()
    pipeline, the_question = over(workspace, engine), question()
    runs: list[LiveRun] = []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        for _ in range(5):
            runs.append(start(queue, workspace, the_question, pipeline))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {end(run).status for run in runs} == {"done"}
    assert (len(runs), engine.most) == (40, 1)
    assert [call[0] for call in engine.calls].count("reason") == 40


def test_stopping_at_any_moment_ends_a_run_for_good(workspace: Workspace, question: Callable[..., Question]) -> None:
    queue, the_question = RunQueue(workspace.worker), question()
    for moment in range(60):
        run = start(queue, workspace, the_question, over(workspace, ScriptedEngine()))
        time.sleep(moment * 5e-5)
        run.stop()
        last = end(run)
        assert last.status in ENDED
        assert run.snapshot() == last


def test_several_watchers_see_the_same_end(workspace: Workspace, question: Callable[..., Question]) -> None:
    run = start(RunQueue(workspace.worker), workspace, question(), over(workspace, ScriptedEngine(delay=0.01)))
    ends: list[Any] = []
    threads = [threading.Thread(target=lambda: ends.append(end(run))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(ends) == 5
    assert all(one == ends[0] for one in ends)


def test_the_cached_engine_runs_a_page_and_a_command_at_once(
    workspace: Workspace, question: Callable[..., Question], held_engine: HeldEngine
) -> None:
    hold(workspace, held_engine)
    run = start(RunQueue(workspace.worker), workspace, question())
    assert held_engine.started.wait(10)
    beside: list[Any] = []
    pipeline = workspace.pipeline()
    command = threading.Thread(target=lambda: beside.append(pipeline.predict(question(), workspace.recipe())))
    command.start()
    held_engine.gate.set()
    command.join(20)
    assert beside == [end(run).prediction]
    assert sum(count for name, count in held_engine.calls if name == "answer") == 3


@pytest.mark.parametrize("reached", [False, True])
def test_while_a_model_computes_the_status_says_that_and_not_that_the_cache_is_read(
    workspace: Workspace, question: Callable[..., Question], held_engine: HeldEngine, reached: bool
) -> None:
    """The first answer is cached or not; either way an answer is being computed."""
    if reached:
        workspace.cached_engine("tuned").answer([question().prompts[0].messages])
    hold(workspace, held_engine)
    run = start(RunQueue(workspace.worker), workspace, question())
    assert held_engine.started.wait(10)
    now = run.snapshot()
    assert (now.stage, now.fraction) == ("answering", None)
    held_engine.gate.set()
    assert end(run).status == "done"
