"""What a user's past and the training part say about a target, in numbers.

Every number is about what came before the target, or about training ratings of others: the target's own rating is in
none, nor is one of validation or test by another user (:class:`~backend.datasets.statistics.TrainingStatistics`). The
same numbers are what a prompt's lines of evidence tell (:mod:`backend.evidence.lines`), what gradient boosting learns
from, and what the teacher of both models learns from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.datasets import Dataset
from backend.datasets.statistics import TrainingStatistics
from backend.errors import Stopped
from backend.representation import ItemSpace
from backend.types import Progress, Stop

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Numbers = NDArray[np.float64]
# An item's mean rating is drawn towards the mean of all by so many ratings; a user's differences, by so many zeros.
ITEM_SMOOTHING = 5.0
DIFFERENCE_SMOOTHING = 3.0
# Differences from others are taken over so many of the latest past items.
LATEST_COMPARED = 200
# So many ratings are the latest; so many past items the nearest.
LATEST = 10
NEAREST = 20
# Targets of one user at a time: blocks of [targets, past] numbers.
_BLOCK = 512
# Targets of which all numbers are held at once, where many are asked for.
_PIECE = 65_536


@dataclass(frozen=True, eq=False)
class Evidence:
    """Float64 arrays of one length, an entry for each target; NaN where there is nothing to tell.

    Of the user's past: ``mean``, ``liked`` (share), ``spread`` (population standard deviation) and ``count`` of all
    ratings, ``mean_of_10``, ``mean_of_3`` and ``liked_of_10`` of the latest. Of the target: ``item_mean`` by the
    training part, the user left out (:data:`ITEM_SMOOTHING`), ``item_count`` of those ratings, ``year`` and
    ``categories``, how many. Of both: ``against_others``, the mean difference of the user's latest ratings from the
    items' means, ``expected``, its sum with ``item_mean``; ``by_category``, the mean difference from the user's own
    mean over past items that share a category, and ``by_nearest``, over the :data:`NEAREST` most similar past items,
    weighted by similarity (:data:`DIFFERENCE_SMOOTHING`).

    What stands beside those in a prompt: ``category_count``, ``category_mean``, ``nearest_count``, ``nearest_mean`` and
    ``nearest_liked`` (how many of them).
    """

    mean: Numbers
    liked: Numbers
    mean_of_10: Numbers
    mean_of_3: Numbers
    liked_of_10: Numbers
    spread: Numbers
    count: Numbers
    item_mean: Numbers
    item_count: Numbers
    year: Numbers
    categories: Numbers
    against_others: Numbers
    expected: Numbers
    by_category: Numbers
    by_nearest: Numbers
    category_count: Numbers
    category_mean: Numbers
    nearest_count: Numbers
    nearest_mean: Numbers
    nearest_liked: Numbers

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def statistics(self) -> Numbers:
        """float64[targets, 15]: the columns of :data:`STATISTICS`."""
        return np.stack([getattr(self, name) for name in STATISTICS], axis=1)

    def at(self, place: int) -> dict[str, float]:
        """Every number about one target, by name."""
        return {name: float(getattr(self, name)[place]) for name in _NAMES}


_NAMES = tuple(field.name for field in fields(Evidence))
STATISTICS = _NAMES[: _NAMES.index("by_nearest") + 1]


class EvidenceReader:
    """Reads evidence over a dataset, what its training part says, and its items' vectors.

    Similar means by co-ratings (the collaborative part of ``space``).
    """

    def __init__(self, dataset: Dataset, statistics: TrainingStatistics, space: ItemSpace) -> None:
        self._dataset, self._statistics = dataset, statistics
        self._vectors = space.variant("id")
        self._kinds = _categories(dataset)
        self._years = dataset.items["year"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)

    def of_rows(self, rows: ArrayLike) -> Evidence:
        """Returns the evidence about the targets of these interactions (int[s]), each from the user's past before it.

        The naive equivalent is :meth:`of_past` of each.
        """
        targets = np.asarray(rows, dtype=np.int64)
        made = {name: np.empty(len(targets)) for name in _NAMES}
        users = self._dataset.user_index[targets]
        for user in np.unique(users):
            places = np.flatnonzero(users == user)
            block = self._dataset.user_rows(int(user))
            items, ratings = self._dataset.item_index[block], self._dataset.rating[block]
            for start in range(0, len(places), _BLOCK):
                some = places[start : start + _BLOCK]
                ends = targets[some] - block.start
                found = self._read(int(user), items, ratings, items[ends], ends)
                for name in _NAMES:
                    made[name][some] = getattr(found, name)
        return Evidence(**made)

    def statistics_of(
        self, rows: ArrayLike, progress: Progress | None = None, stop: Stop | None = None
    ) -> NDArray[np.float32]:
        """float32[s, 15]: the statistics of :meth:`of_rows`, read piece by piece. Raises ``Stopped``."""
        targets = np.asarray(rows, dtype=np.int64)
        table = np.empty((len(targets), len(STATISTICS)), dtype=np.float32)
        # User by user, so that a piece cuts through few histories.
        order = np.argsort(targets)
        for start in range(0, len(order), _PIECE):
            if stop is not None and stop():
                raise Stopped
            if progress is not None:
                progress("reading what the past tells", start / len(order))
            places = order[start : start + _PIECE]
            table[places] = self.of_rows(targets[places]).statistics
        return table

    def of_past(self, user: int, item: int, items: NDArray[np.integer], ratings: NDArray[np.floating]) -> Evidence:
        """Returns the evidence about one item code (of length 1) from a user's past: item codes and ratings, oldest
        first, which may be another than the dataset's.
        """
        return self._read(user, items, ratings, np.array([item]), np.array([len(items)]))

    def _read(
        self,
        user: int,
        items: NDArray[np.integer],
        ratings: NDArray[np.floating],
        targets: NDArray[np.integer],
        ends: NDArray[np.integer],
    ) -> Evidence:
        """The kernel: of one user's ``items`` and ``ratings``, the first ``ends`` are before each of ``targets``."""
        values = ratings.astype(np.float64)
        liked = self._dataset.meta.label_rule.apply(ratings).astype(np.float64)
        means, _ = self._statistics.smoothed(user, items, ITEM_SMOOTHING)
        item_mean, item_count = self._statistics.smoothed(user, targets, ITEM_SMOOTHING)
        mean = _latest(values, ends, None)
        against = _latest(values - means, ends, LATEST_COMPARED, DIFFERENCE_SMOOTHING)
        before = np.arange(len(items)) < ends[:, None]
        shares = before & ((self._kinds[targets] @ self._kinds[items].T).toarray() > 0)
        count, total = shares.sum(axis=1), shares @ values
        nearest, weights = self._nearest(items, targets, before)
        there = weights > 0
        close = np.where(there, values[nearest], 0.0)
        return Evidence(
            mean=mean,
            liked=_latest(liked, ends, None),
            mean_of_10=_latest(values, ends, LATEST),
            mean_of_3=_latest(values, ends, 3),
            liked_of_10=_latest(liked, ends, LATEST),
            spread=np.sqrt(np.maximum(_latest(values**2, ends, None) - mean**2, 0.0)),
            count=ends.astype(np.float64),
            item_mean=item_mean,
            item_count=item_count,
            year=self._years[targets],
            categories=np.diff(self._kinds.indptr)[targets].astype(np.float64),
            against_others=against,
            expected=item_mean + against,
            by_category=(total - count * np.nan_to_num(mean)) / (count + DIFFERENCE_SMOOTHING),
            by_nearest=(weights * (close - np.nan_to_num(mean)[:, None])).sum(axis=1)
            / (weights.sum(axis=1) + DIFFERENCE_SMOOTHING),
            category_count=count.astype(np.float64),
            category_mean=_ratio(total, count),
            nearest_count=there.sum(axis=1).astype(np.float64),
            nearest_mean=_ratio(close.sum(axis=1), there.sum(axis=1)),
            nearest_liked=np.where(there, liked[nearest], 0.0).sum(axis=1),
        )

    def _nearest(
        self, items: NDArray[np.integer], targets: NDArray[np.integer], before: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], Numbers]:
        """Places of the past items most similar to each target, [targets, n], and their similarity, 0 where it is not
        positive: then there is none.
        """
        similarity = (self._vectors[targets] @ self._vectors[items].T).astype(np.float64)
        similarity[~before | (items == targets[:, None])] = 0.0
        # Of equal ones the newest counts: a stable order from the end.
        kept = min(NEAREST, len(items))
        order = np.argsort(-similarity[:, ::-1], axis=1, kind="stable")[:, :kept]
        places = len(items) - 1 - order
        return places, np.maximum(np.take_along_axis(similarity, places, axis=1), 0.0)


def _categories(dataset: Dataset) -> csr_matrix:
    """Which item has which categories, [items, categories]; sparse, because some data have thousands of them."""
    from scipy.sparse import csr_matrix  # half a second, which those who only write prompts need not wait

    names = {name: code for code, name in enumerate(sorted({name for of in dataset.categories for name in of}))}
    columns = [[names[name] for name in dict.fromkeys(of)] for of in dataset.categories]
    ends = np.cumsum([0, *map(len, columns)])
    places = np.fromiter((code for of in columns for code in of), dtype=np.int64, count=int(ends[-1]))
    return csr_matrix((np.ones(len(places), dtype=np.float32), places, ends), shape=(dataset.n_items, len(names)))


def _latest(values: Numbers, ends: NDArray[np.integer], most: int | None, zeros: float = 0.0) -> Numbers:
    """The mean of the ``most`` values before each end, with so many ``zeros`` added; NaN where there is none."""
    sums = np.r_[0.0, np.cumsum(values)]
    starts = np.zeros_like(ends) if most is None else np.maximum(ends - most, 0)
    return _ratio(sums[ends] - sums[starts], ends - starts + zeros)


def _ratio(total: Numbers, count: NDArray[np.number]) -> Numbers:
    return np.divide(total, count, out=np.full(len(total), np.nan), where=np.asarray(count) > 0)
