"""The categorical fields that ID-based systems see of a sample: who is asked, and about what.

A field's values are numbered from 1 by the training part; 0 stands for all that the training part does not have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from backend.datasets import Dataset

Codes = NDArray[np.int64]
# Of an item's categories only the first is a field (notes, Data).
_CATEGORY = "category"


@dataclass(frozen=True, eq=False)
class Field:
    """``codes``: int64, by user code or by item code; ``size``: how many numbers there are, 0 included."""

    name: str
    of_user: bool
    codes: Codes
    size: int


class Fields:
    """The fields of a dataset: the user and their profile's columns; the item, its title and its first category.

    ``learned``: int[m], the training interactions (:func:`backend.datasets.statistics.training_rows`).
    """

    def __init__(self, dataset: Dataset, learned: ArrayLike) -> None:
        self._dataset = dataset
        rows = np.asarray(learned, dtype=np.int64)
        users, items = np.unique(dataset.user_index[rows]), np.unique(dataset.item_index[rows])
        profile = [name for name in dataset.users.columns if name != "user"]
        of_users = {"user": pd.Series(np.arange(dataset.n_users))} | {name: dataset.users[name] for name in profile}
        first = pd.Series([names[0] if names else None for names in dataset.categories], dtype=object)
        of_items = {
            "item": pd.Series(np.arange(dataset.n_items)),
            "title": dataset.items["title"],
            _CATEGORY: first,
        }
        self.all = (
            *(_field(name, True, values, users) for name, values in of_users.items()),
            *(_field(name, False, values, items) for name, values in of_items.items()),
        )

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers each field has, 0 included."""
        return {field.name: field.size for field in self.all}

    def codes(self, rows: ArrayLike) -> Codes:
        """int64[s, fields]: the fields of these interactions."""
        which = np.asarray(rows, dtype=np.int64)
        users, items = self._dataset.user_index[which], self._dataset.item_index[which]
        return np.stack([field.codes[users if field.of_user else items] for field in self.all], axis=1)


def _field(name: str, of_user: bool, values: pd.Series, learned: Codes) -> Field:
    """Number the values that the learned users or items have, in the order in which these come."""
    known = pd.unique(values.iloc[learned].dropna())
    by_value = pd.Series(np.arange(1, len(known) + 1), index=pd.Index(known))
    item_codes = by_value.reindex(values).fillna(0).to_numpy(dtype=np.int64)
    return Field(name, of_user, item_codes, len(known) + 1)
