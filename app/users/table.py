"""All users of a dataset at a glance: what is listed of each, as arrays made once, and the page of them asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.users.address import UsersQuery
from backend.datasets import Dataset

PAGE = 50
# Genres that are listed of a user.
MAIN_GENRES = 3
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class UserRow:
    """One listed user. ``first``, ``last``: seconds; None where the dataset has no times. ``mean``, ``liked``: NaN for
    a user without ratings. ``predictions``: samples that M_G has answered; None while they are being counted.
    """

    user: str
    ratings: int
    mean: float
    liked: float
    first: int | None
    last: int | None
    genres: tuple[str, ...]
    predictions: int | None


@dataclass(frozen=True)
class UserPage:
    """``rows``: a page of the ``found`` users, of ``total``. ``page`` and ``pages`` count from 1."""

    query: UsersQuery
    rows: tuple[UserRow, ...]
    found: int
    total: int
    page: int
    pages: int
    time_ordered: bool
    counted: bool


class UserTable:
    """Columns by user code. The naive equivalent of each walks every user's own interactions."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.ratings: Ints = np.diff(data.user_ptr)
        self.mean = self._share(data.rating)
        self.liked = self._share(data.labels)

    def page(self, query: UsersQuery, predictions: Ints | None) -> UserPage:
        """The users that ``query`` shows; ``predictions``: int64[users], None while they are being counted."""
        codes = self._sorted(self._shown(query, predictions), query, predictions)
        pages = max(1, -(-len(codes) // PAGE))
        page = min(query.page, pages)
        rows = tuple(self._row(code, predictions) for code in codes[(page - 1) * PAGE : page * PAGE].tolist())
        ordered, counted = self._data.meta.time_ordered, predictions is not None
        return UserPage(query, rows, len(codes), self._data.n_users, page, pages, ordered, counted)

    def genres(self, user: int) -> Sequence[str]:
        """The genres of a user code that most of the rated items have, at most three."""
        # One user's at a time: a table of all users by all authors of a book set would not fit.
        items = self._data.item_index[self._data.user_rows(user)]
        counts = self.count_genres(np.zeros(len(items), dtype=np.int64), items, 1)[0]
        codes = np.argsort(-counts, kind="stable")[:MAIN_GENRES]
        return [self.genre_names[code] for code in codes if counts[code]]

    @cached_property
    def genre_names(self) -> list[str]:
        """By genre code, those of the most items first."""
        return self._item_genres[0]

    def count_genres(self, groups: Ints, items: Ints, size: int) -> NDArray[np.int32]:
        """int32[size, genres]: how many of each group's ``items`` (codes, beside their groups) have each genre."""
        names, ptr, genres = self._item_genres
        counts = np.zeros(size * len(names), dtype=np.int32)
        lengths = np.diff(ptr)[items]
        for place in range(int(lengths.max(initial=0))):  # the items' first genres, then their second ones, ...
            has = lengths > place
            keys = groups[has].astype(np.int64) * len(names) + genres[ptr[items[has]] + place]
            counts += np.bincount(keys, minlength=len(counts)).astype(np.int32)
        return counts.reshape(size, len(names))

    @cached_property
    def _item_genres(self) -> tuple[list[str], Ints, Ints]:
        """The names of the genres, and, item after item, where its genres begin and their codes."""
        every = [name for names in self._data.categories for name in dict.fromkeys(names)]
        names, codes = np.unique(np.array(every, dtype=object), return_inverse=True)
        order = np.argsort(-np.bincount(codes, minlength=len(names)), kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        lengths = [len(dict.fromkeys(names)) for names in self._data.categories]
        return [str(names[code]) for code in order], np.concatenate([[0], np.cumsum(lengths)]), place[codes]

    @cached_property
    def _main_genre(self) -> Ints:
        """int64[users]: the place of the main genre in the alphabet, so that sorting by it is by its name."""
        places = {name: place for place, name in enumerate(sorted(self.genre_names))}
        return np.array([places[own[0]] if (own := self.genres(u)) else -1 for u in range(self._data.n_users)])

    def _shown(self, query: UsersQuery, predictions: Ints | None) -> Ints:
        wanted = query.find.strip().lower()
        codes = [code for code, user in enumerate(self._data.user_ids) if wanted in user.lower()]
        found = np.array(codes, dtype=np.int64)
        if query.show == "predicted" and predictions is not None:
            found = found[predictions[found] > 0]
        return found

    def _sorted(self, codes: Ints, query: UsersQuery, predictions: Ints | None) -> Ints:
        """Equal users in the order of their ids; those without a value last, either way."""
        values = self._column(query.column, predictions)
        if values is None:
            return codes[::-1] if query.falling and query.column == "user" else codes
        own = values[codes].astype(np.float64)
        return codes[np.argsort(-own if query.falling else own, kind="stable")]

    def _column(self, name: str, predictions: Ints | None) -> NDArray[np.generic] | None:
        data, some = self._data, self.ratings > 0
        if name in ("first", "last") and data.meta.time_ordered and data.n_interactions:
            row = data.user_ptr[:-1] if name == "first" else data.user_ptr[1:] - 1
            return np.where(some, data.timestamp[np.clip(row, 0, data.n_interactions - 1)], np.nan)
        columns = {"ratings": self.ratings, "mean": self.mean, "liked": self.liked, "predictions": predictions}
        return self._main_genre if name == "genre" else columns.get(name)

    def _row(self, code: int, predictions: Ints | None) -> UserRow:
        data, rows = self._data, self._data.user_rows(code)
        timed = data.meta.time_ordered and rows.stop > rows.start
        return UserRow(
            data.user_ids[code],
            int(self.ratings[code]),
            float(self.mean[code]),
            float(self.liked[code]),
            int(data.timestamp[rows.start]) if timed else None,
            int(data.timestamp[rows.stop - 1]) if timed else None,
            tuple(self.genres(code)),
            None if predictions is None else int(predictions[code]),
        )

    def _share(self, values: NDArray[np.generic]) -> Floats:
        """float64[users]: the mean of one value per interaction; NaN where a user has none."""
        sums = np.bincount(self._data.user_index, weights=values, minlength=len(self.ratings))
        return np.divide(sums, self.ratings, out=np.full(len(sums), np.nan), where=self.ratings > 0)
