"""Asking the two models: what is heard and when, what is injected, and what is known at each moment."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backend.engines.scripted import FAIL_MARK, ScriptedEngine
from backend.errors import EngineError, PartialError, Stopped
from backend.merging import merge
from backend.pipeline import Listener, Pipeline, Prediction, Recipe
from backend.questions import Question
from backend.types import Answer, Trace
from tests.conftest import random_space


def _recipe(**stages: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({"reasoning": {"traces": 4, "max_tokens": 60}} | stages)


def _engines(pipeline: Pipeline) -> tuple[ScriptedEngine, ScriptedEngine]:
    tuned, reasoner = pipeline.tuned, pipeline.reasoner
    assert isinstance(tuned, ScriptedEngine)
    assert isinstance(reasoner, ScriptedEngine)
    return tuned, reasoner


def test_a_prediction_is_the_merge_of_what_the_two_engines_say(pipeline: Pipeline, question: Question) -> None:
    recipe = _recipe()
    done = pipeline.predict(question, recipe)
    answers = [answer.p_yes for answer in pipeline.tuned.answer([prompt.messages for prompt in question.prompts])]
    assert done.p_g == answers[0]
    assert done.var_g == pytest.approx(statistics.pvariance(answers))
    assert done.reason_prompt is not None
    [chains] = pipeline.reasoner.reason([done.reason_prompt.messages], 4, recipe.reasoning.sampling)
    assert [trace.text for trace in done.traces if trace] == [trace.text for trace in chains]
    spoken = [trace.p_yes for trace in chains]
    assert (done.p_r, done.var_r) == pytest.approx((statistics.fmean(spoken), statistics.pvariance(spoken)))
    assert done.p_final == merge(done.p_r, done.var_r, done.p_g, done.var_g, 0.1, 1e-3)
    assert done.complete


def test_listeners_hear_the_answer_first_then_each_chain_then_each_other_answer(
    pipeline: Pipeline, question: Question
) -> None:
    heard: list[Prediction] = []
    pieces: dict[int, list[str]] = {}
    stages: list[str] = []
    done = pipeline.predict(
        question,
        _recipe(),
        Listener(
            stage=lambda what, _fraction: stages.append(what),
            update=heard.append,
            piece=lambda index, text: pieces.setdefault(index, []).append(text),
        ),
    )
    known = [(sum(map(bool, now.answers)), sum(map(bool, now.traces))) for now in heard]
    assert known == [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 4), (3, 4)]
    assert all(np.isnan(now.var_g) and np.isnan(now.p_final) and not now.complete for now in heard[:-1])
    assert all(np.isnan(now.p_r) for now in heard[:4])
    assert heard[4].p_r == done.p_r
    assert heard[-1] == done
    assert {index: "".join(texts) for index, texts in pieces.items()} == {t.index: t.text for t in done.traces if t}
    assert "answering" in stages
    assert "reasoning" in stages


def test_the_first_answer_alone_is_awaited_before_the_chains(pipeline: Pipeline, question: Question) -> None:
    pipeline.predict(question, _recipe())
    tuned, reasoner = _engines(pipeline)
    assert tuned.calls == [("answer", 1), ("answer", 2)]
    assert reasoner.calls == [("reason", 4)]


def test_p_g_as_a_mean_waits_for_all_orders(pipeline: Pipeline, question: Question) -> None:
    heard: list[Prediction] = []
    done = pipeline.predict(question, _recipe(prompting={"p_g": "mean"}), Listener(update=heard.append))
    assert _engines(pipeline)[0].calls == [("answer", 3)]
    assert done.p_g == pytest.approx(statistics.fmean(answer.p_yes for answer in done.answers if answer))
    assert [sum(map(bool, now.answers)) for now in heard[:3]] == [1, 2, 3]
    assert [now.reason_prompt is None for now in heard[:3]] == [True, True, False]
    assert not np.isnan(heard[2].var_g)
    assert heard[2].p_g == done.p_g


@pytest.mark.parametrize("wording", ["paper", "graded"])
def test_the_chains_are_asked_with_the_sentence_about_p_g(pipeline: Pipeline, question: Question, wording: str) -> None:
    done = pipeline.predict(question, _recipe(prompting={"knowledge": wording}))
    prompt = done.reason_prompt
    assert prompt is not None
    assert prompt.knowledge_span is not None
    sentence = prompt.text[slice(*prompt.knowledge_span)]
    assert sentence.startswith("Another one think the answer ")
    assert sentence.endswith("Yes." if done.p_g > 0.5 else "No.")


def test_without_knowledge_the_chains_need_no_first_answer(pipeline: Pipeline, question: Question) -> None:
    silent, telling = _recipe(prompting={"knowledge": "none"}), _recipe()
    unasked = pipeline.unasked(question, silent)
    ready = pipeline.with_answers(unasked, unasked.answers)
    assert ready.reason_prompt is not None
    assert ready.reason_prompt.knowledge_span is None
    waiting = pipeline.with_answers(pipeline.unasked(question, telling), unasked.answers)
    assert waiting.reason_prompt is None
    assert pipeline.predict(question, silent).reason_prompt == ready.reason_prompt


def test_without_chains_p_final_is_p_g_and_the_reasoner_is_not_asked(pipeline: Pipeline, question: Question) -> None:
    done = pipeline.predict(question, _recipe(reasoning={"traces": 0}))
    assert _engines(pipeline)[1].calls == []
    assert done.complete
    assert done.p_final == done.p_g
    assert np.isnan([done.p_r, done.var_r]).all()


def test_nothing_is_known_of_an_unasked_question(pipeline: Pipeline, question: Question) -> None:
    unasked = pipeline.unasked(question, _recipe())
    numbers = [unasked.p_g, unasked.var_g, unasked.p_r, unasked.var_r, unasked.p_final]
    assert np.isnan(numbers).all()
    assert not unasked.complete


def test_the_same_seed_gives_the_same_chains_and_another_seed_others(pipeline: Pipeline, question: Question) -> None:
    texts = [
        [t.text for t in pipeline.predict(question, _recipe(reasoning={"traces": 4, "seed": seed})).traces if t]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_merging_settings_change_p_final_alone(pipeline: Pipeline, question: Question) -> None:
    done = pipeline.predict(question, _recipe())
    moved = replace(done, recipe=_recipe(merging={"alpha": 5.0, "epsilon": 0.1}))
    assert (moved.p_g, moved.var_g, moved.p_r, moved.var_r) == (done.p_g, done.var_g, done.p_r, done.var_r)
    assert moved.p_final != done.p_final


def test_stop_before_the_first_answer_asks_nobody_further(pipeline: Pipeline, question: Question) -> None:
    with pytest.raises(Stopped):
        pipeline.predict(question, _recipe(), stop=lambda: True)
    assert _engines(pipeline)[1].calls == []


def test_stop_while_reasoning_keeps_the_chains_that_had_finished(pipeline: Pipeline, question: Question) -> None:
    heard: list[Prediction] = []
    with pytest.raises(Stopped):
        pipeline.predict(
            question, _recipe(), Listener(update=heard.append), stop=lambda: bool(heard and any(heard[-1].traces))
        )
    assert 1 <= sum(map(bool, heard[-1].traces)) < 4
    assert _engines(pipeline)[0].calls == [("answer", 1)]


def test_an_engines_failure_reaches_the_caller(pipeline: Pipeline, question: Question) -> None:
    broken = replace(question.prompts[0], text=FAIL_MARK)
    with pytest.raises(EngineError, match="leave it out"):
        pipeline.predict(replace(question, prompts=(broken, *question.prompts[1:])), _recipe())


class EverySecondEngine(ScriptedEngine):
    """Fails at every second prompt of a call and at every second chain; the rest is handed over before it says so."""

    def answer(self, prompts: Any, *, on_answer: Any = None, **more: Any) -> list[Answer]:
        for number, prompt in enumerate(prompts):
            if number % 2 == 0:
                on_answer(number, Answer(0.25, len(prompt), 0.1))
        failures = dict.fromkeys(range(1, len(prompts), 2), "no room")
        if failures:
            raise PartialError(failures, len(prompts))
        return [Answer(0.25, 1, 0.1)] * len(prompts)

    def reason(self, prompts: Any, samples: Any, sampling: Any, *, on_trace: Any = None, **more: Any) -> Any:
        for index in range(0, samples, 2):
            on_trace(0, Trace(index, "so </think>Yes", 0.5, 3, 0.1, "stop"))
        raise PartialError({0: "no room"}, 1)


def test_what_had_been_answered_before_others_failed_was_told(pipeline: Pipeline, question: Question) -> None:
    broken = Pipeline(pipeline.dataset, random_space(pipeline.dataset.n_items), EverySecondEngine(), pipeline.reasoner)
    for p_g, answered, chains in (("first", [True, True, False], 4), ("mean", [True, False, True], 0)):
        heard: list[Prediction] = []
        with pytest.raises(PartialError, match="no room"):
            broken.predict(question, _recipe(prompting={"p_g": p_g}), Listener(update=heard.append))
        assert [bool(answer) for answer in heard[-1].answers] == answered
        assert sum(map(bool, heard[-1].traces)) == chains


def test_chains_that_had_finished_before_others_failed_were_told(pipeline: Pipeline, question: Question) -> None:
    broken = Pipeline(pipeline.dataset, random_space(pipeline.dataset.n_items), pipeline.tuned, EverySecondEngine())
    heard: list[Prediction] = []
    with pytest.raises(PartialError, match="no room"):
        broken.predict(question, _recipe(), Listener(update=heard.append))
    assert [bool(trace) for trace in heard[-1].traces] == [True, False, True, False]
    assert heard[-1].answers[0] is not None
