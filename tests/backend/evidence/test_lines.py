"""Evidence in a prompt: which sentences stand there, where, and what is said of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backend.datasets import Dataset, build_samples
from backend.evidence import GRADES, evidence_lines
from backend.evidence.lines import grade
from backend.prompting import build_prompt
from backend.prompting.person import PERSONS
from backend.questions import Question, Questions
from backend.retrieval import RetrievalConfig
from backend.what_if import Edits, Rated
from tests.conftest import meta_of, random_space

KNOWN = {
    "count": 30.0, "liked_of_10": 0.6, "expected": 3.66, "by_nearest": 0.31, "nearest_count": 20.0, "by_category":
    -0.02, "category_count": 12.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def ask(shipped: Dataset) -> Callable[..., Question]:
    asking, rows = Questions(shipped, random_space(shipped.n_items)), build_samples(shipped).rows

    def of(place: int, layout: Any = "evidence", edits: Edits | None = None) -> Question:
        user, item = int(shipped.user_index[rows[place]]), int(shipped.item_index[rows[place]])
        return asking.ask(user, item, RetrievalConfig(k=5), layout, edits)

    return of


def test_the_sentences_say_the_numbers_in_words() -> None:
    lines = evidence_lines(KNOWN, meta_of(), "the user", "the user's")
    assert [line.text for line in lines] == [
        "Liked: 6 of the last 10.",
        "Others' average, moved by how the user rates against others: 3.7.",
        "The 20 most similar past movies got ratings above the user's own average.",
        "The 12 past movies that share a genre got ratings about it.",
    ]
    assert [line.value for line in lines] == [0.6, 3.66, 0.31, -0.02]
    assert all(line.origin and line.shown in line.text for line in lines)


@pytest.mark.parametrize(
    ("unknown", "left"),
    [
        ({"count": 0.0, "liked_of_10": np.nan}, {"expected", "nearest", "category"}),
        ({"expected": np.nan}, {"latest", "nearest", "category"}),
        ({"nearest_count": 0.0}, {"latest", "expected", "category"}),
        ({"category_count": 0.0}, {"latest", "expected", "nearest"}),
    ],
)
def test_what_is_not_known_is_not_said(unknown: dict[str, float], left: set[str]) -> None:
    lines = evidence_lines(KNOWN | unknown, meta_of(), "the user", "the user's")
    assert {line.name for line in lines} == left


def test_words_grow_with_the_difference_and_with_the_scale() -> None:
    said = [grade(difference, meta_of()) for difference in (-2, -0.3, -0.1, 0.0, 0.1, 0.3, 2)]
    assert said == list(GRADES)
    assert grade(0.3, meta_of(rating_min=0, rating_max=10)) == "a little above"


def test_they_stand_right_before_the_question_and_change_nothing_else(ask: Callable[..., Question]) -> None:
    plain, told = ask(500, "answered"), ask(500)
    said = " ".join(line.text for line in told.subject.evidence) + "\n"
    for kind in ("answer", "reason"):
        one = build_prompt(kind, plain.subject, plain.lines, "Hint.")  # type: ignore[arg-type]
        two = build_prompt(kind, told.subject, told.lines, "Hint.")  # type: ignore[arg-type]
        assert two.text.replace(said, "") == one.text
        assert two.text.partition(said)[2].startswith("Will the user like")
        assert two.text[slice(*two.knowledge_span)] == "Hint."  # type: ignore[misc]
        assert [two.text[a:b] for a, b in two.answers] == [one.text[a:b] for a, b in one.answers]
        assert [two.text[a:b] for a, b in two.droppable] == [one.text[a:b] for a, b in one.droppable]


def test_an_edited_past_gives_other_evidence(ask: Callable[..., Question], shipped: Dataset) -> None:
    question = ask(500)
    latest = shipped.item_ids[int(question.past.items[-1])]
    liked = question.past.ratings[-1] > 3
    other = ask(500, edits=Edits(rated=(Rated(item=latest, rating=1.0 if liked else 5.0),)))
    before, after = (one.subject.evidence[0].value for one in (question, other))
    assert after == pytest.approx(before + (-0.1 if liked else 0.1))


@pytest.mark.parametrize("person", PERSONS)
def test_they_speak_of_the_user_as_the_rest_does(person: Any) -> None:
    text = " ".join(line.text for line in evidence_lines(KNOWN, meta_of(), person.they, person.their))
    assert f"how {person.they} rates" in text
    assert f"{person.their} own average" in text
