"""Item vectors as an artifact: made once per model and data, chunk by chunk, resumable, read through a memory map."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from backend.datasets import Dataset
from backend.engines import Engine
from backend.errors import CorruptCacheError, NotPreparedError, Stopped
from backend.representation import TITLE_TEMPLATE, mix, title_texts
from backend.types import ModelRef, Progress, Stop
from storage.artifacts import Artifact, ArtifactStore

KIND = "title-vectors"
# Fixed, so that an interrupted run and an undisturbed one end in the same bytes.
_CHUNK = 256


def vectors_recipe(dataset: Dataset, model: ModelRef) -> dict[str, Any]:
    """What the vectors depend on: the weights, the texts, and how states become a row."""
    return {
        "model": {"name": model.name, "revision": model.revision, "adapter": model.adapter},
        "data": {"name": dataset.meta.name, "hash": dataset.meta.data_hash},
        "text": TITLE_TEMPLATE,
        "pooling": "mean",
        "dtype": "float16",
    }


def load_vectors(dataset: Dataset, model: ModelRef, store: ArtifactStore) -> np.ndarray:
    """The unit rows [items, d], float16, memory-mapped.

    Raises ``NotPreparedError`` naming the command that makes them, ``CorruptCacheError`` for a damaged file.
    """
    artifact = store.find(KIND, vectors_recipe(dataset, model))
    if artifact is None:
        raise NotPreparedError(
            f"There are no vectors of {dataset.meta.title} by the model {model.name!r}",
            fix=f"rallrec embed --dataset {dataset.meta.name}",
        )
    path = artifact.folder / "vectors.npy"
    try:
        rows: np.ndarray = np.load(path, mmap_mode="r")
        if len(rows) != dataset.n_items:
            raise ValueError(f"{len(rows)} rows for {dataset.n_items} items")
    except (OSError, EOFError, ValueError) as error:
        raise CorruptCacheError(f"{path} is damaged ({error})", fix=f"delete {artifact.folder}") from error
    return rows


def make_vectors(
    dataset: Dataset,
    engine: Engine,
    store: ArtifactStore,
    *,
    fresh: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Artifact:
    """Embed every item's title sentence (e_title, section 4.2.1) and keep the unit rows of eq. 7.

    Finds finished ones unless ``fresh``. Stopped or killed, the next call goes on after the last finished chunk.
    """
    recipe = vectors_recipe(dataset, engine.model)
    found = None if fresh else store.find(KIND, recipe)
    if found:
        return found
    labels = [dataset.item_label(code) for code in range(dataset.n_items)]
    texts = title_texts(dataset.meta.item_noun, labels, dataset.categories)
    part = store.workspace(KIND, recipe)
    started = time.perf_counter()
    done, before = _resume(part, fresh)
    while done < len(texts):
        if stop and stop():
            raise Stopped
        rows = engine.embed(texts[done : done + _CHUNK], stop=stop)
        np.save(part / f"chunk-{done:09d}.npy", mix([rows]).astype(np.float16))
        done = min(done + _CHUNK, len(texts))
        _note(part, done, before + time.perf_counter() - started)
        if progress:
            progress(f"embedding {dataset.meta.item_noun_plural}", done / len(texts))
    seconds = before + time.perf_counter() - started
    chunks = sorted(part.glob("chunk-*.npy"))
    rows = np.concatenate([np.load(path) for path in chunks])
    np.save(part / "vectors.npy", rows)
    artifact = store.finish(KIND, recipe, rows=len(rows), dimensions=rows.shape[1], seconds=round(seconds, 1))
    for name in [*(path.name for path in chunks), "done.json"]:  # only now: until it has its name, all is kept
        (artifact.folder / name).unlink()
    return artifact


def _resume(part: Path, fresh: bool) -> tuple[int, float]:
    """How many rows are done, and the seconds they took. The note is written after its chunk, so it never lies."""
    note = part / "done.json"
    if fresh or not note.is_file():
        for path in part.iterdir():
            path.unlink()
        return 0, 0.0
    state = json.loads(note.read_text())
    for path in part.glob("chunk-*.npy"):
        if int(path.stem.removeprefix("chunk-")) >= state["rows"]:
            path.unlink()
    return state["rows"], state["seconds"]


def _note(part: Path, rows: int, seconds: float) -> None:
    scratch = part / "done.json.new"
    scratch.write_text(json.dumps({"rows": rows, "seconds": seconds}))
    scratch.replace(part / "done.json")
