"""The migration that brings labels: on a database with old rows, there and back, and into the shape of the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, text

import storage.database.schema
from backend.types import Sampling
from storage import CachedEngine, open_database
from storage.database.tables import StoryRow
from storage.labels.accounts import accounts, add_account
from tests.storage.storage_fakes import CountingEngine, ask


def bring_to(url: str, revision: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(storage.database.schema.MIGRATIONS))
        config.attributes["connection"] = connection
        step = command.downgrade if revision < "0007" else command.upgrade
        step(config, revision)
    engine.dispose()


def test_old_rows_stay_and_labels_can_be_kept_beside_them(database_url: str) -> None:
    engine, sampling = CountingEngine(), Sampling()
    old = open_database(database_url)
    before = CachedEngine(engine, old).reason([ask("x")], 2, sampling)
    with old.session() as session:
        session.add(StoryRow(id="s", title="told before", story="{}"))
    old.close()
    bring_to(database_url, "0006")
    looked = sa.create_engine(database_url)
    assert not [name for name in inspect(looked).get_table_names() if name.startswith("label_")]
    looked.dispose()

    new = open_database(database_url)
    assert new.revision == storage.database.schema.known_revisions()[-1]
    assert CachedEngine(engine, new).reason([ask("x")], 2, sampling) == before
    assert len(engine.drawn) == 2
    add_account(new, "ann", None, "annotator")
    assert [row.account.name for row in accounts(new)] == ["ann"]
    with new.session(read_only=True) as session:
        assert session.execute(text("SELECT title FROM stories")).all() == [("told before",)]
    new.close()
