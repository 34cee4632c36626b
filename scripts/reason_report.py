"""What ``rallrec reason`` leaves: the file of predictions, and the report of what was asked."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Any

from rich.table import Table

from backend.batch import Batch, Count
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.prompting import NO_ANSWER, read_verdict
from scripts.console import out, print_table
from storage.jobs.work import failures_of
from storage.kept.sample_list import Sample


def write_predictions(path: Path, pipeline: Pipeline, predictions: Sequence[Prediction]) -> None:
    """One JSON object a line; the file is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(
                json.dumps(record(pipeline, own), ensure_ascii=False, allow_nan=False) + "\n" for own in predictions
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def record(pipeline: Pipeline, prediction: Prediction) -> dict[str, Any]:
    """One line of ``--out``: null for what is not known; ``verdicts`` counts the chains whose verdict can be read."""
    data, question, recipe = pipeline.dataset, prediction.question, prediction.recipe
    traces = [trace for trace in prediction.traces if trace]
    numbers = {name: getattr(prediction, name) for name in ("p_g", "var_g", "p_r", "var_r", "p_final")}
    return {
        "user": data.user_ids[question.user],
        "item": data.item_ids[question.item],
        "row": data.find_row(question.user, question.item),
        "label": None if question.label is None else int(question.label),
        "gamma": recipe.retrieval.gamma,
        "knowledge": recipe.prompting.knowledge,
        **{name: None if isnan(value) else value for name, value in numbers.items()},
        "traces": len(traces),
        "verdicts": sum(read_verdict(trace.text).answer != NO_ANSWER for trace in traces),
        "recipe": recipe.hash,
    }


def report_of(pipeline: Pipeline, batch: Batch, samples: Sequence[Sample], recipes: Sequence[Recipe]) -> dict[str, Any]:
    return {
        "dataset": pipeline.dataset.meta.name,
        "samples": len(samples),
        "users": len({sample.user for sample in samples}),
        "recipes": [
            {"gamma": own.retrieval.gamma, "knowledge": own.prompting.knowledge, "recipe": own.hash} for own in recipes
        ],
        "models": {"tuned": asdict(pipeline.tuned.model), "reasoning": asdict(pipeline.reasoner.model)},
        "answers": _counted(batch.answers),
        "chains": _counted(batch.chains),
        "complete": sum(prediction.complete for prediction in batch.predictions),
        "failures": failures_of(batch, samples, recipes),
    }


def _counted(count: Count) -> dict[str, Any]:
    pace = count.tokens_per_second
    return {
        "prompts": count.prompts,
        "wanted": count.wanted,
        "cached": count.known,
        "run": count.made,
        "failed_prompts": count.failed,
        "tokens": count.tokens,
        "seconds": round(count.seconds, 3),
        "tokens_per_second": None if pace is None else round(pace, 1),
    }


def show(report: dict[str, Any]) -> None:
    out.print(
        f"{report['samples']:,} samples of {report['users']:,} users, {len(report['recipes'])} recipes: "
        f"{report['complete']:,} of {report['samples'] * len(report['recipes']):,} predictions are complete.",
        markup=False,
    )
    table = Table("", box=None, pad_edge=False)
    for name in ("prompts", "wanted", "from the cache", "run now", "failed", "seconds", "tokens", "tokens/s"):
        table.add_column(name, justify="right")
    for kind in ("answers", "chains"):
        own = report[kind]
        pace = "-" if own["tokens_per_second"] is None else f"{own['tokens_per_second']:,.0f}"
        whole = [f"{own[name]:,}" for name in ("prompts", "wanted", "cached", "run", "failed_prompts")]
        table.add_row(kind, *whole, f"{own['seconds']:,.1f}", f"{own['tokens']:,}", pace)
    print_table(table)
    if report["out"]:
        out.print(f"Written: {report['out']}", markup=False)
