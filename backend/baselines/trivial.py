"""The user's mean and the item's mean as probabilities (notes, Evaluation: the trivial predictors beside the systems).

On small data the user's own share of likes alone ranks samples well, so a system's AUC says little without it. Both
are smoothed towards the training part's share of likes: a share of exactly 0 or 1 after a few ratings would ruin the
log loss and make a straw man. Neither sees the target's own rating, nor any of validation or test by other users.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.datasets import Dataset
from backend.datasets.samples import Split
from backend.datasets.statistics import training_rows
from backend.errors import UsageError

# The training share counts as this many ratings. On the validation part of ml-latest-small, log loss is flat around
# these numbers, and the ranking hardly depends on them.
USER_SMOOTHING = 3.0
ITEM_SMOOTHING = 10.0


class TrivialPredictors:
    """Of a dataset under a split. ``prior``: the share of likes in the training part (0.5 where it is empty)."""

    def __init__(self, dataset: Dataset, split: Split) -> None:
        self._dataset = dataset
        self._yes_before = np.r_[0, np.cumsum(dataset.labels, dtype=np.int64)]
        learned = training_rows(dataset, split)
        items, labels = dataset.item_index[learned], dataset.labels[learned].astype(np.float64)
        self._count = np.bincount(items, minlength=dataset.n_items)
        self._yes = np.bincount(items, weights=labels, minlength=dataset.n_items)
        # A user may have rated an item more than once; none of these ratings is by another user.
        self._own, place = np.unique(self._keys(learned), return_inverse=True)
        self._own_count = np.bincount(place, minlength=len(self._own))
        self._own_yes = np.bincount(place, weights=labels, minlength=len(self._own))
        self.prior = float(labels.mean()) if len(labels) else 0.5

    def user_mean(self, rows: ArrayLike, smoothing: float = USER_SMOOTHING) -> NDArray[np.float64]:
        """float64[s] in [0, 1]: the share that the user liked of all they rated before the target.

        ``rows``: int[s], the targets' interaction rows. ``smoothing``: ratings that the prior counts for, 0 for the
        plain share (the prior where there is no past). The naive equivalent is the mean label of ``history_before``.
        """
        targets = np.asarray(rows, dtype=np.int64)
        starts = self._dataset.user_ptr[self._dataset.user_index[targets]]
        return self._smoothed(self._yes_before[targets] - self._yes_before[starts], targets - starts, smoothing)

    def item_mean(self, rows: ArrayLike, smoothing: float = ITEM_SMOOTHING) -> NDArray[np.float64]:
        """float64[s] in [0, 1]: the share that other users liked of their training ratings of the item.

        Arguments as for :meth:`user_mean`. The naive equivalent averages the labels of the item's training rows, those
        of the target's user left out.
        """
        targets = np.asarray(rows, dtype=np.int64)
        items, keys = self._dataset.item_index[targets], self._keys(targets)
        yes, count = self._yes[items], self._count[items].astype(np.float64)
        if len(self._own):
            place = np.minimum(np.searchsorted(self._own, keys), len(self._own) - 1)
            same_item = self._own[place] == keys
            yes, count = yes - same_item * self._own_yes[place], count - same_item * self._own_count[place]
        return self._smoothed(yes, count, smoothing)

    def _keys(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """One number for each pair of user and item."""
        return self._dataset.user_index[rows].astype(np.int64) * self._dataset.n_items + self._dataset.item_index[rows]

    def _smoothed(self, yes: NDArray, count: NDArray, smoothing: float) -> NDArray[np.float64]:
        if smoothing < 0:
            raise UsageError(f"smoothing is {smoothing}", expected="0 or more")
        weight = count + smoothing
        return np.where(weight > 0, (yes + smoothing * self.prior) / np.where(weight > 0, weight, 1.0), self.prior)
