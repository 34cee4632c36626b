"""Retrieval beside the ways it replaces, on the shipped dataset's test split; prints one JSON object.

    python -m tests.bench.retrieval [--home var] [--repeats 3] [--only single,batch,million,index]

Beside other work set OPENBLAS_NUM_THREADS=1: a matrix product's threads wait for each other. That holds for both ways.

``single``: one question's retrieval and rerank, and the same similarities through faiss' id selector. ``batch``: all
test samples against the reference's way, each in a process of its own: ``peak_mb`` is the peak resident set (VmHWM)
above the one before the work, so it counts memory of every library. ``million``: 1,000,000 items in a memory map.
``index``: the file of each kind. Vectors are the prepared ones where there are any, else stand-ins of the same widths.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend import datasets
from backend.datasets import Dataset, build_samples, split
from backend.errors import RallrecError
from backend.representation import ItemSpace, mix
from backend.retrieval import IndexConfig, RetrievalConfig, Retriever, build_index, nearest, open_index, retrieve_rows
from storage.precompute.artifacts import BUNDLE, ArtifactStore
from storage.precompute.embed import load_text_vectors

CONFIG = RetrievalConfig()
WIDTHS = {"text": 1152, "collaborative": 64, "aligned": 64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("var"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="single,batch,million,index")
    arguments = parser.parse_args()
    data = datasets.load("ml-latest-small", arguments.home / "datasets")
    space, origin = item_space(arguments.home, data)
    threads = os.environ.get("OPENBLAS_NUM_THREADS", f"{os.cpu_count()} (all)")
    report: dict[str, Any] = {"vectors": origin, "width": space.rows.shape[1], "blas_threads": threads}
    for name in arguments.only.split(","):
        measure = {"single": _single, "batch": _batch, "million": _million, "index": _index}[name]
        report[name] = measure(data, space, arguments.repeats)
    print(json.dumps(report, indent=2))


def item_space(home: Path, data: Dataset) -> tuple[ItemSpace, str]:
    """The prepared vectors, or stand-ins: shipped title vectors for both halves of the text, random other parts."""
    try:
        from backend.settings import Settings
        from storage.workspace import Workspace

        return Workspace(Settings(home=home)).space(), "prepared"
    except (ImportError, AttributeError, RallrecError):
        rng = np.random.default_rng(0)
        shipped = [one for one in ArtifactStore(BUNDLE / "nothing").all() if one.meta["kind"] == "title-vectors"]
        text = load_text_vectors(shipped[0]) if shipped else rng.standard_normal((data.n_items, 576)) + 1
        rest = [rng.standard_normal((data.n_items, WIDTHS[part])) for part in ("collaborative", "aligned")]
        rows = mix([np.concatenate([text, text], axis=1), *rest]).astype(np.float32)
        return ItemSpace(rows, WIDTHS), f"stand-ins ({'title vectors' if shipped else 'random'} and random parts)"


def naive_all_pairs(data: Dataset, vectors: np.ndarray, rows: np.ndarray, k: int) -> list[list[int]]:
    """The reference's way: every item's similarity to every other, all sorted, then for each sample a walk down the
    target's list that picks the first k of the user's past items."""
    order = np.argsort(-(vectors @ vectors.T), axis=1)
    chosen = []
    for row in rows:
        past = set(data.item_index[data.history_before(int(row))].tolist())
        nearest_codes: list[int] = []
        for code in order[data.item_index[row]].tolist():
            if code in past:
                nearest_codes.append(code)
                if len(nearest_codes) == min(k, len(past)):
                    break
        chosen.append(nearest_codes)
    return chosen


def ours(data: Dataset, space: ItemSpace, rows: np.ndarray) -> int:
    """Both channels and eq. 8, where the reference's way has one channel; without the chosen items' similarities."""
    return sum(len(block.rows) for block in retrieve_rows(space, data, rows, CONFIG))


def with_similarities(data: Dataset, space: ItemSpace, rows: np.ndarray) -> int:
    return sum(block.similarity.size for block in retrieve_rows(space, data, rows, CONFIG))


def _test_rows(data: Dataset) -> np.ndarray:
    return split(build_samples(data), data).test


def _single(data: Dataset, space: ItemSpace, repeats: int) -> dict[str, Any]:
    rows = np.random.default_rng(0).choice(_test_rows(data), 1000, replace=False)
    pasts = [(data.item_index[data.history_before(int(row))], int(data.item_index[row])) for row in rows]
    retriever = Retriever(space)
    longest = max((past for past, _ in pasts), key=len)
    return {
        "samples": len(rows),
        "retrieve_and_rerank": _timed(lambda past, item: retriever.retrieve(past, item, CONFIG), pasts, repeats),
        "longest_history": _timed(
            lambda past, item: retriever.retrieve(past, item, CONFIG), [(longest, 5)] * 100, repeats
        )
        | {"items": len(longest)},
        "similarities_only": _ways_to_compare(space, pasts, repeats),
    }


def _ways_to_compare(space: ItemSpace, pasts: list[tuple[np.ndarray, int]], repeats: int) -> dict[str, Any]:
    """The same dot products in three ways; the faiss index holds a second copy of the vectors."""
    from backend.retrieval.similarity import Comparison

    faiss: Any = importlib.import_module("faiss")

    vectors = space.variant(CONFIG.variant)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))

    def selector(past: np.ndarray, item: int) -> Any:
        chosen = np.zeros(len(vectors), dtype=bool)
        chosen[past] = True
        bits = np.packbits(chosen, bitorder="little")
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        return index.search(np.ascontiguousarray(vectors[item : item + 1]), CONFIG.k, params=parameters)

    return {
        "gathered_in_pieces": _timed(lambda p, i: Comparison(vectors, np.array([i]), p).scores, pasts, repeats),
        "gathered_at_once": _timed(lambda p, i: vectors[p] @ vectors[i], pasts, repeats),
        "faiss_id_selector": _timed(selector, pasts, repeats),
    }


def _timed(call: Callable[..., Any], arguments: list[tuple[Any, ...]], repeats: int) -> dict[str, float]:
    """Milliseconds, by the clock and of the processor (without the time that other work took from this one); of each
    percentile the median over the repeats."""
    runs = []
    for _ in range(repeats):
        times, busy = [], []
        for given in arguments:
            started, processor = time.perf_counter(), time.thread_time()
            call(*given)
            busy.append(1000 * (time.thread_time() - processor))
            times.append(1000 * (time.perf_counter() - started))
        runs.append([*np.percentile(times, [50, 95]), *np.percentile(busy, [50, 95])])
    names = ("median_ms", "p95_ms", "processor_median_ms", "processor_p95_ms")
    return dict(zip(names, np.median(runs, axis=0).round(3).tolist(), strict=True))


def _batch(data: Dataset, space: ItemSpace, repeats: int) -> dict[str, Any]:
    rows, vectors = _test_rows(data), np.ascontiguousarray(space.variant(CONFIG.variant))
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours(data, space, rows),
        "ours_with_similarities": lambda: with_similarities(data, space, rows),
        "reference_way": lambda: naive_all_pairs(data, vectors, rows, CONFIG.k),
    }
    runs = {name: [_in_process(work) for _ in range(repeats)] for name, work in ways.items()}
    fields = ("seconds", "processor_seconds", "peak_mb")
    medians = {
        name: {field: round(statistics.median(run[n] for run in mine), 2) for n, field in enumerate(fields)}
        for name, mine in runs.items()
    }
    reference, mine = medians["reference_way"], medians["ours"]
    ratios = {f"reference_over_ours_{field}": round(reference[field] / mine[field], 1) for field in fields}
    return {"samples": len(rows), **medians, **ratios}


def _in_process(work: Callable[[], Any]) -> tuple[float, float, float]:
    """Seconds, processor seconds, and MB of the peak resident set above the one before, in a forked process."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def run() -> None:
        ctypes.CDLL(None).malloc_trim(0)  # else work could use, uncounted, what the parent has freed
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before, started, processor = _status_mb("VmRSS"), time.perf_counter(), time.process_time()
        work()
        seconds, busy = time.perf_counter() - started, time.process_time() - processor
        there.send((seconds, busy, _status_mb("VmHWM") - before))

    process = context.Process(target=run)
    process.start()
    measured: tuple[float, float, float] = here.recv()
    process.join()
    return measured


def _status_mb(field: str) -> float:
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) / 1024


def _million(_data: Dataset, _space: ItemSpace, repeats: int) -> dict[str, Any]:
    """128 columns (text 64, collaborative 32, aligned 32); an empty process opens the map and asks. Its resident set
    (VmHWM) counts the map's pages that were read, and Python with all its libraries."""
    items, width = 1_000_000, 128
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        rows = np.lib.format.open_memmap(path, "w+", np.float32, (items, width))
        rng = np.random.default_rng(0)
        for start in range(0, items, 100_000):
            rows[start : start + 100_000] = mix([rng.standard_normal((100_000, w)) for w in (64, 32, 32)])
        rows.flush()
        del rows
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            return pool.apply(_ask_a_million, (str(path), repeats))


def _ask_a_million(path: str, repeats: int) -> dict[str, Any]:
    rows = np.load(path, mmap_mode="r")
    rng = np.random.default_rng(1)
    retriever = Retriever(ItemSpace(rows, {"text": 64, "collaborative": 32, "aligned": 32}))
    pasts = [(rng.choice(len(rows), 500, replace=False), int(rng.integers(len(rows)))) for _ in range(500)]
    times = _timed(lambda past, item: retriever.retrieve(past, item, CONFIG), pasts, repeats)
    resident = _status_mb("VmHWM")
    vectors = rows.nbytes / 2**20
    return {
        "history": 500,
        **times,
        "vectors_mb": round(vectors),
        "peak_resident_mb": round(resident),
        "resident_over_vectors": round(resident / vectors, 2),
    }


def _index(data: Dataset, space: ItemSpace, repeats: int) -> dict[str, Any]:
    vectors = space.variant(CONFIG.variant)
    queries = [(int(item),) for item in np.random.default_rng(0).choice(data.n_items, 200, replace=False)]
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("exact", "ivf", "hnsw"):
            started = time.perf_counter()
            facts = build_index(vectors, IndexConfig(kind=kind), 0, Path(folder) / kind)
            seconds = time.perf_counter() - started
            index = open_index(Path(folder) / kind)
            times = _timed(lambda item, index=index: nearest(index, vectors, item, 10), queries, repeats)
            report[kind] = {**facts, "build_and_check_seconds": round(seconds, 1), "nearest_10": times}
    return report


if __name__ == "__main__":
    main()
