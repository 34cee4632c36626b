"""What an artifact says about itself, from its small files and its ``meta.json``; no vectors are read."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from app.library.view import Curve, DescribedItem, Descriptions, Facts, FactTable
from backend.datasets import Dataset
from backend.engines import SCRIPTED, makes_up_answers, models
from backend.errors import CorruptCacheError
from backend.numbers import or_null
from backend.training.config import RECIPES
from backend.types import ModelRef
from storage.precompute.artifacts import Artifact
from storage.precompute.describe import load_descriptions
from storage.precompute.train import CURVE

_SAMPLES = 6


def facts_of(kind: str, artifact: Artifact, dataset: Dataset) -> Facts | None:
    """Reads the facts of a finished artifact; None for a kind that has none. Raises ``CorruptCacheError``."""
    read = _FACTS.get(kind)
    try:
        if read:
            return read(artifact, dataset)
        # Any stage may leave a table: a report is drawn without this module knowing its columns.
        rows = artifact.meta.get("table")
        return Facts(table=table_of(rows), part=str(artifact.meta.get("part", ""))) if isinstance(rows, list) else None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CorruptCacheError(
            f"{artifact.folder} does not say of itself what a {kind} says ({type(error).__name__}: {error})",
            fix=f"delete {artifact.folder}",
        ) from error


def table_of(rows: Iterable[Mapping[str, Any]]) -> FactTable:
    """Makes a table of the rows, with columns in the order in which they first appear."""
    kept = tuple(dict(row) for row in rows)
    return FactTable(tuple(dict.fromkeys(str(name) for row in kept for name in row)), kept)


def model_of(recipe: Mapping[str, Any]) -> ModelRef | None:
    """Returns the model that a recipe names, or None."""
    named = recipe.get("model")
    return ModelRef(named["name"], named["revision"], named.get("adapter")) if isinstance(named, Mapping) else None


def number(value: Any) -> float:
    """Returns the number, or NaN for what is no number."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def _descriptions(artifact: Artifact, dataset: Dataset) -> Facts:
    rows = load_descriptions(artifact)
    if len(rows) != dataset.n_items:
        raise ValueError(f"{len(rows)} descriptions of {dataset.n_items} {dataset.meta.item_noun_plural}")
    interactions = dataset.item_counts
    generated = np.array([row.source == "generated" for row in rows])
    writer = model_of(artifact.meta["recipe"]) or SCRIPTED
    kind = SCRIPTED.name if makes_up_answers(writer.name) else "small" if writer.name in models.EMBEDDED else "given"
    samples = tuple(
        DescribedItem(
            dataset.item_label(code), int(interactions[code]),
            rows[code].text, rows[code].source, rows[code].attempts, rows[code].reasons,
        )
        for code in dataset.most_interacted[:_SAMPLES]
    )  # fmt: skip
    return Facts(
        descriptions=Descriptions(
            items=len(rows),
            counts=Counter(row.source for row in rows),
            drawn_again=sum(row.attempts > 1 for row in rows),
            covered=float(interactions[generated].sum() / max(interactions.sum(), 1)),
            reasons=tuple(Counter(reason for row in rows for reason in row.reasons).most_common()),
            samples=samples,
            writer=models.display_name(writer),
            writer_kind=kind,
        )
    )


def _training(*names: str) -> Callable[[Artifact, Dataset], Facts]:
    """Makes a reader of facts for something trained: its curves, and these numbers of ``meta.json``."""

    def facts(artifact: Artifact, _dataset: Dataset) -> Facts:
        path = artifact.folder / CURVE
        try:
            points = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CorruptCacheError(f"{path} is damaged ({error})", fix=f"delete {artifact.folder}") from error
        measured = dict.fromkeys(name for point in points for name in point if name != "epoch")
        curves = (Curve(name, tuple(or_null(number(point.get(name))) for point in points)) for name in measured)
        best = int(artifact.meta["best_epoch"])
        numbers = {name: number(artifact.meta.get(name)) for name in ("rows", *names)}
        return Facts(numbers=numbers, curves=tuple(curves), best_epoch=best)

    return facts


def _adapter(artifact: Artifact, dataset: Dataset) -> Facts:
    """Reads the curves of a tuned adapter, and its scores on the held-out samples."""
    trained, scores = _training("parameters", "held_out")(artifact, dataset), artifact.meta["scores"]
    return replace(trained, table=table_of([scores]) if scores else None)


def _space(artifact: Artifact, _dataset: Dataset) -> Facts:
    widths = artifact.meta["dimensions"]
    kept = {"variance_kept": number(artifact.meta["variance_kept"])} if "variance_kept" in artifact.meta else {}
    return Facts(numbers=kept, table=table_of({"part": part, "dimensions": int(widths[part])} for part in widths))


def _index(artifact: Artifact, _dataset: Dataset) -> Facts:
    return Facts(table=table_of({"variant": name} | row for name, row in artifact.meta["measured"].items()))


_FACTS: dict[str, Callable[[Artifact, Dataset], Facts]] = {
    "descriptions": _descriptions,
    "collaborative": _training("items_with_a_vector"),
    "aligned": _training("held_out_pairs", "held_out_random"),
    **dict.fromkeys(RECIPES, _adapter),
    "space": _space,
    "index": _index,
}
