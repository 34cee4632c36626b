"""Results that ship: taken over at the first start, once, and no start fails because of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines import SCRIPTED
from backend.errors import UsageError
from backend.settings import Settings
from backend.types import ModelRef, Sampling
from storage import CachedEngine, Database, open_database
from storage.database.tables import AnswerRow, ImportRow, TraceRow
from storage.results.transfer import export_results
from storage.shipped import RESULTS, RESULTS_META, import_shipped, ship_results, verify_bundle
from storage.workspace import Workspace
from tests.storage.results.test_transfer import count
from tests.storage.storage_fakes import CountingEngine, ask

KNOWN = ModelRef("tiny", precision="float32", reading=1)
PROMPTS = [ask(str(number)) for number in range(3)]


def fill(database: Database, model: ModelRef, count: int) -> None:
    engine = CachedEngine(CountingEngine(model), database)
    engine.answer(PROMPTS[:count])
    engine.reason(PROMPTS[:count], 3, Sampling())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with results of the scripted model alone."""
    database, folder = open_database(f"sqlite:///{tmp_path / 'maker.db'}"), tmp_path / "bundle"
    fill(database, SCRIPTED, 3)
    assert ship_results(database, [SCRIPTED], folder) is not None
    return folder


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Callable[[Path], Workspace]:
    """opened(bundle): a workspace of the scripted engine on a fresh database."""

    def of(bundle: Path, **more: Any) -> Workspace:
        settings = {"home": tmp_path / "home", "database_url": database_url, "engine": "scripted"} | more
        return Workspace(Settings(**settings), bundle)

    return of


def test_the_first_start_takes_over_what_ships_and_the_second_does_not_read_it(
    bundle: Path, opened: Callable[..., Workspace], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "storage")
    first = opened(bundle)
    assert (count(first.database, AnswerRow), count(first.database, TraceRow)) == (3, 9)
    assert [record.getMessage() for record in caplog.records] == ["took over 3 answers and 9 chains that ship"]
    inner = first.cached_engine("tuned")
    assert None not in inner.peek_answers(PROMPTS[:3])
    first.close()
    (bundle / RESULTS).unlink()  # reading it would be an error now
    caplog.clear()
    second = opened(bundle)
    assert count(second.database, AnswerRow) == 3
    assert caplog.records == []
    second.close()


def test_results_of_models_that_play_no_role_stay_where_they_are(
    bundle: Path, opened: Callable[..., Workspace]
) -> None:
    other_workspace = opened(bundle, engine="transformers")
    assert [count(other_workspace.database, table) for table in (AnswerRow, ImportRow)] == [0, 0]
    other_workspace.close()
    own_workspace = opened(bundle)
    assert count(own_workspace.database, AnswerRow) == 3
    own_workspace.close()


@pytest.mark.parametrize("damage", ["cut", "missing", "meta", "not json", "another file"])
def test_a_broken_bundle_is_told_and_stops_nothing(
    bundle: Path, opened: Callable[..., Workspace], caplog: pytest.LogCaptureFixture, damage: str, tmp_path: Path
) -> None:
    results, meta = bundle / RESULTS, bundle / RESULTS_META
    if damage == "cut":
        results.write_bytes(results.read_bytes()[:-20])
    elif damage == "missing":
        results.unlink()
    elif damage == "another file":
        other_database = open_database(f"sqlite:///{tmp_path / 'other.db'}")
        fill(other_database, SCRIPTED, 2)
        export_results(other_database, results)
    else:
        meta.write_text("{" if damage == "not json" else meta.read_text().replace('"bytes"', '"size"'))
    workspace = opened(bundle)
    assert [count(workspace.database, table) for table in (AnswerRow, ImportRow)] == [0, 0]
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("The results that ship with the program were not taken over. ")
    assert str(bundle) in record.getMessage()
    assert workspace.cached_engine("tuned").answer(PROMPTS) != []
    assert verify_bundle(bundle).damaged != ()
    workspace.close()


def test_without_a_bundle_or_results_in_it_nothing_happens(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "none", tmp_path / "empty"):
        assert import_shipped(database, folder, {"scripted"}) is None
    assert caplog.records == []
    assert ship_results(database, [KNOWN], tmp_path / "empty") is None
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([ModelRef("tiny")], "unknown (read in way unknown)"),
        ([KNOWN, ModelRef("tiny")], "float32 (read in way 1), unknown"),
        ([KNOWN, replace(KNOWN, precision="bfloat16")], "bfloat16 (read in way 1), float32"),
        ([KNOWN, replace(KNOWN, reading=2, adapter="mine")], "float32 (read in way 2)"),
    ],
)
def test_results_of_several_precisions_or_an_unknown_one_do_not_ship(
    models: list[ModelRef], said: str, database: Database, tmp_path: Path
) -> None:
    for model in models:
        fill(database, model, 2)
    with pytest.raises(UsageError, match=f"{re.escape(said)}.*one that is known.*--again unknown"):
        ship_results(database, models, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    fill(database, KNOWN, 2)
    fill(database, SCRIPTED, 2)
    assert ship_results(database, [KNOWN, replace(KNOWN, adapter="mine"), SCRIPTED], tmp_path / "bundle")


def test_a_bundle_is_checked_to_the_last_row(bundle: Path) -> None:
    report = verify_bundle(bundle)
    assert report.damaged == ()
    assert report.results is not None
    assert (report.results.manifest.answers, report.results.manifest.traces) == (3, 9)
    assert report.bytes == sum(path.stat().st_size for path in bundle.iterdir())
    (bundle / "notes.txt").write_text("mine")
    (bundle / "vectors-0123456789abcdef").mkdir()
    assert len(verify_bundle(bundle).damaged) == 2
