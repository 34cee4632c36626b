"""Questions changed on purpose: hand cases, and every edited question against one of data that really is so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.datasets import Dataset, build_samples, split
from backend.datasets.statistics import TrainingStatistics
from backend.errors import SettingsError, UnknownNameError, UsageError
from backend.pipeline import Pipeline, Recipe
from backend.questions import Question, Questions
from backend.record import prediction_record
from backend.retrieval import RetrievalConfig
from backend.types import Answer
from backend.what_if import Added, Edits, Past, Rated, edit_past
from storage.results.keys import answer_key, messages_json, prompt_hash, trace_key
from tests.conftest import random_space

CONFIG = RetrievalConfig(k=6)


@pytest.fixture(scope="module")
def questions(small: Dataset) -> Questions:
    statistics = TrainingStatistics(small, split(build_samples(small), small))
    return Questions(small, random_space(small.n_items, 3), statistics)


def _last(data: Dataset) -> tuple[int, int]:
    """User and item code of the last sample."""
    return int(data.user_index[-1]), int(data.item_index[-1])


def _ask(questions: Questions, edits: Edits | None = None, config: RetrievalConfig = CONFIG) -> Question:
    return questions.ask(*_last(questions.dataset), config, "answered", edits)


def _told(question: Question) -> dict[str, float | None]:
    return {line.label: line.rating for line in question.lines}


def test_a_removed_item_is_gone_and_another_takes_its_place(questions: Questions) -> None:
    data, plain = questions.dataset, _ask(questions)
    first = plain.chosen[0].item
    edited = _ask(questions, Edits(removed=(data.item_ids[first],)))
    assert data.item_label(first) in _told(plain)
    assert data.item_label(first) not in edited.prompts[0].text
    assert len(edited.chosen) == len(plain.chosen) == 6
    assert edited.subject.habit is not None
    assert edited.subject.habit.count == len(plain.past) - 1
    assert (edited.label, edited.history_rows) == (plain.label, plain.history_rows)


def test_a_re_rated_item_keeps_its_place_and_says_the_new_rating(questions: Questions) -> None:
    data, plain = questions.dataset, _ask(questions)
    item, label = plain.chosen[1].item, plain.lines[1].label
    rating = 0.5 if plain.lines[1].rating != 0.5 else 5.0
    edited = _ask(questions, Edits(rated=(Rated(item=data.item_ids[item], rating=rating),)))
    assert [row.item for row in edited.chosen] == [row.item for row in plain.chosen]
    assert _told(edited) == _told(plain) | {label: rating}
    assert edited.past.rating_of(item) == rating != plain.past.rating_of(item)


def test_an_added_item_is_the_newest_unless_a_place_is_given(questions: Questions) -> None:
    data, (user, target) = questions.dataset, _last(questions.dataset)
    new = next(code for code in range(data.n_items) if data.find_row(user, code) is None)
    item = data.item_ids[new]
    recent = RetrievalConfig(k=3, strategy="recent")
    newest = _ask(questions, Edits(added=(Added(item=item, rating=5),)), recent)
    assert newest.lines[0].label == data.item_label(new)
    assert newest.lines[0].rating == 5
    oldest = _ask(questions, Edits(added=(Added(item=item, rating=5, place=0),)), recent)
    assert oldest.past.items[0] == new
    assert _told(oldest) == _told(_ask(questions, None, recent))
    assert target not in newest.past.items


def test_an_item_that_was_removed_can_join_again_elsewhere(questions: Questions) -> None:
    data, plain = questions.dataset, _ask(questions)
    first = data.item_ids[int(plain.past.items[0])]
    moved = _ask(questions, Edits(removed=(first,), added=(Added(item=first, rating=4),)))
    assert moved.past.items.tolist() == [*plain.past.items.tolist()[1:], data.item_code(first)]


def test_another_target_is_asked_of_the_same_past_without_its_own_rating(questions: Questions) -> None:
    data, plain = questions.dataset, _ask(questions)
    rated = int(plain.past.items[2])
    edited = _ask(questions, Edits(target=data.item_ids[rated]))
    assert edited.item == rated
    assert edited.label is not None
    assert rated not in edited.past.items
    assert len(edited.past) == len(plain.past) - 1
    unrated = next(code for code in range(data.n_items) if data.find_row(plain.user, code) is None)
    unrated_target = _ask(questions, Edits(target=data.item_ids[unrated]))
    assert (unrated_target.item, unrated_target.label) == (unrated, None)
    assert unrated_target.past.items.tolist() == plain.past.items.tolist()
    assert _ask(questions, Edits(target=data.item_ids[plain.item])).prompts == plain.prompts


def test_a_user_without_any_past_can_be_asked_about(questions: Questions) -> None:
    data, plain = questions.dataset, _ask(questions)
    edited = _ask(questions, Edits(removed=tuple(data.item_ids[code] for code in plain.past.items.tolist())))
    assert (edited.chosen, edited.lines, edited.subject.habit) == ((), (), None)
    assert "no history yet" in edited.prompts[0].text


def _edited(questions: Questions, **edits: Any) -> Past:
    user, target = _last(questions.dataset)
    return questions.ask(user, target, CONFIG, "paper", Edits.model_validate(edits)).past


def test_edits_that_make_no_sense_are_refused_with_one_clear_error(questions: Questions) -> None:
    data, plain = questions.dataset, _ask(questions)
    old = data.item_ids[int(plain.past.items[0])]
    target = data.item_ids[plain.item]
    new = next(data.item_ids[code] for code in range(data.n_items) if data.find_row(plain.user, code) is None)
    for edits, said in (
        ({"removed": [new]}, "not in the past"),
        ({"rated": [{"item": new, "rating": 3}]}, "not in the past"),
        ({"removed": [old], "rated": [{"item": old, "rating": 3}]}, "not in the past"),
        ({"removed": [target]}, "not in the past"),
        ({"removed": ["nothing"]}, "No item 'nothing'"),
        ({"added": [{"item": "nothing", "rating": 3}]}, "No item 'nothing'"),
        ({"target": "nothing"}, "No item 'nothing'"),
        ({"rated": [{"item": old, "rating": 7}]}, r"rating of .* is 7\. Expected 0.5 to 5 stars"),
        ({"added": [{"item": new, "rating": 0}]}, r"rating of .* is 0\. Expected 0.5 to 5"),
        ({"added": [{"item": old, "rating": 3}]}, "in the past already"),
        ({"added": [{"item": target, "rating": 3}]}, "is what is asked about"),
        ({"target": old, "rated": [{"item": old, "rating": 3}]}, "not in the past"),
        ({"added": [{"item": new, "rating": 3, "place": 9999}]}, "place of .* is 9999"),
    ):
        with pytest.raises(UsageError, match=said):
            _edited(questions, **edits)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Invalid JSON"),
        ("[]", "edits: "),
        ('{"surprise": 1}', "surprise: "),
        ('{"added": [{"item": "1", "rating": 4, "place": -1}]}', r"added\.0\.place"),
        ('{"rated": [{"item": "1", "rating": NaN}]}', r"rated\.0\.rating"),
        ('{"rated": [{"item": "1", "rating": 1}, {"item": "1", "rating": 2}]}', "re-rated twice"),
        ('{"hint": "maybe"}', "hint: "),
        ('{"hint": "own"}', "sentence goes with the hint"),
        ('{"hint": "yes", "sentence": "Yes."}', "sentence goes with the hint"),
        ('{"hint": "own", "sentence": "' + "x" * 301 + '"}', "sentence: "),
    ],
)
def test_edits_that_cannot_be_read_say_which_part(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Edits.read(text)


def test_the_same_edits_have_one_spelling_that_gives_them_back() -> None:
    one = Edits.read(
        '{"removed": ["2", "1", "2"], "rated": [{"item": "9", "rating": 4}, {"item": "3", "rating": 1.0}]}'
    )
    assert one.canonical == '{"rated":[{"item":"3","rating":1.0},{"item":"9","rating":4.0}],"removed":["1","2"]}'
    assert Edits.read(one.canonical) == one
    assert (Edits().canonical, bool(Edits()), bool(one), bool(Edits(settings={"k": 4}))) == ("{}", False, True, True)
    with pytest.raises(ValidationError):
        one.removed = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("edits", "sentence"),
    [
        ({"hint": "yes"}, "Another one think the answer might be Yes."),
        ({"hint": "no"}, "Another one think the answer might be No."),
        ({"hint": "own", "sentence": " They fell\nasleep. "}, "They fell asleep."),
        ({"hint": "none"}, None),
    ],
)
def test_a_hint_replaces_what_the_tuned_model_said(pipeline: Pipeline, edits: Any, sentence: str | None) -> None:
    user, item = _last(pipeline.dataset)
    question = pipeline.question(user, item, Recipe(), Edits.model_validate(edits))
    assert question.prompts == pipeline.question(user, item, Recipe()).prompts
    # It does not wait for M_G, whose answer it replaces.
    nothing = pipeline.with_answers(pipeline.unasked(question, Recipe()), (None, None, None))
    done = pipeline.with_answers(nothing, [Answer(0.9, 9, 0.1)] * 3)
    for said in (nothing.reason_prompt, done.reason_prompt):
        assert said is not None
        assert (said.text[slice(*said.knowledge_span)] if said.knowledge_span else None) == sentence


def test_a_recipe_with_choices_replaced_is_the_recipe_that_was_made_with_them() -> None:
    recipe = Recipe.model_validate({"retrieval": {"k": 3}, "reasoning": {"seed": 4}})
    changed = recipe.replacing(k="5", temperature=0.9)
    assert changed == Recipe.model_validate({"retrieval": {"k": 5}, "reasoning": {"seed": 4, "temperature": 0.9}})
    assert recipe.replacing() == recipe
    with pytest.raises(UnknownNameError, match="choice of a recipe 'dataset'"):
        recipe.replacing(dataset="x")
    with pytest.raises(SettingsError, match="temperature is -1"):
        recipe.replacing(temperature=-1)


def test_a_record_tells_what_was_edited_and_the_ratings_of_the_prompt(pipeline: Pipeline) -> None:
    data, (user, item) = pipeline.dataset, _last(pipeline.dataset)
    plain = pipeline.question(user, item, Recipe())
    edits = Edits(rated=(Rated(item=data.item_ids[plain.chosen[0].item], rating=1.5),))
    edited = pipeline.question(user, item, Recipe(), edits)
    records = [prediction_record(pipeline, pipeline.unasked(q, Recipe()), cached=False) for q in (plain, edited)]
    assert "edits" not in records[0]
    assert records[1]["edits"] == json.loads(edits.canonical)
    assert records[1]["history"][0]["rating"] == 1.5


@st.composite
def _cases(draw: Any) -> tuple[int, list[tuple[str, int, float, int]], int | None]:
    """A sample, edits as (what, which, rating, place) and perhaps another target; which of all is left to the test."""
    step = st.tuples(
        st.sampled_from(["remove", "rate", "add"]), st.integers(0, 10**6), st.sampled_from([0.5, 3, 3.5, 5]),
        st.integers(-1, 8),
    )  # fmt: skip
    target = draw(st.none() | st.integers(0, 10**6))
    return draw(st.integers(0, 10**6)), draw(st.lists(step, max_size=6)), target


def _changed(data: Dataset, user: int, items: list[int], ratings: list[float]) -> Dataset:
    """The data as if this user had rated these items, in this order, and nothing else."""
    rows = data.user_rows(user)
    before, after = slice(0, rows.start), slice(rows.stop, None)

    def joined(values: np.ndarray, column: Any) -> np.ndarray:
        return np.concatenate([values[before], np.asarray(column, dtype=values.dtype), values[after]])

    shift = len(items) - (rows.stop - rows.start)
    return replace(
        data,
        user_index=joined(data.user_index, [user] * len(items)), item_index=joined(data.item_index, items),
        rating=joined(data.rating, ratings), timestamp=joined(data.timestamp, range(len(items))),
        user_ptr=np.where(np.arange(data.n_users + 1) > user, data.user_ptr + shift, data.user_ptr),
    )  # fmt: skip


@given(_cases())
@hypothesis_settings(max_examples=60)
def test_an_edited_question_is_the_plain_one_of_a_user_who_rated_so(
    small: Dataset, questions: Questions, case: Any
) -> None:
    which, steps, drawn_target = case
    rows = build_samples(small).rows
    row = int(rows[which % len(rows)])
    user, item = int(small.user_index[row]), int(small.item_index[row])
    target = item if drawn_target is None else drawn_target % small.n_items
    past = small.history_before(row)
    whole = list(zip(small.item_index[past].tolist(), small.rating[past].tolist(), strict=True))
    told = [pair for pair in whole if pair[0] != target]
    edits: dict[str, Any] = {"removed": [], "rated": [], "added": []}
    if drawn_target is not None:
        edits["target"] = small.item_ids[target]
    touched: set[int] = set()
    for what, at, rating, _place in [step for step in steps if step[0] != "add"]:
        code = told[at % len(told)][0] if told else -1
        if code in touched or code < 0 or len(told) <= 5:
            continue
        touched.add(code)
        if what == "remove":
            edits["removed"].append(small.item_ids[code])
            told = [pair for pair in told if pair[0] != code]
        else:
            edits["rated"].append({"item": small.item_ids[code], "rating": rating})
            told = [(pair[0], rating if pair[0] == code else pair[1]) for pair in told]
    for _what, at, rating, place in [step for step in steps if step[0] == "add"]:
        code = at % small.n_items
        if code == target or code in [pair[0] for pair in told]:
            continue
        at_place = place if 0 <= place <= len(told) else None
        edits["added"].append({"item": small.item_ids[code], "rating": rating, "place": at_place})
        told.insert(len(told) if at_place is None else at_place, (code, rating))
    if len(told) < 5:
        return
    edited = questions.ask(user, item, CONFIG, "answered", Edits.model_validate(edits))
    assert list(zip(edited.past.items.tolist(), edited.past.ratings.tolist(), strict=True)) == told
    real = _changed(small, user, [code for code, _ in told], [rating for _, rating in told])
    plain = Questions(real, questions.retriever.space, questions.statistics).ask(user, target, CONFIG, "answered")
    assert edited.prompts == plain.prompts
    assert edited.lines == plain.lines
    assert edited.chosen == plain.chosen


@pytest.mark.parametrize("layout", ["paper", "answered"])
def test_without_edits_every_prompt_is_the_plain_one_byte_for_byte(questions: Questions, layout: Any) -> None:
    data = questions.dataset
    for row in map(int, build_samples(data).rows):
        sample = int(data.user_index[row]), int(data.item_index[row])
        plain = questions.ask(*sample, CONFIG, layout)
        for nothing in (Edits(), Edits(settings={"k": 3}), Edits.read("{}")):
            same = questions.ask(*sample, CONFIG, layout, nothing)
            assert [prompt.text.encode() for prompt in same.prompts] == [p.text.encode() for p in plain.prompts]
            assert same.prompts == plain.prompts
            assert same.past.items is not None
            assert np.shares_memory(same.past.items, data.item_index)


def test_an_edit_that_changes_a_prompt_changes_every_key_of_its_results(pipeline: Pipeline) -> None:
    """So that an answer to an edited question is never found under a plain one."""
    data, (user, item) = pipeline.dataset, _last(pipeline.dataset)
    plain = pipeline.question(user, item, Recipe())

    def keys(question: Question) -> set[str]:
        done = pipeline.with_answers(pipeline.unasked(question, Recipe()), [Answer(0.9, 9, 0.1)] * 3)
        assert done.reason_prompt is not None
        answers = {answer_key(pipeline.tuned.model, prompt_hash(messages_json(p.messages))) for p in question.prompts}
        chain = prompt_hash(messages_json(done.reason_prompt.messages))
        return answers | {trace_key(pipeline.reasoner.model, chain, Recipe().reasoning.sampling, n) for n in range(6)}

    seen = keys(plain)
    for row in plain.chosen:
        for edits in (
            Edits(removed=(data.item_ids[row.item],)),
            Edits(rated=(Rated(item=data.item_ids[row.item], rating=1.25),)),
        ):
            result_keys = keys(pipeline.question(user, item, Recipe(), edits))
            assert result_keys & seen == set()
            seen |= result_keys
    # Of an edited prompt, the six keys of the chains: the answers are those of the plain question.
    for text in ("Yes?", "Yes? " + "."):
        result_keys = keys(pipeline.question(user, item, Recipe(), Edits(prompt=text)))
        assert len(result_keys - seen) == 6
        assert result_keys & keys(plain) == result_keys & seen
        seen |= result_keys


def test_the_past_without_edits_is_not_copied(questions: Questions) -> None:
    data, (_, target) = questions.dataset, _last(questions.dataset)
    past = Past.of(data, data.history_before(data.n_interactions - 1))
    assert edit_past(past, Edits(hint="yes"), data, target) is past
