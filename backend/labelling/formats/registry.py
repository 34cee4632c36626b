"""The formats by name: what they are for, their files' suffix, and who writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from backend.errors import UnknownNameError
from backend.labelling.formats import canonical, label_studio, tables, training
from backend.labelling.record import Label


@dataclass(frozen=True)
class Format:
    """``write(labels, out)`` writes a file and returns how many rows it has; ``about``: for whoever chooses one."""

    name: str
    label: str
    suffix: str
    media_type: str
    about: str
    write: Callable[[Iterable[Label], BinaryIO], int]


_LINES = "application/x-ndjson"
FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        Format(
            "jsonl", "Canonical JSON lines", "jsonl", _LINES,
            "Everything, a line per label. The one that imports back without loss.", canonical.write,
        ),
        Format(
            "csv", "Wide CSV", "csv", "text/csv",
            "A row per label for a spreadsheet; cells that it would run as a formula are made harmless.",
            tables.write_csv,
        ),
        Format(
            "parquet", "Parquet", "parquet", "application/vnd.apache.parquet",
            "Flat and nested columns, for pandas and Hugging Face datasets.", tables.write_parquet,
        ),
        Format(
            "prm800k", "PRM800K", "jsonl", _LINES,
            "A line per label with a rating for each step, as OpenAI's PRM800K has it.", training.write_prm800k,
        ),
        Format(
            "trl", "TRL stepwise supervision", "jsonl", _LINES,
            "prompt, completions, labels: what TRL's PRMTrainer reads.", training.write_trl,
        ),
        Format(
            "preference", "Preference pairs", "jsonl", _LINES,
            "prompt, chosen, rejected: of two chains, and of corrected ones.", training.write_preferences,
        ),
        Format(
            "label-studio", "Label Studio", "json", "application/json",
            "Tasks with their annotations, steps as regions of the text.", label_studio.write,
        ),
    )
}  # fmt: skip


def file_format(name: str) -> Format:
    """The format of a name. Raises ``UnknownNameError``."""
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)
    return FORMATS[name]
