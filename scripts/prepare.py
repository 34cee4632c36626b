"""``rallrec prepare``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from backend import datasets
from backend.engines import models
from backend.settings import load_settings
from scripts.console import log, out, print_json, progress_bar


def run(*, dataset: str | None, source: str | None, skip_bad_rows: bool, model: bool, as_json: bool) -> None:
    """Prepare the dataset and, on request, fetch the models that the settings name."""
    settings = load_settings(dataset=dataset)
    started = time.perf_counter()
    with progress_bar() as progress:
        data = datasets.prepare(
            settings.dataset,
            settings.home / "datasets",
            source=Path(source) if source else None,
            skip_bad_rows=skip_bad_rows,
            progress=progress,
        )
        fetched = []
        if model and settings.engine != "scripted":
            names = {settings.tuned_model, settings.reasoning_model, settings.encoder} - {"scripted"}
            for ref in (models.resolve(name) for name in sorted(names)):
                models.fetch(ref, settings.home / "models", progress)
                fetched.append(ref.name)
    samples = datasets.build_samples(data)
    how = settings.split or data.meta.rules.split
    parts = datasets.split(samples, data, how)
    report: dict[str, Any] = {
        "dataset": data.meta.name,
        "users": data.n_users,
        "items": data.n_items,
        "interactions": data.n_interactions,
        "samples": len(samples),
        "split": {
            "how": how,
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
        },
        "skipped": data.meta.skipped,
        "models": fetched,
        "seconds": round(time.perf_counter() - started, 2),
    }
    for line in data.meta.skipped_examples:
        log.print(f"left out: {line}", markup=False)
    if as_json:
        print_json(report)
        return
    out.print(
        f"{data.meta.title}: {data.n_users:,} users, {data.n_items:,} {data.meta.item_noun_plural}, "
        f"{data.n_interactions:,} ratings, {len(samples):,} samples "
        f"({len(parts.train):,} / {len(parts.validation):,} / {len(parts.test):,}, {how}).",
        markup=False,
    )
    for reason, count in data.meta.skipped.items():
        out.print(f"Left out {count:,} rows: {reason}.", markup=False)
    for name in fetched:
        out.print(f"The model {name} is ready.", markup=False)
