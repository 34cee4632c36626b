"""How often M_G is asked about a sample, which its seconds are worked out from."""

from __future__ import annotations

from typing import Any

import pytest

from backend.datasets import Dataset, build_samples
from backend.pipeline import Recipe
from backend.questions import Questions
from storage.evaluation.looked_up import _asked
from storage.evaluation.ways import Way
from tests.conftest import random_space


@pytest.mark.parametrize("gamma", [2 / 3, 0.6])
@pytest.mark.parametrize("spread", ["orders", "left-out", "gamma"])
def test_it_is_as_often_as_a_question_has_prompts(spread: Any, gamma: float, small: Dataset) -> None:
    row = int(build_samples(small).rows[-1])
    user, item = int(small.user_index[row]), int(small.item_index[row])
    recipe = Recipe(retrieval={"k": 3, "gamma": gamma}, tuned={"spread": spread})
    question = Questions(small, random_space(small.n_items)).ask(user, item, recipe.retrieval, spread=spread)
    assert _asked(recipe, Way("full", "", every_variant=True)) == len(question.prompts)
    assert _asked(recipe, Way("first", "")) == len(question.of_one_variant.prompts) == 1
