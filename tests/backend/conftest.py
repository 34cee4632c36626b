"""A pipeline over the small dataset, with engines that remember what they were asked."""

from __future__ import annotations

import pytest

from backend.datasets import Dataset
from backend.engines.scripted import ScriptedEngine
from backend.pipeline import Pipeline, Recipe
from backend.questions import Question
from backend.types import ModelRef
from tests.conftest import random_space


@pytest.fixture
def pipeline(small: Dataset) -> Pipeline:
    """M_G and M_R are two scripted engines of different names."""
    tuned, reasoner = (ScriptedEngine(ModelRef(name, "1")) for name in ("scripted-tuned", "scripted-reasoner"))
    return Pipeline(small, random_space(small.n_items, 3), tuned, reasoner)


@pytest.fixture
def question(pipeline: Pipeline) -> Question:
    """The last sample of the user with the longest history, by the default recipe."""
    row = pipeline.dataset.n_interactions - 1
    return pipeline.question(int(pipeline.dataset.user_index[row]), int(pipeline.dataset.item_index[row]), Recipe())
