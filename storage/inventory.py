"""What there is, counted and not opened: prepared datasets, cached results by model, unfinished artifacts.

For screens that list things. Reads a few small files and one query; hashes nothing and loads no data.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from backend.datasets import DatasetMeta, command_for
from backend.datasets.store import META
from backend.errors import DataError
from backend.types import ModelRef
from storage.database.connection import Database
from storage.database.tables import AnswerRow, TraceRow
from storage.precompute.artifacts import SCRATCH
from storage.results.keys import stored_model


@dataclass(frozen=True)
class DatasetCounts:
    """A prepared dataset as its files say: their counts are not checked against their content."""

    meta: DatasetMeta
    users: int
    items: int
    interactions: int
    bytes: int


@dataclass(frozen=True)
class CachedResults:
    """How many answers and chains of one model the database holds; ``latest``: when the newest was written (UTC)."""

    model: ModelRef
    answers: int
    traces: int
    latest: datetime


@dataclass(frozen=True)
class DrawnChains:
    """Chains that one model drew in one way. ``prompts``: how many different ones; ``seeds``: how many streams.

    ``temperature``, ``top_p`` and ``max_tokens`` are None where the row does not tell.
    """

    model: ModelRef
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    prompts: int
    seeds: int
    chains: int


@dataclass(frozen=True)
class Unfinished:
    """What an unfinished artifact's folder tells: seconds of work so far, if noted, and when it was last written to."""

    seconds: float | None
    bytes: int
    written: float


@dataclass(frozen=True)
class Space:
    """Bytes that a folder takes, and bytes that are free on its disk."""

    folder: str
    bytes: int
    free: int


def count_dataset(name: str, root: Path) -> DatasetCounts:
    """Counts of a prepared dataset, from the parquet files' own headers. Raises ``DataError`` for damaged files."""
    import pyarrow.parquet as pq

    folder = root / name
    try:
        meta = DatasetMeta.model_validate_json((folder / META).read_bytes())
        rows = [pq.read_metadata(folder / f"{table}.parquet").num_rows for table in ("users", "items", "interactions")]
    except (ValidationError, ValueError, OSError) as error:
        problem = f"{len(error.errors())} wrong fields in {META}" if isinstance(error, ValidationError) else str(error)
        raise DataError(f"The dataset in {folder} is damaged ({problem})", fix=f"run: {command_for(name)}") from error
    users, items, interactions = rows
    return DatasetCounts(meta, users, items, interactions, folder_bytes(folder))


def count_results(database: Database) -> list[CachedResults]:
    """One entry per model as it is run (adapter, context, quantized), most results first. Raises ``StorageError``."""
    answers, traces = (_counted(database, table) for table in (AnswerRow, TraceRow))
    results = []
    for model in dict.fromkeys([*answers, *traces]):
        counts = [counted[model] for counted in (answers, traces) if model in counted]
        count = [counted[model][0] if model in counted else 0 for counted in (answers, traces)]
        results.append(CachedResults(model, count[0], count[1], max(latest for _, latest in counts)))
    return sorted(results, key=lambda one: (-one.answers - one.traces, one.model.name, one.model.adapter or ""))


def count_drawn(database: Database) -> list[DrawnChains]:
    """One entry per model and way to draw, most chains first. Raises ``StorageError``.

    The database knows prompts, not datasets, samples or gammas: all of these are in a prompt's words alone.
    """
    names = (TraceRow.model, TraceRow.revision, TraceRow.adapter, TraceRow.options)
    prompts, seeds = (func.count(column.distinct()) for column in (TraceRow.prompt_hash, TraceRow.seed))
    query = select(*names, prompts.label("prompts"), seeds.label("seeds"), func.count().label("chains"))
    with database.session(read_only=True) as session:
        rows = session.execute(query.group_by(*names)).all()
    drawn = [
        DrawnChains(stored_model(*row[:4]), *_sampling(row.options), row.prompts, row.seeds, row.chains) for row in rows
    ]
    return sorted(drawn, key=lambda one: (-one.chains, one.model.name, one.model.adapter or ""))


def database_file(url: str) -> Path | None:
    """The file of a SQLite database; None for a database server or a URL that cannot be read."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def database_bytes(file: Path) -> int:
    """Size of a SQLite database with its write-ahead log; 0 where it is not there yet."""
    return sum(_size(path) for path in (file, file.with_name(f"{file.name}-wal")))


def unfinished(part: Path) -> Unfinished | None:
    """What is known of an artifact that is, or was, being made in ``part``; None where there is none."""
    stats = [stat for path in _files(part) if (stat := _stat(path))]
    if not stats and not part.is_dir():
        return None
    try:
        seconds = float(json.loads((part / SCRATCH / "seconds.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        seconds = None
    newest = max((stat.st_mtime for stat in stats), default=0.0)
    return Unfinished(seconds, sum(stat.st_size for stat in stats), newest)


def home_space(home: Path) -> Space:
    """What a home folder takes on disk, and what is free there; what links lead to counts where it lies."""
    there = next(parent for parent in (home, *home.absolute().parents) if parent.exists())
    sizes = (path.lstat().st_size for path in _files(home) if path.exists())
    return Space(str(home), sum(sizes), shutil.disk_usage(there).free)


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder; files that vanish meanwhile count nothing."""
    return sum(map(_size, _files(folder)))


def _counted(database: Database, table: type[AnswerRow] | type[TraceRow]) -> dict[ModelRef, tuple[int, datetime]]:
    """How many rows each model has, and when the newest was written."""
    names = (table.model, table.revision, table.adapter, table.options)
    query = select(*names, func.count().label("n"), func.max(table.created_at).label("newest")).group_by(*names)
    counted: dict[ModelRef, tuple[int, datetime]] = {}
    with database.session(read_only=True) as session:
        for row in session.execute(query):
            # Chains drawn in several ways are several groups of one model.
            model = stored_model(row.model, row.revision, row.adapter, row.options)
            count, newest = counted.get(model, (0, row.newest))
            counted[model] = count + row.n, max(newest, row.newest)
    return counted


def _sampling(options: str) -> tuple[float | None, float | None, int | None]:
    """Temperature, top_p and max_tokens as a row's options name them."""
    try:
        given = json.loads(options)
        return given.get("temperature"), given.get("top_p"), given.get("max_tokens")
    except (ValueError, AttributeError):
        return None, None, None


def _files(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):  # passes over folders that are gone
        yield from (Path(where, name) for name in names)


def _size(path: Path) -> int:
    stat = _stat(path)
    return stat.st_size if stat else 0


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
