"""Text tables -> columns, with one clear error for whatever is broken: which file, which line, what to do.

Row problems go to a :class:`RowProblems`, which either raises at the first or counts them all. What the columns mean is
left to the adapters.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from backend.errors import DataError

N_EXAMPLES = 5
_FIX_ROW = "correct that line, or give --skip-bad-rows to leave out such rows and count them"


@dataclass
class RowProblems:
    """What to do with bad rows: raise a ``DataError`` at the first, or (``skip``) leave them out and count them.

    ``counts``: rows left out by "file: reason"; ``examples``: the first few of each reason, in words.
    """

    skip: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def add(self, file: str, line: int, reason: str, given: str, expected: str) -> None:
        """Take note of one bad row."""
        if not self.skip:
            raise DataError(f"{file}, line {line}: {given}", expected=expected, fix=_FIX_ROW)
        self._count(f"{file}: {reason}", 1)
        if self.counts[f"{file}: {reason}"] <= N_EXAMPLES:
            self.examples.append(f"{file}, line {line}: {given}")

    def leave_out(self, reason: str, rows: int) -> None:
        """Count rows that are left out by a rule, whether bad rows may be skipped or not."""
        if rows:
            self._count(reason, rows)

    def add_all(self, table: Table, bad: np.ndarray, reason: str, given: Callable[[int], str], expected: str) -> None:
        """Take note of the rows of ``table`` where ``bad`` (bool[n]); ``given(row)`` says what a row holds."""
        rows = np.flatnonzero(bad)
        for row in rows[:N_EXAMPLES]:
            self.add(table.file, int(table.lines[row]), reason, given(int(row)), expected)
        if len(rows) > N_EXAMPLES:
            self._count(f"{table.file}: {reason}", len(rows) - N_EXAMPLES)

    def _count(self, reason: str, rows: int) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + rows


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of n rows of ``file``. ``lines``: int64[n], the line each row begins on, from 1. A column of text is an
    object array of str; after :func:`parse_numbers` it is float64 or int64.
    """

    file: str
    lines: np.ndarray
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def without(
        self, bad: np.ndarray, reason: str, given: Callable[[int], str], expected: str, problems: RowProblems
    ) -> Table:
        """The rows where not ``bad`` (bool[n]); the others are a row problem. Raises where no row is left."""
        if not bad.any():
            return self
        problems.add_all(self, bad, reason, given, expected)
        if bad.all():
            raise DataError(f"{self.file} has no good row left: {problems.counts}", expected=expected)
        good = ~bad
        return replace(self, lines=self.lines[good], columns={name: col[good] for name, col in self.columns.items()})


def decode(file: str, data: bytes, encoding: str = "utf-8") -> str:
    """The text of a file, without a byte order mark. Raises ``DataError`` naming the line that is not ``encoding``."""
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        # error.object rather than data: the codec counts without the byte order mark
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file}, line {line}: byte 0x{error.object[error.start]:02x} is not {encoding}",
            expected=f"a file in {encoding}",
            fix=f"save the file as {encoding}, for example: iconv -f latin1 -t utf-8 {file}",
        ) from error
    if not text.strip():
        raise DataError(f"{file} is empty", expected="a header and at least one row", fix="get the file again")
    return text


def csv_rows(file: str, text: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(line it begins on, fields) of each row that is not blank; fields may hold line breaks inside quotes.

    Broken quotes raise ``DataError`` even when rows may be skipped: nobody can say which rows they swallowed.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{file}, line {line}: the row that begins here cannot be read ({error})",
            expected=f'fields split by {delimiter!r}, in "quotes" where they hold it, and a quote inside doubled ("")',
            fix="close or double the quote on that line",
        ) from error


def split_lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each line that is not blank; nothing is quoted."""
    for line, row in enumerate(text.split("\n"), 1):
        row = row.rstrip("\r")
        if row:
            yield line, row.split(separator)


def read_csv(
    file: str,
    data: bytes,
    columns: Sequence[str],
    problems: RowProblems,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Table:
    """The ``wanted`` columns of a CSV file with a header, as text without spaces around it.

    Raises ``DataError``: wrong encoding, empty, broken quotes, a missing column, no rows, a row with another number of
    fields than the header (a row problem).
    """
    rows = csv_rows(file, decode(file, data, encoding), delimiter)
    return collect(file, rows, read_header(file, rows, columns), columns, problems)


def read_header(file: str, rows: Iterator[tuple[int, list[str]]], columns: Sequence[str]) -> list[str]:
    """The names in the first of ``rows``. Raises ``DataError`` where one of the ``wanted`` is not there just once."""
    line, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    missing = [name for name in columns if names.count(name) != 1]
    if missing:
        raise DataError(
            f"{file}, line {line}: no column {missing[0]!r}, or more than one, in the header {_short(header)}",
            expected=f"a first line that names the columns {', '.join(columns)}",
            fix="give the columns these names",
        )
    return names


def collect(
    file: str, rows: Iterable[tuple[int, list[str]]], names: Sequence[str], chosen: Sequence[str], problems: RowProblems
) -> Table:
    """A table from (line, fields) pairs, whatever split them; ``names`` are those of the fields.

    Columns without a name at the right end, as spreadsheets leave them, are ignored, whatever they hold.
    """
    width = max(place for place, name in enumerate(names) if name) + 1
    places = [names.index(name) for name in chosen]
    lines: list[int] = []
    columns: list[list[str]] = [[] for _ in chosen]
    # equal values share one string, so that a million rows stay small
    appends = [(place, column.append) for place, column in zip(places, columns, strict=True)]
    seen: dict[str, str] = {}
    for line, fields in rows:
        if not width <= len(fields) <= len(names):
            given = f"{len(fields)} fields in {_short(fields)}"
            problems.add(file, line, "wrong number of fields", given, f"{width} fields: {', '.join(names[:width])}")
            continue
        lines.append(line)
        for place, append in appends:
            value = fields[place].strip()
            append(seen.setdefault(value, value))
    if not lines:
        raise DataError(f"{file} has a header but no good row", expected="at least one row", fix="get the file again")
    arrays = {name: np.array(column, dtype=object) for name, column in zip(chosen, columns, strict=True)}
    return Table(file, np.array(lines, dtype=np.int64), arrays)


def require_listed(
    table: Table, name: str, known: pd.Index | Collection[str], expected: str, problems: RowProblems
) -> Table:
    """The table without the rows whose column ``name`` is none of ``known`` (a row problem)."""
    bad = ~pd.Series(table[name]).isin(pd.Index(list(known))).to_numpy()
    return table.without(
        bad, f"unknown {name}", lambda row: f"{name} {_short(table[name][row])} is not known", expected, problems
    )


def require_text(table: Table, name: str, problems: RowProblems) -> Table:
    """The table without the rows whose column ``name`` is empty (a row problem)."""
    return table.without(table[name] == "", f"empty {name}", lambda _: f"{name} is empty", f"a {name}", problems)


def parse_numbers(
    table: Table, name: str, problems: RowProblems, *, low: float, high: float, whole: bool = False
) -> Table:
    """The table with column ``name`` as float64, or int64 if ``whole``.

    Text that is no number, NaN, infinities and numbers outside [``low``, ``high``] are a row problem.
    """
    # float64 first, also for whole numbers: exact up to 2**53, and NaN marks what could not be read
    values = pd.to_numeric(pd.Series(table[name]), errors="coerce").to_numpy(dtype=np.float64)
    bad = ~((values >= low) & (values <= high))
    if whole:
        bad |= values != np.floor(values)
    kind = "whole number" if whole else "number"
    expected = f"a {kind} from {low:.15g} to {high:.15g}"
    text = table[name]
    good = replace(table, columns={**table.columns, name: values}).without(
        bad, f"bad {name}", lambda row: f"{name} is {_short(text[row])}", expected, problems
    )
    return replace(good, columns={**good.columns, name: good[name].astype(np.int64)}) if whole else good


def drop_repeats(table: Table, keys: np.ndarray, what: str, say: Callable[[int], str], problems: RowProblems) -> Table:
    """The table with the first row of each key (``keys``: [n] ids or integers); later ones are a row problem."""
    series = pd.Series(keys)
    repeated = series.duplicated().to_numpy()

    def given(row: int) -> str:
        first = int(np.flatnonzero(keys == keys[row])[0])
        return f"{say(row)} is there already, on line {table.lines[first]}"

    return table.without(repeated, f"repeated {what}", given, f"each {what} once", problems)


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
