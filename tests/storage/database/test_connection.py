"""Opening a database: where it may be, what it is set to, what is refused and in which words."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

import storage.database.schema
from backend.errors import DatabaseTooNewError, StorageError, UsageError
from storage import Database, open_database
from storage.database.tables import AnswerRow, PromptRow


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_fresh_database_is_made_in_a_fresh_folder_and_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "my data é.db"
    for _ in range(2):
        database = open_database(sqlite_url(path))
        assert database.revision == storage.database.schema.known_revisions()[-1]
        assert path.is_file()
        database.close()
        database.close()  # idempotent


def test_every_connection_has_the_pragmas(tmp_path: Path) -> None:
    database = open_database(sqlite_url(tmp_path / "x.db"))
    with database.session() as one, database.session(read_only=True) as two:
        for session in (one, two):
            values = {
                name: session.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            }
            assert values == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 10_000, "synchronous": 1}
    database.close()


def add_and_fail(database: Database) -> None:
    with database.session() as session:
        session.add(PromptRow(hash="lost", messages="[]"))
        session.flush()
        raise ZeroDivisionError


def test_a_session_commits_or_rolls_back(database: Database) -> None:
    with database.session() as session:
        session.add(PromptRow(hash="kept", messages="[]"))
    with pytest.raises(ZeroDivisionError):
        add_and_fail(database)
    with database.session(read_only=True) as session:
        session.add(PromptRow(hash="never", messages="[]"))
        session.flush()
    with database.session() as session:
        kept = session.get(PromptRow, "kept")
        assert session.get(PromptRow, "lost") is None
        assert session.get(PromptRow, "never") is None
    assert kept is not None
    assert kept.messages == "[]"  # readable after the session


def answer_row(**changes: object) -> AnswerRow:
    values = {"key": "k", "model": "m", "revision": "r", "prompt_hash": "p", "options": "{}", "p_yes": 0.5}
    values |= {"prompt_tokens": 1, "seconds": 0.1, "checksum": "c", "engine": "e"}
    return AnswerRow(**(values | changes))


def test_times_come_back_aware_in_utc(database: Database) -> None:
    with database.session() as session:
        session.add(PromptRow(hash="p", messages="[]"))
        session.flush()
        session.add(answer_row())
    with database.session(read_only=True) as session:
        created = session.get_one(AnswerRow, "k").created_at
    assert created.utcoffset() is not None
    assert abs(created.timestamp() - time.time()) < 60


@pytest.mark.parametrize("changes", [{"prompt_hash": "nowhere"}, {"p_yes": 1.5}, {"p_yes": -0.1}, {"model": None}])
def test_constraints_are_enforced(database: Database, changes: dict) -> None:
    with database.session() as session:
        session.add(PromptRow(hash="p", messages="[]"))
    with pytest.raises(StorageError, match="cannot be used"), database.session() as session:
        session.add(answer_row(**changes))


def test_opening_one_that_is_up_to_date_is_quick_and_imports_no_alembic(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "x.db")
    open_database(url).close()
    code = f"""
import sys, time
from storage import CachedEngine, open_database
CachedEngine
start = time.perf_counter()
open_database({url!r})
print(time.perf_counter() - start)
assert "alembic" not in sys.modules and "torch" not in sys.modules
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert float(done.stdout) < 0.5  # some 10 ms; the rest is for a busy machine


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "x.db")
    database = open_database(url)
    with database.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9876'"))
    with pytest.raises(DatabaseTooNewError) as caught:
        open_database(url)
    for word in (
        "9876",
        storage.database.schema.known_revisions()[-1],
        "upgrade",
        "RALLREC_DATABASE_URL",
        str(tmp_path),
    ):
        assert word in str(caught.value)
    with database.session(read_only=True) as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9876"
    database.close()


@pytest.mark.parametrize("garbage", [b"hello", b"not a database " * 1000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(garbage)
    with pytest.raises(StorageError, match=r"x\.db.*not a database.*To fix it: move that file away") as caught:
        open_database(sqlite_url(path))
    assert caught.value.__cause__ is not None
    assert path.read_bytes() == garbage


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is a folder"):
        open_database(sqlite_url(tmp_path))


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="To fix it: set RALLREC_DATABASE_URL") as caught:
        open_database(sqlite_url(tmp_path / "file" / "x.db"))
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:secret@h/d",
        "postgresql://u:se/cr@et@h/d",
        "://secret@h",
    ],
)
def test_other_urls_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(UsageError, match="Expected sqlite:///") as caught:
        open_database(url)
    assert "se/cr" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_password_is_shown(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        open_database("postgresql+psycopg://user:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)
    assert "To fix it" in str(caught.value)
    database = open_database(sqlite_url(tmp_path / "x.db"))
    assert "x.db" in repr(database)
    assert "x.db" in str(database.url)
    database.close()
