"""Migration 0009, and what it made room for: the mass behind P(yes), and sampled texts that are no chain."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from backend.errors import CorruptCacheError, EngineError
from backend.types import NO_CHAIN, Answer, Messages, ModelRef, Sampling, Trace
from storage import CachedEngine, Database, open_database
from storage.results.transfer import export_results, import_results
from tests.storage.results.test_dropped_lines import (  # noqa: F401
    ANSWER,
    MODEL,
    PROMPT,
    SAMPLING,
    TRACE,
    downgrade,
    old_url,
)
from tests.storage.storage_fakes import CountingEngine

OTHER = ModelRef("tiny", "r2")


class MassEngine(CountingEngine):
    """Tells the mass of all it says; samples from 10 on are no chains, each in another way."""

    def answer(self, prompts: list[Messages], **how: Any) -> list[Answer]:  # type: ignore[override]
        return [replace(answer, mass=0.03) for answer in super().answer(prompts)]

    def reason(  # type: ignore[override]
        self, prompts: list[Messages], samples: list[int], sampling: Sampling, **how: Any
    ) -> list[list[Trace]]:
        ends = [*NO_CHAIN]
        return [
            [
                replace(trace, mass=0.9)
                if trace.index < 10
                else replace(trace, p_yes=None, finish=ends[trace.index - 10])
                for trace in row
            ]
            for row in super().reason(prompts, samples, sampling)
        ]


def fill(database: Database) -> tuple[list[Answer], list[Trace]]:
    engine = CachedEngine(MassEngine(OTHER), database)
    return engine.answer([PROMPT]), engine.reason([PROMPT], [0, 10, 11, 12], SAMPLING)[0]


def test_old_results_stay_as_they_are_and_new_ones_know_more(old_url: str) -> None:  # noqa: F811
    new = open_database(old_url)
    old = CachedEngine(CountingEngine(MODEL), new)
    assert (old.peek_answers([PROMPT]), old.peek_traces(PROMPT, [3], SAMPLING)) == ([ANSWER], [TRACE])
    assert (ANSWER.mass, TRACE.mass) == (None, None)
    answers, chains = fill(new)
    again = CachedEngine(MassEngine(OTHER), new)
    assert again.peek_answers([PROMPT]) == answers
    assert again.peek_traces(PROMPT, [0, 10, 11, 12], SAMPLING) == chains
    assert [answer.mass for answer in answers] == [0.03]
    assert [(chain.finish, chain.p_yes is None, chain.mass) for chain in chains] == [
        ("stop", False, 0.9), *((finish, True, None) for finish in NO_CHAIN),
    ]  # fmt: skip
    new.close()


@pytest.mark.parametrize("value", ["NULL", "0.5"])
@pytest.mark.parametrize("table", ["answers", "traces"])
def test_a_changed_mass_is_found(database: Database, table: str, value: str) -> None:
    fill(database)
    with database.session() as session:
        session.execute(text(f"UPDATE {table} SET mass = {value}"))
    engine = CachedEngine(MassEngine(OTHER), database)
    with pytest.raises(CorruptCacheError, match=f"table {table}"):
        _ = (engine.peek_answers([PROMPT]), engine.peek_traces(PROMPT, [0], SAMPLING))


def test_downgrading_takes_away_what_the_older_version_could_not_check(old_url: str) -> None:  # noqa: F811
    new = open_database(old_url)
    before = {
        table: {check["name"]: check["sqltext"] for check in inspect(new.engine).get_check_constraints(table)}
        for table in ("answers", "traces")
    }
    assert set(before["traces"]) == {"ck_traces_p_yes", "ck_traces_sample_index", "ck_traces_finish"}
    fill(new)
    downgrade(new, "0008")
    with new.session(read_only=True) as session:
        assert session.execute(text("SELECT p_yes FROM answers")).scalars().all() == [ANSWER.p_yes]
        assert session.execute(text("SELECT text, finish FROM traces")).all() == [(TRACE.text, "stop")]
    checks = {check["name"]: check["sqltext"] for check in inspect(new.engine).get_check_constraints("traces")}
    assert set(checks) == set(before["traces"])
    assert "filter" not in checks["ck_traces_finish"]
    assert {index["name"] for index in inspect(new.engine).get_indexes("traces")} == {"ix_traces_prompt_hash_model"}
    new.close()
    again = open_database(old_url)
    assert {check["name"] for check in inspect(again.engine).get_check_constraints("traces")} == set(before["traces"])
    assert CachedEngine(CountingEngine(MODEL), again).peek_traces(PROMPT, [3], SAMPLING) == [TRACE]
    again.close()


@pytest.mark.parametrize(
    "wrong",
    [
        Trace(0, "So.", 0.5, 2, 0.1, "abort"),
        Trace(0, "So.", None, 2, 0.1, "stop"),
        Trace(0, "", 0.5, 2, 0.1, "empty"),
        Trace(0, "So.", 0.5, 2, 0.1, "stop", 0, 1.5),
    ],
)
def test_what_an_engine_cannot_mean_is_not_kept(database: Database, wrong: Trace) -> None:
    class Wrong(CountingEngine):
        def reason(self, *_: Any, **__: Any) -> list[list[Trace]]:
            return [[wrong]]

    with pytest.raises(EngineError):
        CachedEngine(Wrong(OTHER), database).reason([PROMPT], [0], SAMPLING)


def test_files_carry_both_and_those_of_version_1_are_still_read(old_url: str, tmp_path: Path) -> None:  # noqa: F811
    source, database = open_database(old_url), open_database(f"sqlite:///{tmp_path / 'other.db'}")
    fill(source)
    file = export_results(source, tmp_path / "all.jsonl.gz")
    assert file.manifest.version == 2
    assert import_results(database, file.path).traces == 5
    assert CachedEngine(MassEngine(OTHER), database).peek_traces(PROMPT, [0, 10, 11, 12], SAMPLING) == fill(source)[1]

    old = export_results(source, tmp_path / "old.jsonl.gz", models=[MODEL])
    head, *lines = gzip.decompress(old.path.read_bytes()).splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row.pop("mass", None)
    body = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n" for row in rows)
    first = json.loads(head) | {"version": 1, "content_sha256": hashlib.sha256(body.encode()).hexdigest()}
    path = tmp_path / "version-1.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(first) + "\n" + body).encode()))
    fresh = open_database(f"sqlite:///{tmp_path / 'fresh.db'}")
    assert import_results(fresh, path).answers == 1
    assert CachedEngine(CountingEngine(MODEL), fresh).peek_traces(PROMPT, [3], SAMPLING) == [TRACE]
    for opened in (source, database, fresh):
        opened.close()
