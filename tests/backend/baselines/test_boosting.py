"""Boosting: what it learns, from which samples, and what it says where there is nothing to learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from backend.baselines import BoostingConfig
from backend.baselines.boosting import boosted
from backend.datasets import Dataset, build_samples, split
from backend.datasets.samples import Split
from backend.datasets.statistics import TrainingStatistics
from backend.errors import DataError, Stopped
from backend.evaluation import metrics
from backend.evidence import EvidenceReader
from tests.conftest import random_space

QUICK = BoostingConfig(rounds=20, learning_rate=0.3, smallest_leaf=2)


@pytest.fixture
def parts(small: Dataset) -> Split:
    return split(build_samples(small), small)


def scores(data: Dataset, parts: Split, rows: np.ndarray | None = None) -> np.ndarray:
    evidence = EvidenceReader(data, TrainingStatistics(data, parts), random_space(data.n_items))
    return boosted(data, parts, evidence, parts.test if rows is None else rows, QUICK, 0)


def test_it_learns_what_the_past_tells(small: Dataset, parts: Split) -> None:
    data = replace(small, rating=np.where(small.user_index % 2, 5.0, 0.5).astype(np.float32))
    rows = np.sort(np.r_[parts.validation, parts.test])
    said = scores(data, parts, rows)
    assert said.dtype == np.float32
    assert ((said > 0) & (said < 1)).all()
    assert metrics.auc(data.labels[rows], said) == 1.0
    assert scores(data, parts, rows).tobytes() == said.tobytes()
    assert scores(data, parts, rows[:0]).shape == (0,)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_what_is_held_out_is_not_learned(small: Dataset, parts: Split, part: str) -> None:
    rating, rows = small.rating.copy(), parts.part(part)
    rating[rows] = np.where(small.labels[rows], 0.5, 5.0)
    learned = parts.train
    assert scores(small, parts, learned).tobytes() == scores(replace(small, rating=rating), parts, learned).tobytes()


def test_where_nothing_tells_samples_apart_it_says_the_share_of_likes(small: Dataset, parts: Split) -> None:
    liked = replace(small, rating=np.full(small.n_interactions, 5, dtype=np.float32))
    count = len(parts.train)
    assert set(scores(liked, parts).tolist()) == {float(np.float32((count + 1) / (count + 2)))}


def test_data_without_years_is_learned_all_the_same(small: Dataset, parts: Split) -> None:
    items = small.items.assign(year=pd.array([pd.NA] * small.n_items, dtype="Int64"))
    data = replace(small, items=items, rating=np.where(small.user_index % 2, 5.0, 0.5).astype(np.float32))
    assert metrics.auc(data.labels[parts.test], scores(data, parts)) == 1.0


def test_bad_input_says_what_is_wrong(small: Dataset, parts: Split) -> None:
    with pytest.raises(DataError, match="no training sample"):
        scores(small, replace(parts, train=parts.train[:0]))
    evidence = EvidenceReader(small, TrainingStatistics(small, parts), random_space(small.n_items))
    with pytest.raises(Stopped):
        boosted(small, parts, evidence, parts.test, QUICK, 0, stop=lambda: True)
