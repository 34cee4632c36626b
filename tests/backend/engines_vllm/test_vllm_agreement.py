"""The same model says the same through every engine that runs it; and one whole prediction on vLLM."""

from __future__ import annotations

import numpy as np
import pytest

from backend.datasets import Dataset
from backend.engines import Engine
from backend.engines.vllm_engine import VllmEngine
from backend.pipeline import Pipeline, Recipe
from backend.types import Message, Messages, Sampling
from tests.conftest import random_space

pytestmark = pytest.mark.model

_FILMS = ("Heat (1995)", "Shrek (2001)", "Alien (1979)", "千と千尋の神隠し", "Léon (1994)", "Saw (2004)")
# One token alone is ever left to choose from: the likeliest.
_LIKELIEST = Sampling(temperature=0.5, top_p=1e-6, max_tokens=24)


def _prompts() -> list[Messages]:
    """Twelve: with and without a system message, of 1 to 30 history lines, of several scripts."""
    prompts = []
    for number in range(12):
        rated = [f"{n + 1}. {_FILMS[(number + n) % 6]}: {(number * n) % 5 + 1} of 5" for n in range(1 + number % 4 * 9)]
        question = f"A user rated:\n{chr(10).join(rated)}\nWill the user like {_FILMS[-number % 6]}? Say Yes or No."
        system = (Message("system", "You know films."),) if number % 2 else ()
        prompts.append((*system, Message("user", question)))
    return prompts


@pytest.fixture(params=["vllm", "openai"])
def compared(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


def test_answers_agree(real_engine: Engine, compared: Engine) -> None:
    expected = real_engine.answer(_prompts())
    answers = compared.answer(_prompts())
    assert [a.prompt_tokens for a in answers] == [a.prompt_tokens for a in expected]
    np.testing.assert_allclose([a.p_yes for a in answers], [a.p_yes for a in expected], atol=0.01)
    assert np.ptp([a.p_yes for a in expected]) > 0.05  # or agreement would mean nothing


def test_readings_after_the_same_chain_agree(real_engine: Engine, compared: Engine) -> None:
    expected = [traces[0] for traces in real_engine.reason(_prompts()[:6], 1, _LIKELIEST)]
    traces_there = [traces[0] for traces in compared.reason(_prompts()[:6], 1, _LIKELIEST)]
    assert [trace.text for trace in traces_there] == [trace.text for trace in expected]
    assert [(t.tokens, t.finish) for t in traces_there] == [(t.tokens, t.finish) for t in expected]
    np.testing.assert_allclose([t.p_yes for t in traces_there], [t.p_yes for t in expected], atol=0.01)


def test_a_prediction_with_vllm_in_both_roles(vllm: VllmEngine, real_engine: Engine, shipped: Dataset) -> None:
    space = random_space(shipped.n_items, 3)
    recipe = Recipe.model_validate({"reasoning": {"traces": 3, "max_tokens": 32}})
    pipeline = Pipeline(shipped, space, vllm, vllm.adapted(None))
    row = shipped.n_interactions - 1
    question = pipeline.question(int(shipped.user_index[row]), int(shipped.item_index[row]), recipe)
    done = pipeline.predict(question, recipe)
    assert done.complete
    assert [trace.index for trace in done.traces if trace] == [0, 1, 2]
    assert all(trace and trace.text and 0 < trace.p_yes < 1 for trace in done.traces)
    assert np.isfinite([done.p_final, done.var_g, done.var_r]).all()
    alone = Recipe.model_validate({"reasoning": {"traces": 0}})
    expected = Pipeline(shipped, space, real_engine, real_engine).predict(question, alone)
    assert done.p_g == pytest.approx(expected.p_g, abs=0.01)
