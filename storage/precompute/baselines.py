"""The stage ``baselines``: each ID-based system of Table 4 trained, and its P(yes) for validation and test."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.baselines.training import train_network
from backend.datasets import Dataset
from backend.evaluation import metrics
from backend.numbers import or_null
from storage.arrays import save_array, save_text
from storage.precompute.artifacts import Artifact
from storage.precompute.job import StageWork, load_array
from storage.precompute.train import CURVE

ROWS, SCORES = "rows.npy", "scores.npy"


def make(job: StageWork, name: str) -> dict[str, Any]:
    """``rows.npy``: int32[s], the samples (interaction rows) of validation and test; ``scores.npy``: float32[s]."""
    made = train_network(
        name,
        job.dataset,
        job.data_split,
        job.config,
        job.settings.seed,
        checkpoint=job.scratch / "checkpoint.pt",
        device=job.settings.device,
        progress=job.progress,
        stop=job.stop,
    )
    save_array(job.part / ROWS, made.rows.astype(np.int32))
    save_array(job.part / SCORES, made.scores)
    save_text(job.part / CURVE, json.dumps(made.curve))
    held_out = np.searchsorted(made.rows, np.sort(job.data_split.validation))
    labels, scores = job.dataset.labels[made.rows[held_out]], made.scores[held_out]
    return {
        "rows": len(made.rows),
        "best_epoch": made.best_epoch,
        "epochs": len(made.curve),
        "validation_auc": or_null(metrics.auc(labels, scores), 4),
        "validation_log_loss": or_null(metrics.log_loss(labels, scores), 4),
    }


def load_scores(artifact: Artifact, dataset: Dataset) -> NDArray[np.float64]:
    """float64[n_interactions]: P(yes), NaN where it was not asked for. Raises ``CorruptCacheError``."""
    scores = np.full(dataset.n_interactions, np.nan)
    scores[load_array(artifact, ROWS)] = load_array(artifact, SCORES)
    return scores
