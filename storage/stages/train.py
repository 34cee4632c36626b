"""The stages ``collaborative`` and ``align``: what is learnt from interactions (eq. 4), and from both views (eq. 5)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from backend.representation.collaborative import train_collaborative
from backend.representation.projector import train_projector
from storage.stages.job import Job, load_array, save_array, save_text
from storage.stages.mix import text_rows

FILE = "vectors.npy"
CURVE = "curve.json"


def make_collaborative(job: Job) -> dict[str, Any]:
    """``vectors.npy``: e_colla, [items, d] float32, zero for an item that no training interaction names."""
    made = train_collaborative(
        job.dataset,
        job.data_split,
        job.config,
        job.settings.seed,
        checkpoint=job.scratch / "checkpoint.pt",
        device=job.settings.device,
        progress=job.progress,
        stop=job.stop,
    )
    save_array(job.part / FILE, made.items)
    save_text(job.part / CURVE, json.dumps(made.curve))
    known = int(np.any(made.items != 0, axis=1).sum())
    return {
        "rows": len(made.items),
        "dimensions": int(made.items.shape[1]),
        "items_with_a_vector": known,
        "best_epoch": made.best_epoch,
        "epochs": len(made.curve),
    }


def make_aligned(job: Job) -> dict[str, Any]:
    """``vectors.npy``: e_ssl = MLP(e_text), [items, d] float32 (eq. 6)."""
    made = train_projector(
        text_rows(job),
        np.asarray(load_array(job.inputs["collaborative"], FILE)),
        job.config,
        job.settings.seed,
        checkpoint=job.scratch / "checkpoint.pt",
        device=job.settings.device,
        progress=job.progress,
        stop=job.stop,
    )
    save_array(job.part / FILE, made.vectors)
    save_text(job.part / CURVE, json.dumps(made.curve))
    return {
        "rows": len(made.vectors),
        "dimensions": int(made.vectors.shape[1]),
        "best_epoch": made.best_epoch,
        "held_out_pairs": _defined(made.held_out_pairs),
        "held_out_random": _defined(made.held_out_random),
    }


def _defined(cosine: float) -> float | None:
    """None where so few items were held out that there is no mean."""
    return None if np.isnan(cosine) else round(float(cosine), 4)
