"""The faiss index of all items: what it finds, how its file is made, and how it is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import DataError, UsageError
from backend.retrieval import IndexConfig, build_index, nearest, open_index

KINDS = ("exact", "ivf", "hnsw")


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """3,000 unit rows around 40 centres; every tenth is zero, rows 1 and 2 equal row 3."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, 24))[rng.integers(0, 40, 3000)] + 0.5 * rng.standard_normal((3000, 24))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[::10] = 0
    rows[1:3] = rows[3]
    return rows.astype(np.float32)


def naive(vectors: np.ndarray, item: int, n: int) -> tuple[list[int], list[float]]:
    similarity = np.round((vectors.astype(np.float64) * vectors[item]).sum(axis=1), 6)
    codes = [int(c) for c in np.argsort(-similarity, kind="stable") if c != item and vectors[c].any()][:n]
    return codes, similarity[codes].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_input_gives_the_same_bytes_and_another_seed_may_not(
    kind: str, vectors: np.ndarray, tmp_path: Path
) -> None:
    config = IndexConfig(kind=kind)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        build_index(vectors, config, seed, tmp_path / name, sample=2)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert (a == c) == (kind == "exact")


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_items_are_those_of_the_naive_search_as_far_as_recall_says(
    kind: str, vectors: np.ndarray, tmp_path: Path
) -> None:
    facts = build_index(vectors, IndexConfig(kind=kind), 0, tmp_path / "index")
    assert {name: facts[name] for name in ("kind", "items", "width")} == {"kind": kind, "items": 3000, "width": 24}
    index, hits = open_index(tmp_path / "index"), 0
    for item in range(1, 400, 7):
        if not item % 10:
            continue
        codes, similarity = nearest(index, vectors, item, 10)
        expected, exact = naive(vectors, item, 10)
        assert (codes.dtype, similarity.dtype) == (np.int64, np.float64)
        assert similarity.tolist() == sorted(similarity.tolist(), reverse=True)
        hits += len(set(codes.tolist()) & set(expected))
        if kind == "exact":
            assert (codes.tolist(), similarity.tolist()) == (expected, exact)
    assert facts["recall_at_10"] == 1.0 if kind == "exact" else facts["recall_at_10"] > 0.9
    assert hits / 530 == pytest.approx(facts["recall_at_10"], abs=0.08)


@pytest.mark.parametrize("kind", KINDS)
def test_never_the_item_itself_nor_an_item_without_a_signal(kind: str, vectors: np.ndarray, tmp_path: Path) -> None:
    build_index(vectors, IndexConfig(kind=kind), 0, tmp_path / "index", sample=2)
    index = open_index(tmp_path / "index")
    assert nearest(index, vectors, 1, 2)[0].tolist() == [2, 3]
    for n in (1, 50):
        codes, _ = nearest(index, vectors, 5, n)
        assert len(codes) == n
        assert 5 not in codes
        assert (codes % 10 != 0).all()
    assert [array.tolist() for array in nearest(index, vectors, 10, 5)] == [[], []]


def test_zero_rows_do_not_take_the_places_of_dissimilar_items(tmp_path: Path) -> None:
    vectors = np.zeros((60, 2), dtype=np.float32)
    vectors[7], vectors[20], vectors[30] = (1, 0), (-1, 0), (-0.6, 0.8)
    facts = build_index(vectors, IndexConfig(), 0, tmp_path / "index", sample=60)
    codes, similarity = nearest(open_index(tmp_path / "index"), vectors, 7, 10)
    assert (codes.tolist(), similarity.tolist()) == ([30, 20], [-0.6, -1.0])
    assert facts["recall_at_10"] == 1.0


def test_auto_is_exact_until_there_are_too_many_items(vectors: np.ndarray, tmp_path: Path) -> None:
    for limit, kind in ((3000, "exact"), (2999, "ivf")):
        facts = build_index(vectors, IndexConfig(exact_up_to=limit), 0, tmp_path / "index", sample=1)
        assert facts["kind"] == kind


def test_fewer_probes_find_less_and_the_facts_say_so(vectors: np.ndarray, tmp_path: Path) -> None:
    few, many = (
        build_index(vectors, IndexConfig(kind="ivf", lists=64, probes=probes), 0, tmp_path / "index")["recall_at_10"]
        for probes in (1, 64)
    )
    assert few < many == 1.0


def test_an_index_is_built_from_a_memory_map_and_leaves_the_number_of_threads(
    vectors: np.ndarray, tmp_path: Path
) -> None:
    import faiss

    np.save(tmp_path / "vectors.npy", vectors.astype(np.float16))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    threads = faiss.omp_get_max_threads()
    assert build_index(mapped, IndexConfig(), 0, tmp_path / "index")["recall_at_10"] == 1.0
    assert faiss.omp_get_max_threads() == threads


def test_what_cannot_be_opened_or_asked_is_said(vectors: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not an index at all")
    for name in ("missing", "text"):
        with pytest.raises(DataError, match=f"{name} is not a faiss index.*rallrec precompute"):
            open_index(tmp_path / name)
    build_index(vectors, IndexConfig(), 0, tmp_path / "index", sample=1)
    with pytest.raises(UsageError, match="no item 3000"):
        nearest(open_index(tmp_path / "index"), vectors, 3000, 1)
    with pytest.raises(UsageError, match="no items to index"):
        build_index(vectors[:0], IndexConfig(), 0, tmp_path / "index")
