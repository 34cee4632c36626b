"""Cached results out of a database and into one, as files of ``storage.results.file``.

What ships with the program comes in this way at its first start; so do the results that somebody else computed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.errors import CorruptCacheError
from backend.types import ModelRef, Progress
from storage.database.connection import Database
from storage.database.tables import AnswerRow, Base, ImportRow, PromptRow, TraceRow, insert_or_pass, utc_now
from storage.results.file import ResultRow, ResultsFile, Rows, read_results, result_problem, write_results
from storage.results.keys import prompt_hash, stored_model
from storage.results.rows import KEYS_PER_SELECT

# Rows per INSERT between two reports of progress.
_ROWS_PER_INSERT = 2000
_KEYS: dict[type[Base], str] = {PromptRow: "hash", AnswerRow: "key", TraceRow: "key"}


@dataclass(frozen=True)
class Imported:
    """What an import added: rows that were not there yet, of those that ``file`` holds."""

    file: ResultsFile
    prompts: int
    answers: int
    traces: int


def export_results(
    database: Database,
    path: Path,
    *,
    models: Collection[ModelRef] | None = None,
    keys: Collection[str] | None = None,
) -> ResultsFile:
    """Write the results of ``models`` (as they are run; None: of all), or those of ``keys`` among them, to ``path``.

    Raises ``CorruptCacheError`` for a row that does not belong to its key, and ``StorageError``.
    """
    wanted, chosen = None if models is None else set(models), None if keys is None else set(keys)
    rows = Rows()
    with database.session(read_only=True) as session:
        for kind, table in (("answer", AnswerRow), ("trace", TraceRow)):
            for row in _select(session, table, wanted):
                if _is_wanted(row, wanted) and (chosen is None or row["key"] in chosen):
                    _check(database, table.__tablename__, row["key"], result_problem(kind, row))
                    rows.of(kind).append(row)
        hashes = sorted({row["prompt_hash"] for row in [*rows.answers, *rows.traces]})
        for start in range(0, len(hashes), KEYS_PER_SELECT):
            some = select(PromptRow.hash, PromptRow.messages)
            some = some.where(PromptRow.hash.in_(hashes[start : start + KEYS_PER_SELECT]))
            rows.prompts += [dict(row) for row in session.execute(some).mappings()]
    for row in rows.prompts:
        wrong = None if prompt_hash(row["messages"]) == row["hash"] else "its messages do not give its hash"
        _check(database, "prompts", row["hash"], wrong)
    return write_results(path, rows)


def import_results(
    database: Database, path: Path, progress: Progress | None = None, *, known: str | None = None
) -> Imported:
    """Add the results of a file that are not in the database yet, all or none; those that are there stay as they are.

    ``known``: the SHA-256 that the file must have. A file that is known is taken over once: nothing is added if it was
    imported before, be it by a process that does so at this moment. Raises what
    :func:`~storage.results.file.read_results` raises, and ``StorageError``.
    """
    report = progress or (lambda _what, _fraction: None)
    report("checking results", None)
    file, rows = read_results(path, known)
    with database.session() as session:
        is_first = _note(session, file)
        if known and not is_first:
            return Imported(file, 0, 0, 0)
        tables = {PromptRow: rows.prompts, AnswerRow: rows.answers, TraceRow: rows.traces}
        added = dict.fromkeys(tables, 0)
        total, done = sum(map(len, tables.values())), 0
        for table, of_table in tables.items():
            # Always in the same order, so that two processes that write the same rows cannot wait for each other.
            in_order = sorted(of_table, key=itemgetter(_KEYS[table]))
            for start in range(0, len(in_order), _ROWS_PER_INSERT):
                some = in_order[start : start + _ROWS_PER_INSERT]
                added[table] += _insert_missing(session, table, some)
                done += len(some)
                report("importing results", done / total)
    return Imported(file, *added.values())


def is_imported(database: Database, sha256: str) -> bool:
    """Whether a file whose bytes have this SHA-256 was imported."""
    with database.session(read_only=True) as session:
        return session.get(ImportRow, sha256) is not None


def _select(session: Session, table: type[AnswerRow] | type[TraceRow], wanted: set[ModelRef] | None) -> Any:
    statement: Select[Any] = select(*table.__table__.columns)
    if wanted is not None:
        statement = statement.where(table.model.in_({model.name for model in wanted}))
    return (dict(row) for row in session.execute(statement).mappings())


def _is_wanted(row: ResultRow, wanted: set[ModelRef] | None) -> bool:
    return wanted is None or stored_model(row["model"], row["revision"], row["adapter"], row["options"]) in wanted


def _check(database: Database, table: str, key: str, problem: str | None) -> None:
    if problem:
        raise CorruptCacheError(
            f"Row {key} of table {table} in {database.url} was changed or damaged: {problem}",
            fix="delete it and what hangs on it, and compute it anew; nothing was exported",
        )


def _note(session: Session, file: ResultsFile) -> bool:
    """Remember the import; whether it is the first of this file. Another one that is under way is waited for."""
    note = insert_or_pass(session, ImportRow).values(
        sha256=file.sha256,
        name=file.path.name,
        answers=file.manifest.answers,
        traces=file.manifest.traces,
        imported_at=utc_now(),
    )
    return session.execute(note.returning(ImportRow.sha256)).first() is not None


def _insert_missing(session: Session, table: type[Base], rows: list[ResultRow]) -> int:
    """Insert those of ``rows`` that are not there yet; how many that was (other processes' haste apart)."""
    name, there = _KEYS[table], set[str]()
    key = table.__table__.c[name]
    for start in range(0, len(rows), KEYS_PER_SELECT):
        some = [row[name] for row in rows[start : start + KEYS_PER_SELECT]]
        there.update(session.execute(select(key).where(key.in_(some))).scalars())
    missing = [row for row in rows if row[name] not in there]
    if missing:
        session.connection().execute(insert_or_pass(session, table), missing)
    return len(missing)
