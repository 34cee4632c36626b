"""``rallrec data import`` and ``rallrec data stats``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.table import Table

from backend import datasets
from backend.datasets import Dataset
from backend.datasets.summary import Summary, summarise
from backend.errors import UnknownNameError
from backend.settings import load_settings
from scripts.console import log, out, print_json, print_table, progress_bar
from storage.workspace import Workspace


def run_import(
    *,
    path: str,
    name: str,
    format_name: str,
    mapping: str | None,
    rules: dict[str, Any],
    skip_bad_rows: bool,
    as_json: bool,
) -> None:
    """Read the files at ``path`` and keep them as the dataset ``name``."""
    settings = load_settings()
    if name in datasets.DATASETS:
        raise UnknownNameError(
            "new dataset", name, [], fix=f"take another name: {name} ships with the program (rallrec prepare reads it)"
        )
    root = settings.home / "datasets"
    before, started = datasets.stored_hash(name, root), time.perf_counter()
    with progress_bar() as progress:
        data = datasets.import_data(
            Path(path).expanduser(),
            name,
            format_name,
            root,
            mapping=Path(mapping).expanduser() if mapping else None,
            rules={rule: value for rule, value in rules.items() if value is not None},
            skip_bad_rows=skip_bad_rows,
            progress=progress,
        )
    summary = summarise(data)
    seconds = round(time.perf_counter() - started, 2)
    for line in data.meta.skipped_examples:
        log.print(f"left out: {line}", markup=False)
    replaced = before not in ("", data.meta.data_hash)
    if replaced:
        log.print(
            f"Other data was called {name} until now. What was computed from it stays, unused; "
            "an app that is running has to be started again.",
            markup=False,
        )
    if as_json:
        print_json(_facts(data, summary) | {"seconds": seconds, "replaced": replaced})
        return
    _print(data, summary)
    out.print(f"Next: rallrec precompute --dataset {name}", markup=False)


def run_stats(*, dataset: str | None, as_json: bool) -> None:
    """Print the statistics of a prepared dataset."""
    workspace = Workspace(load_settings(dataset=dataset))
    with progress_bar() as progress:
        data = workspace.dataset(progress=progress)
    summary = summarise(data, workspace.settings.split)
    if as_json:
        print_json(_facts(data, summary))
        return
    _print(data, summary)


def _facts(data: Dataset, summary: Summary) -> dict[str, Any]:
    meta = data.meta
    return {"dataset": meta.name, **summary.as_json()} | {
        "order_note": meta.order_note, "label": meta.label_rule.describe(), "format": meta.format,
        "rules": meta.rules.model_dump(mode="json"), "skipped": meta.skipped, "data_hash": meta.data_hash,
    }  # fmt: skip


def _print(data: Dataset, summary: Summary) -> None:
    meta = data.meta
    out.print(f"{meta.title} ({meta.name})", markup=False)
    table = Table()
    for name in ("users", "items", "samples", "fields", "features"):
        table.add_column(f"#{name}", justify="right")
    table.add_row(*(f"{getattr(summary, name):,}" for name in ("users", "items", "samples", "fields", "features")))
    print_table(table)
    values = ", ".join(f"{name} {count:,}" for name, count in summary.cardinalities.items())
    out.print(f"Features by field: {values}.", markup=False)
    out.print(
        f"{summary.interactions:,} ratings; {summary.liked:.1%} are liked ({meta.label_rule.describe()}). Samples: "
        f"train {summary.train:,}, validation {summary.valid:,}, test {summary.test:,} ({summary.how}).",
        markup=False,
    )
    if meta.order_note:
        out.print(f"{meta.order_note[0].upper()}{meta.order_note[1:]}.", markup=False)
    for reason, count in meta.skipped.items():
        out.print(f"Left out {count:,} rows: {reason}.", markup=False)
