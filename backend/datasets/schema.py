"""The one shape that every dataset takes: users, items and interactions, and what is known about them.

Where the values come from is left to the adapters, the sorting to ``build``, the files to ``store``. Arrays are
read-only, so that one loaded dataset can serve many threads.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from backend.datasets.rules import Rules, Templates
from backend.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
# How prompts speak: see backend.prompting.
Domain = Literal["movies", "movies-profile", "books", "general"]


class LabelRule(BaseModel):
    """When a rating counts as a "yes" (notes, Data: rating > 3; BookCrossing: rating >= 5)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    inclusive: bool = False

    def describe(self) -> str:
        """For example ``rating > 3``."""
        return f"rating {'>=' if self.inclusive else '>'} {self.threshold:g}"

    def apply(self, ratings: np.ndarray) -> np.ndarray:
        """bool, in the shape of ``ratings``: true where the rule holds."""
        return ratings >= self.threshold if self.inclusive else ratings > self.threshold


class DatasetMeta(BaseModel):
    """What screens, prompts and keys need to know about a dataset; kept as ``meta.json``.

    ``time_ordered``: false where the data has no times, so that "recent" is an arbitrary, seeded order.
    ``source_hash``: SHA-256 over the names and bytes of the raw files, the same for a zip and its unpacked folder.
    ``data_hash``: SHA-256 of the content of the three tables and of what is said here of their meaning
    (:attr:`meaning`); artifacts made from them are keyed by it.
    ``format``: the adapter that read it. ``domain``: which prompts speak of it. ``category_noun``: what its items'
    categories are. ``own_year``: the year is a column of the raw data, not a part of the title.
    ``skipped``: how many rows were left out, by reason; ``skipped_examples``: the first few of them, in words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA_VERSION
    name: str
    title: str
    item_noun: str
    item_noun_plural: str
    verb_past: str
    rating_min: float
    rating_max: float
    rating_unit: str
    label_rule: LabelRule
    time_ordered: bool
    licence: str
    source_hash: str
    data_hash: str = ""
    skipped: dict[str, int] = Field(default_factory=dict)
    skipped_examples: tuple[str, ...] = ()
    format: str = "ml-csv"
    domain: Domain = "movies"
    category_noun: str = "genre"
    category_noun_plural: str = "genres"
    own_year: bool = False
    rules: Rules = Rules()
    templates: Templates = Templates()

    @property
    def meaning(self) -> dict[str, Any]:
        """What the tables mean, where that is not as in MovieLens' latest small: hashes from before then still hold."""
        said = self.model_dump(mode="json", exclude=_NO_MEANING)
        return {name: value for name, value in said.items() if value != _PLAIN.get(name)}

    @property
    def order_note(self) -> str:
        """What stands in for time, as a clause; empty where the data has times."""
        if self.time_ordered:
            return ""
        return f"order is arbitrary here: the data has no times, a shuffle (seed {self.rules.seed}) stands in for them"


# Names and origins say nothing of the content: two datasets that differ in these alone are the same data.
_NO_MEANING = {
    "schema_version", "name", "title", "licence", "format", "source_hash", "data_hash", "skipped", "skipped_examples",
}  # fmt: skip
_PLAIN: dict[str, Any] = {
    "item_noun": "movie",
    "item_noun_plural": "movies",
    "verb_past": "watched",
    "rating_min": 0.5,
    "rating_max": 5.0,
    "rating_unit": "stars",
    "label_rule": {"threshold": 3.0, "inclusive": False},
    "time_ordered": True,
    "domain": "movies",
    "category_noun": "genre",
    "category_noun_plural": "genres",
    "own_year": False,
    "rules": Rules().model_dump(mode="json"),
    "templates": Templates().model_dump(mode="json"),
}


def natural_key(identifier: str) -> tuple[int, int, str]:
    """The order of ids: whole numbers by value ("2" before "10"), then everything else by its characters."""
    # 18 digits fit an int64; longer runs of digits are names rather than numbers
    if len(identifier) <= 18 and identifier.isascii() and identifier.isdigit():
        return 0, int(identifier), identifier
    return 1, 0, identifier


@dataclass(frozen=True, eq=False)
class Dataset:
    """Users, items, and n interactions sorted by (user, timestamp, item); a user's history is one contiguous block.

    ``users``: column ``user`` (str id), then profile columns if any; ``items``: ``item`` (str id), ``title`` (str,
    without the year), ``year`` (Int64 or NA), ``categories`` (tuple of str), then other columns if any. Both in the
    order of :func:`natural_key`; the place of a row is its code. ``user_index``, ``item_index``: int32[n] codes;
    ``rating``: float32[n]; ``timestamp``: int64[n], seconds (of data without times: places in a shuffle); ``user_ptr``:
    int64[n_users + 1], where the blocks begin and end.
    """

    meta: DatasetMeta
    users: pd.DataFrame
    items: pd.DataFrame
    user_index: np.ndarray
    item_index: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray
    user_ptr: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.user_index, self.item_index, self.rating, self.timestamp, self.user_ptr):
            array.flags.writeable = False

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def n_interactions(self) -> int:
        return len(self.rating)

    @cached_property
    def labels(self) -> np.ndarray:
        """bool[n]: which interactions are a "yes" by the dataset's rule."""
        labels = self.meta.label_rule.apply(self.rating)
        labels.flags.writeable = False
        return labels

    def user_code(self, user: str) -> int:
        """The code of a user id. O(1). Raises ``UsageError`` for an id that is not there."""
        return self._code("user", "users", user, self._user_codes)

    def item_code(self, item: str) -> int:
        """The code of an item id. O(1). Raises ``UsageError`` for an id that is not there."""
        return self._code("item", self.meta.item_noun_plural, item, self._item_codes)

    def user_rows(self, user_code: int) -> slice:
        """The interactions of a user, oldest first."""
        return slice(int(self.user_ptr[user_code]), int(self.user_ptr[user_code + 1]))

    def find_row(self, user_code: int, item_code: int) -> int | None:
        """The interaction of this user with this item (the first, should there be several), or None."""
        rows = self.user_rows(user_code)
        hits = np.flatnonzero(self.item_index[rows] == item_code)
        return rows.start + int(hits[0]) if hits.size else None

    def history_before(self, row: int) -> slice:
        """The rows of the same user before ``row`` in (timestamp, item) order, oldest first."""
        return slice(int(self.user_ptr[self.user_index[row]]), int(row))

    def item_label(self, item_code: int) -> str:
        """For example ``Toy Story (1995)``; the bare title where the year is unknown."""
        return self._item_labels[item_code]

    @cached_property
    def user_ids(self) -> list[str]:
        """User ids by code."""
        return [str(user) for user in self.users["user"]]

    @cached_property
    def item_ids(self) -> list[str]:
        """Item ids by code."""
        return [str(item) for item in self.items["item"]]

    @cached_property
    def categories(self) -> list[tuple[str, ...]]:
        """Categories by item code."""
        return [tuple(names) for names in self.items["categories"]]

    @cached_property
    def item_counts(self) -> np.ndarray:
        """int64[n_items]: interactions of each item."""
        counts = np.bincount(self.item_index, minlength=self.n_items)
        counts.flags.writeable = False
        return counts

    @cached_property
    def most_interacted(self) -> list[int]:
        """All item codes, those with the most interactions first; equal ones in the order of the codes."""
        return np.argsort(-self.item_counts, kind="stable").tolist()

    @cached_property
    def _user_codes(self) -> dict[str, int]:
        return {user: code for code, user in enumerate(self.user_ids)}

    @cached_property
    def _item_codes(self) -> dict[str, int]:
        return {item: code for code, item in enumerate(self.item_ids)}

    @cached_property
    def _item_labels(self) -> list[str]:
        years = self.items["year"]
        known = years.notna().tolist()
        rows = zip(self.items["title"].tolist(), years.tolist(), known, strict=True)
        return [f"{title} ({year})" if has_year else title for title, year, has_year in rows]

    def _code(self, column: str, plural: str, given: str, codes: dict[str, int]) -> int:
        code = codes.get(given)
        if code is not None:
            return code
        ids = list(codes)
        place = bisect_left(ids, natural_key(str(given)), key=natural_key)
        near = ids[max(0, min(place - 2, len(ids) - 4)) :][:4]
        raise UsageError(
            f"No {column} {given!r} in {self.meta.title}",
            expected=f"one of the ids (text) of its {len(ids):,} {plural}, such as {', '.join(map(repr, near))}",
            fix=f"look the id up in the column {column!r} of {self.meta.name}/{column}s.parquet, "
            "in the folder of prepared datasets",
        )
