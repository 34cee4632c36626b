"""The canonical form: JSON lines, one label each, all of it, in UTF-8. What it is made of is ``record.Label``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from pydantic import ValidationError

from backend.errors import DataError
from backend.labelling.record import Label

_SHOWN = 3


def write(labels: Iterable[Label], out: BinaryIO) -> int:
    """A line per label; returns how many."""
    return write_lines((label.model_dump(mode="json") for label in labels), out)


def write_lines(rows: Iterable[dict[str, Any]], out: BinaryIO) -> int:
    """A line of JSON per row; returns how many."""
    count = 0
    for line in rows:
        out.write(json_line(line))
        count += 1
    return count


def row(line: bytes) -> Label:
    """The label of one line. Raises ``DataError``."""
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"this is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"this is a JSON {type(value).__name__}, not an object")
    if value.get("format", 1) != 1:
        raise DataError(f"its format is {value['format']!r}, and this program knows format 1")
    try:
        return Label.model_validate(value)
    except ValidationError as error:
        raise DataError("; ".join(_problems(error))) from error


def read_labels(lines: Iterable[bytes], name: str) -> Iterator[Label]:
    """The labels of a file's lines; empty ones are skipped. ``name``: the file's, for messages.

    Raises ``DataError`` that names the line (from 1) at the first that is no label.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield row(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
        except DataError as error:
            raise DataError(
                f"Line {number} of {name}: {error.problem}",
                expected="a label as 'rallrec labels export --format jsonl' writes it, one a line",
                fix="mend or delete that line and import again: what is in the database already is not doubled",
            ) from error


def json_line(value: dict[str, Any]) -> bytes:
    """One line of JSON. Half of a surrogate pair, which a model that babbles may write, becomes its JSON escape."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _problems(error: ValidationError) -> Iterator[str]:
    errors = error.errors(include_url=False, include_context=False)
    for problem in errors[:_SHOWN]:
        where = ".".join(str(part) for part in problem["loc"])
        yield f"{where or 'the label'}: {problem['msg']}"
    if len(errors) > _SHOWN:
        yield f"and {len(errors) - _SHOWN} more"
