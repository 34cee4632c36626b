"""Item vectors as an artifact: made once, resumed, and never taken for something else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.datasets import Dataset
from backend.engines.scripted import ScriptedEngine
from backend.errors import CorruptCacheError, NotPreparedError, Stopped
from backend.representation import title_texts
from backend.types import ModelRef
from storage import vectors
from storage.artifacts import ArtifactStore
from storage.vectors import load_vectors, make_vectors, vectors_recipe


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts", bundle=tmp_path / "bundle")


@pytest.fixture(autouse=True)
def _chunks_of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_CHUNK", 8)


def test_vectors_are_the_unit_rows_of_the_title_sentences(small: Dataset, store: ArtifactStore) -> None:
    engine = ScriptedEngine()
    artifact = make_vectors(small, engine, store)
    assert engine.calls == [("embed", 8)] * 3 + [("embed", 6)]
    rows = load_vectors(small, engine.model, store)
    assert (rows.shape, rows.dtype) == ((30, 32), np.float16)
    labels = [small.item_label(code) for code in range(30)]
    expected = engine.embed(title_texts("movie", labels, small.categories)).astype(np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows.astype(np.float64), expected, atol=1e-3)
    assert (artifact.meta["rows"], artifact.meta["dimensions"], artifact.bundled) == (30, 32, False)
    assert artifact.meta["recipe"] == vectors_recipe(small, engine.model)


def test_a_stopped_run_goes_on_after_its_last_finished_chunk(small: Dataset, store: ArtifactStore) -> None:
    engine = ScriptedEngine()
    with pytest.raises(Stopped):
        make_vectors(small, engine, store, stop=lambda: len(engine.calls) == 3)
    with pytest.raises(NotPreparedError, match="rallrec embed --dataset ml-latest-small"):
        load_vectors(small, engine.model, store)
    fractions: list[float | None] = []
    resumed = ScriptedEngine()
    make_vectors(small, resumed, store, progress=lambda _what, fraction: fractions.append(fraction))
    assert resumed.calls == [("embed", 8), ("embed", 6)]
    assert fractions == [0.8, 1.0]


def test_finished_vectors_are_found_without_the_engine(small: Dataset, store: ArtifactStore) -> None:
    first, second, fresh = ScriptedEngine(), ScriptedEngine(), ScriptedEngine()
    made = make_vectors(small, first, store)
    assert make_vectors(small, second, store) == made
    assert second.calls == []
    make_vectors(small, fresh, store, fresh=True)
    assert len(fresh.calls) == 4


def test_other_weights_or_other_data_are_other_vectors(small: Dataset, shipped: Dataset, store: ArtifactStore) -> None:
    make_vectors(small, ScriptedEngine(), store)
    for dataset, model in (
        (small, ModelRef("scripted", "2")),
        (small, ModelRef("scripted", "1", adapter="lora")),
        (shipped, ModelRef("scripted", "1")),
    ):
        with pytest.raises(NotPreparedError):
            load_vectors(dataset, model, store)


def test_what_ships_is_found_after_the_home_and_never_written(small: Dataset, tmp_path: Path) -> None:
    shipped = make_vectors(small, ScriptedEngine(), ArtifactStore(tmp_path / "bundle", bundle=tmp_path / "none"))
    home = ArtifactStore(tmp_path / "artifacts", bundle=tmp_path / "bundle")
    assert make_vectors(small, ScriptedEngine(), home).folder == shipped.folder
    own = make_vectors(small, ScriptedEngine(), home, fresh=True)
    assert own.folder.parent == tmp_path / "artifacts"
    assert make_vectors(small, ScriptedEngine(), home).folder == own.folder


@pytest.mark.parametrize("damage", ["recipe", "not json"])
def test_a_folder_that_is_not_what_its_name_says_is_refused(small: Dataset, store: ArtifactStore, damage: str) -> None:
    folder = make_vectors(small, ScriptedEngine(), store).folder
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    meta["recipe"]["text"] = "another sentence"
    (folder / "meta.json").write_text(json.dumps(meta) if damage == "recipe" else "{", "utf-8")
    with pytest.raises(CorruptCacheError, match=r"meta\.json.*delete "):
        load_vectors(small, ModelRef("scripted", "1"), store)


@pytest.mark.parametrize("damage", ["cut short", "empty", "missing", "other rows"])
def test_damaged_vectors_are_refused_with_what_to_delete(small: Dataset, store: ArtifactStore, damage: str) -> None:
    path = make_vectors(small, ScriptedEngine(), store).folder / "vectors.npy"
    content = path.read_bytes()
    if damage == "other rows":
        np.save(path, np.ones((3, 32), dtype=np.float16))
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:200] if damage == "cut short" else b"")
    with pytest.raises(CorruptCacheError, match=r"vectors\.npy.*delete "):
        load_vectors(small, ModelRef("scripted", "1"), store)
