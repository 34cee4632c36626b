"""MovieLens in its CSV form (``movies.csv``, ``ratings.csv``): latest small, 10M and later, 25M, 32M.

Says what the columns mean; reading with errors is in ``tables``, sorting in ``build``.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from backend.datasets.build import Raw, build
from backend.datasets.reading import Reading
from backend.datasets.schema import Dataset, DatasetMeta, LabelRule
from backend.datasets.sources import hash_files, read_files
from backend.datasets.tables import RowProblems, Table, drop_repeats, parse_numbers, read_csv, require_text

LICENCE = (
    "GroupLens: research use with citation; no commercial use without permission; may be passed on under "
    "the same conditions (README.txt in the archive)"
)
TITLES = {"ml-latest-small": "MovieLens latest small", "ml-25m": "MovieLens 25M", "ml-32m": "MovieLens 32M"}
NO_CATEGORIES = "(no genres listed)"
# seconds since 1970 up to the year 9999, so that milliseconds are refused rather than taken for the far future
LAST_SECOND = 253_402_300_799

# the last bracket that holds a year, or a range such as (1975-1979) or (2007-), whose first year counts
_TITLE_YEAR = re.compile(r"(?P<title>\S.*?)\s*\((?P<year>(?:18|19|20)\d\d)(?:\s*[-–—]\s*(?:\d{4})?)?\)", re.DOTALL)


def split_title(text: str) -> tuple[str, int | None]:
    """("Toy Story", 1995) from "Toy Story (1995)"; the whole text and None where it does not end in a year."""
    text = text.strip()
    match = _TITLE_YEAR.fullmatch(text)
    return (match["title"], int(match["year"])) if match else (text, None)


def split_categories(text: str) -> tuple[str, ...]:
    """("Comedy", "Drama") from "Comedy|Drama"; empty for "(no genres listed)"."""
    return tuple(part for part in map(str.strip, text.split("|")) if part and part != NO_CATEGORIES)


def read(reading: Reading) -> Dataset:
    """A dataset from a zip or folder that holds movies.csv and ratings.csv (UTF-8, with a header).

    Movies that nobody rated stay, as in the data that ships. Raises ``DataError`` for what is broken, as far as bad
    rows are not skipped.
    """
    problems, progress = reading.problems, reading.progress
    progress("reading the raw files", 0.0)
    files = read_files(reading.source, ("movies.csv", "ratings.csv"))
    movies = _read_movies(files["movies.csv"], problems)
    progress("reading ratings.csv", 0.1)
    ratings, movie_of = _read_ratings(files["ratings.csv"], movies, problems)
    progress("sorting the interactions", 0.7)
    user_of, user_ids = pd.factorize(ratings["userId"])
    meta = DatasetMeta(
        name=reading.name,
        title=TITLES.get(reading.name, reading.name),
        item_noun="movie",
        item_noun_plural="movies",
        verb_past="watched",
        rating_min=0.5,
        rating_max=5.0,
        rating_unit="stars",
        label_rule=LabelRule(threshold=3.0, inclusive=False),
        time_ordered=True,
        licence=LICENCE,
        source_hash=hash_files(files),
        skipped=problems.counts,
        skipped_examples=tuple(problems.examples),
        format="ml-csv",
        rules=reading.rules_over(),
    )
    raw = Raw(
        pd.DataFrame({"user": user_ids}), movie_frame(movies["movieId"], movies["title"], movies["genres"]),
        user_of, movie_of, ratings["rating"], ratings["timestamp"],
    )  # fmt: skip
    return build(meta, raw, keep_unused=True)


def _read_movies(data: bytes, problems: RowProblems) -> Table:
    movies = read_csv("movies.csv", data, ("movieId", "title", "genres"), problems)
    for name in ("movieId", "title"):
        movies = require_text(movies, name, problems)
    ids = movies["movieId"]
    return drop_repeats(movies, ids, "movie", lambda row: f"movieId {ids[row]!r}", problems)


def _read_ratings(data: bytes, movies: Table, problems: RowProblems) -> tuple[Table, np.ndarray]:
    """The ratings, and for each the place of its movie in ``movies``."""
    ratings = read_csv("ratings.csv", data, ("userId", "movieId", "rating", "timestamp"), problems)
    ratings = require_text(ratings, "userId", problems)
    ratings = parse_numbers(ratings, "rating", problems, low=0.5, high=5.0)
    ratings = parse_numbers(ratings, "timestamp", problems, low=0, high=LAST_SECOND, whole=True)
    known = pd.Index(movies["movieId"])
    ids = ratings["movieId"]
    ratings = ratings.without(
        known.get_indexer(ids) < 0,
        "unknown movie",
        lambda row: f"movieId {ids[row]!r} is not in movies.csv",
        "a movie that movies.csv lists",
        problems,
    )
    users, items = ratings["userId"], ratings["movieId"]
    keys = pd.factorize(users)[0].astype(np.int64) * len(known) + known.get_indexer(items)
    ratings = drop_repeats(
        ratings, keys, "rating", lambda row: f"user {users[row]!r} with movie {items[row]!r}", problems
    )
    return ratings, known.get_indexer(ratings["movieId"])


def movie_frame(ids: np.ndarray, titles: np.ndarray, genres: np.ndarray) -> pd.DataFrame:
    """The items of a MovieLens set, from columns of text: ``titles`` with their years, ``genres`` split by "|"."""
    names, years = zip(*map(split_title, titles), strict=True)
    return pd.DataFrame(
        {
            "item": ids,
            "title": list(names),
            "year": pd.array(list(years), dtype="Int64"),
            "categories": pd.Series([split_categories(text) for text in genres], dtype=object),
        }
    )
