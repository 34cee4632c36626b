"""A fresh database per test: SQLite always, PostgreSQL too where ``TEST_POSTGRES_URL`` names a server's database."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from storage import CachedEngine, Database, open_database
from tests.storage.storage_fakes import CountingEngine

POSTGRES = os.environ.get("TEST_POSTGRES_URL")


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    schema = f"test_{uuid.uuid4().hex}"
    server = sqlalchemy.create_engine(str(POSTGRES))
    with server.begin() as connection:
        connection.execute(sqlalchemy.schema.CreateSchema(schema))
    url = server.url.update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with server.begin() as connection:
        connection.execute(sqlalchemy.schema.DropSchema(schema, cascade=True))
    server.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def inner() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def cached(inner: CountingEngine, database: Database) -> CachedEngine:
    return CachedEngine(inner, database)
