"""Which samples a command over many of them takes: a file's, or some of a part's."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.datasets import Dataset, build_samples, split
from backend.datasets.samples import spread_sample
from backend.errors import UsageError

COLUMNS = ("user", "item")


@dataclass(frozen=True)
class Sample:
    """A user's and an item's code, and where a person can find the sample."""

    user: int
    item: int
    where: str


def part_samples(
    data: Dataset, how: str, part: str, limit: int | None = None, users: int | None = None, seed: int = 0
) -> list[Sample]:
    """The earliest ``limit`` samples of a part; with ``users``, so many of that many users (:func:`spread_sample`)."""
    rows = split(build_samples(data), data, how).part(part)
    rows = rows[:limit] if users is None else spread_sample(data, rows, users, limit, seed)
    pairs = zip(data.user_index[rows], data.item_index[rows], strict=True)
    return [
        Sample(int(user), int(item), f"user {data.user_ids[user]}, item {data.item_ids[item]}") for user, item in pairs
    ]


def read_samples(path: Path, data: Dataset) -> list[Sample]:
    """A CSV file with the columns ``user`` and ``item`` (ids; other columns are left alone), one sample a line.

    Raises ``UsageError`` naming the file and the line.
    """
    samples = []
    for line, user, item in _lines(path):
        where = f"{path}, line {line}"
        try:
            samples.append(Sample(data.user_code(user), data.item_code(item), where))
        except UsageError as error:
            raise at_line(where, error) from error
    if not samples:
        raise UsageError(f"{path} lists no sample", expected="a line for each, below the header user,item")
    return samples


def at_line(where: str, error: UsageError) -> UsageError:
    """The same error, with where its cause stands."""
    return UsageError(f"{where}: {error.problem}", expected=error.expected, fix=error.fix)


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """The line's number, the user and the item of each line below the header; empty lines are no samples."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            if not set(COLUMNS) <= set(header):
                raise UsageError(
                    f"{path}, line 1: the header is {','.join(header)!r}", expected="the columns user,item (ids)"
                )
            user, item = (header.index(name) for name in COLUMNS)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise UsageError(
                        f"{path}, line {reader.line_num}: {len(cells)} values", expected=f"{len(header)}, as the header"
                    )
                yield reader.line_num, cells[user].strip(), cells[item].strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", expected="a CSV file in UTF-8 with the columns user,item"
        ) from error
