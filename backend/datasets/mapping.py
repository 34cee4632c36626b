"""The mapping file: what the columns of one's own csv or parquet files mean. TOML, checked with the line of a mistake.

Guessing one from a file is ``guesses``; reading data by it is ``custom``.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from backend.datasets.rules import PRONOUN_PLACES, Rules, Templates, places
from backend.datasets.schema import Domain, LabelRule
from backend.errors import DataError

_STRICT = ConfigDict(extra="forbid", frozen=True)
# item, items, what the user did to it, category, categories.
WORDS = {
    "movies": ("movie", "movies", "watched", "genre", "genres"),
    "books": ("book", "books", "read", "author", "authors"),
    "general": ("item", "items", "used", "category", "categories"),
}
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


class Columns(BaseModel):
    """Which column holds what. Without ``timestamp`` the data has no times; without ``title`` the id is the title."""

    model_config = _STRICT

    user: str = Field(min_length=1)
    item: str = Field(min_length=1)
    rating: str = Field(min_length=1)
    timestamp: str = ""
    title: str = ""
    year: str = ""
    categories: str = ""


class ReadOptions(BaseModel):
    """How values are written. ``separator`` splits the categories of one item; ``time``: what timestamps are."""

    model_config = _STRICT

    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    separator: str = "|"
    time: Literal["seconds", "milliseconds", "date"] = "seconds"

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            "".encode(name)
        except LookupError as error:
            raise ValueError("no encoding of this name is known, as utf-8, cp1252 or latin-1 are") from error
        return name


class RatingScale(BaseModel):
    """Lowest and highest rating, and what they count."""

    model_config = _STRICT

    min: float
    max: float
    unit: str = "stars"

    @model_validator(mode="after")
    def _rises(self) -> RatingScale:
        if not self.min < self.max:
            raise ValueError(f"min {self.min:g} is not below max {self.max:g}")
        return self


class Words(BaseModel):
    """The words of prompts and screens; empty: those of the domain."""

    model_config = _STRICT

    domain: Literal["movies", "books", "general"] = "general"
    item: str = ""
    items: str = ""
    verb_past: str = ""
    category: str = ""
    categories: str = ""


class Mapping(BaseModel):
    """One mapping file. ``interactions``, ``items`` and ``users``: names of files beside each other in the folder or
    archive; empty ``interactions``: the file that is imported; without ``items`` or ``users``, their columns are in the
    file of interactions. ``profile``: a name for each column that tells something of a user. ``rules``: those that
    differ from the default ones.
    """

    model_config = _STRICT

    title: str = ""
    licence: str = "not stated"
    interactions: str = ""
    items: str = ""
    users: str = ""
    columns: Columns
    profile: dict[str, str] = Field(default_factory=dict)
    read: ReadOptions = ReadOptions()
    rating: RatingScale
    label: LabelRule
    words: Words = Words()
    templates: Templates = Templates()
    rules: dict[str, Any] = Field(default_factory=dict)

    @field_validator("rules")
    @classmethod
    def _are_rules(cls, given: dict[str, Any]) -> dict[str, Any]:
        Rules(**given)
        return given

    @field_validator("profile")
    @classmethod
    def _are_names(cls, given: dict[str, str]) -> dict[str, str]:
        for name in given:
            if not _NAME.fullmatch(name) or name in ("user", *PRONOUN_PLACES):
                raise ValueError(f"{name!r} cannot be a name here: small letters, digits and _, and not 'user'")
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Mapping:
        if not self.rating.min <= self.label.threshold <= self.rating.max:
            raise ValueError(f"label.threshold {self.label.threshold:g} is outside the ratings")
        known = (*self.profile, *PRONOUN_PLACES)
        for sentence in self.templates.profile:
            unknown = [name for name in places(sentence) if name not in known]
            if unknown:
                raise ValueError(f"templates.profile: {{{unknown[0]}}} is not in [profile] ({', '.join(known)})")
        return self

    @property
    def domain(self) -> Domain:
        """Which prompts are used."""
        profiled = self.words.domain == "movies" and self.templates.profile
        return "movies-profile" if profiled else self.words.domain

    @property
    def said(self) -> tuple[str, ...]:
        """The five words, as in :data:`WORDS`."""
        said = self.words.item, self.words.items, self.words.verb_past, self.words.category, self.words.categories
        return tuple(word or default for word, default in zip(said, WORDS[self.words.domain], strict=True))


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping file. Raises ``DataError`` with the file, the line and what is wrong there."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The mapping file {path} cannot be read ({error})", fix="make one: rallrec data describe FILE"
        ) from error
    try:
        return Mapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is no TOML: {error}", fix="mend that line") from error
    except ValidationError as error:
        # A name that is wrong explains the one that is missing.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        location = _location(first)
        where = ".".join(location) or "the file"
        given = "" if first["type"] in ("missing", "value_error") else f" is {first['input']!r}"
        line = find_line(text, location)
        raise DataError(
            f"{path}, line {line}: {where}{given}: {first['msg'].removeprefix('Value error, ')}",
            fix="mend that line, or make the file anew: rallrec data describe FILE",
        ) from error


def find_line(text: str, location: tuple[str, ...]) -> int:
    """The line, from 1, on which a key stands; of a key that is missing, its table's; the first where there is none."""
    best, table = 1, ""
    tables, key = ".".join(location[:-1]), location[-1] if location else ""
    for number, row in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+([^\]]+)\]", row):
            table = header[1].strip()
            if table in (tables, ".".join(location)):
                best = number
        elif table == tables and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", row):
            return number
    return best


def _location(error: Any) -> tuple[str, ...]:
    """Where a mistake is: pydantic's place, or what a check that looks at several keys begins with."""
    named = re.match(r"Value error, ([a-z_]+(?:\.[a-z_]+)+)", error["msg"])
    return tuple(named[1].split(".")) if named else tuple(part for part in error["loc"] if isinstance(part, str))
