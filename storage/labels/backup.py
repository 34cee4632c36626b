"""A copy of the whole database while it is in use, and putting such a copy back while it is not. SQLite alone."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import make_url

from backend.errors import StorageError, UsageError
from storage.database.connection import Database, open_database
from storage.database.schema import known_revisions
from storage.database.tables import utc_now
from storage.labels.audit import audit

# How many pages of the database are copied before it is looked whether somebody writes.
_PAGES = 1000


@dataclass(frozen=True)
class Copied:
    """``labels``: how many labels and resolved labels the file holds. ``replaced``: where what was there before is."""

    file: Path
    bytes: int
    labels: int
    replaced: Path | None = None


def backup(database: Database, to: Path) -> Copied:
    """Copy the database into a file, as it is at one moment, while others read and write it.

    The file appears, or takes the place of an earlier one, only once it is whole and was checked. Raises
    ``UsageError`` for a database that is no SQLite file, ``StorageError``.
    """
    source = _file_of(str(database.url))
    if to.resolve() == source.resolve():
        raise UsageError(f"{to} is the database itself", expected="another file")
    with _scratch_beside(to) as scratch:
        with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(scratch)) as written:
            read.backup(written, pages=_PAGES)
            # One file alone, which can be moved: nothing of it is left in a log beside it.
            written.execute("PRAGMA journal_mode=DELETE")
        count = _checked(scratch)
        os.replace(scratch, to)
        _settle_folder(to.parent)
    return Copied(to, to.stat().st_size, count)


def restore(url: str, file: Path, by: str = "rallrec") -> Copied:
    """Put a copy in the place of the database; what was there is kept beside it, under the time of day.

    Raises ``UsageError`` for a file that is no such copy, or of a newer version of this program, and ``StorageError``
    where another process has the database open: a server, or a command.
    """
    target, when = _file_of(url), utc_now()
    with _scratch_beside(target) as scratch:
        _copy_checked(file, scratch)
        count = _checked(scratch)
        kept = None
        with _alone(target):
            if target.exists():
                kept = _free_name(target, when)
                os.rename(target, kept)
            os.replace(scratch, target)
            _settle_folder(target.parent)
    with closing(open_database(url)) as database:
        after = {"file": str(file), "replaced": str(kept) if kept else None}
        audit(database, by, "database.restore", str(target), after=after)
    return Copied(target, target.stat().st_size, count, kept)


def _copy_checked(file: Path, to: Path) -> None:
    if not file.is_file():
        raise UsageError(f"{file} is not a file", expected="one that rallrec labels backup wrote")
    try:
        with (
            closing(sqlite3.connect(f"file:{file.resolve()}?mode=ro", uri=True)) as read,
            closing(sqlite3.connect(to)) as written,
        ):
            revision = read.execute("SELECT version_num FROM alembic_version").fetchone()
            read.backup(written)
            written.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise UsageError(
            f"{file} is no backup ({error})", expected="a file that rallrec labels backup wrote"
        ) from error
    if revision is None or revision[0] not in known_revisions():
        raise UsageError(f"{file} is at a revision that this program does not know", fix="upgrade the program")


def _checked(file: Path) -> int:
    """How many labels a copy holds. Raises ``StorageError`` for a damaged one."""
    with closing(sqlite3.connect(file)) as opened:
        try:
            [(said,)] = opened.execute("PRAGMA integrity_check(1)").fetchall()
            broken = opened.execute("PRAGMA foreign_key_check").fetchone()
        except sqlite3.Error as error:
            said, broken = str(error), None
        if said != "ok" or broken:
            raise StorageError(f"The copy is damaged ({said if said != 'ok' else broken})", fix="use an older backup")
        count = 0
        for table in ("label_labels", "label_resolved"):
            with suppress(sqlite3.OperationalError):  # a copy from before labels
                count += opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return count


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold the database so that nobody else has it, or can have it.

    Every connection of this program is in WAL mode and keeps the file open, and SQLite leaves that mode for the last
    one alone: what tells whether a server lives, whichever home it was started from.
    """
    if not target.exists():
        yield
        return
    with closing(sqlite3.connect(target, timeout=0, isolation_level=None)) as connection:
        try:
            [(mode,)] = connection.execute("PRAGMA journal_mode=DELETE").fetchall()
            if mode != "delete":
                raise sqlite3.OperationalError("database is locked")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error):  # damaged: all the more reason to replace it
                yield
                return
            raise StorageError(
                f"The database {target} is in use", fix="stop the server, and commands that use it, and try again"
            ) from error
        yield


def _file_of(url: str) -> Path:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise UsageError("This database is no file", expected="SQLite", fix="use pg_dump and pg_restore for PostgreSQL")
    return Path(parsed.database or "")


def _free_name(target: Path, when: datetime) -> Path:
    name = f"{target.name}.replaced-{when:%Y%m%dT%H%M%SZ}"
    for number in range(100):
        kept = target.with_name(name if not number else f"{name}-{number}")
        if not kept.exists():
            return kept
    raise StorageError(f"There are too many replaced databases beside {target}", fix="move some of them away")


@contextmanager
def _scratch_beside(path: Path) -> Iterator[Path]:
    """A file of one's own in the same folder, gone afterwards unless it was renamed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            yield Path(folder) / "copy.db"
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror})", fix="check the folder and the disk"
        ) from error
    except sqlite3.Error as error:
        raise StorageError(f"The database cannot be copied ({error})", fix="try again") from error


def _settle_folder(folder: Path) -> None:
    """A rename is on the disk only once its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
