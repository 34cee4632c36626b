"""Rows that somebody changed: found on reading, named, and mended by the SQL that the message gives."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from backend.errors import CorruptCacheError
from backend.types import Sampling
from storage import CachedEngine, Database
from tests.storage.storage_fakes import CountingEngine, ask

PROMPT = ask("a")
SAMPLING = Sampling(seed=3)


@pytest.fixture
def filled(cached: CachedEngine) -> CachedEngine:
    cached.answer([PROMPT, ask("b")])
    cached.reason([PROMPT, ask("b")], 2, SAMPLING)
    return cached


def tamper(database: Database, table: str, assignment: str) -> None:
    """Change the rows that belong to PROMPT alone."""
    column = "hash" if table == "prompts" else "prompt_hash"
    with database.session() as session:
        of_prompt = "(SELECT hash FROM prompts WHERE messages LIKE '%\"a\"%')"
        done: Any = session.execute(text(f"UPDATE {table} SET {assignment} WHERE {column} IN {of_prompt}"))
        assert done.rowcount > 0


def mend(database: Database, error: CorruptCacheError) -> None:
    """Do as the message says."""
    assert error.fix is not None
    with database.session() as session:
        for statement in error.fix.split(": ", 1)[1].split("; "):
            assert statement.startswith("DELETE FROM ")
            session.execute(text(statement))


ASKED = ["model = 'other'", "revision = 'other'", "adapter = 'other'", "options = '[]'"]
RESULT = ["p_yes = 0.125", "seconds = 9.5", "dropped = 2", "checksum = 'x'"]


@pytest.mark.parametrize("assignment", [*ASKED, *RESULT, "prompt_tokens = 99"])
def test_a_changed_answer_is_found(filled: CachedEngine, database: Database, assignment: str) -> None:
    tamper(database, "answers", assignment)
    for read in (filled.answer, filled.peek_answers):
        with pytest.raises(CorruptCacheError, match="table answers") as caught:
            read([PROMPT])
    assert str(database.url) in str(caught.value)
    mend(database, caught.value)
    assert filled.answer([PROMPT]) == CountingEngine().answer([PROMPT])


@pytest.mark.parametrize(
    "assignment",
    [
        *ASKED,
        *RESULT,
        "text = 'Yes'",
        "tokens = 99",
        "finish = 'length'",
        "seed = 4",
        "sample_index = sample_index + 7",
    ],
)
def test_a_changed_chain_is_found(filled: CachedEngine, database: Database, assignment: str) -> None:
    tamper(database, "traces", assignment)
    for index in range(2):
        with pytest.raises(CorruptCacheError, match="table traces") as caught:
            filled.peek_traces(PROMPT, [index], SAMPLING)
        with pytest.raises(CorruptCacheError, match="table traces"):
            filled.reason([PROMPT], [index], SAMPLING)
        mend(database, caught.value)
    assert filled.reason([PROMPT], 2, SAMPLING) == CountingEngine().reason([PROMPT], 2, SAMPLING)


def test_changed_messages_are_found(filled: CachedEngine, database: Database) -> None:
    tamper(database, "prompts", "messages = '[]'")
    with pytest.raises(CorruptCacheError, match="table prompts") as caught:
        filled.answer([PROMPT])
    with pytest.raises(CorruptCacheError, match="table prompts"):
        filled.peek_traces(PROMPT, 2, SAMPLING)
    mend(database, caught.value)
    assert filled.peek_answers([PROMPT]) == [None]
    assert filled.peek_answers([ask("b")]) != [None]
    assert filled.answer([PROMPT]) == CountingEngine().answer([PROMPT])


def test_a_result_moved_to_another_prompt_is_found(filled: CachedEngine, database: Database) -> None:
    tamper(database, "answers", "prompt_hash = (SELECT max(hash) FROM prompts)")
    tamper(database, "answers", "prompt_hash = (SELECT min(hash) FROM prompts)")
    with pytest.raises(CorruptCacheError, match="table answers"):
        filled.answer([PROMPT, ask("b")])


def test_a_result_copied_to_another_key_is_found(filled: CachedEngine, database: Database) -> None:
    """Every field but the key agrees with the checksum that was copied along."""
    same = ", ".join(
        f"{name} = (SELECT {name} FROM traces WHERE sample_index = 1 AND prompt_hash = t.prompt_hash)"
        for name in ("text", "p_yes", "tokens", "seconds", "finish", "checksum")
    )
    with database.session() as session:
        session.execute(text(f"UPDATE traces AS t SET {same} WHERE sample_index = 0"))
    with pytest.raises(CorruptCacheError, match="checksum"):
        filled.peek_traces(PROMPT, 1, SAMPLING)


@pytest.mark.parametrize("value", ["'not a number'", "x'00ff'", "9e999"])
def test_what_is_no_number_is_found(filled: CachedEngine, database: Database, value: str) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL keeps the types of its columns")
    tamper(database, "answers", f"seconds = {value}")
    with pytest.raises(CorruptCacheError, match="table answers"):
        filled.answer([PROMPT])


def test_a_prompt_that_is_gone_is_found(filled: CachedEngine, database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no way around foreign keys")
    with database.engine.connect() as connection:
        driver = connection.connection.cursor()
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("DELETE FROM prompts WHERE messages LIKE '%\"a\"%'")
        driver.execute("PRAGMA foreign_keys=ON")
    with pytest.raises(CorruptCacheError, match="is gone") as caught:
        filled.answer([PROMPT])
    mend(database, caught.value)
    assert filled.answer([PROMPT]) == CountingEngine().answer([PROMPT])
