"""Artifacts on disk: found by their recipe alone, in the home before the bundle, and refused when they are not it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import CorruptCacheError, StorageError
from storage.arrays import save_array
from storage.precompute.artifacts import Artifact, ArtifactStore
from storage.precompute.job import load_array

RECIPE = {"stage": "embed", "data": {"name": "small", "hash": "1"}}


def _made(store: ArtifactStore, value: float = 1.0, recipe: dict[str, Any] = RECIPE) -> Artifact:
    part = store.part("vectors", recipe)
    part.mkdir(parents=True)
    save_array(part / "vectors.npy", np.full((3, 2), value))
    (part / "scratch").mkdir()
    (part / "scratch" / "half.npy").write_bytes(b"unfinished")
    return store.finish("vectors", recipe, rows=3)


def test_what_is_finished_is_found_by_its_recipe_and_by_no_other(store: ArtifactStore) -> None:
    assert store.find("vectors", RECIPE) is None
    made = _made(store)
    assert store.find("vectors", RECIPE) == made
    assert store.find("vectors", RECIPE | {"stage": "other"}) is None
    assert store.find("other", RECIPE) is None
    assert sorted(path.name for path in made.folder.iterdir()) == ["meta.json", "vectors.npy"]
    assert made.bytes == (made.folder / "vectors.npy").stat().st_size
    assert store.all() == [made]


def test_what_ships_is_found_after_the_home_and_never_written(tmp_path: Path) -> None:
    shipped = _made(ArtifactStore(tmp_path / "bundle", bundle=tmp_path / "none"))
    home = ArtifactStore(tmp_path / "home", bundle=tmp_path / "bundle")
    assert home.find("vectors", RECIPE) == shipped
    made = _made(home, 2.0)
    assert home.find("vectors", RECIPE) == made
    assert made.folder.parent == tmp_path / "home"
    assert home.all() == [made]
    assert load_array(shipped, "vectors.npy")[0, 0] == 1.0


def test_an_artifact_made_anew_takes_the_place_of_the_old_one(store: ArtifactStore) -> None:
    first, second = _made(store), _made(store, 2.0)
    assert first.folder == second.folder
    assert load_array(second, "vectors.npy")[0, 0] == 2.0


@pytest.mark.parametrize("damage", ["recipe", "not json"])
def test_a_folder_that_is_not_what_its_name_says_is_refused(store: ArtifactStore, damage: str) -> None:
    folder = _made(store).folder
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    meta["recipe"]["stage"] = "another"
    (folder / "meta.json").write_text(json.dumps(meta) if damage == "recipe" else "{", "utf-8")
    with pytest.raises(CorruptCacheError, match=r"meta\.json.*delete "):
        store.find("vectors", RECIPE)


@pytest.mark.parametrize("damage", ["cut short", "empty", "missing"])
def test_damaged_files_are_refused_with_what_to_delete(store: ArtifactStore, damage: str) -> None:
    made = _made(store)
    path = made.folder / "vectors.npy"
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: 100 if damage == "cut short" else 0])
    assert made.damage() == ["vectors.npy"]
    with pytest.raises(CorruptCacheError, match=r"vectors\.npy.*delete "):
        load_array(made, "vectors.npy")


def test_a_store_that_cannot_be_written_says_where_to_put_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = ArtifactStore(tmp_path / "file" / "artifacts")
    with pytest.raises(StorageError, match="RALLREC_HOME"), store.making("vectors", RECIPE):
        pass
