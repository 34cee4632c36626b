"""The cached engine: what runs, what doesn't, and what is kept when a run ends early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, func, select

from backend.engines.base import Engine
from backend.errors import EngineError, Stopped, UsageError
from backend.types import Answer, Message, ModelRef, Sampling, Trace
from storage import CachedEngine, Database
from storage.database.tables import AnswerRow, PromptRow, TraceRow
from tests.storage.storage_fakes import CountingEngine, ask

A, B, C = ask("a"), ask("b"), ask("c")
SAMPLING = Sampling(temperature=0.6, top_p=0.95, max_tokens=16, seed=3)
OTHERS = [
    ModelRef("big", "r1"),
    ModelRef("tiny", "r2"),
    ModelRef("tiny", "r1", "lora"),
    ModelRef("tiny", "r1", context=512),
    ModelRef("tiny", "r1", quantized="int8"),
]


def test_it_is_an_engine(cached: CachedEngine, inner: CountingEngine) -> None:
    assert isinstance(cached, Engine)
    assert (cached.name, cached.model) == (inner.name, inner.model)
    cached.load()
    assert inner.loads == 1
    assert cached.plan([A, B]) == [[0, 1]]
    assert cached.write([A], SAMPLING) == [f"about {A[-1].content}"]


def test_a_second_identical_request_runs_no_model(cached: CachedEngine, inner: CountingEngine) -> None:
    first = cached.answer([A, B]), cached.reason([A, B], 3, SAMPLING)
    loads, inner.answer_calls, inner.reason_calls = inner.loads, [], []
    assert (cached.answer([A, B]), cached.reason([A, B], 3, SAMPLING)) == first
    assert (inner.loads, inner.answer_calls, inner.reason_calls) == (loads, [], [])


def test_what_comes_back_is_what_the_model_said(cached: CachedEngine, database: Database) -> None:
    plain = CountingEngine()
    for engine in (cached, CachedEngine(plain, database)):
        assert engine.answer([A, B]) == plain.answer([A, B])
        assert engine.reason([B, A], [2, 0], SAMPLING) == CountingEngine().reason([B, A], [2, 0], SAMPLING)


def test_another_process_with_another_engine_shares_the_cache(cached: CachedEngine, database: Database) -> None:
    cached.answer([A])
    faster = CountingEngine()
    faster.name = "faster"
    assert CachedEngine(faster, database).answer([A]) == cached.answer([A])
    assert faster.loads == 0
    with database.session(read_only=True) as session:
        assert session.execute(select(AnswerRow.engine)).scalars().all() == ["counting"]


@pytest.mark.parametrize("model", OTHERS)
def test_another_model_does_not(cached: CachedEngine, database: Database, model: ModelRef) -> None:
    cached.answer([A])
    cached.reason([A], 1, SAMPLING)
    other_engine = CountingEngine(model)
    for _ in range(2):  # the second time, from the cache
        CachedEngine(other_engine, database).answer([A])
        CachedEngine(other_engine, database).reason([A], 1, SAMPLING)
    assert (other_engine.answered, other_engine.drawn) == ([A], [(A, 0)])


def test_only_the_missing_prompts_run_each_once_and_in_order(cached: CachedEngine, inner: CountingEngine) -> None:
    cached.answer([B])
    got = cached.answer([C, B, A, C, B])
    assert inner.answer_calls == [[B], [C, A]]
    assert got == CountingEngine().answer([C, B, A, C, B])
    assert cached.answer([]) == []


def test_only_the_missing_samples_run(cached: CachedEngine, inner: CountingEngine) -> None:
    six = cached.reason([A], 6, SAMPLING)
    eight = cached.reason([A], 8, SAMPLING)
    assert inner.reason_calls == [([A], [0, 1, 2, 3, 4, 5]), ([A], [6, 7])]
    assert eight[0][:6] == six[0]
    assert [trace.index for trace in eight[0]] == list(range(8))


def test_prompts_that_lack_the_same_samples_run_together(cached: CachedEngine, inner: CountingEngine) -> None:
    cached.reason([B], [0], SAMPLING)
    inner.reason_calls.clear()
    got = cached.reason([A, B, C, A], [1, 0, 1], SAMPLING)
    assert inner.reason_calls == [([A, C], [1, 0]), ([B], [1])]
    assert got == CountingEngine().reason([A, B, C, A], [1, 0, 1], SAMPLING)
    assert cached.reason([], 2, SAMPLING) == []
    assert cached.reason([A, C], 0, SAMPLING) == [[], []]


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0.7}, {"top_p": 0.9}, {"max_tokens": 17}, {"seed": 4}],
    ids=lambda change: next(iter(change)),
)
def test_another_sampling_runs_again(cached: CachedEngine, inner: CountingEngine, change: dict[str, Any]) -> None:
    cached.reason([A], 1, SAMPLING)
    cached.reason([A], 1, replace(SAMPLING, **change))
    assert len(inner.drawn) == 2


def test_the_caller_hears_of_every_chain_stored_ones_first(cached: CachedEngine) -> None:
    cached.reason([B], 1, SAMPLING)
    heard: list[tuple[int, int]] = []
    pieces: list[tuple[int, int]] = []
    traces = cached.reason(
        [A, B, A],
        2,
        SAMPLING,
        on_piece=lambda position, index, text: pieces.append((position, index)),
        on_trace=lambda position, trace: heard.append((position, trace.index)),
    )
    assert heard[0] == (1, 0)
    assert sorted(heard) == [(position, index) for position in range(3) for index in range(2)]
    assert sorted(pieces) == [(0, 0), (0, 1), (1, 1), (2, 0), (2, 1)]
    assert traces[0] == traces[2]


def test_stopping_keeps_the_finished_chains(database: Database) -> None:
    stopping = CountingEngine(stop_after=5)
    heard: list[tuple[int, int]] = []
    with pytest.raises(Stopped):
        CachedEngine(stopping, database).reason(
            [A, B], 4, SAMPLING, on_trace=lambda position, trace: heard.append((position, trace.index))
        )
    assert heard == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]
    rest = CountingEngine()
    CachedEngine(rest, database).reason([A, B], 4, SAMPLING)
    assert rest.reason_calls == [([B], [1, 2, 3])]


def test_a_crash_keeps_the_finished_chains(database: Database) -> None:
    class Crashing(CountingEngine):
        def reason(self, *args: Any, on_trace: Any = None, **more: Any) -> list[list[Trace]]:
            on_trace(0, Trace(0, "done", 0.5, 1, 0.1, "length"))
            raise MemoryError

    with pytest.raises(MemoryError):
        CachedEngine(Crashing(), database).reason([A], 2, SAMPLING)
    kept, missing = CachedEngine(CountingEngine(), database).peek_traces(A, 2, SAMPLING)
    assert kept == Trace(0, "done", 0.5, 1, 0.1, "length")
    assert missing is None


def test_stopping_keeps_the_finished_answers(database: Database) -> None:
    prompts = [ask(str(number)) for number in range(10)]
    with pytest.raises(Stopped):
        CachedEngine(CountingEngine(stop_after=6), database).answer(prompts)
    rest = CountingEngine()
    CachedEngine(rest, database).answer(prompts)
    assert rest.answer_calls == [prompts[6:]]


def test_stop_is_heeded_only_where_something_must_run(cached: CachedEngine, inner: CountingEngine) -> None:
    cached.answer([A])
    cached.reason([A], 1, SAMPLING)
    calls = len(inner.answer_calls) + len(inner.reason_calls)
    cached.answer([A], stop=lambda: True)
    cached.reason([A], 1, SAMPLING, stop=lambda: True)
    with pytest.raises(Stopped):
        cached.answer([A, B], stop=lambda: True)
    with pytest.raises(Stopped):
        cached.reason([A], 2, SAMPLING, stop=lambda: True)
    assert len(inner.answer_calls) + len(inner.reason_calls) == calls


def test_progress_counts_what_was_stored(cached: CachedEngine) -> None:
    cached.answer([A, B])
    seen: list[float | None] = []
    cached.answer([A, B, C, ask("d")], progress=lambda what, fraction: seen.append(fraction))
    # How long it waits for the model is not known.
    assert seen == [None, 0.5, 0.75, 1.0]
    cached.answer([A, B], progress=lambda what, fraction: seen.append(fraction))
    assert seen[4:] == [1.0]


def test_peeking_runs_and_writes_nothing(cached: CachedEngine, inner: CountingEngine, database: Database) -> None:
    (answer,) = cached.answer([B])
    ((trace,),) = cached.reason([B], [1], SAMPLING)
    loads = inner.loads
    assert cached.peek_answers([A, B, B]) == [None, answer, answer]
    assert cached.peek_traces(B, 3, SAMPLING) == [None, trace, None]
    assert cached.peek_traces(A, [7], SAMPLING) == [None]
    assert inner.loads == loads
    with database.session(read_only=True) as session:
        assert session.execute(select(func.count()).select_from(PromptRow)).scalar() == 1


def test_thousands_of_prompts_take_few_statements(cached: CachedEngine, database: Database) -> None:
    prompts = [ask(f"prompt {number}") for number in range(1_200)]
    first = cached.answer(prompts)
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert cached.answer(prompts) == first
    assert len([one for one in statements if one.startswith("SELECT")]) == 3
    assert not [one for one in statements if one.startswith("INSERT")]


@pytest.mark.parametrize(
    "text", ["日本語 🎬 e\u0301", "", "a'b\"; DROP TABLE prompts; --", "\u2028 \\u0000 {}", "x" * 100_000]
)
def test_any_text_survives(database: Database, text: str) -> None:
    class Echo(CountingEngine):
        def reason(self, prompts: Any, samples: Any, sampling: Any, **more: Any) -> list[list[Trace]]:
            return [[Trace(0, prompt[0].content, 0.5, 1, 0.1, "stop")] for prompt in prompts]

    prompt = (Message("user", text),)
    for _ in range(2):
        assert CachedEngine(Echo(), database).reason([prompt], 1, SAMPLING)[0][0].text == text


def test_what_no_database_keeps_is_replaced(database: Database) -> None:
    class Babbling(CountingEngine):
        def reason(self, *args: Any, **more: Any) -> list[list[Trace]]:
            return [[Trace(0, "a\0b\ud800c", 0.5, 1, 0.1, "stop")]]

    for _ in range(2):
        assert CachedEngine(Babbling(), database).reason([A], 1, SAMPLING)[0][0].text == "a\ufffdb?c"


def test_numbers_come_back_exactly(database: Database) -> None:
    class Exact(CountingEngine):
        def answer(self, prompts: Any, **more: Any) -> list[Answer]:
            return [Answer(np.float32(0.1), np.int64(3), np.float64(1 / 3)), Answer(1, 0, 0)]  # type: ignore[arg-type]

    engine = CachedEngine(Exact(), database)
    expected = [Answer(float(np.float32(0.1)), 3, 1 / 3), Answer(1.0, 0, 0.0)]
    assert engine.answer([A, B]) == expected
    assert engine.peek_answers([A, B]) == expected


Traces = list[list[Trace]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda traces: traces[:-1],
        lambda traces: [*traces, traces[0]],
        lambda traces: [traces[0][:-1], *traces[1:]],
        lambda traces: [traces[0][::-1], *traces[1:]],
        lambda traces: [[replace(traces[0][0], index=9)], *traces[1:]],
        lambda traces: [[replace(trace, p_yes=float("nan")) for trace in row] for row in traces],
        lambda traces: [[replace(trace, finish="tired") for trace in row] for row in traces],
    ],
)
def test_chains_that_were_not_asked_for_are_refused(database: Database, spoil: Callable[[Traces], Traces]) -> None:
    class SpoilingEngine(CountingEngine):
        def reason(self, *args: Any, on_trace: Any = None, **more: Any) -> Traces:
            return spoil(super().reason(*args, **more))

    with pytest.raises(EngineError, match="Expected"):
        CachedEngine(SpoilingEngine(), database).reason([A, B], 2, SAMPLING)


@pytest.mark.parametrize(("number", "index"), [(1, 0), (-1, 0), (0, 5)])
def test_a_chain_handed_over_that_was_not_asked_for_is_refused(database: Database, number: int, index: int) -> None:
    class InventingEngine(CountingEngine):
        def reason(self, *args: Any, on_trace: Any = None, **more: Any) -> Traces:
            on_trace(number, Trace(index, "?", 0.5, 1, 0.1, "stop"))
            raise AssertionError("unreachable")

    with pytest.raises(EngineError, match="Expected"):
        CachedEngine(InventingEngine(), database).reason([A], 2, SAMPLING)
    with database.session(read_only=True) as session:
        assert session.execute(select(func.count()).select_from(TraceRow)).scalar() == 0


@pytest.mark.parametrize(
    "answers", [[], [Answer(0.5, 1, 0.1)] * 3, [Answer(0.5, 1, 0.1), Answer(float("nan"), 1, 0.1)]]
)
def test_answers_that_were_not_asked_for_are_refused(database: Database, answers: list[Answer]) -> None:
    class MiscountingEngine(CountingEngine):
        def answer(self, prompts: Sequence[Any], **more: Any) -> list[Answer]:
            return answers

    engine = CachedEngine(MiscountingEngine(), database)
    with pytest.raises(EngineError, match="Expected"):
        engine.answer([A, B])
    assert engine.peek_answers([A, B]) == [None, None]


def test_senseless_requests_are_refused(cached: CachedEngine) -> None:
    with pytest.raises(UsageError, match="from 0"):
        cached.reason([A], [-1], SAMPLING)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_chains_of_many_prompts_are_those_of_each(cached: CachedEngine, database: Database, count: int) -> None:
    prompts = [ask(f"prompt {number}") for number in range(count)]
    sampling = Sampling(seed=3)
    for prompt in prompts[::2]:
        cached.reason([prompt], [0, 2], sampling)
    expected = [cached.peek_traces(prompt, 3, sampling) for prompt in prompts]
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert cached.peek_all_traces(prompts, 3, sampling) == expected
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == min(count, 1)


def test_a_prompt_that_is_left_without_an_answer_is_no_answer_less(
    cached: CachedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two answers to three prompts would be taken for those of the first two."""
    monkeypatch.setattr(cached, "_run_answers", lambda *_: None)
    with pytest.raises(AssertionError, match="without an answer"):
        cached.answer([ask("a"), ask("b"), ask("a")])
