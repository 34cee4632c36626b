"""Opening the database: its URL, its connections, its transactions, and its errors in the program's own words.

SQLite is the default and lives in one file; PostgreSQL is chosen by URL. The tables are ``tables``, their
migration ``schema``, and the rows the business of whoever asks for a session.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from backend.errors import StorageError, UsageError
from storage.database.schema import bring_to_head

# How long a SQLite connection waits for another writer, in seconds.
BUSY_SECONDS = 10.0

_EXPECTED = "sqlite:///path/to/file.db or postgresql+psycopg://user:password@host/database"
_ELSEWHERE = "set RALLREC_DATABASE_URL to another place"
# What helps, by the beginning of SQLite's own name for the error.
_FIXES = {
    "SQLITE_BUSY": "wait until the other command that writes to it has finished, and try again",
    "SQLITE_NOTADB": f"move that file away, or {_ELSEWHERE}",
    "SQLITE_CORRUPT": f"restore that file from a backup, or move it away to start afresh, or {_ELSEWHERE}",
    "SQLITE_CANTOPEN": f"make that folder writable, or {_ELSEWHERE}",
    "SQLITE_READONLY": f"make that file and its folder writable, or {_ELSEWHERE}",
    "SQLITE_IOERR": f"check the disk, or {_ELSEWHERE}",
    "SQLITE_FULL": f"free some space on its disk, or {_ELSEWHERE}",
}


def open_database(url: str) -> Database:
    """Open the database at ``url``, made and migrated to the newest revision where need be.

    ``url`` is ``sqlite:///relative/path``, ``sqlite:////absolute/path`` (the parent folder is made) or
    ``postgresql+psycopg://...``. Several threads and processes may do this at the same time. Raises ``UsageError`` for
    another kind of URL, ``DatabaseTooNewError`` for a database that a newer version of this program wrote, and
    ``StorageError`` where there is no database to be had: not a database, a folder, not writable, no server, no driver.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _make_folder(parsed)
    with _in_our_words(parsed):
        engine = _create_engine(parsed)
        try:
            return Database(engine, bring_to_head(engine))
        except BaseException:
            engine.dispose()
            raise


class Database:
    """An open database, to be shared by all threads of a process. Made by :func:`open_database`.

    ``url`` shows no password when printed; ``revision`` is the number of the newest migration in it.
    """

    def __init__(self, engine: Engine, revision: str) -> None:
        self.engine = engine
        self.url: URL = engine.url
        self.revision = revision
        # SQLite can't turn a reading transaction into a writing one once somebody else has written, however long it
        # waits. So a writing transaction says so from its beginning, where waiting helps.
        self._writer = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._durable = engine.execution_options(sqlite_begin="IMMEDIATE", sqlite_synchronous="FULL")
        # SQLite has no queue: who finds it locked sleeps and tries again, and may be overtaken for seconds. The threads
        # of one process wait here instead, one behind the other.
        self._turn = threading.Lock() if engine.dialect.name == "sqlite" else None

    @contextmanager
    def session(self, *, read_only: bool = False, durable: bool = False) -> Iterator[Session]:
        """A session for one unit of work: committed at the end, rolled back if the block raises.

        ``read_only`` never waits for a writer and keeps nothing of what it may write. ``durable``: what is committed is
        on the disk; otherwise SQLite leaves the latest to the system, and a power cut could take it. What the database
        raises comes out as ``StorageError``. Rows stay readable after the end. Take one per call; a session is not for
        two threads.
        """
        engine = self.engine if read_only else self._durable if durable else self._writer
        turn = nullcontext() if read_only else self._one_by_one()
        with _in_our_words(self.url), turn, Session(engine, expire_on_commit=False) as session:
            yield session
            if not read_only:
                session.commit()

    @contextmanager
    def _one_by_one(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=BUSY_SECONDS):
            raise StorageError(f"The database {self.url} cannot be used (it is busy)", fix=_FIXES["SQLITE_BUSY"])
        try:
            yield
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the connections that are not in use. Idempotent."""
        self.engine.dispose()

    def __repr__(self) -> str:
        return f"Database({str(self.url)!r}, revision={self.revision!r})"


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise _unusable_url(url) from error
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        # A database in memory would be another one in every thread.
        if parsed.database and parsed.database != ":memory:" and not parsed.database.startswith("file:"):
            return parsed
    elif parsed.drivername == "postgresql+psycopg":
        return parsed
    raise _unusable_url(url)


def _unusable_url(url: str) -> UsageError:
    shown = re.sub(r"//.*@", "//***@", str(url))
    return UsageError(f"Unusable database URL {shown!r}", expected=_EXPECTED, fix="correct RALLREC_DATABASE_URL")


def _make_folder(url: URL) -> None:
    path = Path(url.database or "")
    if path.is_dir():
        raise StorageError(f"The database {path} is a folder", expected="a file", fix=f"name a file in it: {url}/x.db")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"Cannot make the folder {path.parent} for the database ({error.strerror})",
            expected="a folder that can be written to",
            fix=_ELSEWHERE,
        ) from error


def _create_engine(url: URL) -> Engine:
    try:
        # As many connections as a web server has threads; they are made only when they are needed.
        engine = create_engine(url, pool_size=10, max_overflow=40, pool_pre_ping=url.get_backend_name() != "sqlite")
    except ImportError as error:
        raise StorageError(f"The driver for {url} is not installed", fix="run pip install 'psycopg[binary]'") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_connection)
        event.listen(engine, "begin", _begin)
    return engine


def _prepare_connection(connection: Any, _record: object) -> None:
    # No transactions of the driver's own making: it would begin them late, and none for CREATE TABLE.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")
    _switch_to_wal(cursor)
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    # SQLite does not wait for a lock here, busy_timeout or not, so a fresh database that two open at once needs this.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("sqlite_begin"):  # each time, because connections are used again; inside of a transaction it is late
        connection.exec_driver_sql("PRAGMA synchronous=" + options.get("sqlite_synchronous", "NORMAL"))
    connection.exec_driver_sql("BEGIN " + options.get("sqlite_begin", "DEFERRED"))


@contextmanager
def _in_our_words(url: URL) -> Iterator[None]:
    """Translate what SQLAlchemy and the driver raise into ``StorageError``."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        name = getattr(cause, "sqlite_errorname", "")
        fix = next((fix for start, fix in _FIXES.items() if name.startswith(start)), None)
        if fix is None and url.get_backend_name() != "sqlite":
            fix = "check that the server runs and that RALLREC_DATABASE_URL is right"
        detail = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        raise StorageError(f"The database {url} cannot be used ({detail})", fix=fix) from error
