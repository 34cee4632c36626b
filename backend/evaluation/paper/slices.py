"""Samples in groups by what is known of them before the prediction: history, item, genre, user; and by variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.datasets import Dataset, Split
from backend.datasets.statistics import training_counts

Int64 = NDArray[np.int64]
# Groups of about equal size that a quantity is cut into.
PARTS = 4
GENRES = 6


@dataclass(frozen=True)
class Slices:
    """The samples of group i are ``order[spans[i, 0]:spans[i, 1]]``; with genres, one sample can be in several."""

    key: str
    title: str
    names: tuple[str, ...]
    order: Int64
    spans: Int64


def by_quantity(key: str, title: str, values: ArrayLike, parts: int = PARTS) -> Slices:
    """Groups of about equal size, small to large; equal values stay together, so there can be fewer groups.

    ``values``: [n], NaN in none of the groups.
    """
    v = np.asarray(values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(v))
    order = known[np.argsort(v[known], kind="stable")]
    ordered = v[order]
    equal = [round(len(ordered) * part / parts) for part in range(1, parts)]
    # A cut between equal values moves to where they begin.
    cuts = {int(np.searchsorted(ordered, ordered[cut], "left")) for cut in equal if 0 < cut < len(ordered)}
    ends = sorted(cuts - {0} | ({len(ordered)} if len(ordered) else set()))
    spans = np.array(list(pairwise([0, *ends])), dtype=np.int64).reshape(-1, 2)
    names = tuple(_range(ordered[start], ordered[stop - 1]) for start, stop in spans.tolist())
    return Slices(key, title, names, order.astype(np.int64), spans)


def by_group(key: str, title: str, groups: Sequence[tuple[str, ArrayLike]]) -> Slices:
    """Slices from groups that are given: the name of each, and the places of its samples."""
    return Slices(key, title, tuple(name for name, _ in groups), *joined([members for _, members in groups]))


def joined(groups: Sequence[ArrayLike]) -> tuple[Int64, Int64]:
    """The members of several groups as one order, and the span [start, end) of each group in it."""
    places = [np.asarray(members, dtype=np.int64) for members in groups]
    ends = np.cumsum([len(members) for members in places], dtype=np.int64)
    starts = ends - [len(members) for members in places] if places else ends
    return np.concatenate([np.empty(0, dtype=np.int64), *places]), np.stack([starts, ends], axis=1).astype(np.int64)


def dataset_slices(data: Dataset, split: Split, rows: ArrayLike) -> tuple[Slices, ...]:
    """The samples by length of history, the item's training ratings, the user's ratings, and the commonest genres.

    ``rows``: int64[n], the samples' interaction rows.
    """
    where = np.asarray(rows, dtype=np.int64)
    users, items = data.user_index[where], data.item_index[where]
    popularity = training_counts(data, split)[items]
    return (
        by_quantity("history", "length of history", where - data.user_ptr[users]),
        by_quantity("popularity", "training ratings of the item", popularity),
        by_quantity("activity", "ratings of the user", np.diff(data.user_ptr)[users]),
        by_group("genre", "genre", _genres(data, items)),
    )


def _genres(data: Dataset, items: Int64) -> list[tuple[str, Int64]]:
    """The commonest genres among these items and the samples of each; one sample can be in several."""
    places: dict[str, list[int]] = {}
    for place, item in enumerate(items.tolist()):
        for name in data.categories[item]:
            places.setdefault(str(name), []).append(place)
    common = sorted(places, key=lambda name: (-len(places[name]), name))[:GENRES]
    return [(name, np.array(places[name], dtype=np.int64)) for name in common]


def _range(low: float, high: float) -> str:
    """A range in few letters, since it has to fit below a group of bars: numbers that are not whole get two digits."""
    first, last = (f"{end:.0f}" if end == round(end) else f"{end:.2g}" for end in (low, high))
    return first if low == high else f"{first} to {last}"
