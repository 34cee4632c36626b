"""Prepared datasets on disk: the round trip, all or nothing, and damage that is noticed."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backend.datasets import Dataset, DatasetMeta, is_prepared, load, prepare
from backend.errors import DataError, NotPreparedError, UnknownNameError

NAME = "ml-latest-small"
ARRAYS = ("user_index", "item_index", "rating", "timestamp", "user_ptr")


def assert_same(left: Dataset, right: Dataset) -> None:
    assert left.meta == right.meta
    pd.testing.assert_frame_equal(left.users, right.users)
    pd.testing.assert_frame_equal(left.items, right.items)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), strict=True)


def test_what_was_prepared_is_what_is_loaded(raw, tmp_path: Path) -> None:
    assert not is_prepared(NAME, tmp_path / "out")
    seen: list[tuple[str, float | None]] = []
    prepared = prepare(NAME, tmp_path / "out", source=raw(), progress=lambda *what: seen.append(what))
    assert is_prepared(NAME, tmp_path / "out")
    assert_same(load(NAME, tmp_path / "out"), prepared)
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    files = {path.name for path in (tmp_path / "out" / NAME).iterdir()}
    assert files == {"users.parquet", "items.parquet", "interactions.parquet", "meta.json"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME], "no scratch is left"


def test_the_shipped_dataset_survives_the_round_trip(real: Dataset, tmp_path: Path) -> None:
    assert_same(prepare(NAME, tmp_path), real)


def test_meta_goes_through_json(real: Dataset) -> None:
    assert DatasetMeta.model_validate_json(real.meta.model_dump_json()) == real.meta


def test_the_hash_follows_the_content(raw, tmp_path: Path) -> None:
    first = prepare(NAME, tmp_path, source=raw()).meta
    ratings = "userId,movieId,rating,timestamp\n2,2,4,50\n10,9,3,40\n2,10,3.5,50\n2,9,1,20\n"
    reordered = prepare(NAME, tmp_path, source=raw(ratings=ratings)).meta
    assert first.data_hash == reordered.data_hash
    assert first.source_hash != reordered.source_hash
    changed = prepare(NAME, tmp_path, source=raw(ratings=ratings.replace("3.5", "4"))).meta
    assert changed.data_hash != first.data_hash
    assert load(NAME, tmp_path).meta == changed, "the last one replaces the others"


@pytest.mark.parametrize("step", ["parquet", "meta", "rename"])
@pytest.mark.parametrize("before", [False, True])
def test_a_failed_prepare_leaves_what_was_there(raw, tmp_path: Path, monkeypatch, step: str, before: bool) -> None:
    out = tmp_path / "out"
    old = prepare(NAME, out, source=raw()) if before else None

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        target = {"parquet": "pyarrow.parquet.write_table", "meta": "pathlib.Path.write_text", "rename": "os.rename"}
        patch.setattr(target[step], fail)
        with pytest.raises(KeyboardInterrupt):
            prepare(NAME, out, source=raw(ratings="userId,movieId,rating,timestamp\n1,10,4,1\n"))
    if old is None:
        with pytest.raises(NotPreparedError):
            load(NAME, out)
    else:
        assert_same(load(NAME, out), old)
    assert [path.name for path in out.iterdir()] == ([NAME] if before else [])


def test_runs_at_the_same_time_leave_one_whole_dataset(raw, tmp_path: Path) -> None:
    source = raw()
    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(lambda _: prepare(NAME, tmp_path / "out", source=source), range(12)))
    assert_same(load(NAME, tmp_path / "out"), prepared[0])
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME]


def test_a_folder_that_cannot_be_written(raw, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be written under .* RALLREC_HOME"):
        prepare(NAME, tmp_path / "file", source=raw())


def test_not_prepared_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(NotPreparedError, match="rallrec prepare --dataset ml-latest-small"):
        load(NAME, tmp_path)
    for call in (load, is_prepared):
        with pytest.raises(UnknownNameError):
            call("../" + NAME, tmp_path)


def _edit_meta(folder: Path, **changes: object) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | changes))


DAMAGE = {
    "empty meta": lambda folder: (folder / "meta.json").write_text(""),
    "cut meta": lambda folder: os.truncate(folder / "meta.json", 100),
    "strange key": lambda folder: _edit_meta(folder, surprise=1),
    "another version": lambda folder: _edit_meta(folder, schema_version=99),
    "another name": lambda folder: _edit_meta(folder, name="other"),
    "another hash": lambda folder: _edit_meta(folder, data_hash="0" * 64),
    "missing table": lambda folder: (folder / "items.parquet").unlink(),
    "cut table": lambda folder: os.truncate(folder / "interactions.parquet", 300),
    "no parquet": lambda folder: (folder / "users.parquet").write_text("user\n1\n"),
    "other columns": lambda folder: pd.DataFrame({"x": [1]}).to_parquet(folder / "items.parquet"),
    "other content": lambda folder: pd.DataFrame({"user": ["2", "11"]}).to_parquet(folder / "users.parquet"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_noticed_on_loading(raw, tmp_path: Path, damage) -> None:
    prepare(NAME, tmp_path, source=raw())
    damage(tmp_path / NAME)
    with pytest.raises(DataError, match=r"damaged .*run: rallrec prepare --dataset ml-latest-small"):
        load(NAME, tmp_path)
