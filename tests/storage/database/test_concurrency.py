"""Several threads and processes at once: nobody meets a locked database, and the one that stored first wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import storage.database.schema
from backend.errors import Stopped
from backend.types import Answer, Sampling, Trace
from storage import CachedEngine, Database, open_database
from storage.database.tables import AnswerRow, PromptRow, TraceRow
from tests.storage.storage_fakes import CountingEngine, ask, together

ROOT = Path(__file__).parents[3]
PROMPTS = [ask(str(number)) for number in range(12)]
SAMPLING = Sampling()


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    barrier = threading.Barrier(count)

    def start(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(start, range(count)))


def test_threads_that_write_and_read_the_same_keys(database: Database) -> None:
    """Each with an engine of its own, as separate processes would have."""

    def work(number: int) -> Any:
        engine = CachedEngine(CountingEngine(), database)
        order = PROMPTS[number:] + PROMPTS[:number]
        answers = dict(zip(order, engine.answer(order), strict=True))
        traces = dict(zip(order, engine.reason(order, 3, SAMPLING), strict=True))
        engine.peek_answers(order)
        return answers, traces

    first, *others = at_once(8, work)
    assert all(results == first for results in others)
    with database.session(read_only=True) as session:
        counts = [
            session.execute(select(func.count()).select_from(row)).scalar() for row in (PromptRow, AnswerRow, TraceRow)
        ]
    assert counts == [12, 12, 36]


def test_threads_that_share_an_engine_run_each_prompt_once(database: Database) -> None:
    inner = CountingEngine()
    engine = CachedEngine(inner, database)
    at_once(8, lambda number: (engine.answer(PROMPTS), engine.reason(PROMPTS, 2, SAMPLING)))
    assert inner.answered == PROMPTS
    assert sorted(index for _, index in inner.drawn) == [0] * 12 + [1] * 12


def test_the_first_to_store_wins(database: Database) -> None:
    """The other process stores its results while this one's model still runs."""
    other_process = CachedEngine(CountingEngine(), database)

    class LateEngine(CountingEngine):
        def answer(self, prompts: Any, **more: Any) -> list[Answer]:
            other_process.answer(prompts)
            return [Answer(0.999, 1, 1.0) for _ in prompts]

        def reason(self, prompts: Any, samples: Any, sampling: Any, *, on_trace: Any = None, **more: Any) -> Any:
            other_process.reason(prompts, samples, sampling)
            trace = Trace(0, "late", 0.999, 1, 1.0, "length")
            on_trace(0, trace)
            return [[trace]]

    heard: list[Trace] = []
    slow = CachedEngine(LateEngine(), database)
    assert slow.answer([PROMPTS[0]]) == other_process.peek_answers([PROMPTS[0]]) != [Answer(0.999, 1, 1.0)]
    ((got,),) = slow.reason([PROMPTS[0]], 1, SAMPLING, on_trace=lambda position, trace: heard.append(trace))
    assert [got] == heard == other_process.peek_traces(PROMPTS[0], 1, SAMPLING)
    assert got.text != "late"


def test_the_cache_answers_while_the_model_is_busy_and_waiting_can_be_stopped(database: Database) -> None:
    started, finish = threading.Event(), threading.Event()

    class BusyEngine(CountingEngine):
        def answer(self, prompts: Any, **more: Any) -> list[Answer]:
            started.set()
            assert finish.wait(30)
            return super().answer(prompts)

    CachedEngine(CountingEngine(), database).answer([PROMPTS[0]])
    engine = CachedEngine(BusyEngine(), database)
    thread = threading.Thread(target=engine.answer, args=([PROMPTS[1]],))
    thread.start()
    assert started.wait(30)
    try:
        assert len(engine.answer([PROMPTS[0]])) == 1
        with pytest.raises(Stopped):
            engine.answer([PROMPTS[2]], stop=lambda: True)
    finally:
        finish.set()
        thread.join()
    assert None not in engine.peek_answers(PROMPTS[:2])


def test_threads_that_open_the_same_fresh_database(database_url: str) -> None:
    opened = at_once(6, lambda number: open_database(database_url))
    assert {database.revision for database in opened} == {storage.database.schema.known_revisions()[-1]}
    for database in opened:
        database.close()


def test_threads_that_open_different_fresh_databases(tmp_path: Path) -> None:
    opened = at_once(4, lambda number: open_database(f"sqlite:///{tmp_path / str(number)}.db"))
    for database in opened:
        CachedEngine(CountingEngine(), database).answer(PROMPTS)
        database.close()


OPEN_AND_WRITE = """
import sys
sys.path.insert(0, {root!r})
from tests.storage.storage_fakes import CountingEngine, ask
from backend.types import Sampling
from storage import CachedEngine, open_database
print("ready", flush=True)
sys.stdin.readline()
database = open_database({url!r})
engine = CachedEngine(CountingEngine(), database)
prompts = [ask(str(number)) for number in range(12)]
engine.answer(prompts)
engine.reason(prompts, 3, Sampling())
"""


def test_processes_that_open_the_same_fresh_database_and_write_the_same_rows(database_url: str) -> None:
    code = OPEN_AND_WRITE.format(root=str(ROOT), url=database_url)
    together(code)
    database = open_database(database_url)
    with database.session(read_only=True) as session:
        assert session.execute(select(func.count()).select_from(TraceRow)).scalar() == 36
    database.close()
