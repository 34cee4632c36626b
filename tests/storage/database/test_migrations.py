"""Migrations: from nothing, agreeing with the models, keeping old rows, all or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect, text

import storage.database.schema
import storage.labels.tables
from backend.errors import StorageError
from backend.types import Sampling
from storage import CachedEngine, Database, open_database
from storage.database.tables import Base
from tests.storage.storage_fakes import CountingEngine, ask

HEAD = storage.database.schema.known_revisions()[-1]
NEXT_REVISION = f"{int(HEAD) + 1:04}"


def test_the_migrated_shape_is_the_models_shape(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_migrated_constraints_are_the_models_constraints(database: Database) -> None:
    """``compare_metadata`` looks at no check constraint and at no name."""
    inspector = inspect(database.engine)
    for name, table in Base.metadata.tables.items():
        checks = {check["name"] for check in inspector.get_check_constraints(name)}
        assert checks == {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        assert inspector.get_pk_constraint(name)["name"] == f"pk_{name}"
        assert {key["name"] for key in inspector.get_foreign_keys(name)} == {
            str(key.name) for key in table.foreign_key_constraints
        }


def test_file_names_carry_the_revisions() -> None:
    scripts = ScriptDirectory(str(storage.database.schema.MIGRATIONS))
    known = storage.database.schema.known_revisions()
    assert known == sorted(script.revision for script in scripts.walk_revisions())
    assert scripts.get_heads() == [known[-1]]


@pytest.fixture
def next_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a migration that is not written yet."""
    folder = tmp_path / "a 100% copy"
    shutil.copytree(storage.database.schema.MIGRATIONS, folder)
    monkeypatch.setattr(storage.database.schema, "MIGRATIONS", folder)
    return folder / "versions" / f"{NEXT_REVISION}_next.py"


NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT_REVISION}"
down_revision = "{HEAD}"

def upgrade():
    with op.batch_alter_table("prompts") as batch:
        batch.add_column(sa.Column("note", sa.Text(), nullable=False, server_default="old"))
    with op.batch_alter_table("traces") as batch:
        batch.drop_constraint(op.f("ck_traces_finish"), type_="check")
"""


def test_a_later_migration_can_rebuild_tables_that_hold_rows(database_url: str, next_migration: Path) -> None:
    engine, sampling = CountingEngine(), Sampling()
    old = open_database(database_url)
    before = CachedEngine(engine, old).reason([ask("x")], 2, sampling)
    old.close()

    next_migration.write_text(NEXT)
    new = open_database(database_url)
    assert new.revision == NEXT_REVISION
    assert CachedEngine(engine, new).reason([ask("x")], 2, sampling) == before
    assert len(engine.drawn) == 2
    with new.session(read_only=True) as session:
        assert session.execute(text("SELECT note FROM prompts")).all() == [("old",)]
        if new.engine.dialect.name == "sqlite":
            assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
    new.close()


@pytest.mark.parametrize(
    "breakage", ["    op.execute('SELECT no_such_thing')", "    op.execute('DELETE FROM prompts')"]
)
def test_a_migration_that_fails_changes_nothing(database_url: str, next_migration: Path, breakage: str) -> None:
    old = open_database(database_url)
    CachedEngine(CountingEngine(), old).reason([ask("x")], 2, Sampling())

    next_migration.write_text(NEXT + breakage)
    with pytest.raises(StorageError):
        open_database(database_url)
    with old.session(read_only=True) as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
        assert session.execute(text("SELECT count(*) FROM traces")).scalar() == 2
    assert "note" not in {column["name"] for column in inspect(old.engine).get_columns("prompts")}
    old.close()
