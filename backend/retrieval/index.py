"""Nearest items among all items: a faiss index in a file, opened memory-mapped.

For the items of one history no index is needed: ``backend.retrieval.similarity`` reads the few rows themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from backend.errors import DataError, UsageError
from backend.retrieval.similarity import exact_similarity

# Rows are read from the vectors (which may be a memory map) this many at a time.
_CHUNK = 65_536


class IndexConfig(BaseModel):
    """Which faiss index is built. ``auto`` is ``exact`` for up to ``exact_up_to`` items, ``ivf`` for more.

    ``lists``: cells of ``ivf`` (0: four times the root of the number of items); ``probes``: cells that a search reads.
    ``links``, ``build_depth``, ``search_depth``: neighbours per item of ``hnsw`` and its two efs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["auto", "exact", "ivf", "hnsw"] = "auto"
    exact_up_to: int = Field(100_000, ge=0)
    lists: int = Field(0, ge=0)
    probes: int = Field(64, ge=1)
    links: int = Field(32, ge=2)
    build_depth: int = Field(100, ge=1)
    search_depth: int = Field(100, ge=1)


def build_index(
    vectors: NDArray[np.floating], config: IndexConfig, seed: int, path: Path, sample: int = 200
) -> dict[str, Any]:
    """Write the index of ``vectors`` ([items, d], float; a memory map will do) to ``path``; gives facts about it.

    ``kind``, ``items``, ``width``, and ``recall_at_10``: of the 10 items most similar to each of ``sample`` seeded
    items, the share that :func:`nearest` finds (1.0 for ``exact`` by its nature; ties count as found). The same input
    gives the same bytes: seeds are set and one thread builds, which a graph's links would otherwise depend on.
    """
    faiss = _faiss()
    items, width = vectors.shape
    kind = config.kind if config.kind != "auto" else "exact" if items <= config.exact_up_to else "ivf"
    if not items:
        raise UsageError("There are no items to index", expected="at least one vector")
    with _one_thread():
        index = _empty_index(kind, items, width, config, seed)
        if kind == "ivf":
            index.train(_training_rows(vectors, index.nlist * index.cp.max_points_per_centroid, seed))
        for start in range(0, items, _CHUNK):
            index.add(_float32(vectors[start : start + _CHUNK]))
        path.parent.mkdir(parents=True, exist_ok=True)
        faiss.write_index(index, str(path))
    recall = _recall(open_index(path), vectors, sample, seed)
    return {"kind": kind, "items": items, "width": width, "recall_at_10": recall}


def open_index(path: Path) -> Any:
    """The faiss index in ``path``: its vectors, lists and links are mapped, not read; on a GPU where faiss has one.

    Raises ``DataError`` where the file is missing or not an index.
    """
    faiss = _faiss()
    try:
        # This flag maps all three kinds in faiss 1.15; IO_FLAG_MMAP maps only inverted lists and reads the rest.
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise DataError(f"{path} is not a faiss index that can be opened", fix="rallrec precompute") from error
    gpus = getattr(faiss, "get_num_gpus", lambda: 0)()
    if gpus and not isinstance(index, faiss.IndexHNSW):  # faiss has no graph on the GPU
        return faiss.index_cpu_to_all_gpus(index)
    return index


def nearest(
    index: Any, vectors: NDArray[np.floating], item: int, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The at most ``n`` items most similar to ``item``: int64 codes and float64 similarities, best first.

    Not among them: the item itself and items without a signal (zero rows); of such an item there are none. The index
    finds candidates, exact similarities order them, equal ones by code. ``vectors`` are those it was built from.
    """
    if not 0 <= item < len(vectors):
        raise UsageError(f"There is no item {item}", expected=f"a code below {len(vectors)}")
    query = _float32(vectors[item : item + 1])
    count, codes = n + 1, np.empty(0, dtype=np.int64)
    while query.any():
        places = index.search(query, count)[1][0]
        codes = np.sort(places[(places >= 0) & (places != item)])
        codes = codes[_float32(vectors[codes]).any(axis=1)]
        # Zero rows may have taken the places of dissimilar items.
        if len(codes) >= n or count >= len(vectors) or (places < 0).any():
            break
        count = min(2 * count, len(vectors))
    similarity = exact_similarity(vectors, np.full_like(codes, item), codes)
    best = np.argsort(-similarity, kind="stable")[:n]
    return codes[best], similarity[best]


def _empty_index(kind: str, items: int, width: int, config: IndexConfig, seed: int) -> Any:
    faiss = _faiss()
    if kind == "exact":
        return faiss.IndexFlatIP(width)
    if kind == "hnsw":
        graph = faiss.IndexHNSWFlat(width, config.links, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction, graph.hnsw.efSearch = config.build_depth, config.search_depth
        graph.hnsw.rng = faiss.RandomGenerator(seed)
        return graph
    lists = min(config.lists or round(4 * items**0.5), items)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = seed, 64, 1
    index.nprobe = min(config.probes, lists)
    return index


def _training_rows(vectors: NDArray[np.floating], most: int, seed: int) -> NDArray[np.float32]:
    if len(vectors) <= most:
        return _float32(vectors)
    return _float32(vectors[np.sort(np.random.default_rng(seed).choice(len(vectors), most, replace=False))])


def _recall(index: Any, vectors: NDArray[np.floating], sample: int, seed: int) -> float:
    """Compares the index with one pass over all vectors; an item as similar as the true tenth counts as a hit."""
    rng = np.random.default_rng(seed)
    seeds = np.sort(rng.choice(len(vectors), min(sample, len(vectors)), replace=False))
    queries = _float32(vectors[seeds])
    best = np.full((len(seeds), 10), -np.inf, dtype=np.float32)
    for start in range(0, len(vectors), _CHUNK):
        piece = _float32(vectors[start : start + _CHUNK])
        scores = np.where(piece.any(axis=1), queries @ piece.T, -np.inf)
        itself = (seeds >= start) & (seeds < start + len(piece))
        scores[itself, seeds[itself] - start] = -np.inf
        best = np.partition(np.concatenate([best, scores], axis=1), -10, axis=1)[:, -10:]
    best[~queries.any(axis=1)] = -np.inf
    hits = [
        min(int((nearest(index, vectors, int(item), 10)[1] >= true.min() - 1e-5).sum()), int(np.isfinite(true).sum()))
        for item, true in zip(seeds, best, strict=True)
    ]
    possible = int(np.isfinite(best).sum())
    return sum(hits) / possible if possible else 1.0


def _faiss() -> Any:
    """Imports the library untyped, because the types that it ships lack some of its names."""
    import faiss

    return faiss


def _float32(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(rows, dtype=np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    faiss = _faiss()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
