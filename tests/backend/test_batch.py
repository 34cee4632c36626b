"""Many predictions at once: the same as one by one, each prompt once, and what is there after a stop or a failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.batch import Batch, BatchListener, Count, unasked_predictions
from backend.datasets import Dataset, build_samples
from backend.errors import EngineError, Stopped, UsageError
from backend.pipeline import Pipeline, Prediction, Recipe
from storage import CachedEngine, Database, open_database
from storage.results.keys import messages_json
from storage.results.lookup import look_up
from tests.backend.recording import Recording
from tests.conftest import random_space

TRACES = 3


@pytest.fixture
def tuned() -> Recording:
    return Recording("tuned")


@pytest.fixture
def reasoner() -> Recording:
    return Recording("reasoner")


@pytest.fixture
def plain(small: Dataset, tuned: Recording, reasoner: Recording) -> Pipeline:
    return Pipeline(small, random_space(small.n_items, 3), tuned, reasoner)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'test.db'}")
    yield opened
    opened.close()


@pytest.fixture
def kept(plain: Pipeline, database: Database) -> Pipeline:
    """The same behind the cache."""
    engines = CachedEngine(plain.tuned, database), CachedEngine(plain.reasoner, database)
    return Pipeline(plain.dataset, plain.retriever.space, *engines)


def some_samples(data: Dataset, count: int = 9) -> list[tuple[int, int]]:
    """Of several users, in no order."""
    rows = build_samples(data).rows
    rows = rows[:: len(rows) // count][:count][::-1]
    return [(int(data.user_index[row]), int(data.item_index[row])) for row in rows]


def some_recipes(**reasoning: Any) -> list[Recipe]:
    return [
        Recipe.model_validate(
            {
                "retrieval": {"gamma": gamma, "k": 4},
                "prompting": {"knowledge": knowledge},
                "reasoning": {"traces": TRACES} | reasoning,
            }
        )
        for gamma in (0.0, 1.0)
        for knowledge in ("paper", "none")
    ]


def unasked(pipeline: Pipeline, **reasoning: Any) -> list[Prediction]:
    return list(unasked_predictions(pipeline, some_samples(pipeline.dataset), some_recipes(**reasoning)))


def recalled(pipeline: Pipeline) -> list[Prediction]:
    return [look_up(pipeline, prediction.question, prediction.recipe) for prediction in unasked(pipeline)]


def timeless(predictions: Sequence[Prediction]) -> list[tuple[Any, ...]]:
    """What was said, without how long it took."""
    return [
        (
            prediction.question.user,
            prediction.question.item,
            prediction.recipe.hash,
            prediction.answers,
            prediction.reason_prompt,
            tuple(trace and replace(trace, seconds=0.0) for trace in prediction.traces),
        )
        for prediction in predictions
    ]


@pytest.mark.parametrize("per_call", [1, 5, 1000])
def test_many_at_once_are_the_same_as_one_by_one_in_the_order_given(plain: Pipeline, per_call: int) -> None:
    predictions = unasked(plain)
    done = Batch(plain, predictions).run(chains_per_call=per_call)
    assert timeless(done) == timeless(
        [plain.predict(prediction.question, prediction.recipe) for prediction in predictions]
    )
    assert all(prediction.complete for prediction in done)


def test_recipes_with_the_same_history_share_the_question(plain: Pipeline) -> None:
    predictions = unasked(plain)
    for first in range(0, len(predictions), 4):
        paper, none, other_gamma, _ = predictions[first : first + 4]
        assert paper.question is none.question
        assert paper.question is not other_gamma.question
    assert [prediction.recipe.hash for prediction in predictions[:4]] == [recipe.hash for recipe in some_recipes()]


def test_a_question_is_made_once_for_settings_that_it_does_not_depend_on_and_keeps_its_keys(plain: Pipeline) -> None:
    choices: list[dict[str, Any]] = [
        {}, {"p_g": "mean"}, {"p_g_temperature": 2.0}, {"knowledge": "graded"}, {"alpha": 0.5}, {"seed": 3}
    ]  # fmt: skip
    recipes = [Recipe().replacing(**choice) for choice in choices]
    predictions = list(unasked_predictions(plain, some_samples(plain.dataset, 3), [*recipes, Recipe().replacing(k=3)]))
    for first in range(0, len(predictions), len(recipes) + 1):
        *same, last = predictions[first : first + len(recipes) + 1]
        assert {id(prediction.question) for prediction in same} == {id(same[0].question)}
        assert last.question is not same[0].question
        for prediction in same:
            alone = plain.question(prediction.question.user, prediction.question.item, prediction.recipe)
            shared = [messages_json(prompt.messages) for prompt in prediction.question.prompts]
            assert shared == [messages_json(prompt.messages) for prompt in alone.prompts]


def test_a_sample_without_a_past_cannot_be_asked(plain: Pipeline) -> None:
    row = int(plain.dataset.user_rows(7).start)
    with pytest.raises(UsageError, match="ratings before"):
        list(unasked_predictions(plain, [(7, int(plain.dataset.item_index[row]))], some_recipes()))


def test_equal_prompts_are_asked_once_without_any_cache(plain: Pipeline, tuned: Recording, reasoner: Recording) -> None:
    predictions = unasked(plain) * 2
    batch = Batch(plain, predictions)
    done = batch.run(chains_per_call=3)
    assert set(Counter(tuned.answered).values()) == set(Counter(reasoner.drawn).values()) == {1}
    distinct = {prompt.messages for prediction in predictions for prompt in prediction.question.prompts}
    chains = {prediction.reason_prompt.messages for prediction in done if prediction.reason_prompt}
    assert (batch.answers.prompts, batch.answers.wanted, batch.answers.made) == (len(distinct),) * 3
    assert (batch.chains.prompts, batch.chains.made) == (len(chains), TRACES * len(chains))
    assert len(distinct) < 3 * len(predictions)
    assert timeless(done[: len(done) // 2]) == timeless(done[len(done) // 2 :])


def test_calls_are_as_large_as_said_and_prompts_that_begin_alike_are_neighbours(
    plain: Pipeline, reasoner: Recording
) -> None:
    done = Batch(plain, unasked(plain)).run(chains_per_call=8)
    sizes = [len(call) for call in reasoner.asked]
    assert set(sizes[:-1]) == {8}
    assert 1 <= sizes[-1] <= 8
    whose = {
        prediction.reason_prompt.messages: prediction.question.user for prediction in done if prediction.reason_prompt
    }
    in_turn = [whose[prompt] for call in reasoner.asked for prompt in call]
    assert in_turn == sorted(in_turn)
    texts = [prompt[0].content for call in reasoner.asked for prompt in call]
    for prediction in done:
        if prediction.recipe.prompting.knowledge == "paper":
            assert prediction.reason_prompt is not None
            assert prediction.reason_prompt.knowledge_span is not None
            start = prediction.reason_prompt.text[: prediction.reason_prompt.knowledge_span[0]]
            beginning = [place for place, text in enumerate(texts) if text.startswith(start)]
            assert len(beginning) >= 2, "with and without the hint"
            assert beginning == list(range(beginning[0], beginning[0] + len(beginning)))


def test_recipes_that_sample_otherwise_are_called_apart(plain: Pipeline, reasoner: Recording) -> None:
    mixed = [*unasked(plain), *unasked(plain, seed=5), *unasked(plain, traces=2), *unasked(plain, traces=0)]
    batch = Batch(plain, mixed)
    done = batch.run()
    assert timeless(done) == timeless([plain.predict(prediction.question, prediction.recipe) for prediction in mixed])
    assert done[-1].p_final == done[-1].p_g


def test_counts_are_heard_from_nothing_to_all_and_the_pace_foretells_the_rest(plain: Pipeline) -> None:
    heard: list[Count] = []
    batch = Batch(plain, unasked(plain))
    batch.run(BatchListener(count=lambda count: heard.append(replace(count))))
    for kind, final in (("answers", batch.answers), ("chains", batch.chains)):
        of_kind = [count for count in heard if count.kind == kind]
        assert [count.made for count in of_kind] == list(range(final.wanted + 1))
        assert [count.fraction for count in of_kind] == sorted(count.fraction for count in of_kind)
        assert (of_kind[0].fraction, of_kind[0].seconds_left) == (0.0, None)
        assert (of_kind[-1].fraction, of_kind[-1].left, of_kind[-1].seconds_left) == (1.0, 0, 0.0)
        middle = of_kind[len(of_kind) // 2]
        assert middle.seconds_left == pytest.approx(middle.left * middle.seconds / middle.made)
        assert final.tokens_per_second == pytest.approx(final.tokens / final.seconds)


def test_pace_and_counts_leave_out_what_was_there_before() -> None:
    count = Count("chains", prompts=10, wanted=60, known=40, made=5, failed=1, lost=5, tokens=500, seconds=2.0)
    assert (count.left, count.fraction, count.seconds_left, count.tokens_per_second) == (10, 0.5, 4.0, 250.0)
    assert Count("chains").fraction == 1.0


@pytest.mark.parametrize("which", ["tuned", "reasoner"])
def test_after_a_stop_the_second_run_makes_only_what_is_missing(
    kept: Pipeline, tuned: Recording, reasoner: Recording, which: str
) -> None:
    stopping = tuned if which == "tuned" else reasoner
    stopping.stop_after = 7
    first = Batch(kept, recalled(kept))
    with pytest.raises(Stopped):
        first.run(stop=stopping.stop, chains_per_call=2)
    made = first.answers.made + first.chains.made
    assert made == len(tuned.answered) + len(reasoner.drawn)
    assert first.chains.made == len(reasoner.drawn)
    assert (7 <= made < first.answers.wanted) if which == "tuned" else (7 <= first.chains.made < first.chains.wanted)
    # What there is, is in the predictions.
    assert len({t for prediction in first.predictions for t in prediction.traces if t}) == first.chains.made
    second = Batch(kept, recalled(kept))
    done = second.run()
    assert second.answers.known + second.chains.known == made
    assert set(Counter(tuned.answered).values()) == set(Counter(reasoner.drawn).values()) == {1}
    assert second.answers.made + second.chains.made + made == second.answers.wanted + second.chains.wanted
    fresh = Pipeline(kept.dataset, kept.retriever.space, Recording("tuned"), Recording("reasoner"))
    assert timeless(done) == timeless(Batch(fresh, unasked(fresh)).run())


def test_where_all_is_known_nothing_is_loaded(kept: Pipeline, tuned: Recording, reasoner: Recording) -> None:
    done = Batch(kept, recalled(kept)).run()
    assert (tuned.loads, reasoner.loads) == (1, 1)
    again = Batch(kept, recalled(kept))
    assert timeless(again.run()) == timeless(done)
    assert (tuned.loads, reasoner.loads) == (1, 1)
    assert (again.answers.made, again.chains.made) == (0, 0)
    assert (again.answers.seconds_left, again.answers.tokens_per_second) == (None, None)


@pytest.mark.parametrize("cached", [False, True])
def test_prompts_that_fail_leave_the_others_alone(
    request: pytest.FixtureRequest, reasoner: Recording, cached: bool
) -> None:
    pipeline: Pipeline = request.getfixturevalue("kept" if cached else "plain")
    predictions = unasked(pipeline)
    title = pipeline.dataset.item_label(predictions[0].question.item)
    reasoner.fails = title
    batch = Batch(pipeline, predictions)
    done = batch.run(chains_per_call=4)
    broken = {
        place
        for place, prediction in enumerate(done)
        if prediction.reason_prompt and title in prediction.reason_prompt.text
    }
    assert 0 < len(broken) < len(done)
    assert batch.failures == dict.fromkeys(broken, "it broke")
    assert {place for place, prediction in enumerate(done) if not prediction.complete} == broken
    assert batch.chains.left == 0
    assert batch.chains.lost == TRACES * batch.chains.failed
    reasoner.fails = None
    assert all(prediction.complete for prediction in Batch(pipeline, done).run())
    assert set(Counter(reasoner.drawn).values()) == {1}


def test_without_the_tuned_models_answer_the_chains_that_need_it_are_not_drawn(
    plain: Pipeline, tuned: Recording
) -> None:
    predictions = unasked(plain)
    tuned.fails = plain.dataset.item_label(predictions[0].question.item)
    done = Batch(plain, predictions).run()
    for prediction in done:
        if prediction.answers[0] is None:
            assert all(prediction.traces) == (prediction.recipe.prompting.knowledge == "none")
            assert not prediction.complete
    assert not all(prediction.answers[0] for prediction in done)


def test_an_engine_that_breaks_is_not_asked_again(plain: Pipeline, reasoner: Recording) -> None:
    reasoner.fails, reasoner.broken = "", True
    batch = Batch(plain, unasked(plain))
    with pytest.raises(EngineError, match="the server is gone"):
        batch.run(chains_per_call=8)
    assert len(reasoner.asked) == 1
    assert batch.chains.failed == 8
    assert all(all(prediction.answers) for prediction in batch.predictions)


def test_where_all_that_is_left_fails_each_is_noted(plain: Pipeline, reasoner: Recording) -> None:
    reasoner.fails = ""
    batch = Batch(plain, unasked(plain))
    batch.run(chains_per_call=8)
    assert set(batch.failures) == set(range(len(batch.predictions)))
    assert batch.chains.failed == batch.chains.prompts
    reasoner.broken = True
    one = Batch(plain, unasked(plain)[:1])
    one.run()
    assert one.failures == {0: "the server is gone"}


def test_a_failure_after_a_stop_was_asked_for_is_a_stop(plain: Pipeline, reasoner: Recording) -> None:
    reasoner.fails = ""
    reasoner_was_asked: list[bool] = []

    def stop() -> bool:
        reasoner_was_asked.append(bool(reasoner.asked))
        return reasoner_was_asked[-1]

    batch = Batch(plain, unasked(plain))
    with pytest.raises(Stopped):
        batch.run(stop=stop)
    assert batch.failures == {}


def test_nothing_asked_is_nothing_done(plain: Pipeline, tuned: Recording) -> None:
    batch = Batch(plain, [])
    assert batch.run() == []
    assert tuned.loads == 0
