"""Cached results out of a database and into one, as one gzip file of JSON lines whose every row is checked.

The first line is the manifest: what is in the file, and the SHA-256 of all lines after it. Then come the prompts, the
answers and the chains, one a line, with all that their rows in the database hold. Equal rows give equal bytes.

What ships with the program comes in this way at its first start; so do the results that somebody else computed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.errors import CorruptCacheError, DataError, StorageError, UsageError
from backend.seeding import canonical_json
from backend.types import ModelRef, Progress
from storage.arrays import save_bytes
from storage.database.connection import Database
from storage.database.tables import AnswerRow, Base, ImportRow, PromptRow, TraceRow, insert_or_pass, utc_now
from storage.results.keys import prompt_hash, result_problem, stored_model
from storage.results.requests import forget_fills
from storage.results.rows import KEYS_PER_SELECT

FORMAT = "rallrec-results"
# Raised whenever an older program could not read what this one writes: 2 since models have a precision.
VERSION = 2
_READ = (1, VERSION)

_TABLES = {"prompt": PromptRow, "answer": AnswerRow, "trace": TraceRow}
_COLUMNS = {kind: {column.name for column in table.__table__.columns} for kind, table in _TABLES.items()}

ResultRow = dict[str, Any]
# Rows per INSERT between two reports of progress.
_ROWS_PER_INSERT = 2000
KEYS: dict[type[Base], str] = {PromptRow: "hash", AnswerRow: "key", TraceRow: "key"}


class ModelCount(BaseModel):
    """How many answers and chains of one model, as it is run, a file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    revision: str
    adapter: str | None
    context: int | None
    quantized: str | None
    precision: str | None = None
    reading: int | None = None
    server: str | None = None
    answers: int
    traces: int

    @property
    def ref(self) -> ModelRef:
        return ModelRef(**self.model_dump(exclude={"answers", "traces"}))


class Manifest(BaseModel):
    """The first line. ``content_sha256``: of all bytes after it, unpacked; ``made_by``: the program's version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    version: int
    made_by: str
    prompts: int
    answers: int
    traces: int
    models: tuple[ModelCount, ...]
    content_sha256: str


@dataclass
class Rows:
    """Rows as the tables hold them, by column name; ``created_at`` is an aware datetime."""

    prompts: list[ResultRow] = field(default_factory=list)
    answers: list[ResultRow] = field(default_factory=list)
    traces: list[ResultRow] = field(default_factory=list)

    def of(self, kind: str) -> list[ResultRow]:
        """The rows of a kind: ``prompt``, ``answer`` or ``trace``."""
        return {"prompt": self.prompts, "answer": self.answers, "trace": self.traces}[kind]


@dataclass(frozen=True)
class ResultsFile:
    """A file that was written or read: its size in bytes, the SHA-256 of its bytes, and its first line."""

    path: Path
    bytes: int
    sha256: str
    manifest: Manifest


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
    chosen_models, chosen_keys = None if models is None else set(models), None if keys is None else set(keys)
    rows = Rows()
    with database.session(read_only=True) as session:
        for kind, table in (("answer", AnswerRow), ("trace", TraceRow)):
            for row in _select(session, table, chosen_models):
                if _is_wanted(row, chosen_models) and (chosen_keys is None or row["key"] in chosen_keys):
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
    :func:`read_results` raises, and ``StorageError``.
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
            in_order = sorted(of_table, key=itemgetter(KEYS[table]))
            for start in range(0, len(in_order), _ROWS_PER_INSERT):
                some = in_order[start : start + _ROWS_PER_INSERT]
                added[table] += insert_missing(session, table, some)
                done += len(some)
                report("importing results", done / total)
        if added[AnswerRow]:
            forget_fills(session)
    return Imported(file, *added.values())


def is_imported(database: Database, sha256: str) -> bool:
    """Whether a file whose bytes have this SHA-256 was imported."""
    with database.session(read_only=True) as session:
        return session.get(ImportRow, sha256) is not None


def write_results(path: Path, rows: Rows) -> ResultsFile:
    """Write ``rows``, which need no order, in place of what ``path`` was. Raises ``StorageError``."""
    body = "".join(f"{line}\n" for line in _lines(rows)).encode()
    manifest = _manifest(rows, body, _made_by())
    head = canonical_json(manifest.model_dump()).encode() + b"\n"
    # No time in the header, so that equal rows give equal bytes.
    packed = gzip.compress(head + body, compresslevel=9, mtime=0)
    try:
        save_bytes(path, packed)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})", fix="give another place") from error
    return ResultsFile(path, len(packed), hashlib.sha256(packed).hexdigest(), manifest)


def read_results(path: Path, sha256: str | None = None) -> tuple[ResultsFile, Rows]:
    """Read a file into memory and check all of it: hashes, counts, and each row against its key and checksum.

    ``sha256``: what the file's bytes must have, where that is known from elsewhere.

    Raises ``UsageError`` where there is no such file, ``DataError`` for a file of another kind or of a newer program,
    and ``CorruptCacheError``, which names the line where it can, for one that was changed or cut.
    """
    packed = _packed(path)
    file_hash = hashlib.sha256(packed).hexdigest()
    if sha256 not in (None, file_hash):
        raise _corrupt(str(path), f"its SHA-256 is {file_hash} and not {sha256}")
    head, _, body = _unpacked(path, packed).partition(b"\n")
    manifest = _read_head(path, head)
    rows, prompts = Rows(), set[str]()
    # A row that is wrong is named, which says more than that the whole file's hash is.
    for number, line in enumerate(body.splitlines(), start=2):
        try:
            kind, row = _read_line(line)
            problem = _problem(kind, row, prompts)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            problem = "it is no row of results"
        if problem:
            raise _corrupt(f"Line {number} of {path}", problem)
        rows.of(kind).append(row)
        if kind == "prompt":
            prompts.add(row["hash"])
    if _manifest(rows, body, manifest.made_by, manifest.version) != manifest:
        raise _corrupt(str(path), "its lines do not match its first one")
    return ResultsFile(path, len(packed), file_hash, manifest), rows


def _select(session: Session, table: type[AnswerRow] | type[TraceRow], chosen_models: set[ModelRef] | None) -> Any:
    statement: Select[Any] = select(*table.__table__.columns)
    if chosen_models is not None:
        statement = statement.where(table.model.in_({model.name for model in chosen_models}))
    return (dict(row) for row in session.execute(statement).mappings())


def _is_wanted(row: ResultRow, chosen_models: set[ModelRef] | None) -> bool:
    if chosen_models is None:
        return True
    return stored_model(row["model"], row["revision"], row["adapter"], row["options"]) in chosen_models


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


def insert_missing(session: Session, table: type[Base], rows: list[ResultRow]) -> int:
    """Insert those of ``rows`` that are not there yet; how many that was (other processes' haste apart)."""
    name, there = KEYS[table], set[str]()
    key = table.__table__.c[name]
    for start in range(0, len(rows), KEYS_PER_SELECT):
        some = [row[name] for row in rows[start : start + KEYS_PER_SELECT]]
        there.update(session.execute(select(key).where(key.in_(some))).scalars())
    missing = [row for row in rows if row[name] not in there]
    if missing:
        session.connection().execute(insert_or_pass(session, table), missing)
    return len(missing)


def _lines(rows: Rows) -> Iterator[str]:
    # Prompts that begin alike stand together, which packs them better.
    for row in sorted(rows.prompts, key=lambda row: str(row["messages"])):
        yield canonical_json({"kind": "prompt", "hash": row["hash"], "messages": json.loads(row["messages"])})
    for kind in ("answer", "trace"):
        for row in sorted(rows.of(kind), key=lambda row: (row["prompt_hash"], row.get("sample_index"), row["key"])):
            yield canonical_json(row | {"kind": kind, "created_at": row["created_at"].isoformat()})


def _read_line(line: bytes) -> tuple[str, ResultRow]:
    row = json.loads(line)
    kind = row.pop("kind")
    if kind != "prompt":
        row.setdefault("mass", None)  # older files do not know it
    if row.keys() != _COLUMNS[kind]:
        raise ValueError("other columns")
    if kind == "prompt":
        row["messages"] = canonical_json(row["messages"])
    else:
        row["created_at"] = datetime.fromisoformat(row["created_at"])
    return kind, row


def _problem(kind: str, row: ResultRow, prompts: set[str]) -> str | None:
    if kind == "prompt":
        return None if prompt_hash(row["messages"]) == row["hash"] else "its messages do not give its hash"
    if row["prompt_hash"] not in prompts:
        return "no line before it holds its prompt"
    if row["created_at"].tzinfo is None or not isinstance(row["engine"], str):
        return "where it came from cannot be read"
    return result_problem(kind, row)


def _manifest(rows: Rows, body: bytes, made_by: str, version: int = VERSION) -> Manifest:
    counts: dict[ModelRef, list[int]] = {}
    for place, results in enumerate((rows.answers, rows.traces)):
        for model, count in _count(results):
            counts.setdefault(model, [0, 0])[place] += count
    models = [
        ModelCount(**asdict(model), answers=answers, traces=traces) for model, (answers, traces) in counts.items()
    ]
    return Manifest(
        format=FORMAT,
        version=version,
        made_by=made_by,
        prompts=len(rows.prompts),
        answers=len(rows.answers),
        traces=len(rows.traces),
        models=tuple(sorted(models, key=lambda one: one.model_dump_json())),
        content_sha256=hashlib.sha256(body).hexdigest(),
    )


def _count(results: Iterable[ResultRow]) -> Iterator[tuple[ModelRef, int]]:
    ways: dict[tuple[str, str, str | None, str], int] = {}
    for row in results:
        way = row["model"], row["revision"], row["adapter"], row["options"]
        ways[way] = ways.get(way, 0) + 1
    for way, count in ways.items():
        yield stored_model(*way), count


def _packed(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"There is no file {path}", expected="a file of results (.jsonl.gz)") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror})") from error


def _unpacked(path: Path, packed: bytes) -> bytes:
    if not packed.startswith(b"\x1f\x8b"):
        raise _not_ours(path, "it is not a gzip file")
    try:
        return gzip.decompress(packed)
    except (EOFError, OSError, zlib.error) as error:
        raise _corrupt(str(path), f"it cannot be unpacked: {error}") from error


def _read_head(path: Path, head: bytes) -> Manifest:
    try:
        said = json.loads(head)
        is_ours = isinstance(said, dict) and said.get("format") == FORMAT
    except (ValueError, RecursionError):
        is_ours = False
    if not is_ours:
        raise _not_ours(path, "its first line is another one")
    if said.get("version") not in _READ:
        raise DataError(
            f"{path} is of version {said.get('version')} of this format",
            expected=f"version {' or '.join(map(str, _READ))}",
            fix="upgrade this program to the version that wrote it (pip install --upgrade rallrec-plus)",
        )
    try:
        return Manifest.model_validate(said)
    except ValidationError as error:
        raise _corrupt(f"Line 1 of {path}", f"{error.errors()[0]['msg']}") from error


def _not_ours(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is not a file of results: {why}", expected="a file that was written by: rallrec bundle export"
    )


def _corrupt(what: str, problem: str) -> CorruptCacheError:
    return CorruptCacheError(
        f"{what} was changed or damaged: {problem}",
        fix="copy or export the file again; nothing of it was taken over",
    )


def _made_by() -> str:
    try:
        return f"rallrec-plus {version('rallrec-plus')}"
    except PackageNotFoundError:
        return "rallrec-plus"
