"""Reading yes or no out of a reasoning chain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.prompting import NO_ANSWER, read_verdict


@pytest.mark.parametrize(
    ("conclusion", "answer"),
    [
        ("Yes", "yes"),
        ("No.", "no"),
        ("\n\nNO!\n", "no"),
        ("**Yes**", "yes"),
        ("'yes'", "yes"),
        ("I know this genre well", NO_ANSWER),
        ("Nobody would", NO_ANSWER),
        ("It came out yesterday", NO_ANSWER),
        ("Not at all", NO_ANSWER),
        ("None, another, piano, eyes", NO_ANSWER),
        ("Yes or No? Yes", "yes"),
        ("Yes or no? No", "no"),
        ("no/yes", NO_ANSWER),
        ("The answer is: No", "no"),
        ("**Answer:** Yes", "yes"),
        ("Final answer - no", "no"),
        ("My verdict would be **yes**, no doubt.", "yes"),
        ("The answer is Yes. On second thought, the answer is No.", "no"),
        ("No, I was wrong before. The answer is Yes", "yes"),
        ("Yes, although there is no certainty", "yes"),
        ("No. Yes would need more ratings", "no"),
        ("Ja", NO_ANSWER),
        ("Ｙｅｓ", NO_ANSWER),
        ("Так, yes ✓", "yes"),
        ("Nö", NO_ANSWER),
        ("", NO_ANSWER),
    ],
)
def test_the_conclusion_after_the_thinking_is_read_by_whole_words(conclusion: str, answer: str) -> None:
    verdict = read_verdict(f"He said yes, no, yes.</think>{conclusion}")
    assert verdict.answer == answer
    assert bool(verdict.reason) == (answer == NO_ANSWER)
    assert verdict.hard == {"yes": 1.0, "no": 0.0, NO_ANSWER: 0.5}[answer]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("They liked it. Yes, and more", NO_ANSWER),
        ("The answer is yes.\nBut then again", NO_ANSWER),
        ("But then again\nthe answer is yes.\n\n", "yes"),
        ("Will the answer be Yes or No", NO_ANSWER),
        ("", NO_ANSWER),
        (" \n ", NO_ANSWER),
    ],
)
def test_thinking_that_was_never_closed_counts_only_where_its_last_line_states_an_answer(
    text: str, answer: str
) -> None:
    verdict = read_verdict(text)
    assert verdict.answer == answer
    assert verdict.reason == ("" if answer == "yes" else "the reasoning was not closed with </think>")


def test_only_a_closing_mark_is_no_answer_and_says_why() -> None:
    verdict = read_verdict("</think>")
    assert verdict.answer == NO_ANSWER
    assert verdict.reason == "nothing after </think> says yes or no"


def test_the_last_closing_mark_counts() -> None:
    assert read_verdict("a</think>Yes</think>No").answer == "no"


@given(st.text(), st.sampled_from(["Yes", "No"]))
def test_any_thinking_leaves_the_conclusion_alone(thinking: str, word: str) -> None:
    assert read_verdict(f"{thinking}</think>\n\n{word}.").answer == word.lower()


@given(st.text(st.characters(blacklist_categories=["L", "Cs"])))
def test_text_without_letters_is_never_an_answer(text: str) -> None:
    assert read_verdict(text).answer == read_verdict(f"</think>{text}").answer == NO_ANSWER
