"""Results of an unknown precision are copied to the keys that they have in a known one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from backend.engines import SCRIPTED
from backend.engines.chat import READING
from backend.errors import CorruptCacheError, UsageError
from backend.types import ModelRef, Sampling
from storage import CachedEngine, Database
from storage.database.tables import AnswerRow, TraceRow
from storage.results.stamp import stamp
from tests.storage.results.test_transfer import LORA, PLAIN, PROMPTS, fill, rows
from tests.storage.storage_fakes import CountingEngine

SAMPLING = Sampling(seed=2**40)


def known(model: ModelRef) -> ModelRef:
    return replace(model, precision="float32", reading=READING)


def test_stamped_results_are_read_without_a_model_and_the_originals_stay(database: Database) -> None:
    fill(database)
    fill(database, LORA)
    before = rows(database, AnswerRow, TraceRow)
    assert stamp(database, LORA, "float32") == (5, 15)
    after = rows(database, AnswerRow, TraceRow)
    assert all(set(old) < set(new) for old, new in zip(before, after, strict=True))
    inner = CountingEngine(known(LORA))
    engine, unknown = CachedEngine(inner, database), CachedEngine(CountingEngine(LORA), database)
    assert engine.answer(PROMPTS) == unknown.answer(PROMPTS)
    assert engine.reason(PROMPTS, 3, SAMPLING) == unknown.reason(PROMPTS, 3, SAMPLING)
    assert (inner.answered, inner.drawn) == ([], [])
    assert CachedEngine(CountingEngine(known(PLAIN)), database).peek_answers(PROMPTS) == [None] * 5, "another model"
    assert stamp(database, LORA, "float32") == (0, 0), "once"
    assert stamp(database, LORA, "bfloat16") == (5, 15), "another precision, other results"


def test_where_a_result_came_from_goes_with_it(database: Database) -> None:
    fill(database)
    with database.session() as session:
        session.execute(text("UPDATE answers SET engine = 'elsewhere', created_at = '2026-01-02 03:04:05'"))
    stamp(database, PLAIN, "float32")
    with database.session(read_only=True) as session:
        said = session.execute(select(AnswerRow.engine, AnswerRow.created_at)).all()
    assert set(said) == {("elsewhere", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))}


def test_some_results_are_left_out(database: Database) -> None:
    fill(database)
    [first, *_] = CachedEngine(CountingEngine(PLAIN), database).answer_keys(PROMPTS)
    assert stamp(database, PLAIN, "float32", but=[first]) == (4, 15)
    answers = CachedEngine(CountingEngine(known(PLAIN)), database).peek_answers(PROMPTS)
    assert [answer is None for answer in answers] == [True] + [False] * 4


@pytest.mark.parametrize("model", [SCRIPTED, known(PLAIN), replace(PLAIN, server="gpu1:8000")])
def test_a_model_whose_precision_is_known_or_that_has_none_is_refused(model: ModelRef, database: Database) -> None:
    with pytest.raises(UsageError, match="is known"):
        stamp(database, model, "float32")


def test_a_damaged_result_is_not_copied(database: Database) -> None:
    fill(database)
    with database.session() as session:
        session.execute(text("UPDATE traces SET p_yes = 0.5"))
    before = rows(database, TraceRow)
    with pytest.raises(CorruptCacheError, match="does not match its checksum"):
        stamp(database, PLAIN, "float32")
    assert rows(database, TraceRow) == before
