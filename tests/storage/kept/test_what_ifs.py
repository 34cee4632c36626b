"""Kept what-ifs: the same one once, found by its id, brought back; and migration 0005 on a database with old rows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import inspect, update

from backend.errors import CorruptCacheError, UsageError
from backend.pipeline import Recipe
from backend.what_if import Edits
from storage import CachedEngine, Database, open_database
from storage.database.tables import WhatIfRow
from storage.inventory import count_results
from storage.kept.what_ifs import MAX_NAME, WhatIf, WhatIfs
from tests.storage.results.test_dropped_lines import MODEL, PROMPT, SAMPLING, TRACE, downgrade, old_url  # noqa: F401
from tests.storage.storage_fakes import CountingEngine

EDITS = Edits.read('{"removed": ["3", "1"], "hint": "no", "settings": {"k": 4}}')
ONE = WhatIf("films", "d" * 64, "15", "2", Recipe(), EDITS)


@pytest.fixture
def what_ifs(database: Database) -> WhatIfs:
    return WhatIfs(database)


def test_what_is_kept_comes_back_as_it_was(what_ifs: WhatIfs, database: Database) -> None:
    kept = what_ifs.keep(ONE, "  Without\nthe best ")
    assert (kept.id, kept.what_if, kept.name) == (ONE.id, ONE, "Without the best")
    assert abs((datetime.now(UTC) - kept.created_at).total_seconds()) < 60
    assert WhatIfs(database).get(ONE.id) == kept
    assert kept.what_if.edited_recipe == Recipe.model_validate({"retrieval": {"k": 4}})


def test_keeping_the_same_again_keeps_one_and_takes_the_new_name(what_ifs: WhatIfs) -> None:
    first = what_ifs.keep(ONE, "first")
    spelt_otherwise = Edits.read('{"settings": {"k": 4}, "hint": "no", "removed": ["1", "3", "1"]}')
    again = what_ifs.keep(WhatIf("films", "d" * 64, "15", "2", Recipe(), spelt_otherwise), "second")
    assert (again.id, again.created_at, again.name) == (first.id, first.created_at, "second")
    assert what_ifs.all("films") == [again]


def test_whatever_differs_is_another_what_if() -> None:
    others = [
        WhatIf("books", "d" * 64, "15", "2", Recipe(), EDITS),
        WhatIf("films", "e" * 64, "15", "2", Recipe(), EDITS),
        WhatIf("films", "d" * 64, "16", "2", Recipe(), EDITS),
        WhatIf("films", "d" * 64, "15", "3", Recipe(), EDITS),
        WhatIf("films", "d" * 64, "15", "2", Recipe().replacing(seed=1), EDITS),
        WhatIf("films", "d" * 64, "15", "2", Recipe(), Edits()),
    ]
    assert len({ONE.id, *(changed.id for changed in others)}) == 7


def test_the_list_is_of_a_dataset_a_user_or_an_item_the_latest_first(what_ifs: WhatIfs) -> None:
    def of(user: str, item: str, day: int, dataset: str = "films") -> str:
        made = datetime(2026, 11, day, tzinfo=UTC)
        return what_ifs.keep(WhatIf(dataset, "d" * 64, user, item, Recipe(), EDITS), f"{user} {item}", made).id

    old, new, other_user, _elsewhere = of("1", "1", 2), of("1", "2", 4), of("2", "1", 3), of("1", "1", 5, "books")
    assert [kept.id for kept in what_ifs.all("films")] == [new, other_user, old]
    assert [kept.id for kept in what_ifs.all("films", limit=2)] == [new, other_user]
    assert [kept.id for kept in what_ifs.all("films", user="1")] == [new, old]
    assert [kept.id for kept in what_ifs.all("films", user="1", item="1")] == [old]
    assert what_ifs.all("none") == []


def test_a_deleted_one_is_gone_and_can_come_back(what_ifs: WhatIfs) -> None:
    kept = what_ifs.keep(ONE, "mine")
    assert what_ifs.delete(ONE.id) == kept
    assert what_ifs.find(ONE.id) is None
    with pytest.raises(UsageError, match=f"No what-if '{ONE.id}'"):
        what_ifs.delete(ONE.id)
    assert what_ifs.keep(kept.what_if, kept.name, kept.created_at) == kept


@pytest.mark.parametrize("name", ["", " \n ", "x" * (MAX_NAME + 1)])
def test_a_name_that_is_none_is_refused(what_ifs: WhatIfs, name: str) -> None:
    with pytest.raises(UsageError, match="name of a what-if"):
        what_ifs.keep(ONE, name)
    assert what_ifs.all("films") == []


@pytest.mark.parametrize(("column", "value"), [("edits", '{"removed":["9"]}'), ("recipe", "{}"), ("item_id", "9")])
def test_a_row_that_was_changed_is_noticed_and_hides_no_other(
    what_ifs: WhatIfs, database: Database, column: str, value: str
) -> None:
    what_ifs.keep(ONE, "changed")
    well = what_ifs.keep(WhatIf("films", "d" * 64, "15", "2", Recipe(), Edits()), "well")
    with database.session() as session:
        session.execute(update(WhatIfRow).where(WhatIfRow.id == ONE.id).values({column: value}))
    with pytest.raises(CorruptCacheError, match=ONE.id):
        what_ifs.find(ONE.id)
    assert what_ifs.all("films") == [well]


def test_migration_0005_on_a_database_with_old_rows_keeps_them_and_goes_back(old_url: str) -> None:  # noqa: F811
    database = open_database(old_url)
    counts = count_results(database)
    kept = WhatIfs(database).keep(ONE, "mine")
    assert count_results(database) == counts
    assert CachedEngine(CountingEngine(MODEL), database).peek_traces(PROMPT, [3], SAMPLING) == [TRACE]
    downgrade(database, "0004")
    assert "what_ifs" not in inspect(database.engine).get_table_names()
    assert count_results(database) == counts
    database.close()
    again = open_database(old_url)
    assert WhatIfs(again).all("films") == []
    assert WhatIfs(again).keep(kept.what_if, kept.name).id == kept.id
    again.close()
