"""One user: how they rate, against everybody, and their whole history as a timeline needs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.predict.map_data import first_genres
from app.users.table import UserTable
from backend.datasets import Dataset

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
class Profile:
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
    """Of one dataset; what all users share is counted once."""

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

    def profile(self, user: int) -> Profile:
        """Of a user code."""
        data, table = self._data, self._table
        rows = data.user_rows(user)
        count = rows.stop - rows.start
        timed = data.meta.time_ordered and count > 0
        own = np.bincount(self._value_codes[rows], minlength=len(self._values)) / max(count, 1)
        record = data.users.iloc[user]
        facts = tuple((str(name), str(record[name])) for name in data.users.columns if name != "user")
        return Profile(
            user=data.user_ids[user],
            code=user,
            facts=facts,
            habit=Habit(count, float(table.mean[user]), float(table.liked[user])),
            everybody=_everybody(data),
            values=tuple(map(float, self._values)),
            own=tuple(own.tolist()),
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
