"""The layout ``answered``: every past item with its own answer, whose places are known; ``paper`` as it ever was."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets import LabelRule
from backend.engines.chat import without_oldest
from backend.pipeline import Pipeline, Recipe
from backend.prompting import HistoryLine, Prompt, PromptSubject, RatingHabit, build_prompt
from tests.backend.prompting.test_prompts import META, SENTENCE

MARKS = "\ue000\ue001\ue002"
TARGET = HistoryLine("Heat (1995)", ("Action", "Crime", "Drama", "Thriller"), others=3.96)
HISTORY = (
    HistoryLine("Babel (2006)", ("Drama",), 3.5, 7, 3.25),
    HistoryLine("Alien (1979)", (), 3.0, 2),
    HistoryLine("Up (2009)", ("Comedy", "Drama", "Animation", "Family"), 5.0, 11, 4.0),
)
HABIT = RatingHabit(12, 3.449, 0.583)
BEGINNING = """\
A user's ratings of films, from 0.5 to 5 points. Liked means rated above 3. Others is the average rating by other users.
The user is a doctor.
The user rated 12 films: 3.4 on average, 58% liked.
1. Babel (2006) [Drama]. Others: 3.2. Liked: Yes, 3.5
2. Alien (1979). Others: few. Liked: No, 3
3. Up (2009) [Comedy, Drama, Animation]. Others: 4.0. Liked: Yes, 5
Will the user like Heat (1995) [Action, Crime, Drama]? Others: 4.0.
"""
ANSWER = "Liked? Answer with one word, Yes or No."
REASON = (
    "Think step by step about what the user's ratings say about this film. Close your thinking with </think>, then "
    "answer with one word, Yes or No."
)
hostile = st.text(st.sampled_from(f"a1. :,5\n\r\u2028é{MARKS}") | st.sampled_from("YesNoLiked"), max_size=14)
_lines = st.lists(
    st.tuples(
        hostile | st.sampled_from(["Liked: Yes, 4", "Liked:\ue002 No,", "1. Up. Others: few. Liked: Yes, 5"]),
        st.lists(hostile, max_size=4).map(tuple),
        st.sampled_from([0.5, 3.0, 3.5, 5.0]),
        st.none() | st.floats(0.5, 5),
    ),
    max_size=7,
).flatmap(
    lambda rows: st.permutations(range(len(rows))).map(
        lambda places: [
            HistoryLine(label, categories, rating, place, others)
            for (label, categories, rating, others), place in zip(rows, places, strict=True)
        ]
    )
)


def _subject(habit: RatingHabit | None = HABIT, profile: tuple[str, ...] = ("The user is a doctor.",)) -> PromptSubject:
    return PromptSubject(META, TARGET, profile, habit, "answered")


def _answers(prompt: Prompt) -> list[str]:
    return [prompt.text[start:end] for start, end in prompt.answers]


def _liked(history: list[HistoryLine] | tuple[HistoryLine, ...]) -> list[str]:
    return ["Yes" if META.label_rule.apply(np.asarray(line.rating)) else "No" for line in history]


def test_the_answered_layout_word_for_word() -> None:
    assert build_prompt("answer", _subject(), HISTORY).text == BEGINNING + ANSWER
    assert build_prompt("answer", _subject(), HISTORY, SENTENCE).text == f"{BEGINNING}{SENTENCE}\n{ANSWER}"
    assert build_prompt("reason", _subject(), HISTORY, SENTENCE).text == f"{BEGINNING}{SENTENCE}\n{REASON}"
    without = build_prompt("answer", _subject(None), HISTORY).text
    assert without == (BEGINNING + ANSWER).replace("The user rated 12 films: 3.4 on average, 58% liked.\n", "")


def test_the_paper_layout_word_for_word_whatever_else_is_known() -> None:
    expected = """\
These are films that a user saw, each with the user's rating from 0.5 to 5 points. The higher the rating, the more the \
user liked it.
The user is a doctor.
1. Babel (2006) [Drama]: 3.5 of 5 points
2. Alien (1979): 3 of 5 points
3. Up (2009) [Comedy, Drama, Animation, Family]: 5 of 5 points
Will the user like the film Heat (1995) [Action, Crime, Drama, Thriller]? To like it means to rate it above 3 points.

Another one think the answer might be Yes.

"""
    paper = replace(_subject(), layout="paper")
    answer, reason = (build_prompt(kind, paper, HISTORY, SENTENCE) for kind in ("answer", "reason"))
    assert answer.text == expected + "Answer with one word, Yes or No."
    assert reason.text == expected + REASON
    assert answer.answers == reason.answers == ()


@pytest.mark.parametrize("kind", ["answer", "reason"])
@pytest.mark.parametrize("knowledge", [None, SENTENCE])
def test_answers_stand_where_the_spans_say(kind: str, knowledge: str | None) -> None:
    prompt = build_prompt(kind, _subject(), HISTORY, knowledge)  # type: ignore[arg-type]
    assert _answers(prompt) == ["Yes", "No", "Yes"]
    for start, end in prompt.answers:
        assert prompt.text[:start].endswith("Liked: ")
        assert prompt.text[end] == ","
    if knowledge:
        assert prompt.knowledge_span is not None
        assert prompt.text[slice(*prompt.knowledge_span)] == SENTENCE


@given(_lines, hostile, st.sampled_from(["answer", "reason"]), st.sampled_from([None, SENTENCE]), st.data())
def test_no_title_moves_an_answer_and_lines_go_whole(
    history: list[HistoryLine], target: str, kind: str, knowledge: str | None, data: st.DataObject
) -> None:
    subject = replace(_subject(profile=()), target=HistoryLine(target, (target,)))
    prompt = build_prompt(kind, subject, history, knowledge)  # type: ignore[arg-type]
    assert not set(MARKS) & set(prompt.text)
    assert len(prompt.text.splitlines()) == 2 + max(1, len(history)) + 1 + (knowledge is not None) + 1
    assert _answers(prompt) == _liked(history)
    assert [start for start, _ in prompt.answers] == sorted(start for start, _ in prompt.answers)
    assert len(prompt.droppable) == len(history)
    for (start, end), line in zip(prompt.answers, history, strict=True):
        [answer_line] = [span for span in prompt.droppable if span[0] <= start and end <= span[1]]
        assert prompt.text[end : answer_line[1]] == f", {line.rating:g}\n", (
            "the answer closes its line, but for the rating"
        )
    gone = data.draw(st.integers(0, len(history)))
    oldest = sorted(range(len(history)), key=lambda place: history[place].position or 0)[:gone]
    written = prompt.text.split("\n")
    [left] = without_oldest(prompt.messages, gone)
    assert left.content == "\n".join(line for place, line in enumerate(written) if place - 2 not in oldest)


def test_a_mark_inside_a_title_is_no_answer() -> None:
    history = (HistoryLine("Go\ue002 No, (1999)", ("A\ue002 Yes,",), 4.0, 0), HISTORY[1])
    prompt = build_prompt("answer", _subject(), history, SENTENCE)
    assert "1. Go No, (1999) [A Yes,]. Others: few. Liked: Yes, 4\n" in prompt.text
    assert _answers(prompt) == ["Yes", "No"]


def test_an_inclusive_rule_and_an_empty_history_are_said() -> None:
    meta = META.model_copy(update={"label_rule": LabelRule(threshold=5, inclusive=True)})
    text = build_prompt("answer", replace(_subject(), meta=meta), HISTORY).text
    assert "Liked means rated at least 5. " in text
    assert re.findall(r"Liked: (\w+)", text) == ["No", "No", "Yes"]
    empty = build_prompt("answer", _subject(), ())
    assert "\n(The user has no history yet.)\nWill the user like" in empty.text
    assert (empty.answers, empty.droppable) == ((), ())


def test_a_recipe_chooses_the_layout_of_both_prompts(pipeline: Pipeline) -> None:
    row = pipeline.dataset.n_interactions - 1
    codes = int(pipeline.dataset.user_index[row]), int(pipeline.dataset.item_index[row])
    texts = {}
    for template in ("paper", "answered"):
        recipe = Recipe.model_validate({"prompting": {"template": template}, "reasoning": {"traces": 1}})
        done = pipeline.predict(pipeline.question(*codes, recipe), recipe)
        assert done.reason_prompt is not None
        texts[template] = [prompt.text for prompt in (*done.question.prompts, done.reason_prompt)]
    assert all("Liked: " in text and "The user rated " in text for text in texts["answered"])
    assert not any("Liked" in text or "Others" in text or "The user rated" in text for text in texts["paper"])
