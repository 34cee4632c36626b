"""``rallrec retrieve``."""

from __future__ import annotations

import time
from typing import Any

from backend.datasets import build_samples, split
from backend.retrieval import write_retrieval
from backend.settings import load_settings
from scripts.console import checked_out, out, print_json, progress_bar
from storage.workspace import Workspace


def run(
    *, out_file: str, dataset: str | None, part: str, limit: int | None, recipe: dict[str, Any], as_json: bool
) -> None:
    """Write the retrieved and reranked histories of a part of the samples as Parquet."""
    path = checked_out(out_file, "give another --out")
    workspace = Workspace(load_settings(dataset=dataset))
    config = workspace.recipe(**recipe).retrieval
    with progress_bar() as progress:
        data = workspace.dataset(progress=progress)
        rows = split(build_samples(data), data, workspace.settings.split).part(part)[:limit]
        space = workspace.space(progress=progress)
        started = time.perf_counter()
        lines = write_retrieval(path, space, data, rows, config, progress)
    seconds = time.perf_counter() - started
    report = {
        "file": str(path),
        "dataset": data.meta.name,
        "part": part,
        "samples": len(rows),
        "lines": lines,
        "seconds": round(seconds, 3),
        "retrieval": config.model_dump(),
    }
    if as_json:
        print_json(report)
        return
    out.print(f"{lines:,} past items of {len(rows):,} {part} samples in {seconds:.1f} s: {path}", markup=False)
