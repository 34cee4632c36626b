"""One's own csv or parquet files, read by a mapping file (``mapping``)."""

from __future__ import annotations

import io
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backend.datasets.build import Raw, build, latest_of_repeats
from backend.datasets.mapping import Mapping, find_line, load_mapping
from backend.datasets.movielens import LAST_SECOND, split_title
from backend.datasets.reading import Reading
from backend.datasets.schema import Dataset, DatasetMeta
from backend.datasets.sources import hash_files, read_files
from backend.datasets.tables import (
    RowProblems,
    Table,
    drop_repeats,
    parse_numbers,
    read_csv,
    require_listed,
    require_text,
)
from backend.errors import DataError, UsageError

_PARQUET = (".parquet", ".pq")


def read(reading: Reading) -> Dataset:
    """The dataset as its mapping file says. Raises ``DataError`` and ``UsageError``."""
    if reading.mapping is None:
        raise UsageError("The format custom needs a mapping file", fix="make one: rallrec data describe FILE")
    mapping, problems = load_mapping(reading.mapping), reading.problems
    reading.progress("reading the raw files", 0.0)
    files = _files(reading.source, mapping)
    reader = _TableReader(mapping, reading.mapping, files, problems)
    columns = mapping.columns
    about_items = [name for name in (columns.title, columns.year, columns.categories) if name]
    about_users = list(mapping.profile.values())
    main_columns = [columns.user, columns.item, columns.rating, columns.timestamp]
    main_columns += [] if mapping.items else about_items
    main_columns += [] if mapping.users else about_users
    main = _checked(reader.table("interactions", main_columns), mapping, problems)
    listed = {
        kind: _once(reader.table(kind, [key, *more]) if file else main, key, problems, listed=bool(file))
        for kind, file, key, more in (
            ("items", mapping.items, columns.item, about_items),
            ("users", mapping.users, columns.user, about_users),
        )
    }
    reading.progress("sorting the interactions", 0.7)
    main, codes = _known(main, {columns.user: listed["users"], columns.item: listed["items"]}, problems)
    time = main[columns.timestamp] if columns.timestamp else None
    raw = Raw(
        _users(listed["users"], mapping), _items(listed["items"], mapping),
        codes[columns.user], codes[columns.item], main[columns.rating], time,
    )  # fmt: skip
    raw, repeats = latest_of_repeats(raw)
    problems.leave_out(f"{main.file}: repeated rating (the latest counts)", repeats)
    return build(_meta(reading, mapping, hash_files(files)), raw)


def _meta(reading: Reading, mapping: Mapping, source_hash: str) -> DatasetMeta:
    item, items, verb_past, category, categories = mapping.said
    rating, columns = mapping.rating, mapping.columns
    # Data without times cannot be split by time: it is split by users.
    rules = reading.rules_over(**({} if columns.timestamp else {"split": "users"}) | mapping.rules)
    return reading.meta(
        mapping.title or reading.name, source_hash, item_noun=item, item_noun_plural=items, verb_past=verb_past,
        rating_min=rating.min, rating_max=rating.max, rating_unit=rating.unit, label_rule=mapping.label,
        time_ordered=bool(columns.timestamp), licence=mapping.licence, format="custom", domain=mapping.domain,
        category_noun=category, category_noun_plural=categories, own_year=bool(columns.year), rules=rules,
        templates=mapping.templates,
    )  # fmt: skip


def _files(source: Path, mapping: Mapping) -> MappingOf[str, bytes]:
    """By name, the files that the mapping names, from a folder or archive; or the one that is imported."""
    names = [name for name in (mapping.interactions, mapping.items, mapping.users) if name]
    if source.is_file() and source.suffix.lower() != ".zip":
        others = [name for name in names if name != source.name]
        if others and not all((source.parent / name).is_file() for name in names):
            raise DataError(f"There is no {others[0]} beside {source}", expected="the files that the mapping names")
        return {name: (source.parent / name).read_bytes() for name in {*names, source.name}}
    if not mapping.interactions:
        raise DataError(
            f"{source} is no single file, and the mapping does not say which file holds the interactions",
            fix='add a line such as interactions = "ratings.csv" to the mapping',
        )
    return read_files(source, names)


class _TableReader:
    """Reads the columns that are wanted of each file, as text."""

    def __init__(
        self, mapping: Mapping, mapping_file: Path, files: MappingOf[str, bytes], problems: RowProblems
    ) -> None:
        self._mapping, self._mapping_file, self._files, self._problems = mapping, mapping_file, files, problems

    def table(self, kind: str, names: Sequence[str]) -> Table:
        """``kind``: interactions, items or users. Raises ``DataError``, for a column that is missing with the mapping's
        line."""
        name = getattr(self._mapping, kind) or next(iter(self._files))
        columns = list(dict.fromkeys(filter(None, names)))
        data, read = self._files[name], self._mapping.read
        if name.lower().endswith(_PARQUET):
            return self._parquet(name, data, columns)
        try:
            return read_csv(name, data, columns, self._problems, delimiter=read.delimiter, encoding=read.encoding)
        except DataError as error:
            missing = next((column for column in columns if f"no column {column!r}" in error.problem), None)
            raise error if missing is None else self._without(name, missing, error) from error

    def _parquet(self, name: str, data: bytes, columns: Sequence[str]) -> Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(io.BytesIO(data))
            missing = [column for column in columns if column not in file.schema_arrow.names]
            if missing:
                raise self._without(name, missing[0], None)
            content = file.read(columns=list(columns))
        except pa.ArrowException as error:
            raise DataError(f"{name} cannot be read as parquet ({error})", fix="write the file again") from error
        texts = {
            column: np.array([_text(value) for value in content[column].to_pylist()], dtype=object)
            for column in columns
        }
        return Table(name, np.arange(1, content.num_rows + 1), texts)

    def _without(self, name: str, column: str, error: DataError | None) -> DataError:
        named = self._mapping.columns.model_dump() | self._mapping.profile
        key = next(key for key, value in named.items() if value == column)
        table = "profile" if key in self._mapping.profile else "columns"
        line = find_line(self._mapping_file.read_text("utf-8"), (table, key))
        return DataError(
            f"{self._mapping_file}, line {line}: {table}.{key} is {column!r}, and {name} has no such column"
            + (f" ({error.problem})" if error else ""),
            fix="give the column's name there",
        )


def _text(value: Any) -> str:
    """A parquet value as text; lists as the mapping's default separator would join them."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "|".join(map(str, value))
    return f"{value:.17g}" if isinstance(value, float) and value.is_integer() else str(value)


def _checked(main: Table, mapping: Mapping, problems: RowProblems) -> Table:
    columns, scale = mapping.columns, mapping.rating
    for name in (columns.user, columns.item):
        main = require_text(main, name, problems)
    main = parse_numbers(main, columns.rating, problems, low=scale.min, high=scale.max)
    if not columns.timestamp:
        return main
    if mapping.read.time == "date":
        return _parse_dates(main, columns.timestamp, problems)
    ms = mapping.read.time == "milliseconds"
    high = LAST_SECOND * (1000 if ms else 1)
    main = parse_numbers(main, columns.timestamp, problems, low=0, high=high, whole=True)
    if ms:
        main = replace(main, columns={**main.columns, columns.timestamp: main[columns.timestamp] // 1000})
    return main


def _parse_dates(table: Table, name: str, problems: RowProblems) -> Table:
    """Text such as 2021-05-06 or 2021-05-06T07:08:09+02:00 as seconds; without a zone it is UTC."""
    given = table[name]
    dates = pd.to_datetime(pd.Series(given), utc=True, errors="coerce", format="ISO8601")
    seconds = dates.dt.as_unit("s").astype("int64").to_numpy()
    table = replace(table, columns={**table.columns, name: seconds})
    bad = (dates.isna() | (dates.dt.year < 1970)).to_numpy()
    return table.without(bad, f"bad {name}", lambda row: f"{name} is {given[row]!r}", "a date since 1970", problems)


def _once(table: Table, key: str, problems: RowProblems, *, listed: bool) -> Table:
    """A row for each id. In a file that lists them a repeated one is a bad row, among interactions it is none."""
    if listed:
        table = require_text(table, key, problems)
        return drop_repeats(table, table[key], key, lambda row: f"{key} {table[key][row]!r}", problems)
    first = ~pd.Series(table[key]).duplicated().to_numpy()
    return Table(table.file, table.lines[first], {name: column[first] for name, column in table.columns.items()})


def _known(main: Table, listed: dict[str, Table], problems: RowProblems) -> tuple[Table, dict[str, np.ndarray]]:
    """The interactions of listed users and items, and their codes."""
    for column, table in listed.items():
        main = require_listed(main, column, table[column], f"a {column} that {table.file} lists", problems)
    return main, {column: pd.Index(table[column]).get_indexer(main[column]) for column, table in listed.items()}


def _users(table: Table, mapping: Mapping) -> pd.DataFrame:
    known = {name: [value or None for value in table[column]] for name, column in mapping.profile.items()}
    return pd.DataFrame({"user": table[mapping.columns.user]} | known, dtype=object)


def _items(table: Table, mapping: Mapping) -> pd.DataFrame:
    columns = mapping.columns
    ids = table[columns.item]
    titles = table[columns.title] if columns.title else ids
    named = [title or identifier for title, identifier in zip(titles, ids, strict=True)]
    split = [(title, None) if columns.year else split_title(title) for title in named]
    years = [_year(text) for text in table[columns.year]] if columns.year else [year for _, year in split]
    categories = table[columns.categories] if columns.categories else np.full(len(ids), "", dtype=object)
    return pd.DataFrame(
        {
            "item": ids,
            "title": [title for title, _ in split],
            "year": pd.array(years, dtype="Int64"),
            "categories": pd.Series([_split(text, mapping.read.separator) for text in categories], dtype=object),
        }
    )


def _split(text: str, separator: str) -> tuple[str, ...]:
    parts = text.split(separator) if separator else [text]
    return tuple(dict.fromkeys(part for part in map(str.strip, parts) if part))


def _year(text: str) -> int | None:
    try:
        year = float(text)
    except ValueError:
        return None
    return int(year) if 1 <= year <= 2999 else None
