"""A first mapping file for a csv or parquet file that nobody has described yet: guessed, to be corrected."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from backend.datasets.mapping import Columns, Mapping
from backend.errors import DataError

# What columns are often called, the likeliest first.
_NAMES = {
    "user": ("user_id", "userid", "user", "reviewer_id", "reviewerid", "customer_id", "customer", "player", "member"),
    "item": (
        "item_id", "itemid", "item", "parent_asin", "asin", "movie_id", "movieid", "product_id", "product", "isbn",
        "book_id", "game_id", "game", "track_id", "sku",
    ),
    "rating": ("rating", "stars", "score", "overall", "book_rating", "grade", "value"),
    "timestamp": ("timestamp", "unixreviewtime", "time", "date", "created_at", "when", "rated_at", "datetime"),
    "title": ("title", "item_title", "name", "product_name", "book_title", "movie_title"),
    "year": ("year", "year_of_publication", "release_year", "published"),
    "categories": ("genres", "genre", "categories", "category", "tags", "author", "authors", "book_author"),
}  # fmt: skip
_PROFILE = ("gender", "sex", "age", "occupation", "job", "country", "city", "location", "zip")
_ROWS = 1000


@dataclass(frozen=True)
class Guess:
    """``columns``: all of the file; ``roles``: which column plays which role of :class:`Columns`, as far as guessed.

    ``low`` and ``high``: of the ratings seen; ``time``: how timestamps are written; ``profile``: columns about users.
    """

    file: str
    columns: tuple[str, ...]
    roles: dict[str, str]
    low: float | None
    high: float | None
    time: str
    delimiter: str
    separator: str
    profile: tuple[str, ...] = ()
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)


def guess(path: Path) -> Guess:
    """Look at the first thousand rows of a csv (UTF-8) or parquet file. Raises ``DataError``."""
    columns, rows, delimiter = _look(path)
    plain = {name: name.strip().lower().replace("-", "_").replace(" ", "_") for name in columns}
    roles: dict[str, str] = {}
    for role, names in _NAMES.items():
        match = next((column for name in names for column in columns if plain[column] == name), None)
        if match is not None and match not in roles.values():
            roles[role] = match
    values = {name: [row[place] for row in rows if row[place]] for place, name in enumerate(columns)}
    ratings = _numbers(values[roles["rating"]]) if "rating" in roles else []
    texts = values[roles["categories"]] if "categories" in roles else []
    separator = max("|;/,", key=lambda mark: sum(mark in text for text in texts)) if texts else "|"
    profile = tuple(name for name in columns if plain[name] in _PROFILE and name not in roles.values())
    return Guess(
        path.name, columns, roles, min(ratings, default=None), max(ratings, default=None),
        _time(values[roles["timestamp"]]) if "timestamp" in roles else "seconds", delimiter, separator, profile,
        {name: tuple(dict.fromkeys(values[name][:3])) for name in columns},
    )  # fmt: skip


def write_mapping(mapping: Mapping, notes: Sequence[str] = ()) -> str:
    """The mapping as the text of its file: TOML with a word on each part; ``notes`` stand on top."""
    columns = mapping.columns.model_dump()
    profile = ", ".join(json.dumps(text, ensure_ascii=False) for text in mapping.templates.profile)
    parts = [
        *(f"# {note}" for note in notes),
        *_lines({"title": mapping.title, "licence": mapping.licence, "interactions": mapping.interactions}),
        *_lines({"items": mapping.items, "users": mapping.users}, skip_empty=True),
        "", "# Which column holds what. Leave timestamp out where the data has no times.",
        "[columns]", *_lines({name: columns[name] for name in Columns.model_fields}, skip_empty=True),
        "", "# What is known of a user: a name for each column; sentences below may say it as {name}.",
        "[profile]", *_lines(mapping.profile),
        "", "[read]", *_lines(mapping.read.model_dump()),
        "", "[rating]", *_lines(mapping.rating.model_dump()),
        "", "# When a rating is a yes: above the threshold, or (inclusive) at least it.",
        "[label]", *_lines(mapping.label.model_dump()),
        "", "# domain: movies, books or general; the others: what prompts call things.",
        "[words]", *_lines(mapping.words.model_dump(), skip_empty=True),
        "", "# Sentences of your own; {They} and {their} are the user. title and describe hold {noun}, {label}, "
        "{categories}.",
        "[templates]", f"profile = [{profile}]",
        *_lines({"title": mapping.templates.title, "describe": mapping.templates.describe}, skip_empty=True),
        "", "# k_core, min_history, samples, split, train, validation, seed: where they differ from the usual ones.",
        "[rules]", *_lines(mapping.rules),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _lines(values: MappingOf[str, object], *, skip_empty: bool = False) -> Iterator[str]:
    for name, value in values.items():
        if not (skip_empty and value == ""):
            # a TOML basic string is written as JSON writes it, and so are numbers and booleans
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _look(path: Path) -> tuple[tuple[str, ...], list[list[str]], str]:
    if not path.is_file():
        raise DataError(f"There is no file {path}", expected="a csv or parquet file", fix="check the path")
    if path.suffix.lower() in (".parquet", ".pq"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(path)
            batch = next(file.iter_batches(_ROWS), None)
            names = tuple(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} cannot be read as parquet ({error})", fix="check the file") from error
        rows = (
            [] if batch is None else [["" if v is None else str(v) for v in row.values()] for row in batch.to_pylist()]
        )
        return names, rows, ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            delimiter = max(",;\t|", key=head.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            names = tuple(name.strip() for name in next(reader, []))
            rows = [row for row in islice(reader, _ROWS) if len(row) == len(names)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as csv ({error})", expected="a UTF-8 csv file with a header") from error
    if len(names) < 3:
        raise DataError(
            f"{path} has the columns {', '.join(names) or '(none)'}", expected="user, item and rating at least"
        )
    return names, rows, delimiter


def _numbers(texts: Sequence[str]) -> list[float]:
    numbers = []
    for text in texts:
        try:
            numbers.append(float(text))
        except ValueError:
            continue
    return numbers


def _time(texts: Sequence[str]) -> str:
    numbers = _numbers(texts)
    if len(numbers) < len(texts) / 2:
        return "date"
    return "milliseconds" if numbers and sorted(numbers)[len(numbers) // 2] > 1e11 else "seconds"
