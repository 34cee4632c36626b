"""Rationales from evidence: what they cite is the prompt's, and what they conclude follows from what they cite."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from backend.datasets import Dataset, build_samples
from backend.evaluation.citations import CitationCount, cited_titles
from backend.prompting import build_prompt
from backend.questions import Question, Questions
from backend.retrieval import RetrievalConfig
from backend.training.arguments import (
    VERDICTS,
    EvidencePiece,
    compose,
    draw_pieces,
    pieces_of,
    read_grade,
    verdict_grade,
)
from backend.training.teacher import PIECES
from tests.conftest import random_space


@pytest.fixture(scope="module")
def questions(shipped: Dataset) -> list[Question]:
    asking, samples = Questions(shipped, random_space(shipped.n_items)), build_samples(shipped)
    rows = np.random.default_rng(3).permutation(samples.rows)[:40]
    users, items = shipped.user_index[rows].tolist(), shipped.item_index[rows].tolist()
    config = RetrievalConfig(k=8)
    return [asking.ask(user, item, config, "evidence") for user, item in zip(users, items, strict=True)]


def _pieces(question: Question, rng: np.random.Generator, hint: bool | None = None) -> list[EvidencePiece]:
    return pieces_of(question.subject, question.lines, hint, rng)


def test_every_number_and_title_is_the_prompts_own(questions: list[Question]) -> None:
    rng, cited = np.random.default_rng(0), CitationCount()
    for question in questions:
        prompt = build_prompt("reason", question.subject, question.lines).text
        for _ in range(5):
            text = compose(draw_pieces(_pieces(question, rng), rng), float(rng.random()), rng)
            cited += CitationCount.of(cited_titles(text, question.lines, question.subject.target))
            bare = re.sub(r"like .{3,60} at ", "like ", text)
            for number in re.findall(r"\d+(?:\.\d+)?%?", bare):
                assert number.rstrip("%") in prompt
            for grade in re.findall(
                r"(?:got|did|rate it) ((?:far |a little )?(?:above|below|about)) their average", text
            ):
                assert f"got ratings {grade} " in prompt
    assert cited.cited > 20
    assert (cited.in_prompt, cited.rated_right) == (cited.cited, cited.rated)


def test_pieces_are_those_that_the_teacher_knows(questions: list[Question]) -> None:
    rng = np.random.default_rng(0)
    named = {piece.name for question in questions for piece in _pieces(question, rng, hint=True)}
    assert named == set(PIECES)
    assert not any(piece.name == "hint" for piece in _pieces(questions[0], rng))


def test_a_rationale_about_what_is_not_shown_says_nothing_of_it(questions: list[Question]) -> None:
    question = questions[0]
    bare = replace(question.subject, evidence=(), habit=None, target=replace(question.subject.target, others=None))
    assert pieces_of(bare, question.lines, None, np.random.default_rng(0)) == []


@pytest.mark.parametrize("p_yes", [0.0, 0.1, 0.24, 0.3, 0.5, 0.6, 0.8, 0.9, 1.0])
def test_a_conclusion_is_worded_by_its_probability_and_read_back(p_yes: float, questions: list[Question]) -> None:
    rng = np.random.default_rng(int(100 * p_yes))
    place = verdict_grade(p_yes)
    assert VERDICTS[place][0] <= p_yes
    assert place == 0 or p_yes < VERDICTS[place - 1][0]
    for question in questions[:10]:
        assert read_grade(compose(draw_pieces(_pieces(question, rng), rng), p_yes, rng)) == place
    assert read_grade("They will see.") is None


def test_rationales_of_one_question_differ_in_what_they_cite(questions: list[Question]) -> None:
    rng = np.random.default_rng(1)
    draws = [[piece.name for piece in draw_pieces(_pieces(questions[0], rng), rng)] for _ in range(30)]
    assert all(len(set(names)) == len(names) in (3, 4, 5) for names in draws)
    assert len({tuple(names) for names in draws}) > 20


def test_the_other_side_is_said_to_be_one() -> None:
    pieces = [
        EvidencePiece("habit", ("a",), True),
        EvidencePiece("nearest", ("b",), False),
        EvidencePiece("others", ("c",), False),
    ]
    texts = {compose(pieces, 0.5, np.random.default_rng(seed)).rpartition(" So ")[0] for seed in range(40)}
    texts = {text.rpartition("So ")[0].strip() or text for text in texts}
    assert any(text.startswith("A. But b") for text in texts)
    assert any(text.startswith("For it: a. Against it: b; c.") for text in texts)
