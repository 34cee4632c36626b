"""What the training part says about an item beside one user's own ratings, and how a user has rated so far.

The statistics never see an interaction of validation or test (:func:`training_rows`), so a prompt that quotes them
cannot leak what is to be predicted. The naive equivalent averages the rows of one item, one user left out.
"""

from __future__ import annotations

import numpy as np

from backend.datasets.samples import PARTS, Split
from backend.datasets.schema import Dataset

# With fewer other ratings than this, an average says nothing (and, in training, would give a single one away).
MIN_OTHERS = 3


def training_rows(dataset: Dataset, split: Split) -> np.ndarray:
    """The interactions that may be learned from: int64, ascending.

    Those of ``split.train``, and of the interactions that are no sample (each user's first few) those that are not
    later than the last training sample (all of them, where the data has no times).
    So never one of validation or test, and for the chronological split none that lies in the time of either.
    """
    if not len(split.train):
        return np.empty(0, dtype=np.int64)
    allowed = np.full(dataset.n_interactions, True)
    if dataset.meta.time_ordered:
        allowed = dataset.timestamp <= dataset.timestamp[split.train].max()
    for name in PARTS:
        allowed[split.part(name)] = name == "train"
    return np.flatnonzero(allowed)


def training_counts(dataset: Dataset, split: Split) -> np.ndarray:
    """int64[n_items]: the training interactions of each item."""
    return np.bincount(dataset.item_index[training_rows(dataset, split)], minlength=dataset.n_items)


class TrainingStatistics:
    """Mean ratings by the training part of ``split``."""

    def __init__(self, dataset: Dataset, split: Split) -> None:
        self._dataset = dataset
        rows = training_rows(dataset, split)
        self._learned = np.zeros(dataset.n_interactions, dtype=bool)
        self._learned[rows] = True
        items, ratings = dataset.item_index[rows], dataset.rating[rows].astype(np.float64)
        self._counts = np.bincount(items, minlength=dataset.n_items)
        self._sums = np.bincount(items, weights=ratings, minlength=dataset.n_items)
        # This stands in for an average that is not known.
        self.mean = float(ratings.mean()) if len(rows) else float("nan")

    def others(self, user: int, item: int) -> float | None:
        """Mean training rating of the item code by all users but this one; None with fewer than ``MIN_OTHERS``."""
        rows = self._dataset.user_rows(user)
        by_user = self._learned[rows] & (self._dataset.item_index[rows] == item)
        count = int(self._counts[item]) - int(by_user.sum())
        if count < MIN_OTHERS:
            return None
        return (float(self._sums[item]) - float(self._dataset.rating[rows][by_user].sum(dtype=np.float64))) / count

    def smoothed(self, user: int, items: np.ndarray, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean training rating of each item code by all users but this one, drawn towards :attr:`mean` by so many
        ratings, and how many ratings it is the mean of: float64, in the shape of ``items``.
        """
        rows = self._dataset.user_rows(user)
        learned = self._learned[rows]
        own = self._dataset.item_index[rows][learned]
        counts, sums = self._counts[items].astype(np.float64), self._sums[items]
        if len(own):
            codes, place = np.unique(own, return_inverse=True)
            ratings = np.bincount(place, weights=self._dataset.rating[rows][learned])
            where = np.minimum(np.searchsorted(codes, items), len(codes) - 1)
            by_user = codes[where] == items
            counts = counts - by_user * np.bincount(place)[where]
            sums = sums - by_user * ratings[where]
        if not self._counts.any():
            return np.full(np.shape(items), np.nan), counts
        return (sums + smoothing * self.mean) / (counts + smoothing), counts
