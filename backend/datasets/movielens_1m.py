"""MovieLens 1M: ``users.dat``, ``movies.dat`` and ``ratings.dat``, fields split by "::", latin-1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from backend.datasets.build import Raw, build
from backend.datasets.movielens import LAST_SECOND, LICENCE, movie_frame
from backend.datasets.reading import Reading
from backend.datasets.rules import Templates
from backend.datasets.schema import Dataset, DatasetMeta, LabelRule
from backend.datasets.sources import hash_files, read_files
from backend.datasets.tables import (
    RowProblems,
    Table,
    collect,
    decode,
    drop_repeats,
    parse_numbers,
    require_listed,
    require_text,
    split_lines,
)

FILES = ("users.dat", "movies.dat", "ratings.dat")
GENDERS = {"F": "female", "M": "male"}
AGES = {
    "1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56 or more",
}  # fmt: skip
_JOBS = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman",
    "unemployed", "writer",
)  # fmt: skip
JOBS = {str(code): name for code, name in enumerate(_JOBS)}
PROFILE = ("The user is {gender}.", "{Their} age is {age}.", "{Their} job is {job}.")


def read(reading: Reading) -> Dataset:
    """The dataset from a zip or folder with the three files; movies that nobody rated are left out.

    Raises ``DataError`` for what is broken, as far as bad rows are not skipped.
    """
    problems, progress = reading.problems, reading.progress
    progress("reading the raw files", 0.0)
    files = read_files(reading.source, FILES)
    users = _users(files["users.dat"], problems)
    movies = _table("movies.dat", files["movies.dat"], ("movie", "title", "genres"), problems)
    movies = drop_repeats(movies, movies["movie"], "movie", lambda row: f"movie {movies['movie'][row]!r}", problems)
    progress("reading ratings.dat", 0.1)
    ratings = _table("ratings.dat", files["ratings.dat"], ("user", "movie", "rating", "timestamp"), problems)
    raw = rated(users, movies, ratings, problems)
    progress("sorting the interactions", 0.7)
    return build(movielens_meta(reading, hash_files(files), "MovieLens 1M"), raw)


def movielens_meta(reading: Reading, source_hash: str, title: str) -> DatasetMeta:
    """What the two old MovieLens sets have in common: whole stars, and something known of each user."""
    return DatasetMeta(
        name=reading.name,
        title=title if reading.name.startswith("ml-") else reading.name,
        item_noun="movie",
        item_noun_plural="movies",
        verb_past="watched",
        rating_min=1,
        rating_max=5,
        rating_unit="stars",
        label_rule=LabelRule(threshold=3.0, inclusive=False),
        time_ordered=True,
        licence=LICENCE,
        source_hash=source_hash,
        skipped=reading.problems.counts,
        skipped_examples=tuple(reading.problems.examples),
        domain="movies-profile",
        rules=reading.rules_over(),
        templates=Templates(profile=PROFILE),
    )


def rated(users: pd.DataFrame, movies: Table, ratings: Table, problems: RowProblems) -> Raw:
    """The ratings (columns user, movie, rating, timestamp) checked against the users and movies that are listed.

    ``movies`` has the columns movie, title and genres.
    """
    ratings = parse_numbers(ratings, "rating", problems, low=1, high=5)
    ratings = parse_numbers(ratings, "timestamp", problems, low=0, high=LAST_SECOND, whole=True)
    known = {"user": pd.Index(users["user"]), "movie": pd.Index(movies["movie"])}
    ratings = require_listed(ratings, "user", known["user"], "a user of the file of users", problems)
    ratings = require_listed(ratings, "movie", known["movie"], f"a movie that {movies.file} lists", problems)
    user_of, movie_of = (ids.get_indexer(ratings[column]) for column, ids in known.items())
    keys = user_of.astype(np.int64) * len(movies) + movie_of
    kept = drop_repeats(ratings, keys, "rating", _pair(ratings), problems)
    if len(kept) != len(ratings):
        user_of, movie_of = (ids.get_indexer(kept[column]) for column, ids in known.items())
    items = movie_frame(movies["movie"], movies["title"], movies["genres"])
    return Raw(users, items, user_of, movie_of, kept["rating"], kept["timestamp"])


def user_frame(users: Table, columns: dict[str, dict[str, str] | None], problems: RowProblems) -> pd.DataFrame:
    """The table's users once each; of ``columns``, those with a code have it replaced by what it means."""
    users = drop_repeats(users, users["user"], "user", lambda row: f"user {users['user'][row]!r}", problems)
    for name, codes in columns.items():
        if codes is not None:
            users = require_listed(users, name, codes, f"one of {', '.join(codes)}", problems)
    named = {
        name: users[name] if codes is None else [codes[value] for value in users[name]]
        for name, codes in columns.items()
    }
    return pd.DataFrame({"user": users["user"]} | named)


def _pair(ratings: Table) -> Callable[[int], str]:
    return lambda row: f"user {ratings['user'][row]!r} with movie {ratings['movie'][row]!r}"


def _users(data: bytes, problems: RowProblems) -> pd.DataFrame:
    users = _table("users.dat", data, ("user", "gender", "age", "job", "zip"), problems)
    return user_frame(users, {"gender": GENDERS, "age": AGES, "job": JOBS, "zip": None}, problems)


def _table(file: str, data: bytes, names: tuple[str, ...], problems: RowProblems) -> Table:
    table = collect(file, split_lines(decode(file, data, "latin-1"), "::"), names, names, problems)
    for name in names[:2]:
        table = require_text(table, name, problems)
    return table
