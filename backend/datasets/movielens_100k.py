"""MovieLens 100K: ``u.data`` (tabs), ``u.item`` and ``u.user`` ("|"), ``u.genre``; latin-1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.datasets.build import build
from backend.datasets.movielens_1m import GENDERS, movielens_meta, rated, user_frame
from backend.datasets.reading import Reading
from backend.datasets.schema import Dataset
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

FILES = ("u.data", "u.item", "u.user", "u.genre")
# What stands for "no genre" among the genres.
_NO_GENRE = "unknown"


def read(reading: Reading) -> Dataset:
    """The dataset from a zip or folder with the four files. Raises ``DataError``, for bad rows if none are skipped."""
    problems, progress = reading.problems, reading.progress
    progress("reading the raw files", 0.0)
    files = read_files(reading.source, FILES)
    genres = _genres(files["u.genre"], problems)
    movies = _movies(files["u.item"], genres, problems)
    users = _table("u.user", files["u.user"], "|", ("user", "age", "gender", "job", "zip"), problems)
    users = parse_numbers(users, "age", problems, low=1, high=120, whole=True)
    users = replace(users, columns={**users.columns, "age": users["age"].astype(str).astype(object)})
    frame = user_frame(users, {"gender": GENDERS, "age": None, "job": None, "zip": None}, problems)
    progress("reading u.data", 0.2)
    ratings = _table("u.data", files["u.data"], "\t", ("user", "movie", "rating", "timestamp"), problems)
    raw = rated(frame, movies, ratings, problems)
    return build(movielens_meta(reading, hash_files(files), "MovieLens 100K"), raw)


def _genres(data: bytes, problems: RowProblems) -> list[str]:
    """Names in the order of the flags of u.item."""
    table = _table("u.genre", data, "|", ("genre", "code"), problems)
    table = parse_numbers(table, "code", problems, low=0, high=1000, whole=True)
    return [str(name) for _, name in sorted(zip(table["code"], table["genre"], strict=True))]


def _movies(data: bytes, genres: list[str], problems: RowProblems) -> Table:
    """Columns movie, title and genres (split by "|")."""
    flags = [f"flag {name}" for name in genres]
    names = ("movie", "title", "released", "video", "url", *flags)
    movies = _table("u.item", data, "|", names, problems)
    for flag in flags:
        movies = require_listed(movies, flag, ("0", "1"), "0 or 1", problems)
    movies = drop_repeats(movies, movies["movie"], "movie", lambda row: f"movie {movies['movie'][row]!r}", problems)
    rows = zip(*(movies[flag] for flag in flags), strict=True)
    said = ([name for name, flag in zip(genres, row, strict=True) if flag == "1" and name != _NO_GENRE] for row in rows)
    listed = np.array(["|".join(names) for names in said], dtype=object)
    return Table(movies.file, movies.lines, {"movie": movies["movie"], "title": movies["title"], "genres": listed})


def _table(file: str, data: bytes, separator: str, names: tuple[str, ...], problems: RowProblems) -> Table:
    table = collect(file, split_lines(decode(file, data, "latin-1"), separator), names, names, problems)
    for name in names[:2]:
        table = require_text(table, name, problems)
    return table
