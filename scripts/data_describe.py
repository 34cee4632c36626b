"""``rallrec data describe``: a mapping file for one's own csv or parquet file, by questions with guessed answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from backend.datasets.guesses import Guess, guess, write_mapping
from backend.datasets.mapping import WORDS, Columns, Mapping
from backend.errors import UsageError
from scripts.console import log, out, print_json

_NEEDED = ("user", "item", "rating")
_ASKED = {
    "user": "Who rated (a column)",
    "item": "What was rated, its id",
    "rating": "The rating",
    "timestamp": "When (empty: the data has no times)",
    "title": "The item's title (empty: the id)",
    "year": "Its year (empty: none)",
    "categories": "Its genres, categories or author (empty: none)",
}


def run(*, file: str, out_file: str | None, yes: bool, force: bool, as_json: bool) -> None:
    """Ask (or, with ``yes``, take the guesses), write the mapping file, and say what to run next. ``force``: also where
    one is that somebody may have corrected.
    """
    path = Path(file).expanduser()
    found = guess(path)
    target = Path(out_file) if out_file else path.with_name(f"{path.name}.mapping.toml")
    if target.exists() and not force:
        raise UsageError(f"{target} is there already", fix="give another place with --out, or write over it: --force")
    if not yes:
        _show(found)
    answers = _guessed(found) if yes else _asked(found)
    try:
        mapping = Mapping.model_validate(answers)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"These answers make no mapping: {where}: {first['msg'].removeprefix('Value error, ')}",
            fix="answer again, or write the file by hand",
        ) from error
    notes = (f"What the columns of {path.name} mean. Read by: rallrec data import",)
    try:
        target.write_text(write_mapping(mapping, notes), "utf-8")
    except OSError as error:
        raise UsageError(f"{target} cannot be written ({error})", fix="give another place with --out") from error
    command = f"rallrec data import {path} --name NAME --format custom --mapping {target}"
    if as_json:
        print_json({"mapping": str(target), "columns": mapping.columns.model_dump(), "command": command})
        return
    out.print(f"Wrote {target}: look at it, correct what is wrong.", markup=False)
    out.print(f"Next: {command}", markup=False)


def _show(found: Guess) -> None:
    log.print(f"{found.file} has these columns:", markup=False)
    for name in found.columns:
        log.print(f"  {name}: {', '.join(found.examples[name])}", markup=False)


def _guessed(found: Guess) -> dict[str, Any]:
    missing = [role for role in _NEEDED if role not in found.roles]
    if missing:
        raise UsageError(
            f"No column of {found.file} looks like the {missing[0]} ({', '.join(found.columns)})",
            fix="answer the questions: leave --yes away",
        )
    low, high = (found.low if found.low is not None else 1.0), (found.high if found.high is not None else 5.0)
    rating = {"min": low, "max": high, "unit": _unit(high)}
    words = {"domain": "general"}
    return _mapping(found, found.roles, rating, {"threshold": _middle(low, high)}, words, _sentences(found))


def _asked(found: Guess) -> dict[str, Any]:
    roles = {role: _column(found, role, words) for role, words in _ASKED.items()}
    low = _ask("Lowest rating that can be given", found.low, float)
    high = _ask("Highest rating", found.high, float)
    rating = {"min": low, "max": high, "unit": _ask("What it counts (stars, points)", _unit(high))}
    label = {
        "threshold": _ask("A rating above this is a yes", _middle(low, high), float),
        "inclusive": typer.confirm("Is that rating itself a yes too?", default=False, err=True),
    }
    domain = ""
    while domain not in ("movies", "books", "general"):
        domain = _ask("What the items are: movies, books or general", "general")
    usual = WORDS[domain]
    asked = ("One of them is called", "Several of them", "What a user did to them")
    names = ("item", "items", "verb_past")
    said = {name: _ask(words, own) for name, words, own in zip(names, asked, usual, strict=False)}
    words = {"domain": domain} | {
        name: own for (name, own), word in zip(said.items(), usual, strict=False) if own != word
    }
    sentences = {name: _ask(f"Sentence on the user's {name}", own) for name, own in _sentences(found).items()}
    return _mapping(found, roles, rating, label, words, sentences)


def _ask(words: str, default: Any, kind: type = str) -> Any:
    return typer.prompt(words, default=default, type=kind, err=True)


def _column(found: Guess, role: str, words: str) -> str:
    while True:
        given = typer.prompt(words, default=found.roles.get(role, ""), err=True).strip()
        if given in found.columns or (not given and role not in _NEEDED):
            return str(given)
        log.print(f"There is no column {given!r}: {', '.join(found.columns)}", markup=False)


def _mapping(
    found: Guess,
    roles: dict[str, str],
    rating: dict[str, Any],
    label: dict[str, Any],
    words: dict[str, str],
    sentences: dict[str, str],
) -> dict[str, Any]:
    return {
        "title": Path(found.file).stem,
        "interactions": found.file,
        "columns": {name: roles.get(name, "") for name in Columns.model_fields},
        "profile": {_name(column): column for column in found.profile},
        "read": {"delimiter": found.delimiter, "separator": found.separator, "time": found.time},
        "rating": rating,
        "label": label,
        "words": words,
        "templates": {"profile": list(sentences.values())},
    }


def _name(column: str) -> str:
    return column.strip().lower().replace("-", "_").replace(" ", "_")


def _sentences(found: Guess) -> dict[str, str]:
    """One on each column that tells something of a user, by its name."""
    names = map(_name, found.profile)
    return {name: f"{{Their}} {name.replace('_', ' ')} is {{{name}}}." for name in names}


def _unit(high: float) -> str:
    """Stars are five at most."""
    return "stars" if high <= 5 else "points"


def _middle(low: float, high: float) -> float:
    """3 of 1 to 5, as the paper has it."""
    return round((low + high) / 2, 2)
