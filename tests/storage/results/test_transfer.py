"""Files of cached results: all comes back, nothing that was changed gets in, however many import at once."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from backend.errors import CorruptCacheError, DataError, StorageError, UsageError
from backend.types import ModelRef, Sampling
from storage import CachedEngine, Database, open_database
from storage.database.tables import AnswerRow, Base, ImportRow, PromptRow, TraceRow
from storage.results.transfer import export_results, import_results, read_results
from tests.storage.results.test_dropped_lines import MODEL, PROMPT, SAMPLING, TRACE, downgrade, old_url  # noqa: F401
from tests.storage.storage_fakes import CountingEngine, ask, together

ROOT = Path(__file__).parents[3]
PROMPTS = [ask(f"naïve <{number}> \u2028 ✓") for number in range(5)]
PLAIN, LORA = ModelRef("tiny", "r1"), ModelRef("tiny", "r1", "lora", context=512)


def fill(database: Database, model: ModelRef = PLAIN, count: int = 5) -> None:
    engine = CachedEngine(CountingEngine(model, dropped=1), database)
    engine.answer(PROMPTS[:count])
    engine.reason(PROMPTS[:count], 3, Sampling(seed=2**40))


def rows(database: Database, *tables: type[Base]) -> list[list[Any]]:
    with database.session(read_only=True) as session:
        return [
            sorted(map(tuple, session.execute(select(*table.__table__.columns)).all()))
            for table in tables or (PromptRow, AnswerRow, TraceRow)
        ]


def count(database: Database, table: type[Base]) -> int:
    with database.session(read_only=True) as session:
        return int(session.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture
def full(tmp_path: Path) -> Database:
    """A database with the results of two models."""
    opened = open_database(f"sqlite:///{tmp_path / 'full.db'}")
    fill(opened)
    fill(opened, LORA)
    return opened


@pytest.fixture
def file(full: Database, tmp_path: Path) -> Path:
    return export_results(full, tmp_path / "all.jsonl.gz").path


def test_all_comes_back_and_the_cache_answers_from_it(full: Database, file: Path, database: Database) -> None:
    done = import_results(database, file)
    assert (done.prompts, done.answers, done.traces) == (5, 10, 30)
    assert rows(database) == rows(full)
    inner = CountingEngine(LORA)
    engine = CachedEngine(inner, database)
    assert [answer.dropped for answer in engine.answer(PROMPTS)] == [1] * 5
    engine.reason(PROMPTS, 3, Sampling(seed=2**40))
    assert (inner.answered, inner.drawn) == ([], [])


def test_equal_rows_give_equal_bytes_in_whatever_order_they_were_written(
    full: Database, file: Path, database: Database, tmp_path: Path
) -> None:
    import_results(database, file)
    again = export_results(database, tmp_path / "again.jsonl.gz")
    assert again.path.read_bytes() == file.read_bytes()
    assert again.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.read_bytes()[4:8] == bytes(4)  # no time in gzip's header


def test_the_first_line_says_what_is_inside(file: Path) -> None:
    head, *lines = gzip.decompress(file.read_bytes()).splitlines()
    said = json.loads(head)
    assert (said["prompts"], said["answers"], said["traces"], len(lines)) == (5, 10, 30, 45)
    assert said["content_sha256"] == hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    assert [(one["adapter"], one["context"], one["answers"], one["traces"]) for one in said["models"]] == [
        ("lora", 512, 5, 15),
        (None, None, 5, 15),
    ]


def test_only_what_was_chosen_is_exported(full: Database, tmp_path: Path) -> None:
    fill(full, ModelRef("other"), 2)
    _, chosen = read_results(export_results(full, tmp_path / "x", models=[LORA, ModelRef("other")]).path)
    assert {(row["model"], row["adapter"]) for row in chosen.answers} == {("tiny", "lora"), ("other", None)}
    assert len(chosen.traces) == 21
    assert export_results(full, tmp_path / "x", models=[ModelRef("tiny", "r1", "lora")]).manifest.answers == 0
    key = chosen.traces[0]["key"]
    _, one = read_results(export_results(full, tmp_path / "x", keys=[key]).path)
    assert ([row["key"] for row in one.traces], len(one.prompts), one.answers) == ([key], 1, [])


def test_what_is_there_already_stays_as_it_is(file: Path, database: Database) -> None:
    fill(database, PLAIN, 2)
    before = rows(database, AnswerRow, TraceRow)
    done = import_results(database, file)
    assert (done.prompts, done.answers, done.traces) == (3, 8, 24)
    after = rows(database, AnswerRow, TraceRow)
    assert all(set(old) < set(new) for old, new in zip(before, after, strict=True))


def test_a_second_import_adds_nothing_but_what_was_deleted(file: Path, database: Database) -> None:
    import_results(database, file)
    before = rows(database, PromptRow, AnswerRow, TraceRow, ImportRow)
    again = import_results(database, file)
    assert (again.prompts, again.answers, again.traces) == (0, 0, 0)
    assert rows(database, PromptRow, AnswerRow, TraceRow, ImportRow) == before
    with database.session() as session:
        session.execute(text("DELETE FROM traces WHERE sample_index = 1"))
    known = hashlib.sha256(file.read_bytes()).hexdigest()
    assert import_results(database, file, known=known).traces == 0
    assert import_results(database, file).traces == 10


# --- what was changed ---


def rewritten(file: Path, change: Callable[[list[dict[str, Any]]], None], *, rehash: bool) -> None:
    """Change the file's lines (manifest first); with ``rehash``, so that only its rows can tell."""
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    change(lines)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines[1:])
    if rehash:
        lines[0]["content_sha256"] = hashlib.sha256(body).hexdigest()
    file.write_bytes(gzip.compress(json.dumps(lines[0]).encode() + b"\n" + body))


CHANGES: list[tuple[str, str, Any]] = [
    ("trace", "text", "I would say Yes"), ("trace", "p_yes", 0.5), ("trace", "key", "0" * 64), ("trace", "seed", 1),
    ("trace", "sample_index", 9), ("trace", "finish", "length"), ("trace", "tokens", 6), ("trace", "p_yes", None),
    ("answer", "p_yes", 0.5), ("answer", "p_yes", "0.5"), ("answer", "key", "0" * 64), ("answer", "adapter", "mine"),
    ("answer", "model", "big"), ("answer", "seconds", 1.5), ("answer", "dropped", 0), ("answer", "checksum", "x"),
    ("answer", "prompt_hash", "0" * 64), ("answer", "created_at", "yesterday"), ("answer", "engine", None),
    ("answer", "created_at", "2026-01-01T00:00:00"), ("answer", "note", "new"), ("answer", "kind", "guess"),
    ("prompt", "messages", [{"role": "user", "content": "other"}]), ("prompt", "hash", "0" * 64),
]  # fmt: skip


@pytest.mark.parametrize("rehash", [True, False])
@pytest.mark.parametrize(("kind", "column", "value"), CHANGES)
def test_a_changed_row_is_refused_by_its_line_and_nothing_gets_in(
    file: Path, database: Database, kind: str, column: str, value: Any, rehash: bool
) -> None:
    number = {"prompt": 2, "answer": 8, "trace": 40}[kind]

    def change(lines: list[dict[str, Any]]) -> None:
        assert lines[number - 1]["kind"] == kind
        lines[number - 1][column] = value

    rewritten(file, change, rehash=rehash)
    with pytest.raises(CorruptCacheError, match=rf"Line {number} of .*all\.jsonl\.gz"):
        import_results(database, file)
    assert [count(database, table) for table in (PromptRow, AnswerRow, TraceRow, ImportRow)] == [0] * 4


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines.pop(),  # a whole chain
        lambda lines: lines.append(lines[-1]),
        lambda lines: lines[40].update(engine="another"),  # provenance: neither in the key nor in the checksum
        lambda lines: lines[40].update(created_at="2020-01-01T00:00:00+00:00"),
        lambda lines: lines[0].update(traces=31),
        lambda lines: lines[0]["models"][0].update(name="big"),
    ],
)
def test_what_no_row_can_tell_the_hash_or_the_counts_tell(file: Path, database: Database, change: Any) -> None:
    rewritten(file, change, rehash=False)
    with pytest.raises(CorruptCacheError, match=r"all\.jsonl\.gz was changed or damaged: its lines do not match"):
        import_results(database, file)
    assert count(database, PromptRow) == 0


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_a_file_cut_short_is_refused(file: Path, database: Database, keep: float) -> None:
    packed = file.read_bytes()
    file.write_bytes(packed[: int(len(packed) * keep)])
    with pytest.raises(CorruptCacheError, match="cannot be unpacked"):
        import_results(database, file)
    file.write_bytes(gzip.compress(gzip.decompress(packed)[:-300]))
    with pytest.raises(CorruptCacheError, match=r"Line \d+ of"):
        import_results(database, file)
    assert count(database, PromptRow) == 0


def test_flipped_bytes_are_refused_wherever_they_lie(file: Path, database: Database) -> None:
    packed = file.read_bytes()
    for place in range(10, len(packed), 97):
        file.write_bytes(packed[:place] + bytes([packed[place] ^ 0x55]) + packed[place + 1 :])
        with pytest.raises((CorruptCacheError, DataError)):
            import_results(database, file)
    assert count(database, PromptRow) == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"users,items\n", gzip.compress(b"users,items\n1,2\n"), gzip.compress(b""), gzip.compress(b"[1]\n"),
     gzip.compress(b'{"format": "another"}\n')],
    ids=["empty", "csv", "zipped csv", "zipped nothing", "zipped list", "zipped other"],
)  # fmt: skip
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, database: Database, content: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.gz is not a file of results.*rallrec bundle export"):
        import_results(database, tmp_path / "x.gz")


def test_a_file_from_before_models_had_a_precision_is_taken_over(file: Path, database: Database) -> None:
    def older(lines: list[dict[str, Any]]) -> None:
        lines[0]["version"] = 1
        for model in lines[0]["models"]:
            assert [model.pop(name) for name in ("precision", "reading", "server")] == [None] * 3

    rewritten(file, older, rehash=True)
    assert import_results(database, file).answers == 10


def test_a_file_says_in_which_precision_a_model_answered(full: Database, tmp_path: Path) -> None:
    model = ModelRef("tiny", "r1", precision="float32", reading=1)
    fill(full, model)
    written = export_results(full, tmp_path / "x", models=[model])
    assert [entry.ref for entry in read_results(written.path)[0].manifest.models] == [model]
    assert written.manifest.answers == 5


def test_a_file_of_a_newer_program_or_none_at_all_is_refused(tmp_path: Path, file: Path, database: Database) -> None:
    rewritten(file, lambda lines: lines[0].update(version=3, more="things"), rehash=True)
    with pytest.raises(DataError, match=r"version 3.*version 1 or 2.*upgrade"):
        import_results(database, file)
    for path in (tmp_path / "none.gz", tmp_path):
        with pytest.raises(UsageError, match="no file"):
            import_results(database, path)


@pytest.mark.parametrize("change", ["text = 'Yes'", "seconds = 9e999", "seed = 1"])
def test_a_damaged_row_is_not_exported(full: Database, tmp_path: Path, change: str) -> None:
    with full.session() as session:
        session.execute(text(f"UPDATE traces SET {change} WHERE sample_index = 2 AND adapter IS NULL"))
    with pytest.raises(CorruptCacheError, match="table traces"):
        export_results(full, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert export_results(full, tmp_path / "x", models=[LORA]).manifest.traces == 15


def test_an_import_that_fails_midway_leaves_nothing(file: Path, database: Database) -> None:
    full = {
        "sqlite": "CREATE TRIGGER full BEFORE INSERT ON traces BEGIN SELECT RAISE(ABORT, 'full'); END",
        "postgresql": "ALTER TABLE traces ADD CONSTRAINT is_full CHECK (sample_index < 2)",
    }
    with database.session() as session:
        session.execute(text(full[database.engine.dialect.name]))
    with pytest.raises(StorageError, match="full"):
        import_results(database, file)
    assert [count(database, table) for table in (PromptRow, AnswerRow, TraceRow, ImportRow)] == [0] * 4


# --- several at once ---

IMPORT = """
import sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from storage import open_database
from storage.results.transfer import import_results
database = open_database({url!r})
print("ready", flush=True)
sys.stdin.readline()
done = import_results(database, Path({file!r}), known={known!r})
print(done.prompts, done.answers, done.traces, flush=True)
"""


def test_of_processes_that_import_at_once_one_does(file: Path, database: Database, database_url: str) -> None:
    known = hashlib.sha256(file.read_bytes()).hexdigest()
    code = IMPORT.format(root=str(ROOT), url=database_url, file=str(file), known=known)
    assert sorted(together(code)) == ["0 0 0\n", "0 0 0\n", "5 10 30\n"]
    assert [count(database, table) for table in (PromptRow, AnswerRow, TraceRow, ImportRow)] == [5, 10, 30, 1]


def test_an_import_beside_a_running_cache_adds_each_row_once(file: Path, database: Database) -> None:
    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(fill, database, model) for model in (PLAIN, LORA)]
        importing = pool.submit(import_results, database, file)
        for future in (*working, importing):
            future.result()
    assert [count(database, table) for table in (PromptRow, AnswerRow, TraceRow)] == [5, 10, 30]


# --- migration 0003 ---


def test_an_old_database_takes_imports_and_keeps_its_rows(old_url: str, file: Path) -> None:  # noqa: F811
    new = open_database(old_url)
    assert import_results(new, file).traces == 30
    assert CachedEngine(CountingEngine(MODEL), new).peek_traces(PROMPT, [3], SAMPLING) == [TRACE]
    downgrade(new, "0002")
    assert (count(new, TraceRow), count(new, PromptRow)) == (31, 6)
    new.close()
    again = open_database(old_url)
    assert count(again, ImportRow) == 0
    assert import_results(again, file).traces == 0
    again.close()
