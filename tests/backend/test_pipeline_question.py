"""The cheap half of a prediction: which past items are chosen and what the prompts say."""

from __future__ import annotations

import numpy as np
import pytest

from backend.datasets import MIN_HISTORY, Dataset, build_samples
from backend.engines.scripted import ScriptedEngine
from backend.errors import UsageError
from backend.pipeline import Pipeline, Recipe
from backend.questions import Question
from backend.retrieval import STRATEGIES, rerank
from tests.conftest import random_space


def _check(pipeline: Pipeline, row: int, recipe: Recipe) -> None:
    """The question about this interaction uses only what came before it."""
    data = pipeline.dataset
    user, item = int(data.user_index[row]), int(data.item_index[row])
    question = pipeline.question(user, item, recipe)
    # Told apart by time and id, not by the library's own slices.
    mine = np.flatnonzero(data.user_index == user)
    before = {
        int(data.item_index[r]): float(data.rating[r])
        for r in mine
        if (data.timestamp[r], data.item_index[r]) < (data.timestamp[row], item)
    }
    chosen = [entry.item for entry in question.chosen]
    seen = (
        set(chosen)
        | set(question.channels.relevant)
        | set(question.channels.recent)
        | set(question.channels.similarity)
    )
    assert item not in seen
    assert seen <= set(before)
    assert len(chosen) == len(set(chosen)) == min(recipe.retrieval.k, len(before))
    if recipe.retrieval.strategy != "retrieve-then-mix":
        last = {code: max((data.timestamp[r], code) for r in mine if data.item_index[r] == code) for code in before}
        newest = sorted(before, key=lambda code: last[code], reverse=True)
        assert question.channels.recent == newest[: recipe.retrieval.k]
    assert question.label == (data.rating[row] > 3)
    assert [r for r in question.history_rows if r >= row] == []
    labels = [data.item_label(code) for code in chosen]
    assert [line.label for line in question.lines] == labels
    assert [line.rating for line in question.lines] == [before[code] for code in chosen]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_question_of_the_small_dataset_sees_the_target_or_anything_after_it(
    pipeline: Pipeline, strategy: str
) -> None:
    rows = build_samples(pipeline.dataset).rows
    assert len(rows) > 50
    for row in rows:
        _check(pipeline, int(row), Recipe.model_validate({"retrieval": {"strategy": strategy, "k": 6}}))


def test_no_question_of_the_shipped_dataset_sees_the_target_or_anything_after_it(shipped: Dataset) -> None:
    pipeline = Pipeline(shipped, random_space(shipped.n_items), ScriptedEngine(), ScriptedEngine())
    rows = np.random.default_rng(1).choice(build_samples(shipped).rows, 60, replace=False)
    for row in rows:
        _check(pipeline, int(row), Recipe())


def test_an_item_that_was_never_rated_has_no_label_and_the_whole_history_before_it(pipeline: Pipeline) -> None:
    data, user = pipeline.dataset, 7
    rated = set(data.item_index[data.user_rows(user)].tolist())
    unrated = next(code for code in range(data.n_items) if code not in rated)
    question = pipeline.question(user, unrated, Recipe())
    assert question.label is None
    assert set(question.channels.similarity) == rated


@pytest.mark.parametrize("place", [0, MIN_HISTORY - 1])
def test_too_short_a_history_is_refused_with_what_to_do(pipeline: Pipeline, place: int) -> None:
    data = pipeline.dataset
    row = data.user_rows(5).start + place
    with pytest.raises(UsageError, match=rf"User 5 has {place} ratings before .*at least 5.*choose an item"):
        pipeline.question(5, int(data.item_index[row]), Recipe())


def test_the_fifth_earlier_rating_is_enough(pipeline: Pipeline) -> None:
    row = pipeline.dataset.user_rows(5).start + MIN_HISTORY
    assert len(pipeline.question(5, int(pipeline.dataset.item_index[row]), Recipe()).chosen) == MIN_HISTORY


def test_the_chosen_items_are_what_rerank_makes_of_the_channels(question: Question) -> None:
    config = Recipe().retrieval
    both = question.channels
    assert list(question.chosen) == rerank(both.relevant, both.recent, config.k, config.gamma, config.beta)


def test_there_is_one_prompt_per_order_of_the_same_set_and_the_recipes_order_comes_first(pipeline: Pipeline) -> None:
    row = pipeline.dataset.n_interactions - 1
    user, item = int(pipeline.dataset.user_index[row]), int(pipeline.dataset.item_index[row])
    for order in ("rank", "chronological", "relevance"):
        asked = pipeline.question(user, item, Recipe.model_validate({"retrieval": {"order": order}}))
        texts = [prompt.text for prompt in asked.prompts]
        assert len(set(texts)) == 3
        labels = [{line.split(". ", 1)[-1] for line in text.splitlines()} for text in texts]
        assert labels[0] == labels[1] == labels[2]
        lines = [texts[0].index(line.label) for line in asked.lines]
        assert lines == sorted(lines)
        if order == "chronological":
            times = {pipeline.dataset.item_label(int(pipeline.dataset.item_index[r])): r for r in asked.history_rows}
            assert [times[line.label] for line in asked.lines] == sorted(times[line.label] for line in asked.lines)


def test_vectors_of_another_dataset_are_refused(small: Dataset) -> None:
    with pytest.raises(UsageError, match=r"3 vectors for 30 items.*rallrec precompute"):
        Pipeline(small, random_space(3), ScriptedEngine(), ScriptedEngine())
