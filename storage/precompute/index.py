"""The stage ``index``: for each variant, the faiss index that finds the nearest of all items."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.representation import VARIANTS
from backend.retrieval.index import build_index
from storage.precompute.job import StageWork
from storage.precompute.mix import load_space


def make(job: StageWork) -> dict[str, Any]:
    """``<variant>.faiss`` for every variant, and what was measured of each."""
    space = load_space(job.inputs["space"])
    measured = {}
    for number, variant in enumerate(VARIANTS):
        job.check_stop()
        job.progress("building the indexes", number / len(VARIANTS))
        rows = np.ascontiguousarray(space.variant(variant))
        measured[variant] = build_index(rows, job.config, job.settings.seed, job.part / f"{variant}.faiss")
    return {"rows": len(space), "measured": measured}
