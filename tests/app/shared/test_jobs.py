"""The Library's jobs: started, watched, paused, stopped and resumed, in real child processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.shared.jobs import Entry, JobsService
from app.shared.runs import RunQueue
from backend.errors import UsageError
from storage import Database
from storage.database.tables import AnswerRow, TraceRow
from storage.jobs.kinds import PredictParams, checked
from storage.workspace import Workspace
from tests.app.conftest import HeldEngine, over

REASON: dict[str, Any] = {"samples": "test", "limit": 4, "gammas": "0.5", "knowledge": ["none"], "traces": 2}
Open = Callable[..., Workspace]


@pytest.fixture
def service_of() -> Iterator[Callable[[Workspace], JobsService]]:
    made: list[JobsService] = []

    def make(workspace: Workspace) -> JobsService:
        made.append(JobsService(workspace, RunQueue(workspace.worker)))
        return made[-1]

    yield make
    for service in made:
        service.close()


def entry(service: JobsService, number: int, owner: str = "me") -> Entry:
    return next(listed for listed in service.jobs(owner) if listed.job.number == number)


def wait(true: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
    return value


def ended(service: JobsService, number: int) -> Entry:
    wait(lambda: not entry(service, number).job.live)
    return entry(service, number)


def count(database: Database, table: type[AnswerRow] | type[TraceRow]) -> int:
    with database.session(read_only=True) as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_reason_runs_to_its_end_and_again_there_is_nothing_to_run(
    workspace: Workspace, service_of: Callable[[Workspace], JobsService]
) -> None:
    service = service_of(workspace)
    first = ended(service, service.reason(REASON, "me").number)
    assert (first.job.state, first.job.error) == ("done", "")
    chains, answers = count(workspace.database, TraceRow), count(workspace.database, AnswerRow)
    assert (first.job.report.finished, first.job.report.total) == (chains + answers, chains + answers)
    assert first.job.report.stage == f"{answers} of {answers} answers and {chains} of {chains} chains are there"
    assert first.mine
    assert not entry(service, first.job.number, "you").mine
    ended(service, service.reason(REASON, "me").number)
    assert (count(workspace.database, TraceRow), count(workspace.database, AnswerRow)) == (chains, answers)


def test_a_stopped_job_keeps_its_results_and_resumes_where_it_was(
    open_workspace: Open, service_of: Callable[[Workspace], JobsService]
) -> None:
    workspace = open_workspace(scripted_delay=0.05)
    service = service_of(workspace)
    number = service.reason(REASON, "me").number
    with pytest.raises(UsageError, match=f"Job {number} does the same"):
        service.reason(REASON, "you")
    wait(lambda: count(workspace.database, TraceRow))
    assert "of" in wait(lambda: entry(service, number).job.report.stage)
    service.stop(number, "whoever sees the page")
    stopped = ended(service, number)
    assert (stopped.job.state, stopped.resumes) == ("stopped", True)
    kept = count(workspace.database, TraceRow)
    assert 0 < kept < 8
    with pytest.raises(UsageError, match="ended already"):
        service.stop(number, "me")
    service.resume(number, "you")
    done = ended(service, number)
    assert (done.job.state, done.job.is_of("you")) == ("done", True)
    assert done.job.report.finished == count(workspace.database, TraceRow) + count(workspace.database, AnswerRow)
    with pytest.raises(UsageError, match="cannot be resumed"):
        service.resume(number, "me")


def test_jobs_wait_for_each_other_and_one_that_waits_is_stopped_at_once(
    open_workspace: Open, service_of: Callable[[Workspace], JobsService]
) -> None:
    workspace = open_workspace(scripted_delay=0.05)
    service = service_of(workspace)
    numbers = [service.reason(REASON | {"traces": traces}, "me").number for traces in (2, 3, 4)]
    wait(lambda: entry(service, numbers[0]).job.state == "running")
    assert [entry(service, number).waiting for number in numbers] == [0, 1, 2]
    service.stop(numbers[1], "me")
    assert entry(service, numbers[1]).job.state == "stopped"
    assert entry(service, numbers[2]).waiting == 1
    for number in (numbers[2], numbers[0]):
        service.stop(number, "me")
        assert ended(service, number).job.state == "stopped"


def test_a_live_prediction_goes_first(
    open_workspace: Open, service_of: Callable[[Workspace], JobsService], held_engine: HeldEngine
) -> None:
    workspace = open_workspace(scripted_delay=0.05)
    runs = RunQueue(workspace.worker)
    service = JobsService(workspace, runs)
    number = service.reason(REASON, "me").number
    wait(lambda: count(workspace.database, TraceRow))
    pipeline, recipe = over(workspace, held_engine), workspace.recipe()
    data = pipeline.dataset
    run = runs.start(pipeline, pipeline.question(data.user_code("7"), data.item_code("901"), recipe), recipe, "me")
    wait(lambda: entry(service, number).job.report.stage.startswith("paused while a prediction runs"))
    time.sleep(0.3)
    before = count(workspace.database, TraceRow)
    time.sleep(1.0)
    assert count(workspace.database, TraceRow) == before
    held_engine.gate.set()
    wait(lambda: not run.snapshot().live)
    assert ended(service, number).job.state == "done"
    service.close()


def test_precompute_makes_what_is_missing_of_a_stage_and_tells_its_plan(
    home: Path, open_workspace: Open, service_of: Callable[[Workspace], JobsService]
) -> None:
    for folder in (home / "artifacts").glob("index-*"):
        shutil.rmtree(folder)
    workspace = open_workspace()
    service = service_of(workspace)
    assert [item.node.stage.kind for item in service.plan("index") if item.will_run] == ["index"]
    done = ended(service, service.precompute("index", "me").number)
    assert (done.job.state, done.job.error) == ("done", "")
    assert (done.job.report.stage, done.job.report.finished, done.job.report.total) == ("made index", 1, 1)
    assert list((home / "artifacts").glob("index-*"))
    with pytest.raises(UsageError, match="Nothing is missing"):
        service.precompute("index", "me")
    with pytest.raises(UsageError, match="stage"):
        service.precompute("nowhere", "me")


def test_a_child_that_is_killed_fails_its_job_which_can_be_resumed(
    open_workspace: Open, service_of: Callable[[Workspace], JobsService]
) -> None:
    workspace = open_workspace(scripted_delay=0.05)
    service = service_of(workspace)
    number = service.reason(REASON, "me").number
    wait(lambda: count(workspace.database, TraceRow))
    [child] = children(os.getpid())
    os.kill(child, signal.SIGKILL)
    failed = ended(service, number)
    assert (failed.job.state, failed.resumes) == ("failed", True)
    assert "signal 9" in failed.job.error


def test_other_models_than_it_was_started_for_do_not_go_on_with_a_job(
    open_workspace: Open, service_of: Callable[[Workspace], JobsService]
) -> None:
    workspace = open_workspace(scripted_delay=0.05)
    first = service_of(workspace)
    number = first.reason(REASON, "me").number
    wait(lambda: entry(first, number).job.state == "running")
    first.close()
    assert workspace.worker.store.get(number).state == "interrupted"  # type: ignore[union-attr]
    other_workspace = open_workspace(reasoning_adapter="other")
    second = service_of(other_workspace)
    second.resume(number, "me")
    failed = ended(second, number)
    assert failed.job.state == "failed"
    assert "with the adapter other does" in failed.job.error


DIE = """
import sys, time
sys.path[:0] = [{root!r}]
from pathlib import Path
from app.shared.jobs import JobsService
from app.shared.runs import RunQueue
from storage.workspace import Workspace
from tests.app.conftest import settings_of
workspace = Workspace(settings_of(Path({home!r}), scripted_delay=0.05))
service = JobsService(workspace, RunQueue(workspace.worker))
service.reason({reason!r}, "me")
print("ready", flush=True)
time.sleep(600)
"""


def test_a_killed_app_takes_its_child_with_it_and_the_next_one_resumes(
    home: Path, workspace: Workspace, service_of: Callable[[Workspace], JobsService]
) -> None:
    code = DIE.format(root=str(Path(__file__).parents[3]), home=str(home), reason=REASON)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout
        assert app.stdout.readline() == "ready\n"
        wait(lambda: count(workspace.database, TraceRow))
        [child] = children(app.pid)
        app.kill()
    wait(lambda: not alive(child))
    kept = count(workspace.database, TraceRow)
    assert 0 < kept < 8
    service = service_of(workspace)
    [job] = service.jobs("me")
    assert (job.job.state, job.resumes) == ("interrupted", True)
    service.resume(job.job.number, "me")
    assert ended(service, job.job.number).job.state == "done"


def test_what_waited_when_the_app_ended_runs_when_it_is_started_again(
    workspace: Workspace, service_of: Callable[[Workspace], JobsService]
) -> None:
    params = checked("precompute", {"dataset": "ml-latest-small", "until": "mix"})
    job = workspace.worker.store.add(params, "me")
    service = service_of(workspace)
    service.go_on()
    done = ended(service, job.number)
    assert (done.job.state, done.job.report.stage) == ("done", "nothing was missing")


@pytest.mark.parametrize("number", [None, "1", -1, 0, 2**40, 99, {"a": 1}, True])
def test_what_is_no_job_is_refused(
    workspace: Workspace, service_of: Callable[[Workspace], JobsService], number: Any
) -> None:
    service = service_of(workspace)
    for do in (service.stop, service.resume):
        with pytest.raises(UsageError, match="no job"):
            do(number, "me")


def test_a_prediction_is_stopped_by_its_owner_alone_and_resumed_on_its_own_page(
    workspace: Workspace, service_of: Callable[[Workspace], JobsService]
) -> None:
    service = service_of(workspace)
    player = {"name": "m", "revision": "1"}
    params = PredictParams.model_validate(
        {"dataset": "d", "user": "1", "item": "2", "prompts": "x", "recipe": {}, "tuned": player, "reasoning": player}
    )
    stopped = threading.Event()
    worker = workspace.worker
    job = worker.queue(params, "me", lambda: worker.store.get(1).report, stopped.set)  # type: ignore[union-attr]
    assert [entry(service, job.number, owner).stops for owner in ("me", "you")] == [True, False]
    with pytest.raises(UsageError, match="Somebody else"):
        service.stop(job.number, "you")
    assert not stopped.is_set()
    service.stop(job.number, "me")
    assert stopped.wait(10)
    with pytest.raises(UsageError, match="own page"):
        service.resume(job.number, "me")


@pytest.mark.parametrize(
    ("more", "said"),
    [({"gammas": "a lot"}, "a lot"), ({"gammas": ""}, "gammas"), ({"gammas": "7"}, "gamma is 7"),
     ({"gammas": "nan"}, "gamma"), ({"knowledge": []}, "knowledge"), ({"knowledge": ["loud"]}, "loud"),
     ({"samples": "/etc/passwd"}, "samples"), ({"limit": -3}, "limit"), ({"traces": "many"}, "traces")],
)  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused_before_it_is_queued(
    workspace: Workspace, service_of: Callable[[Workspace], JobsService], more: dict[str, Any], said: str
) -> None:
    service = service_of(workspace)
    with pytest.raises(UsageError, match=said):
        service.reason(REASON | more, "me")
    assert service.jobs("me") == []


def children(process: int) -> list[int]:
    """Processes that this one started as jobs."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == process and b"storage.jobs.child" in command:
            pids.append(int(path.parent.name))
    return pids


def alive(process: int) -> bool:
    try:
        return "Z" not in (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
