"""``rallrec data describe``: a mapping file for one's own csv or parquet file, by questions with guessed answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from backend.datasets.guesses import Guess, guess, write_mapping
from backend.datasets.mapping import Columns, Mapping
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


def run(*, file: str, out_file: str | None, yes: bool, as_json: bool) -> None:
    """Ask (or, with ``yes``, take the guesses), write the mapping file, and say what to run next."""
    path = Path(file).expanduser()
    found = guess(path)
    target = Path(out_file) if out_file else path.with_name(f"{path.name}.mapping.toml")
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
    return _mapping(found, found.roles, low, high, _middle(low, high), "general", "")


def _asked(found: Guess) -> dict[str, Any]:
    roles = {role: _column(found, role, words) for role, words in _ASKED.items()}
    low = typer.prompt("Lowest rating that can be given", default=found.low, type=float, err=True)
    high = typer.prompt("Highest rating", default=found.high, type=float, err=True)
    threshold = typer.prompt("A rating above this is a yes", default=_middle(low, high), type=float, err=True)
    domain = ""
    while domain not in ("movies", "books", "general"):
        domain = typer.prompt("What the items are: movies, books or general", default="general", err=True)
    noun = typer.prompt("One of them is called (empty: the usual word)", default="", show_default=False, err=True)
    return _mapping(found, roles, low, high, threshold, domain, noun)


def _column(found: Guess, role: str, words: str) -> str:
    while True:
        given = typer.prompt(words, default=found.roles.get(role, ""), err=True).strip()
        if given in found.columns or (not given and role not in _NEEDED):
            return str(given)
        log.print(f"There is no column {given!r}: {', '.join(found.columns)}", markup=False)


def _mapping(
    found: Guess, roles: dict[str, str], low: float, high: float, threshold: float, domain: str, noun: str
) -> dict[str, Any]:
    profile = {name.strip().lower().replace("-", "_").replace(" ", "_"): name for name in found.profile}
    sentences = [f"{{Their}} {name.replace('_', ' ')} is {{{name}}}." for name in profile]
    return {
        "title": Path(found.file).stem,
        "interactions": found.file,
        "columns": {name: roles.get(name, "") for name in Columns.model_fields},
        "profile": profile,
        "read": {"delimiter": found.delimiter, "separator": found.separator, "time": found.time},
        "rating": {"min": low, "max": high},
        "label": {"threshold": threshold},
        "words": {"domain": domain} | ({"item": noun, "items": f"{noun}s"} if noun else {}),
        "templates": {"profile": sentences},
    }


def _middle(low: float, high: float) -> float:
    """3 of 1 to 5, as the paper has it."""
    return round((low + high) / 2, 2)
