"""Gradient boosting on what the user's past and the training part say: the bar of what the past tells.

It reads no text and knows no ids, only the statistics of :mod:`backend.evidence`. A system that does not beat it adds
nothing to them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from backend.datasets import Dataset
from backend.datasets.samples import Split
from backend.errors import DataError
from backend.evidence import EvidenceReader
from backend.types import Progress, Stop

BOOSTING = "Boosting"


class BoostingConfig(BaseModel):
    """The trees of scikit-learn's histogram boosting: how many, how much each counts, and how many leaves it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: int = Field(200, ge=1, le=10_000)
    learning_rate: float = Field(0.05, gt=0, le=1)
    leaves: int = Field(15, ge=2, le=1024)
    smallest_leaf: int = Field(20, ge=1)


def boosted(
    dataset: Dataset,
    split: Split,
    evidence: EvidenceReader,
    rows: NDArray[np.int64],
    config: BoostingConfig,
    seed: int,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> NDArray[np.float32]:
    """P(yes) of these interactions, float32[s], by trees that learned the training samples alone.

    Validation decides nothing. Raises ``DataError`` (nothing to learn from) and ``Stopped``.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if not len(split.train):
        raise DataError("There is no training sample to learn from", fix="give a larger dataset")
    learned, labels = evidence.statistics_of(split.train, progress, stop), dataset.labels[split.train]
    told = ~np.isnan(learned).all(axis=0)  # such as the year, which some data does not have
    if not told.any() or labels.all() or not labels.any():  # nothing to tell samples apart by
        return np.full(len(rows), (labels.sum() + 1) / (len(labels) + 2), dtype=np.float32)
    asked = evidence.statistics_of(rows, progress, stop)
    trees = HistGradientBoostingClassifier(
        max_iter=config.rounds,
        learning_rate=config.learning_rate,
        max_leaf_nodes=config.leaves,
        min_samples_leaf=config.smallest_leaf,
        early_stopping=False,
        random_state=seed,
    )
    trees.fit(learned[:, told], labels)
    if not len(rows):
        return np.empty(0, dtype=np.float32)
    liked: NDArray[np.float64] = trees.predict_proba(asked[:, told])[:, 1]
    return liked.astype(np.float32)
