"""What a dataset says of its users: all of them at a glance, and one with their habits and their whole history.

What all users share is counted once, as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.shared.genres import first_genres
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
        """Returns the users that ``query`` shows. ``predictions``: int64[users], None while they are being counted."""
        codes = self._sorted(self._shown(query, predictions), query, predictions)
        pages = max(1, -(-len(codes) // PAGE))
        page = min(query.page, pages)
        rows = tuple(self._row(code, predictions) for code in codes[(page - 1) * PAGE : page * PAGE].tolist())
        ordered, counted = self._data.meta.time_ordered, predictions is not None
        return UserPage(query, rows, len(codes), self._data.n_users, page, pages, ordered, counted)

    def genres(self, user: int) -> Sequence[str]:
        """Returns the genres that most of the items rated by a user code have, at most three."""
        # One user's at a time: a table of all users by all authors of a book set would not fit.
        items = self._data.item_index[self._data.user_rows(user)]
        counts = self.count_genres(np.zeros(len(items), dtype=np.int64), items, 1)[0]
        codes = np.argsort(-counts, kind="stable")[:MAIN_GENRES]
        return [self.genre_names[code] for code in codes if counts[code]]

    @cached_property
    def genre_names(self) -> list[str]:
        """The names by genre code; the genres of the most items come first."""
        return self._item_genres[0]

    def count_genres(self, groups: Ints, items: Ints, size: int) -> NDArray[np.int32]:
        """Counts how many of each group's ``items`` (codes, beside their groups) have each genre: int32[size,
        genres]."""
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
        return np.array([places[names[0]] if (names := self.genres(u)) else -1 for u in range(self._data.n_users)])

    def _shown(self, query: UsersQuery, predictions: Ints | None) -> Ints:
        text = query.find.strip().lower()
        matching = [code for code, user in enumerate(self._data.user_ids) if text in user.lower()]
        codes = np.array(matching, dtype=np.int64)
        if query.show == "predicted" and predictions is not None:
            codes = codes[predictions[codes] > 0]
        return codes

    def _sorted(self, codes: Ints, query: UsersQuery, predictions: Ints | None) -> Ints:
        """Sorts user codes. Equal users stay in the order of their ids; users without a value come last, either way."""
        values = self._column(query.column, predictions)
        if values is None:
            return codes[::-1] if query.falling and query.column == "user" else codes
        numbers = values[codes].astype(np.float64)
        return codes[np.argsort(-numbers if query.falling else numbers, kind="stable")]

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
        """Takes the mean of one value per interaction: float64[users], NaN where a user has none."""
        sums = np.bincount(self._data.user_index, weights=values, minlength=len(self.ratings))
        return np.divide(sums, self.ratings, out=np.full(len(sums), np.nan), where=self.ratings > 0)


# Genres that are compared: with fewer of a user's ratings, a share says nothing.
_LEAST, _MOST = 5, 12


@dataclass(frozen=True)
class Habit:
    """How many ratings, their mean, and the share that is liked; of one user, or of all."""

    ratings: int
    mean: float
    liked: float


@dataclass(frozen=True)
class GenreTaste:
    """One genre: how many of the user's ratings, and the liked share of these, against everybody's."""

    name: str
    ratings: int
    liked: float
    liked_by_all: float


@dataclass(frozen=True)
class UserProfile:
    """``facts``: what the dataset says of the user beside ratings. ``values``: the ratings that occur, ascending;
    ``own`` and ``all``: the share of each among the user's and among all ratings. ``samples``: how many predictions
    can be asked about, each behind ``least`` earlier ratings.
    """

    user: str
    code: int
    facts: tuple[tuple[str, str], ...]
    habit: Habit
    everybody: Habit
    values: tuple[float, ...]
    own: tuple[float, ...]
    all: tuple[float, ...]
    liked_values: tuple[bool, ...]
    genres: tuple[GenreTaste, ...]
    main: tuple[str, ...]
    first: int | None
    last: int | None
    samples: int
    least: int


@dataclass(frozen=True)
class Timeline:
    """A history of n ratings, oldest first. ``when``: int64[n] seconds; ``rating``: float32[n]; ``genre``: int64[n],
    places in ``genres``, by the item's first one, the last standing for all others. ``items``: int[n] codes.
    """

    when: NDArray[np.int64]
    rating: NDArray[np.float32]
    genre: NDArray[np.int64]
    items: NDArray[np.int32]
    genres: tuple[str, ...]
    rating_min: float
    rating_max: float
    time_ordered: bool


class Profiles:
    """Makes the profiles and timelines of one dataset; what all users share is counted once."""

    def __init__(self, data: Dataset, table: UserTable) -> None:
        self._data, self._table = data, table
        self._values, codes = np.unique(data.rating, return_inverse=True)
        self._value_codes = codes
        self._all = np.bincount(codes, minlength=len(self._values)) / max(len(codes), 1)
        every = np.zeros(data.n_interactions, dtype=np.int64)
        liked = data.labels
        self._genre_all = table.count_genres(every, data.item_index, 1)[0]
        self._genre_liked = table.count_genres(every[liked], data.item_index[liked], 1)[0]
        # The same genres, in the same colours, as on the item map.
        genre, names = first_genres(data)
        self._first_genre, self._genres = np.array(genre, dtype=np.int64), tuple(names)

    def profile(self, user: int) -> UserProfile:
        """Of a user code."""
        data, table = self._data, self._table
        rows = data.user_rows(user)
        count = rows.stop - rows.start
        timed = data.meta.time_ordered and count > 0
        shares = np.bincount(self._value_codes[rows], minlength=len(self._values)) / max(count, 1)
        record = data.users.iloc[user]
        facts = tuple((str(name), str(record[name])) for name in data.users.columns if name != "user")
        return UserProfile(
            user=data.user_ids[user],
            code=user,
            facts=facts,
            habit=Habit(count, float(table.mean[user]), float(table.liked[user])),
            everybody=_everybody(data),
            values=tuple(map(float, self._values)),
            own=tuple(shares.tolist()),
            all=tuple(self._all.tolist()),
            liked_values=tuple(data.meta.label_rule.apply(self._values).tolist()),
            genres=self._tastes(rows),
            main=tuple(table.genres(user)),
            first=int(data.timestamp[rows.start]) if timed else None,
            last=int(data.timestamp[rows.stop - 1]) if timed else None,
            samples=max(0, count - data.meta.rules.min_history),
            least=data.meta.rules.min_history,
        )

    def timeline(self, user: int) -> Timeline:
        """Of a user code."""
        data, rows = self._data, self._data.user_rows(user)
        items = data.item_index[rows]
        return Timeline(
            data.timestamp[rows], data.rating[rows], self._first_genre[items], items, self._genres,
            data.meta.rating_min, data.meta.rating_max, data.meta.time_ordered,
        )  # fmt: skip

    def _tastes(self, rows: slice) -> tuple[GenreTaste, ...]:
        data, table = self._data, self._table
        items, liked = data.item_index[rows], data.labels[rows]
        nobody = np.zeros(len(items), dtype=np.int64)
        counts = table.count_genres(nobody, items, 1)[0]
        likes = table.count_genres(nobody[liked], items[liked], 1)[0]
        codes = [code for code in np.argsort(-counts, kind="stable")[:_MOST].tolist() if counts[code] >= _LEAST]
        return tuple(
            GenreTaste(
                table.genre_names[code],
                int(counts[code]),
                float(likes[code] / counts[code]),
                float(self._genre_liked[code] / self._genre_all[code]),
            )
            for code in codes
        )


def _everybody(data: Dataset) -> Habit:
    if not data.n_interactions:
        return Habit(0, float("nan"), float("nan"))
    return Habit(data.n_interactions, float(data.rating.mean(dtype="f8")), float(data.labels.mean()))
