"""The stage ``baselines``: each ID-based system of Table 4 and Boosting trained, and P(yes) for validation and test."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.baselines.boosting import boosted
from backend.baselines.inputs import predicted_rows
from backend.baselines.training import train_network
from backend.datasets import Dataset
from backend.datasets.statistics import TrainingStatistics
from backend.evaluation import metrics
from backend.evidence import EvidenceReader
from backend.numbers import or_null
from backend.representation import PARTS, ItemSpace, mix
from storage.arrays import save_array, save_text
from storage.precompute.artifacts import Artifact
from storage.precompute.job import VECTORS, StageWork, load_array
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
        evidence=_evidence(job),
        checkpoint=job.scratch / "checkpoint.pt",
        device=job.settings.device,
        progress=job.progress,
        stop=job.stop,
    )
    save_text(job.part / CURVE, json.dumps(made.curve))
    return {"best_epoch": made.best_epoch, "epochs": len(made.curve)} | _save(job, made.rows, made.scores)


def make_boosting(job: StageWork) -> dict[str, Any]:
    """Files as of :func:`make`: the scores are kept, the trees are not."""
    rows, parts, evidence = predicted_rows(job.data_split), job.data_split, _evidence(job)
    scores = boosted(job.dataset, parts, evidence, rows, job.config, job.settings.seed, job.progress, job.stop)
    return _save(job, rows, scores)


def _evidence(job: StageWork) -> EvidenceReader:
    """Similar means by co-ratings alone, so that no language model is needed."""
    vectors = load_array(job.inputs["collaborative"], VECTORS)
    widths = dict.fromkeys(PARTS, 0) | {"collaborative": vectors.shape[1]}
    space = ItemSpace(mix([vectors]).astype(np.float32), widths)
    return EvidenceReader(job.dataset, TrainingStatistics(job.dataset, job.data_split), space)


def _save(job: StageWork, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> dict[str, Any]:
    save_array(job.part / ROWS, rows.astype(np.int32))
    save_array(job.part / SCORES, scores)
    held_out = np.isin(rows, job.data_split.validation)
    labels, of_held_out = job.dataset.labels[rows[held_out]], scores[held_out]
    users = job.dataset.user_index[rows[held_out]]
    return {
        "rows": len(rows),
        "validation_auc": or_null(metrics.auc(labels, of_held_out), 4),
        "validation_gauc": or_null(metrics.gauc(users, labels, of_held_out), 4),
        "validation_log_loss": or_null(metrics.log_loss(labels, of_held_out), 4),
    }


def load_scores(artifact: Artifact, dataset: Dataset) -> NDArray[np.float64]:
    """float64[n_interactions]: P(yes), NaN where it was not asked for. Raises ``CorruptCacheError``."""
    scores = np.full(dataset.n_interactions, np.nan)
    scores[load_array(artifact, ROWS)] = load_array(artifact, SCORES)
    return scores
