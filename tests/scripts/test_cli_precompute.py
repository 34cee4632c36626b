"""``rallrec precompute``, the commands of its stages, ``retrieve`` and ``nearest``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import small_movies, small_ratings, write_movielens
from tests.scripts.cli_process import Rallrec, as_json, done_here, interrupted, one_line_error

SMALL = {
    "RALLREC_ENGINE": "scripted",
    "RALLREC_ENCODER": "scripted",
    "RALLREC_DESCRIBER": "scripted",
    "RALLREC_SCRIPTED_DELAY": "0",
    "RALLREC_DESCRIBE__ITEMS": "20",
    "RALLREC_COLLABORATIVE": '{"dimensions": 8, "max_epochs": 3}',
    "RALLREC_ALIGN__MAX_EPOCHS": "3",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which everything was made by one ``rallrec precompute``, started from a folder of its own."""
    folder = tmp_path_factory.mktemp("precompute")
    raw = write_movielens(folder / "raw", small_movies(), small_ratings())
    (folder / "work").mkdir()
    for arguments in (("prepare", "--source", raw), ("precompute",)):
        done_here(*arguments, cwd=folder / "work", environment=SMALL | {"RALLREC_HOME": folder / "home"})
    return folder


def _rows(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {row["artifact"]: row for row in as_json(done)["artifacts"]}


def test_all_is_there_after_one_run_and_lies_in_home_alone(rallrec: Rallrec, made: Path) -> None:
    rows = _rows(rallrec("precompute", "--dry-run", "--json", RALLREC_HOME=made / "home", **SMALL))
    assert {row["state"] for row in rows.values()} == {"ready"}
    assert rows["descriptions"]["facts"]["generated"] + rows["descriptions"]["facts"]["rejected"] == 20
    assert rows["collaborative"]["seconds"] > 0
    assert len(rows["retrieval-report"]["facts"]["table"]) == 18
    assert list((made / "work").iterdir()) == []
    assert {path.name for path in (made / "home").iterdir()} == {"artifacts", "datasets"}


def test_a_dry_run_says_what_would_run_and_why_and_makes_nothing(rallrec: Rallrec, made: Path) -> None:
    before = sorted((made / "home").rglob("*"))
    changed = SMALL | {"RALLREC_ALIGN__MAX_EPOCHS": "4"}
    rows = _rows(rallrec("precompute", "--until", "mix", "--dry-run", "--json", RALLREC_HOME=made / "home", **changed))
    assert "index" not in rows
    assert rows["aligned"]["why"] == "changed since the last one: config.max_epochs: 3 -> 4"
    assert rows["space"]["state"] == "missing"
    assert rows["collaborative"]["state"] == "ready"
    text = rallrec("align", "--dry-run", RALLREC_HOME=made / "home", **changed).stdout
    assert "max_epochs: 3 -> 4" in text
    assert sorted((made / "home").rglob("*")) == before


def test_a_stage_made_anew_takes_its_place_with_the_same_bytes(rallrec: Rallrec, made: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(made / "home", tmp_path / "home"))
    old = _rows(rallrec("embed", "--dry-run", "--json", RALLREC_HOME=home, **SMALL))
    new = _rows(rallrec("embed", "--fresh", "--json", RALLREC_HOME=home, **SMALL))
    assert [row["why"] == "made now" for row in new.values()] == [False, True, True]
    for kind, row in new.items():
        assert row["facts"]["files"] == old[kind]["facts"]["files"]


def test_ctrl_c_keeps_what_was_finished_and_the_next_run_goes_on(rallrec: Rallrec, made: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(made / "home" / "datasets", home / "datasets")
    longer = SMALL | {"RALLREC_COLLABORATIVE": '{"dimensions": 8, "max_epochs": 400, "patience": 400}'}
    environment = os.environ | longer | {"RALLREC_HOME": str(home)}
    code, stderr = interrupted(
        ("collaborative",), environment, lambda: list(home.glob("artifacts/.*.part/scratch/checkpoint*"))
    )
    assert code == 1
    assert stderr.splitlines()[-1] == "rallrec: stopped; what was finished is kept"
    assert "Traceback" not in stderr
    [row] = _rows(rallrec("collaborative", "--dry-run", "--json", RALLREC_HOME=home, **longer)).values()
    assert row["state"] == "begun"


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("precompute", "--until", "everything"), {}, "describe, embed"),
        (("precompute", "--dry-run"), {"RALLREC_MIX__PCA": "3"}, "mix.pca"),
        (("precompute", "--fresh", "mixing"), {}, "mixing"),
        (("retrieve", "--out", "nowhere/x.parquet"), {}, "folder that exists"),
        (("retrieve", "--out", "x.parquet", "--strategy", "best"), {}, "strategy"),
        (("retrieve", "--out", "x.parquet", "--part", "all"), {}, "validation"),
        (("nearest", "--item", "nobody"), {}, "nobody"),
        (("nearest", "--item", "1", "--variant", "both"), {}, "variant"),
    ],
)
def test_wrong_use_is_one_line(rallrec: Rallrec, made: Path, arguments: Any, settings: Any, said: str) -> None:
    assert said in one_line_error(rallrec(*arguments, RALLREC_HOME=made / "home", **SMALL | settings), 2)


def test_a_part_is_retrieved_at_once(rallrec: Rallrec, made: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    out = tmp_path / "train.parquet"
    ask = ("retrieve", "--part", "train", "--strategy", "recent", "--k", 3, "--out", out, "--json")
    report = as_json(rallrec(*ask, RALLREC_HOME=made / "home", **SMALL))
    table = pq.read_table(out)
    assert report["lines"] == table.num_rows == 3 * report["samples"]
    assert json.loads(table.schema.metadata[b"retrieval"])["strategy"] == "recent"


def test_nearest_items_are_listed_with_their_similarity(rallrec: Rallrec, made: Path) -> None:
    report = as_json(rallrec("nearest", "--item", 3, "--count", 4, "--json", RALLREC_HOME=made / "home", **SMALL))
    near = [row["similarity"] for row in report["nearest"]]
    assert len(near) == 4
    assert near == sorted(near, reverse=True)
    assert "3" not in {row["item"] for row in report["nearest"]}
    shown = rallrec("nearest", "--item", 3, RALLREC_HOME=made / "home", **SMALL).stdout
    assert report["nearest"][0]["title"] in shown
