"""What an ID-based system is given of a sample: its fields, and of the user's past what a prompt tells too.

The past is two pooled sequences, the items liked and those not liked among the latest, whose embeddings are the item
field's, and the statistics of :mod:`backend.evidence` as numbers. Sequences are cut out of the history batch by batch,
so that memory grows with the samples and not with their histories.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.baselines.fields import Fields
from backend.datasets import Dataset
from backend.datasets.samples import Split
from backend.evidence import STATISTICS

ITEM = "item"
# The pooled sequences by name, and whether they are of the liked items.
SEQUENCES = {"liked before": True, "not liked before": False}
# Numbers that grow with a history or with fame are told by their logarithm.
_COUNTS = ("count", "item_count")


def predicted_rows(split: Split) -> NDArray[np.int64]:
    """int64[s], ascending: the samples of validation and test, which systems that learn are asked about."""
    return np.sort(np.concatenate([split.validation, split.test])).astype(np.int64)


class Inputs:
    """``rows``: int64[s], ascending, the samples that may be asked about; ``statistics``: float32[s, 15], what
    :meth:`~backend.evidence.EvidenceReader.statistics_of` gives of them. ``learned``: the training interactions, all
    among ``rows``: they alone number the fields and scale the statistics. ``latest``: length of the sequences together.
    """

    def __init__(
        self, dataset: Dataset, learned: ArrayLike, rows: ArrayLike, statistics: NDArray[np.float32], latest: int
    ) -> None:
        self._dataset, self._latest, self._rows = dataset, latest, np.asarray(rows, dtype=np.int64)
        self._fields = Fields(dataset, learned)
        self._items = next(field.codes for field in self._fields.all if field.name == ITEM)
        self._learned = np.asarray(learned, dtype=np.int64)
        self._numbers = _scaled(statistics, np.searchsorted(self._rows, self._learned))

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many numbers each field has, 0 included."""
        return self._fields.sizes

    @property
    def learned_from(self) -> dict[str, NDArray]:
        """The bytes that all inputs of the training interactions follow from, labels left out."""
        numbers = self._numbers[np.searchsorted(self._rows, self._learned)]
        return {"rows": self._learned, "fields": self._fields.codes(self._learned), "numbers": numbers}

    def of(self, rows: NDArray[np.int64]) -> dict[str, NDArray]:
        """By name: a field's codes int64[b], a sequence's int64[b, latest], newest first and padded with 0, and a
        statistic's float32[b], 0 where it is the training part's mean or not known.
        """
        codes = self._fields.codes(rows)
        given: dict[str, NDArray] = dict(zip(self.sizes, codes.T, strict=True))
        past = rows[:, None] - 1 - np.arange(self._latest)
        there = past >= self._dataset.user_ptr[self._dataset.user_index[rows]][:, None]
        past = np.where(there, past, 0)
        items, liked = self._items[self._dataset.item_index[past]], self._dataset.labels[past]
        given |= {name: np.where(there & (liked == which), items, 0) for name, which in SEQUENCES.items()}
        return given | dict(zip(STATISTICS, self._numbers[np.searchsorted(self._rows, rows)].T, strict=True))


def _scaled(statistics: NDArray[np.float32], learned: NDArray[np.int64]) -> NDArray[np.float32]:
    """Each column with mean 0 and deviation 1 over the ``learned`` places; 0 for NaN."""
    numbers = statistics.copy()
    for place, name in enumerate(STATISTICS):
        column = np.log1p(numbers[:, place]) if name in _COUNTS else numbers[:, place]
        known = column[learned][~np.isnan(column[learned])].astype(np.float64)
        mean, deviation = (known.mean(), known.std()) if len(known) else (0.0, 0.0)
        numbers[:, place] = np.nan_to_num((column - mean) / deviation) if deviation > 0 else 0.0
    return numbers
