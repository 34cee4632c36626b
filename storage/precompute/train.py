"""The stages ``collaborative`` and ``align``: what is learnt from interactions (eq. 4), and from both views (eq. 5)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from backend.numbers import or_null
from backend.representation.collaborative import train_collaborative
from backend.representation.projector import train_projector
from storage.arrays import save_array, save_text
from storage.precompute.job import VECTORS, StageWork, load_array
from storage.precompute.mix import text_rows

CURVE = "curve.json"


def make_collaborative(job: StageWork) -> dict[str, Any]:
    """``vectors.npy``: e_colla, [items, d] float32, zero for an item that no training interaction names."""
    made = train_collaborative(job.dataset, job.data_split, job.config, job.settings.seed, **_running(job))
    _save(job, made.items, made.curve)
    return {
        "rows": len(made.items),
        "dimensions": int(made.items.shape[1]),
        "items_with_a_vector": int(np.any(made.items != 0, axis=1).sum()),
        "best_epoch": made.best_epoch,
        "epochs": len(made.curve),
    }


def make_aligned(job: StageWork) -> dict[str, Any]:
    """``vectors.npy``: e_ssl = MLP(e_text), [items, d] float32 (eq. 6)."""
    collaborative = np.asarray(load_array(job.inputs["collaborative"], VECTORS))
    made = train_projector(text_rows(job), collaborative, job.config, job.settings.seed, **_running(job))
    _save(job, made.vectors, made.curve)
    return {
        "rows": len(made.vectors),
        "dimensions": int(made.vectors.shape[1]),
        "best_epoch": made.best_epoch,
        "held_out_pairs": or_null(made.held_out_pairs, 4),
        "held_out_random": or_null(made.held_out_random, 4),
    }


def _running(job: StageWork) -> dict[str, Any]:
    """Where a training keeps its state, where it runs, whom it tells, and who stops it."""
    return {
        "checkpoint": job.scratch / "checkpoint.pt",
        "device": job.settings.device,
        "progress": job.progress,
        "stop": job.stop,
    }


def _save(job: StageWork, vectors: np.ndarray, curve: list[dict[str, Any]]) -> None:
    save_array(job.part / VECTORS, vectors)
    save_text(job.part / CURVE, json.dumps(curve))
