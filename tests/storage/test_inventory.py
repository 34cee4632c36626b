"""Counting what is there: datasets by their files' headers, cached results by model, unfinished artifacts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from backend import datasets
from backend.errors import DataError
from backend.types import Message, Messages, ModelRef, Sampling
from storage import CachedEngine, Database, inventory
from tests.storage.storage_fakes import CountingEngine


def prompts(count: int) -> list[Messages]:
    return [(Message("user", f"prompt {n}"),) for n in range(count)]


def test_a_new_database_holds_nothing(database: Database) -> None:
    assert inventory.count_results(database) == []


def test_results_are_counted_by_model_revision_and_adapter(database: Database) -> None:
    refs = [ModelRef("a", "1"), ModelRef("a", "2"), ModelRef("a", "1", "tuned"), ModelRef("b", "1")]
    for number, ref in enumerate(refs, start=1):
        inner = CountingEngine()
        inner.model = ref
        cached = CachedEngine(inner, database)
        cached.answer(prompts(number))
        if number == 2:
            cached.reason(prompts(1), 3, Sampling(max_tokens=8))
    counts = {row.model: (row.answers, row.traces) for row in inventory.count_results(database)}
    assert counts == {refs[0]: (1, 0), refs[1]: (2, 3), refs[2]: (3, 0), refs[3]: (4, 0)}
    most, *_ = inventory.count_results(database)
    assert most.model == refs[1]
    assert most.latest.tzinfo is not None


def test_a_model_is_counted_apart_for_its_context_and_its_form_and_not_for_ways_to_draw(database: Database) -> None:
    refs = [ModelRef("a", "1"), ModelRef("a", "1", context=512), ModelRef("a", "1", quantized="int8")]
    for number, ref in enumerate(refs, start=1):
        cached = CachedEngine(CountingEngine(ref), database)
        cached.answer(prompts(number))
        for max_tokens in (8, 16):
            cached.reason(prompts(1), number, Sampling(max_tokens=max_tokens))
    counts = {row.model: (row.answers, row.traces) for row in inventory.count_results(database)}
    assert counts == {refs[0]: (1, 2), refs[1]: (2, 4), refs[2]: (3, 6)}


def test_chains_are_counted_by_how_they_were_drawn(database: Database) -> None:
    refs = [ModelRef("a", "1"), ModelRef("a", "1", context=512)]
    plain, short = (CachedEngine(CountingEngine(ref), database) for ref in refs)
    plain.reason(prompts(2), 3, Sampling(temperature=0.6, top_p=0.9, max_tokens=8, seed=1))
    plain.reason(prompts(1), 1, Sampling(temperature=0.6, top_p=0.9, max_tokens=8, seed=2))
    plain.reason(prompts(3), 1, Sampling(temperature=1.0, top_p=0.9, max_tokens=8, seed=1))
    short.reason(prompts(1), 2, Sampling(temperature=0.6, top_p=0.9, max_tokens=8, seed=1))
    assert inventory.count_drawn(database) == [
        inventory.DrawnChains(refs[0], 0.6, 0.9, 8, prompts=2, seeds=2, chains=7),
        inventory.DrawnChains(refs[0], 1.0, 0.9, 8, prompts=3, seeds=1, chains=3),
        inventory.DrawnChains(refs[1], 0.6, 0.9, 8, prompts=1, seeds=1, chains=2),
    ]


def test_a_model_with_chains_alone_is_counted_too(database: Database, cached: CachedEngine) -> None:
    cached.reason(prompts(1), 2, Sampling(max_tokens=8))
    [row] = inventory.count_results(database)
    assert (row.model, row.answers, row.traces) == (cached.model, 0, 2)


def test_a_datasets_counts_are_those_of_its_tables(small_source: Path, tmp_path: Path) -> None:
    made = datasets.prepare("ml-latest-small", tmp_path, source=small_source)
    counted = inventory.count_dataset("ml-latest-small", tmp_path)
    assert (counted.users, counted.items, counted.interactions) == (made.n_users, made.n_items, made.n_interactions)
    assert counted.meta == made.meta
    assert counted.bytes == sum(path.stat().st_size for path in (tmp_path / "ml-latest-small").iterdir())


@pytest.mark.parametrize("break_it", ["meta", "table", "gone", "meta of another"])
def test_a_damaged_dataset_is_named_with_its_command(small_source: Path, tmp_path: Path, break_it: str) -> None:
    datasets.prepare("ml-latest-small", tmp_path, source=small_source)
    folder = tmp_path / "ml-latest-small"
    if break_it == "gone":
        (folder / "items.parquet").unlink()
    elif break_it == "table":
        (folder / "items.parquet").write_bytes(b"PAR1 no more")
    else:
        (folder / "meta.json").write_text("{" if break_it == "meta" else '{"name": "x"}')
    with pytest.raises(DataError, match="rallrec prepare --dataset ml-latest-small"):
        inventory.count_dataset("ml-latest-small", tmp_path)


def test_unfinished_work_tells_its_seconds_and_when_it_was_written_to(tmp_path: Path) -> None:
    part = tmp_path / ".x.part"
    assert inventory.unfinished(part) is None
    (part / "scratch").mkdir(parents=True)
    begun = inventory.unfinished(part)
    assert begun is not None
    assert (begun.seconds, begun.bytes) == (None, 0)
    (part / "scratch" / "seconds.json").write_text("12.5")
    (part / "scratch" / "rows.npy").write_bytes(b"x" * 100)
    os.utime(part / "scratch" / "rows.npy", (2_000_000_000, 2_000_000_000))
    unfinished = inventory.unfinished(part)
    assert unfinished == inventory.Unfinished(12.5, 104, 2_000_000_000)
    (part / "scratch" / "seconds.json").write_text("nonsense")
    again = inventory.unfinished(part)
    assert again is not None
    assert again.seconds is None
    shutil.rmtree(part)
    assert inventory.unfinished(part) is None


def test_the_file_of_a_database_and_its_size(tmp_path: Path) -> None:
    file = inventory.database_file(f"sqlite:///{tmp_path / 'a.db'}")
    assert file == tmp_path / "a.db"
    assert inventory.database_bytes(file) == 0
    file.write_bytes(b"12345")
    (tmp_path / "a.db-wal").write_bytes(b"678")
    assert inventory.database_bytes(file) == 8
    assert inventory.database_file("postgresql+psycopg://u:secret@host/x") is None
    assert inventory.database_file("nonsense") is None
