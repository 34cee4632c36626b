"""What may be left out of a prompt: the history's lines, each whole, oldest interaction first, and nothing else."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engines.chat import without_oldest
from backend.pipeline import Pipeline, Recipe
from backend.prompting import HistoryLine, Prompt, PromptSubject, build_prompt
from backend.questions import Question
from tests.backend.prompting.test_prompts import META, SENTENCE, TARGET

KNOWLEDGE_MARK, LINE_MARK = "\ue000", "\ue001"
# Titles that could be taken for marks, for lines or for the end of the history.
hostile = st.text(st.sampled_from(f"a1. :5\n\r\u2028\x85{KNOWLEDGE_MARK}{LINE_MARK}é"), max_size=12)
lines = st.lists(
    st.tuples(hostile, st.lists(hostile, max_size=2).map(tuple), st.sampled_from([0.5, 4.0])), max_size=8
).flatmap(
    lambda rows: st.permutations(range(len(rows))).map(
        lambda places: [HistoryLine(*row, position=place) for row, place in zip(rows, places, strict=True)]
    )
)
Kind = Literal["answer", "reason"]
TEXT = """\
These are films that a user saw, each with the user's rating from 0.5 to 5 points. The higher the rating, the more the \
user liked it.
The user is a doctor.
1. Babel (2006) [Drama]: 3.5 of 5 points
2. Alien (1979): 5 of 5 points
3. Up (2009) [Comedy, Drama]: 4 of 5 points
Will the user like the film Heat (1995) [Action, Crime]? To like it means to rate it above 3 points.

Another one think the answer might be Yes.

Answer with one word, Yes or No."""
HISTORY = (
    HistoryLine("Babel (2006)", ("Drama",), 3.5, 7),
    HistoryLine("Alien (1979)", (), 5.0, 2),
    HistoryLine("Up (2009)", ("Comedy", "Drama"), 4.0, 11),
)


def left(prompt: Prompt, count: int) -> str:
    [message] = without_oldest(prompt.messages, count)
    return message.content


def test_the_oldest_line_goes_first_and_the_others_keep_their_numbers() -> None:
    prompt = build_prompt("answer", PromptSubject(META, TARGET, ("The user is a doctor.",)), HISTORY, SENTENCE)
    assert prompt.text == left(prompt, 0) == TEXT
    without_alien = TEXT.replace("2. Alien (1979): 5 of 5 points\n", "")
    assert left(prompt, 1) == without_alien
    without_babel = without_alien.replace("1. Babel (2006) [Drama]: 3.5 of 5 points\n", "")
    assert left(prompt, 2) == without_babel
    assert "The user is a doctor.\n3. Up (2009)" in without_babel
    assert left(prompt, 3) == without_babel.replace("3. Up (2009) [Comedy, Drama]: 4 of 5 points\n", "")
    assert left(prompt, 9) == left(prompt, 3)


@given(
    lines,
    hostile,
    st.lists(hostile, max_size=2),
    st.sampled_from(["answer", "reason"]),
    st.sampled_from([None, SENTENCE]),
    st.data(),
)
def test_without_any_number_of_the_oldest_exactly_the_other_lines_are_left(
    history: list[HistoryLine], target: str, profile: list[str], kind: Kind, knowledge: str | None, data: st.DataObject
) -> None:
    subject = PromptSubject(META, HistoryLine(target, (target,)), tuple(profile))
    prompt = build_prompt(kind, subject, history, knowledge)
    assert len(prompt.droppable) == len(history)
    assert not {KNOWLEDGE_MARK, LINE_MARK} & set(prompt.text)
    written = prompt.text.split("\n")
    first = 1 + len(profile)  # the task and the profile stand before
    gone = data.draw(st.integers(0, len(history)))
    oldest = sorted(range(len(history)), key=lambda place: history[place].position or 0)[:gone]
    kept = [line for place, line in enumerate(written) if place - first not in oldest]
    assert left(prompt, gone) == "\n".join(kept)
    if prompt.knowledge_span:
        assert prompt.text[slice(*prompt.knowledge_span)] == SENTENCE
    for span in prompt.droppable:
        assert prompt.text[slice(*span)].endswith(" of 5 points\n")


def test_a_line_whose_time_is_not_known_is_never_left_out() -> None:
    history = (HISTORY[0], HistoryLine("Alien (1979)", (), 5.0), HISTORY[2])
    prompt = build_prompt("reason", PromptSubject(META, TARGET), history)
    assert len(prompt.droppable) == 2
    assert "2. Alien (1979): 5 of 5 points\nWill the user" in left(prompt, 2)


def test_an_empty_history_has_nothing_to_leave_out() -> None:
    assert build_prompt("answer", PromptSubject(META, TARGET), (), SENTENCE).droppable == ()


@pytest.mark.parametrize("mark", [KNOWLEDGE_MARK, LINE_MARK])
def test_a_dataset_whose_words_hold_marks_forges_nothing(mark: str) -> None:
    names = ("item_noun", "item_noun_plural", "verb_past", "rating_unit")
    meta = META.model_copy(update={name: f"{mark}{getattr(META, name)}{mark}" for name in names})
    marked, plain = (build_prompt("reason", PromptSubject(words, TARGET), HISTORY, SENTENCE) for words in (meta, META))
    assert marked == plain


def test_a_questions_prompts_lose_the_oldest_first_in_every_order(pipeline: Pipeline, question: Question) -> None:
    data = pipeline.dataset
    past = data.item_index[question.history_rows.start : question.history_rows.stop].tolist()
    last = {data.item_label(code): place for place, code in enumerate(past)}
    by_time = sorted((line.label for line in question.lines), key=last.__getitem__)
    done = pipeline.predict(question, Recipe.model_validate({"reasoning": {"traces": 1}}))
    assert done.reason_prompt is not None
    for prompt in (*question.prompts, done.reason_prompt):
        [message] = prompt.messages
        dropped = [message.content[slice(*span)] for span in message.droppable]
        assert [label for label, line in zip(by_time, dropped, strict=True) if f". {label}" in line] == by_time
    assert len({prompt.text for prompt in question.prompts}) == 3
