"""The questions of ``rallrec data describe``: what the columns of one's own file mean, with guessed answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from backend.datasets.guesses import Guess
from backend.datasets.mapping import WORDS, Columns, Mapping
from backend.errors import UsageError
from scripts.console import note

_NEEDED = ("user", "item", "rating")
_QUESTIONS = {
    "user": "Who rated (a column)",
    "item": "What was rated, its id",
    "rating": "The rating",
    "timestamp": "When (empty: the data has no times)",
    "title": "The item's title (empty: the id)",
    "year": "Its year (empty: none)",
    "categories": "Its genres, categories or author (empty: none)",
}


def show_columns(guesses: Guess) -> None:
    """Print the file's columns with some of their values."""
    note(f"{guesses.file} has these columns:")
    for name in guesses.columns:
        note(f"  {name}: {', '.join(guesses.examples[name])}")


def guessed_mapping(guesses: Guess) -> Mapping:
    """The mapping that takes every guess. Raises ``UsageError`` where a column that is needed was not recognised."""
    missing = [role for role in _NEEDED if role not in guesses.roles]
    if missing:
        raise UsageError(
            f"No column of {guesses.file} looks like the {missing[0]} ({', '.join(guesses.columns)})",
            fix="answer the questions: leave --yes away",
        )
    low = guesses.low if guesses.low is not None else 1.0
    high = guesses.high if guesses.high is not None else 5.0
    rating = {"min": low, "max": high, "unit": _unit(high)}
    label = {"threshold": _middle(low, high)}
    return _mapping(guesses, guesses.roles, rating, label, {"domain": "general"}, _sentences(guesses))


def ask(guesses: Guess) -> Mapping:
    """Ask at the terminal for what a mapping says. Raises ``UsageError`` where the answers do not fit together."""
    roles = {role: _column(guesses, role, question) for role, question in _QUESTIONS.items()}
    low = _answer("Lowest rating that can be given", guesses.low, float)
    high = _answer("Highest rating", guesses.high, float)
    rating = {"min": low, "max": high, "unit": _answer("What it counts (stars, points)", _unit(high))}
    label = {
        "threshold": _answer("A rating above this is a yes", _middle(low, high), float),
        "inclusive": typer.confirm("Is that rating itself a yes too?", default=False, err=True),
    }
    domain = ""
    while domain not in ("movies", "books", "general"):
        domain = _answer("What the items are: movies, books or general", "general")
    words = {"domain": domain}
    questions = {
        "item": "One of them is called", "items": "Several of them", "verb_past": "What a user did to them"
    }  # fmt: skip
    for (name, question), usual in zip(questions.items(), WORDS[domain], strict=False):
        if (word := _answer(question, usual)) != usual:
            words[name] = word
    sentences = {
        name: _answer(f"Sentence on the user's {name}", sentence) for name, sentence in _sentences(guesses).items()
    }
    return _mapping(guesses, roles, rating, label, words, sentences)


def _answer(question: str, default: Any, kind: type = str) -> Any:
    return typer.prompt(question, default=default, type=kind, err=True)


def _column(guesses: Guess, role: str, question: str) -> str:
    while True:
        given = str(_answer(question, guesses.roles.get(role, ""))).strip()
        if given in guesses.columns or (not given and role not in _NEEDED):
            return given
        note(f"There is no column {given!r}: {', '.join(guesses.columns)}")


def _mapping(
    guesses: Guess,
    roles: dict[str, str],
    rating: dict[str, Any],
    label: dict[str, Any],
    words: dict[str, str],
    sentences: dict[str, str],
) -> Mapping:
    answers = {
        "title": Path(guesses.file).stem,
        "interactions": guesses.file,
        "columns": {name: roles.get(name, "") for name in Columns.model_fields},
        "profile": {_name(column): column for column in guesses.profile},
        "read": {"delimiter": guesses.delimiter, "separator": guesses.separator, "time": guesses.time},
        "rating": rating,
        "label": label,
        "words": words,
        "templates": {"profile": list(sentences.values())},
    }
    try:
        return Mapping.model_validate(answers)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"These answers make no mapping: {where}: {first['msg'].removeprefix('Value error, ')}",
            fix="answer again, or write the file by hand",
        ) from error


def _name(column: str) -> str:
    return column.strip().lower().replace("-", "_").replace(" ", "_")


def _sentences(guesses: Guess) -> dict[str, str]:
    """A sentence on each column that tells something of a user, by the column's name."""
    names = map(_name, guesses.profile)
    return {name: f"{{Their}} {name.replace('_', ' ')} is {{{name}}}." for name in names}


def _unit(high: float) -> str:
    """Stars are five at most."""
    return "stars" if high <= 5 else "points"


def _middle(low: float, high: float) -> float:
    """3 of 1 to 5, as the paper has it."""
    return round((low + high) / 2, 2)
