"""The cached engine while its model runs: answers are kept as they come, failures named, adapters share."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from backend.engines.scripted import FAIL_MARK, ScriptedEngine
from backend.errors import EngineError, PartialError
from backend.types import Answer, Message, ModelRef, Sampling
from storage import CachedEngine, Database
from storage.database.tables import AnswerRow
from tests.storage.storage_fakes import CountingEngine, ask

A, B, C, BAD, WORSE = (ask(text) for text in ("a", "b", "c", "bad", "worse"))
SAMPLING = Sampling(max_tokens=16, seed=3)
Heard = list[tuple[int, Answer]]


def stored(database: Database) -> int:
    with database.session(read_only=True) as session:
        return session.execute(select(func.count()).select_from(AnswerRow)).scalar_one()


def test_stored_answers_are_heard_first_and_each_new_one_once_it_is_stored(
    cached: CachedEngine, inner: CountingEngine, database: Database
) -> None:
    (known,) = cached.answer([B])
    heard: Heard = []
    kept: list[int] = []

    def on_answer(place: int, answer: Answer) -> None:
        heard.append((place, answer))
        kept.append(stored(database))

    got = cached.answer([A, B, A, C], on_answer=on_answer)
    assert heard == [(1, known), (0, got[0]), (2, got[0]), (3, got[3])]
    assert kept == [1, 2, 2, 3]
    assert inner.answer_calls == [[B], [A, C]]


def test_one_call_gets_all_that_is_missing(cached: CachedEngine, inner: CountingEngine) -> None:
    prompts = [ask(str(number)) for number in range(150)]
    cached.answer(prompts)
    assert inner.answer_calls == [prompts]


def test_an_engine_that_hands_nothing_over_loses_nothing(database: Database) -> None:
    class Silent(CountingEngine):
        def answer(self, prompts: Any, *, on_answer: Any = None, **more: Any) -> list[Answer]:
            return super().answer(prompts, **more)

    class Half(CountingEngine):
        def answer(self, prompts: Any, *, on_answer: Any = None, **more: Any) -> list[Answer]:
            return super().answer(prompts, on_answer=lambda n, answer: n % 2 or on_answer(n, answer), **more)

    prompts = [A, B, C]
    for number, kind in enumerate((Silent, Half)):
        heard: Heard = []
        engine = CachedEngine(kind(ModelRef(f"m{number}")), database)
        got = engine.answer(prompts, on_answer=lambda place, answer, to=heard: to.append((place, answer)))
        assert sorted(heard, key=lambda place_and_answer: place_and_answer[0]) == list(enumerate(got))
        assert engine.peek_answers(prompts) == got == CountingEngine().answer(prompts)


def test_what_was_handed_over_wins_over_what_is_returned_later(database: Database) -> None:
    class Wavering(CountingEngine):
        def answer(self, prompts: Any, **more: Any) -> list[Answer]:
            return [replace(answer, p_yes=0.0) for answer in super().answer(prompts, **more)]

    engine = CachedEngine(Wavering(), database)
    assert engine.answer([A]) == engine.peek_answers([A]) == CountingEngine().answer([A])


@pytest.mark.parametrize("number", [-1, 1])
def test_an_answer_to_a_prompt_that_was_not_asked_is_refused(database: Database, number: int) -> None:
    class MisplacingEngine(CountingEngine):
        def answer(self, prompts: Any, *, on_answer: Any = None, **more: Any) -> list[Answer]:
            on_answer(number, Answer(0.5, 1, 0.1))
            raise AssertionError("unreachable")

    with pytest.raises(EngineError, match="Expected one of 1 prompts"):
        CachedEngine(MisplacingEngine(), database).answer([A])
    assert stored(database) == 0


def test_a_partial_failure_keeps_the_rest_and_names_the_callers_prompts(database: Database) -> None:
    inner = CountingEngine(fails=("bad", "worse"))
    engine = CachedEngine(inner, database)
    (known,) = engine.answer([B])
    heard: Heard = []
    with pytest.raises(PartialError) as caught:
        engine.answer([A, BAD, B, WORSE, C, BAD], on_answer=lambda place, answer: heard.append((place, answer)))
    assert caught.value.failures == {1: "no bad", 5: "no bad", 3: "no worse"}
    assert "3 of 6 prompts failed; prompt 2: no bad" in str(caught.value)
    assert caught.value.fix == "wait"
    a, c = CountingEngine().answer([A, C])
    assert heard == [(2, known), (0, a), (4, c)]
    assert engine.peek_answers([A, BAD, B, WORSE, C]) == [a, None, known, None, c]
    rest = CountingEngine()
    CachedEngine(rest, database).answer([A, BAD, B, WORSE, C])
    assert rest.answer_calls == [[BAD, WORSE]]


def test_a_partial_failure_of_chains_keeps_the_rest_of_every_group(database: Database) -> None:
    engine = CachedEngine(CountingEngine(fails=("bad", "worse")), database)
    CachedEngine(CountingEngine(), database).reason([WORSE, C], [0], SAMPLING)  # these lack fewer: another group
    heard: list[tuple[int, int]] = []
    with pytest.raises(PartialError) as caught:
        engine.reason(
            [BAD, A, WORSE, C, BAD], 2, SAMPLING, on_trace=lambda place, trace: heard.append((place, trace.index))
        )
    assert caught.value.failures == {0: "no bad", 4: "no bad", 2: "no worse"}
    assert "3 of 5 prompts failed; prompt 1: no bad" in str(caught.value)
    assert heard == [(2, 0), (3, 0), (1, 0), (1, 1), (3, 1)]
    assert None not in engine.peek_traces(A, 2, SAMPLING) + engine.peek_traces(C, 2, SAMPLING)
    rest = CountingEngine()
    CachedEngine(rest, database).reason([BAD, A, WORSE, C], 2, SAMPLING)
    assert sorted(rest.reason_calls, key=str) == sorted([([BAD], [0, 1]), ([WORSE], [1])], key=str)


def test_a_prompt_that_fails_in_a_group_of_its_own_does_not_stop_the_other_groups(database: Database) -> None:
    """An engine raises the error itself where one prompt is all it was asked."""
    broken = ask(FAIL_MARK)
    engine = CachedEngine(ScriptedEngine(), database)
    engine.reason([A], [0], SAMPLING)  # it lacks fewer than the broken one: another group, after it
    with pytest.raises(PartialError) as caught:
        engine.reason([broken, A], 2, SAMPLING)
    assert list(caught.value.failures) == [0]
    assert None not in engine.peek_traces(A, 2, SAMPLING)
    with pytest.raises(EngineError, match="contains") as alone:
        engine.reason([broken, A], 2, SAMPLING)
    assert not isinstance(alone.value, PartialError)


def test_prompts_that_differ_in_what_may_be_dropped_alone_are_one(cached: CachedEngine, inner: CountingEngine) -> None:
    plain, marked = ((Message("user", "1. x\n", spans),) for spans in ((), ((0, 5),)))
    plain_answer, marked_answer = cached.answer([plain, marked])
    assert plain_answer == marked_answer
    [[first], [second]] = cached.reason([plain, marked], 1, SAMPLING)
    assert first == second
    assert (len(inner.answered), len(inner.drawn)) == (1, 1)
    assert cached.peek_answers([marked]) == [plain_answer]


def test_the_messages_reach_the_model_with_what_may_be_dropped(cached: CachedEngine, inner: CountingEngine) -> None:
    marked = (Message("user", "1. x\n", ((0, 5),)),)
    cached.answer([marked])
    assert inner.answered[0][0].droppable == ((0, 5),)


def test_an_adapter_has_results_of_its_own_in_the_same_database(cached: CachedEngine, inner: CountingEngine) -> None:
    tuned = cached.adapted("lora")
    assert isinstance(tuned, CachedEngine)
    assert (tuned.name, tuned.model) == (inner.name, replace(inner.model, adapter="lora"))
    plain = cached.answer([A])
    assert tuned.peek_answers([A]) == [None]
    assert tuned.answer([A]) == plain  # the counting engine's adapters change nothing
    assert cached.adapted("lora").peek_answers([A]) == plain
    assert tuned.adapted(None).peek_answers([A]) == plain
    assert inner.answered == [A]


def test_adapters_of_one_model_take_turns(database: Database) -> None:
    running: list[int] = []
    most: list[int] = []

    class SlowEngine(CountingEngine):
        def answer(self, prompts: Any, **more: Any) -> list[Answer]:
            running.append(1)
            most.append(len(running))
            time.sleep(0.02)
            running.pop()
            return super().answer(prompts, **more)

    base = CachedEngine(SlowEngine(), database)
    engines = [base, base.adapted("one"), base.adapted("two"), base.adapted("one").adapted("three")]
    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(lambda engine: engine.answer([A]), engines))
    assert most == [1] * len(engines)
