"""Migration 0002 on a database that the first version filled: its results stay right, and so do those beside them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, text

import storage.database.schema
from backend.errors import CorruptCacheError
from backend.types import Answer, Message, ModelRef, Sampling, Trace
from storage import CachedEngine, Database, open_database
from storage.inventory import count_results
from tests.storage.storage_fakes import CountingEngine

# As the first version wrote them, keys and checksums included.
PROMPT = (Message("system", "You are a recommender."), Message("user", "héllo"))
MODEL, SAMPLING = ModelRef("tiny", "r1", "lora"), Sampling(0.7, 0.9, 64, 5)
ANSWER, TRACE = Answer(0.625, 7, 0.25), Trace(3, "chain 3 ✓\n</think>\nYes", 0.375, 5, 0.5, "stop")
COMMON: dict[str, Any] = {
    "model": "tiny", "revision": "r1", "adapter": "lora", "engine": "counting",
    "prompt_hash": "201f972b7a3399afe75da390ec505790da10ba0d3187924f4c5ab5363b2cf9ed",
    "created_at": "2026-11-23 03:15:04.486519",
}  # fmt: skip
OLD_ROWS: list[tuple[str, dict[str, Any]]] = [
    (
        "prompts",
        {
            "hash": COMMON["prompt_hash"],
            "messages": '[{"content":"You are a recommender.","role":"system"},{"content":"héllo","role":"user"}]',
        },
    ),
    (
        "answers",
        COMMON
        | {
            "key": "c9a2da14b6c1e6fbd5b72969edb39ee1c0176bf7353adeafb5e04957cf93d20d", "options": "{}",
            "p_yes": 0.625, "seconds": 0.25, "prompt_tokens": 7,
            "checksum": "4040aec6df3d6b0cfeb6dd7f3bee0b10dbf2bd1d9c6017271254f4f41293981b",
        },
    ),
    (
        "traces",
        COMMON
        | {
            "key": "7e0098f44b93ff0dc6449138dab86f619e9bd8f7680b889c140ace48e4429beb",
            "options": '{"max_tokens":64,"temperature":0.7,"top_p":0.9}', "p_yes": 0.375, "seconds": 0.5, "seed": 5,
            "sample_index": 3, "text": TRACE.text, "tokens": 5, "finish": "stop",
            "checksum": "b08e5762336fddce783ace9d4069897a16ddc9bba195f1e0e969b37db02d3822",
        },
    ),
]  # fmt: skip


@pytest.fixture
def old_url(database_url: str, tmp_path: Path) -> str:
    """A database at revision 0001 with one prompt, its answer and a chain."""
    folder = tmp_path / "the first version"
    shutil.copytree(storage.database.schema.MIGRATIONS, folder)
    for file in (folder / "versions").glob("*.py"):
        if not file.name.startswith("0001"):
            file.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage.database.schema, "MIGRATIONS", folder)
        old = open_database(database_url)
        assert old.revision == "0001"
        with old.session() as session:
            for table, row in OLD_ROWS:
                names = ", ".join(row)
                session.execute(text(f"INSERT INTO {table} ({names}) VALUES (:{names.replace(', ', ', :')})"), row)
        old.close()
    return database_url


def downgrade(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(storage.database.schema.MIGRATIONS))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def columns(database: Database, table: str) -> set[str]:
    return {column["name"] for column in inspect(database.engine).get_columns(table)}


def test_old_results_are_found_and_check_out_with_nothing_dropped(old_url: str) -> None:
    new = open_database(old_url)
    inner = CountingEngine(MODEL)
    engine = CachedEngine(inner, new)
    assert engine.answer([PROMPT]) == [ANSWER]
    assert engine.reason([PROMPT], [3], SAMPLING) == [[TRACE]]
    assert (inner.answered, inner.drawn) == ([], [])
    with new.session(read_only=True) as session:
        for table in ("answers", "traces"):
            assert session.execute(text(f"SELECT dropped FROM {table}")).scalars().all() == [0]
    [counted] = count_results(new)
    assert (counted.model, counted.answers, counted.traces) == (MODEL, 1, 1)
    new.close()


def test_what_was_dropped_is_kept_beside_old_results(old_url: str) -> None:
    new = open_database(old_url)
    tight = ModelRef("tiny", "r1", "lora", context=512)
    engine = CachedEngine(CountingEngine(tight, dropped=4), new)
    first = engine.answer([PROMPT]), engine.reason([PROMPT], [3], SAMPLING)
    again = CachedEngine(CountingEngine(tight), new)
    assert ([again.answer([PROMPT])[0].dropped], again.reason([PROMPT], [3], SAMPLING)[0][0].dropped) == ([4], 4)
    assert (again.answer([PROMPT]), again.reason([PROMPT], [3], SAMPLING)) == first
    assert CachedEngine(CountingEngine(MODEL), new).peek_answers([PROMPT]) == [ANSWER]
    new.close()


@pytest.mark.parametrize("table", ["answers", "traces"])
@pytest.mark.parametrize("value", [0, 5])
def test_a_changed_number_of_dropped_lines_is_found(database: Database, table: str, value: int) -> None:
    engine = CachedEngine(CountingEngine(MODEL, dropped=4), database)
    engine.answer([PROMPT])
    engine.reason([PROMPT], [3], SAMPLING)
    with database.session() as session:
        session.execute(text(f"UPDATE {table} SET dropped = {value}"))
    peek = {
        "answers": lambda: engine.peek_answers([PROMPT]),
        "traces": lambda: engine.peek_traces(PROMPT, [3], SAMPLING),
    }
    with pytest.raises(CorruptCacheError, match=f"table {table}"):
        peek[table]()


def test_downgrading_keeps_the_old_results_and_no_others_that_the_first_version_could_not_check(old_url: str) -> None:
    new = open_database(old_url)
    CachedEngine(CountingEngine(ModelRef("tight", "r1"), dropped=4), new).answer([PROMPT])
    CachedEngine(CountingEngine(ModelRef("roomy", "r1")), new).answer([PROMPT])
    constraints = {table: sorted(str(c["name"]) for c in inspect(new.engine).get_check_constraints(table))
                   for table in ("answers", "traces")}  # fmt: skip
    downgrade(new, "0001")
    assert "dropped" not in columns(new, "answers") | columns(new, "traces")
    for table, names in constraints.items():
        assert sorted(str(c["name"]) for c in inspect(new.engine).get_check_constraints(table)) == names
    with new.session(read_only=True) as session:
        assert session.execute(text("SELECT model FROM answers ORDER BY model")).scalars().all() == ["roomy", "tiny"]
        assert session.execute(text("SELECT text FROM traces")).scalars().all() == [TRACE.text]
    new.close()
    again = open_database(old_url)
    assert CachedEngine(CountingEngine(MODEL), again).peek_answers([PROMPT]) == [ANSWER]
    again.close()
