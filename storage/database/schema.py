"""Which shape a database has, and bringing it to the shape that this program knows.

The shape is a revision number, kept by Alembic in the database. Alembic itself is imported only when a migration is
due, because an up-to-date database must open at once. Making the connection is left to ``connection``, which
also translates what the driver raises here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from backend.errors import DatabaseTooNewError, StorageError

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic keeps the running migration in module globals, so two threads must not migrate at the same time.
_one_at_a_time = threading.Lock()
# Any number that nothing else on the same PostgreSQL database locks on; spells "rallrec".
_ADVISORY_LOCK = 0x72616C6C726563


def known_revisions() -> list[str]:
    """The revisions that this program knows, oldest first: the numbers its migration files begin with."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def found_revision(connection: Connection) -> str | None:
    """The revision that the database is at, or None where it is empty."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def bring_to_head(engine: Engine) -> str:
    """Migrate the database behind ``engine`` to the newest known revision and return that.

    Safe when several threads or processes do it at once: one migrates, the others wait and find it done. It happens
    in one transaction, so a migration that fails leaves the database as it was. Raises ``DatabaseTooNewError`` if the
    database is at a revision that this program does not know.
    """
    head = known_revisions()[-1]
    with engine.connect() as connection:
        if _checked_revision(connection) == head:
            return head
    with _one_at_a_time:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with _locked_for_migration(engine) as connection:
            # Somebody else may have migrated it while this one waited for the lock.
            if _checked_revision(connection) != head:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    return head


def _checked_revision(connection: Connection) -> str | None:
    revision, known = found_revision(connection), known_revisions()
    if revision is not None and revision not in known:
        raise DatabaseTooNewError(
            f"The database {connection.engine.url} is at revision {revision}, which this program does not know",
            expected=f"revision {known[-1]} or older",
            fix="upgrade this program to the version that wrote the database (pip install --upgrade rallrec-plus), "
            "or set RALLREC_DATABASE_URL to another database",
        )
    return revision


@contextmanager
def _locked_for_migration(engine: Engine) -> Iterator[Connection]:
    """A connection in one transaction that keeps every other migration of the same database waiting."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            yield connection
        return
    with engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
        # SQLite alters a table by copying and dropping it, which would offend the foreign keys that point at it. They
        # are off meanwhile and checked at the end. Inside a transaction the pragma would do nothing.
        driver = connection.connection.cursor()
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if broken:
                    raise StorageError(
                        f"Migrating {engine.url} would leave {len(broken)} rows that point at nothing, "
                        f"the first in table {broken[0][0]}, so it was left as it was",
                        fix="delete these rows, which PRAGMA foreign_key_check lists, and try again",
                    )
        finally:
            driver.execute("PRAGMA foreign_keys=ON")
