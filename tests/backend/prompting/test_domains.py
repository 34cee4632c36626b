"""Prompts of each kind of data: its pronouns, units and sentences, and what every template promises."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from backend.datasets import Dataset, build_samples, import_data
from backend.datasets.schema import Domain
from backend.prompting import HistoryLine, PromptSubject, RatingHabit, about_user, build_prompt, template_digest
from backend.prompting.person import SOMEBODY
from backend.questions import Questions
from backend.retrieval import RetrievalConfig
from storage.results.requests_fill import PromptReader
from tests.backend.datasets.made import write_bookcrossing, write_custom, write_ml_1m
from tests.conftest import meta_of, random_space

TARGET = HistoryLine("Emma (1815)", ("Jane Austen",), others=3.25)
HISTORY = (
    HistoryLine("Persuasion", ("Jane Austen",), 7, position=1, others=None),
    HistoryLine("It", (), 3, position=0),
)
SENTENCE = "Another one think the answer might be Yes."
HABIT = RatingHabit(2, 5.0, 0.5)


def book_meta(**said: Any) -> Any:
    return meta_of(
        item_noun="book", item_noun_plural="books", verb_past="read", rating_min=0, rating_max=10, domain="books",
        category_noun="author", label_rule={"threshold": 5, "inclusive": True}, **said,
    )  # fmt: skip


def test_a_prompt_about_books_in_full() -> None:
    profile, person = about_user(("{They} is {age}.", "{Their} home is {country}."), {"age": None, "country": "usa"})
    subject = PromptSubject(book_meta(), TARGET, profile, person=person)
    assert build_prompt("answer", subject, HISTORY).text == (
        "The user's home is usa.\n"
        "The user read these books, each shown with its author, and gave each a rating from 0 to 10 stars. "
        "The higher the rating, the more the user liked the book.\n"
        "1. Persuasion [by Jane Austen]: 7 of 10 stars\n"
        "2. It: 3 of 10 stars\n"
        "Will the user like the book Emma (1815) [by Jane Austen]? To like it means to rate it at least 5 stars.\n"
        "\n"
        "Answer with one word, Yes or No."
    )


def test_a_prompt_with_answers_in_full() -> None:
    profile, person = about_user(("The user is {gender}.",), {"gender": "female"})
    meta = meta_of(domain="movies-profile", rating_min=1)
    subject = PromptSubject(meta, TARGET, profile, HABIT, "answered", person)
    assert build_prompt("reason", subject, HISTORY, SENTENCE).text == (
        "The user is female.\n"
        "She watched these movies and gave each a rating from 1 to 5 stars. The higher the rating, the more she liked "
        "the movie. Liked means rated above 3. Others is the average rating by other users.\n"
        "She rated 2 movies: 5.0 on average, 50% liked.\n"
        "1. Persuasion [Jane Austen]. Others: few. Liked: Yes, 7\n"
        "2. It. Others: few. Liked: No, 3\n"
        "Will she like Emma (1815) [Jane Austen]? Others: 3.2.\n"
        f"{SENTENCE}\n"
        "Think step by step about what her ratings say about this movie. Close your thinking with </think>, then "
        "answer with one word, Yes or No."
    )


@pytest.mark.parametrize("domain", [domain for domain in get_args(Domain) if domain != "movies"])
@pytest.mark.parametrize("layout", ["paper", "answered"])
@pytest.mark.parametrize("kind", ["answer", "reason"])
def test_every_domain_keeps_the_promises_of_a_prompt(domain: Domain, layout: Any, kind: Any) -> None:
    subject = PromptSubject(meta_of(domain=domain), TARGET, ("A profile.",), HABIT, layout)
    plain, told = build_prompt(kind, subject, HISTORY), build_prompt(kind, subject, HISTORY, SENTENCE)
    assert told.knowledge_span is not None
    assert told.text[slice(*told.knowledge_span)] == SENTENCE
    assert set(told.text.splitlines()) - set(plain.text.splitlines()) == {SENTENCE}
    lines = [plain.text[start:end] for start, end in plain.droppable]
    assert [line[:5] for line in lines] == ["2. It", "1. Pe"], "oldest first"
    assert all(line.endswith("\n") for line in lines)
    assert [plain.text[start:end] for start, end in plain.answers] == (["Yes", "No"] if layout == "answered" else [])
    assert plain.text.startswith("A profile.\n")
    assert "\n\n\n" not in told.text
    assert build_prompt(kind, subject, ()).text.count("no history yet") == 1


def test_a_user_is_spoken_of_as_the_data_says() -> None:
    sentences = ("{They} is {age}.", "{Their} job: {job}.")
    for gender, they in (("F", "She"), ("male", "He"), ("other", "The user"), (None, "The user")):
        lines, person = about_user(sentences, {"gender": gender, "age": "30", "job": None})
        assert lines == (f"{they} is 30.",)
        assert person.They == they
    assert about_user((), {}) == ((), SOMEBODY)
    # what a value holds is not looked into
    assert about_user(("{a} {b}",), {"a": "{b}", "b": "{They}"})[0] == ("{b} {They}",)


def test_only_the_domains_own_templates_count_for_its_name() -> None:
    names = {template_digest(domain) for domain in get_args(Domain)}
    assert len(names) == len(get_args(Domain))
    assert template_digest() == template_digest("movies") == "f279d58c2a553360"


WRITERS = {
    "ml-1m": lambda folder: write_ml_1m(folder, users=20, movies=60, rated=50, ratings=500),
    "bookcrossing": write_bookcrossing,
    "custom": write_custom,
}


@pytest.fixture(scope="module", params=WRITERS)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder, name = tmp_path_factory.mktemp(request.param), request.param
    source = WRITERS[name](folder / "raw")
    mapping = source / "mapping.toml" if name == "custom" else None
    return import_data(source, name, name, folder, mapping=mapping)


@pytest.mark.parametrize("layout", ["paper", "answered"])
def test_a_question_speaks_as_the_data_does_and_is_read_back(data: Dataset, layout: Any) -> None:
    questions = Questions(data, random_space(data.n_items))
    reader = PromptReader(questions)
    opened = {
        "ml-1m": "The user is ",
        "bookcrossing": "The user",
        "custom": ("The user is ", "The user like", "She", "He"),
    }
    for row in build_samples(data).rows[:40]:
        user, item = int(data.user_index[row]), int(data.item_index[row])
        question = questions.ask(user, item, RetrievalConfig(k=4), layout)
        text = question.prompts[0].text
        assert text.startswith(opened[data.meta.name])
        assert data.meta.item_noun_plural in text
        assert layout == "answered" or f"of {data.meta.rating_max:g} {data.meta.rating_unit}" in text
        about = reader.read(text)
        assert about is not None
        assert about.layout == layout
        assert item in about.target
        assert all(row.item in codes for row, codes in zip(question.chosen, about.past, strict=True))
