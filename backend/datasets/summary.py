"""A dataset in the form of the paper's Table 1: users, items, samples, fields and features; and its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from backend.datasets.samples import build_samples, split
from backend.datasets.schema import Dataset


@dataclass(frozen=True)
class Summary:
    """``cardinalities``: of each field, how many different values occur among the interactions (of an item's
    categories, the first one counts). ``how``: the split. ``order``: ``time``, or ``arbitrary`` for data without times.
    """

    users: int
    items: int
    interactions: int
    samples: int
    train: int
    valid: int
    test: int
    cardinalities: dict[str, int]
    liked: float
    how: str
    order: str

    @property
    def fields(self) -> int:
        return len(self.cardinalities)

    @property
    def features(self) -> int:
        return sum(self.cardinalities.values())

    def as_json(self) -> dict[str, Any]:
        """In JSON's own types; ``fields`` and ``features`` are numbers, as in Table 1."""
        names = ("users", "items", "interactions", "samples", "train", "valid", "test", "fields", "features", "order")
        return {name: getattr(self, name) for name in names} | {
            "split": self.how, "liked": round(self.liked, 4), "cardinalities": self.cardinalities,
        }  # fmt: skip


def summarise(data: Dataset, how: str = "") -> Summary:
    """Statistics of a dataset under a split (empty: that of its rules)."""
    samples = build_samples(data)
    parts = split(samples, data, how)
    return Summary(
        users=data.n_users,
        items=data.n_items,
        interactions=data.n_interactions,
        samples=len(samples),
        train=len(parts.train),
        valid=len(parts.validation),
        test=len(parts.test),
        cardinalities=cardinalities(data),
        liked=float(data.labels.mean()) if data.n_interactions else float("nan"),
        how=how or data.meta.rules.split,
        order="time" if data.meta.time_ordered else "arbitrary",
    )


def cardinalities(data: Dataset) -> dict[str, int]:
    """Different values by field, over the users and items that interact; a value that is not known is none.

    Where the year is a part of the raw title, it is one of the title here too.
    """
    users = data.users.iloc[np.unique(data.user_index)]
    codes = np.unique(data.item_index)
    items = data.items.iloc[codes]
    meta = data.meta
    counts = {str(name): _count(users[name]) for name in users.columns}
    counts[meta.item_noun] = len(items)
    labels = items["title"] if meta.own_year else pd.Series([data.item_label(code) for code in codes.tolist()])
    counts["title"] = _count(labels)
    counts[meta.category_noun] = len({names[0] for names in items["categories"] if names})
    if meta.own_year:
        counts["year"] = _count(items["year"])
    others = [str(name) for name in items.columns if name not in ("item", "title", "year", "categories")]
    return counts | {name: _count(items[name]) for name in others}


def _count(column: pd.Series) -> int:
    return int(column.nunique(dropna=True))
