"""Backups: whole while others write, checked before they are named, and put back only where nobody else is at it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backend.errors import StorageError, UsageError
from backend.labelling import Account, Judgement
from storage import Database, open_database
from storage.labels import audit
from storage.labels.backup import backup, restore
from storage.labels.records import labels
from storage.labels.work import save_draft
from tests.storage.labels.conftest import judged
from tests.storage.labels.test_queue import done, get

Make = Callable[..., str]
People = dict[str, Account]


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_backup_holds_all_and_comes_back(database: Database, people: People, make: Make, tmp_path: Path) -> None:
    key = make()
    done(database, get(database, key, people["ann"]), people["ann"])
    before = list(labels(database, key))
    copied = backup(database, tmp_path / "copies" / "labels.db")
    assert (copied.labels, copied.replaced) == (1, None)
    assert [path.name for path in copied.file.parent.iterdir()] == ["labels.db"]
    done(database, get(database, key, people["ann"]), people["ann"])
    database.close()
    restored = restore(url_of(tmp_path / "labels.db"), copied.file)
    assert restored.replaced
    with closing(open_database(url_of(tmp_path / "labels.db"))) as again:
        assert list(labels(again, key)) == before
        assert next(audit.changes(again)).what == "database.restore"
    with closing(open_database(url_of(restored.replaced))) as old:
        assert len(list(labels(old, key))) == 2


def test_a_backup_made_while_somebody_writes_is_whole(
    database: Database, people: People, make: Make, tmp_path: Path
) -> None:
    task = get(database, make(samples=20), people["ann"])
    stop, saved = threading.Event(), []

    def write() -> None:
        version = 0
        while not stop.is_set():
            said = Judgement(comment="x" * 5000 + str(version))
            version = save_draft(database, task.id, people["ann"], said, 1, version).version
            saved.append(version)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        while not saved:
            stop.wait(0.01)
        for number in range(3):
            at_least = saved[-1]
            copied = backup(database, tmp_path / "b.db")
            with closing(sqlite3.connect(copied.file)) as opened:
                assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                [(version,)] = opened.execute("SELECT version FROM label_labels").fetchall()
            assert version >= at_least, number
    finally:
        stop.set()
        writing.join()


def test_a_database_in_use_is_not_replaced(database: Database, people: People, make: Make, tmp_path: Path) -> None:
    key = make()
    copied = backup(database, tmp_path / "b.db")
    done(database, get(database, key, people["ann"]), people["ann"])
    with pytest.raises(StorageError, match="in use") as refused:
        restore(str(database.url), copied.file)
    assert "stop the server" in str(refused.value)
    assert len(list(labels(database, key))) == 1
    assert not list(tmp_path.glob("*.replaced-*"))
    assert not list(tmp_path.glob(".*"))
    done(database, get(database, key, people["bob"]), people["bob"])  # and it goes on as before


def test_what_is_no_backup_is_refused_and_nothing_is_touched(database: Database, tmp_path: Path) -> None:
    url, junk, other_database = str(database.url), tmp_path / "junk.db", tmp_path / "other.db"
    database.close()
    before = (tmp_path / "labels.db").read_bytes()
    junk.write_bytes(b"not a database at all" * 1000)
    with closing(sqlite3.connect(other_database)) as opened:
        opened.execute("CREATE TABLE x (y)")
    future = tmp_path / "future.db"
    with closing(open_database(url)) as again:
        backup(again, future)
    with closing(sqlite3.connect(future)) as opened, opened:
        opened.execute("UPDATE alembic_version SET version_num = '9999'")
    for file, said in ((junk, "no backup"), (other_database, "no backup"), (tmp_path / "none.db", "not a file"),
                       (future, "does not know")):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            restore(url, file)
    assert (tmp_path / "labels.db").read_bytes() == before
    assert not list(tmp_path.glob("*.replaced-*"))


def test_a_damaged_copy_is_not_named(database: Database, people: People, make: Make, tmp_path: Path) -> None:
    task = get(database, make(), people["ann"])
    save_draft(database, task.id, people["ann"], judged(task), 1, 0)
    copied = backup(database, tmp_path / "b.db").file
    database.close()
    whole = copied.read_bytes()
    with closing(sqlite3.connect(copied)) as opened, opened:
        opened.execute("DELETE FROM label_tasks")  # labels that point at nothing
    with pytest.raises(StorageError, match="damaged"):
        restore(url_of(tmp_path / "labels.db"), copied)
    copied.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((StorageError, UsageError)):
        restore(url_of(tmp_path / "labels.db"), copied)


def test_a_lost_database_is_made_from_its_backup(database: Database, tmp_path: Path) -> None:
    copied = backup(database, tmp_path / "b.db")
    restored = restore(url_of(tmp_path / "new" / "labels.db"), copied.file)
    assert restored.replaced is None
    open_database(url_of(tmp_path / "new" / "labels.db")).close()


def test_a_server_of_another_kind_has_tools_of_its_own() -> None:
    with pytest.raises(UsageError, match="pg_dump"):
        restore("postgresql+psycopg://u@h/d", Path("x"))
