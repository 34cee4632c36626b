"""Questions: what past they are asked from, what they say of it, and that later ratings are not in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backend.datasets import MIN_HISTORY, Dataset, build_samples, split
from backend.datasets.statistics import TrainingStatistics
from backend.engines.scripted import ScriptedEngine
from backend.errors import UsageError
from backend.merging import scale
from backend.pipeline import Pipeline, Recipe
from backend.questions import Question, Questions
from backend.retrieval import STRATEGIES, RetrievalConfig, rerank
from tests.conftest import random_space

CONFIG = RetrievalConfig(k=4)


@pytest.fixture(scope="module")
def questions(small: Dataset) -> Questions:
    return Questions(small, random_space(small.n_items))


def _ask(questions: Questions, row: int, config: RetrievalConfig = CONFIG) -> Question:
    data = questions.dataset
    return questions.ask(int(data.user_index[row]), int(data.item_index[row]), config, "answered")


def test_each_sample_is_asked_from_the_ratings_before_it_alone(questions: Questions) -> None:
    data = questions.dataset
    for row in map(int, build_samples(data).rows):
        question = _ask(questions, row)
        past = range(int(data.user_ptr[data.user_index[row]]), row)
        assert question.history_rows == past
        assert question.label is bool(data.labels[row])
        rows_of = {data.item_label(int(data.item_index[at])): at for at in past}
        assert len(question.lines) == min(4, len(rows_of))
        for line in question.lines:
            at = rows_of[line.label]
            assert (line.rating, line.position) == (float(data.rating[at]), at - past.start)
        habit = question.subject.habit
        assert habit is not None
        assert habit.count == len(past)
        assert habit.mean == pytest.approx(np.mean(data.rating[list(past)]))
        assert habit.liked == pytest.approx(np.mean(data.labels[list(past)]))


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
    both, config = question.channels, recipe.retrieval
    if config.strategy == "rerank":
        assert list(question.chosen) == rerank(both.relevant, both.recent, config.k, config.gamma, config.beta)
    seen = set(chosen) | set(both.relevant) | set(both.recent) | set(both.similarity)
    assert item not in seen
    assert seen <= set(before)
    assert len(chosen) == len(set(chosen)) == min(config.k, len(before))
    if config.strategy != "retrieve-then-mix":
        last = {code: max((data.timestamp[r], code) for r in mine if data.item_index[r] == code) for code in before}
        newest = sorted(before, key=lambda code: last[code], reverse=True)
        assert both.recent == newest[: config.k]
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


def test_a_question_says_the_same_whatever_is_rated_later(questions: Questions) -> None:
    data = questions.dataset
    parts = split(build_samples(data), data)
    for row in map(int, parts.train[::5]):
        later = np.flatnonzero(np.arange(data.n_interactions) >= row) if row else np.arange(0)
        mine = later[data.user_index[later] == data.user_index[row]]
        rating = data.rating.copy()
        rating[mine] = 5.5 - rating[mine]  # of the target too
        rated_later = Questions(replace(data, rating=rating), questions.retriever.space)
        assert _ask(rated_later, row).prompts == _ask(questions, row).prompts


def test_what_others_say_is_of_the_statistics_that_were_given(small: Dataset) -> None:
    statistics = TrainingStatistics(small, split(build_samples(small), small, "per-user"))
    given, default = (
        Questions(small, random_space(small.n_items), others_ratings) for others_ratings in (statistics, None)
    )
    chronological = TrainingStatistics(small, split(build_samples(small), small))
    differing = 0
    for row in map(int, build_samples(small).rows):
        user, item = int(small.user_index[row]), int(small.item_index[row])
        one, two = (_ask(asking, row).subject.target.others for asking in (given, default))
        assert (one, two) == (statistics.others(user, item), chronological.others(user, item))
        differing += one != two
    assert differing


def test_an_item_that_was_never_rated_is_asked_from_the_whole_past(questions: Questions) -> None:
    data = questions.dataset
    user = data.n_users - 1
    unseen = next(item for item in range(data.n_items) if data.find_row(user, item) is None)
    question = questions.ask(user, unseen, CONFIG)
    rows = data.user_rows(user)
    assert (question.label, question.history_rows) == (None, range(rows.start, rows.stop))
    assert set(question.channels.similarity) == set(data.item_index[rows].tolist())
    assert question.subject.layout == "paper"
    assert question.prompts[0].answers == ()


def test_a_past_that_is_too_short_is_refused(questions: Questions) -> None:
    data = questions.dataset
    user = data.n_users - 1
    early = int(data.item_index[data.user_rows(user).start + MIN_HISTORY - 1])
    with pytest.raises(UsageError, match=rf"has {MIN_HISTORY - 1} ratings before.*at least {MIN_HISTORY}.*choose an"):
        questions.ask(user, early, CONFIG)
    with pytest.raises(UsageError, match="has 0 ratings before"):
        questions.ask(user, int(data.item_index[data.user_rows(user).start]), CONFIG)
    first = int(data.item_index[data.user_rows(user).start + MIN_HISTORY])
    enough = questions.ask(user, first, RetrievalConfig(k=10))
    assert len(enough.history_rows) == len(enough.chosen) == MIN_HISTORY


def test_every_order_tells_the_same_lines_the_recipes_order_first(questions: Questions) -> None:
    row = int(build_samples(questions.dataset).rows[-1])
    for order in ("rank", "chronological", "relevance"):
        question = _ask(questions, row, CONFIG.model_copy(update={"order": order}))
        assert len(question.prompts) == 3
        told = [
            {prompt.text[slice(*span)].split(". ", 1)[1] for span in prompt.droppable} for prompt in question.prompts
        ]
        assert told[0] == told[1] == told[2]
        first = [question.prompts[0].text.index(line.label) for line in question.lines]
        assert first == sorted(first)
        if order == "chronological":
            assert [line.position for line in question.lines] == sorted(line.position or 0 for line in question.lines)


def test_vectors_of_another_dataset_are_refused(small: Dataset) -> None:
    for other_count in (3, small.n_items + 1):
        with pytest.raises(UsageError, match=rf"{other_count} vectors for 30 items.*rallrec precompute"):
            Questions(small, random_space(other_count))


def test_a_prompt_is_written_again_from_the_items_it_shows(questions: Questions) -> None:
    data = questions.dataset
    code_of = {data.item_label(code): code for code in range(data.n_items)}
    for row in map(int, build_samples(data).rows[::5]):
        question = _ask(questions, row)
        shown = [code_of[line.label] for line in question.lines]
        assert questions.prompt(question.user, question.item, shown, "answered") == question.prompts[0]
        with pytest.raises(UsageError, match="not in the past"):
            questions.prompt(question.user, question.item, [*shown, question.item], "answered")


def test_the_variants_leave_each_past_item_out_once(questions: Questions) -> None:
    plain, question = (_spread(questions, spread) for spread in ("orders", "left-out"))
    assert question.prompts[0] == plain.prompts[0], "the recipe's own prompt comes first"
    assert [variant.without for variant in question.variants] == [None, *(row.item for row in question.chosen)]
    for variant, prompt in zip(question.variants[1:], question.prompts[1:], strict=True):
        shown = [line.label for line in question.lines if f". {line.label}" in prompt.text]
        label = questions.dataset.item_label(variant.without or 0)
        assert shown == [line.label for line in question.lines if line.label != label]


def test_the_variants_are_chosen_under_the_papers_other_gammas(questions: Questions) -> None:
    question = _spread(questions, "gamma")
    assert [variant.gamma for variant in question.variants] == [None, 1 / 2, 4 / 5]
    for variant, prompt in zip(question.variants[1:], question.prompts[1:], strict=True):
        config = CONFIG.model_copy(update={"gamma": variant.gamma})
        assert prompt == _spread(questions, "orders", config).prompts[0]


def _spread(questions: Questions, spread: Any, config: RetrievalConfig = CONFIG) -> Question:
    data = questions.dataset
    row = int(build_samples(data).rows[-1])
    return questions.ask(int(data.user_index[row]), int(data.item_index[row]), config, spread=spread)


@pytest.mark.parametrize(("spread", "asked"), [("orders", 3), ("gamma", 3), ("left-out", 1 + CONFIG.k)])
def test_p_g_is_the_first_variant_s_and_sigma_the_variance_over_all(
    spread: str, asked: int, questions: Questions
) -> None:
    pipeline = Pipeline(questions.dataset, questions.retriever.space, ScriptedEngine(), ScriptedEngine())
    question = _spread(questions, spread)
    recipe = Recipe(tuned={"spread": spread}, retrieval=CONFIG, reasoning={"traces": 2}, merging={"p_r_temperature": 3})
    prediction = pipeline.predict(question, recipe)
    known = [answer.p_yes for answer in prediction.answers if answer]
    assert len(known) == asked
    assert (prediction.p_g, prediction.var_g) == (known[0], pytest.approx(np.var(known)))
    tempered = scale([trace.p_yes for trace in prediction.chains if trace.p_yes is not None], 3)
    assert prediction.p_r == pytest.approx(tempered.mean())
    assert prediction.var_r == pytest.approx(tempered.var())
