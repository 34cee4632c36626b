"""MovieLens: the CSV form (latest small, 10M and later, 25M, 32M), 1M ("::" between fields) and 100K (tabs and "|").

Says what the columns mean; reading with errors is in ``tables``, sorting in ``build``. The two old sets are latin-1 and
tell something of each user; in them movies that nobody rated are left out, in the CSV form they stay.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from backend.datasets.build import Raw, build
from backend.datasets.reading import Reading
from backend.datasets.rules import Templates
from backend.datasets.schema import Dataset, DatasetMeta
from backend.datasets.sources import hash_files, read_files
from backend.datasets.tables import (
    RowProblems,
    Table,
    collect,
    decode,
    drop_repeats,
    parse_numbers,
    read_csv,
    require_listed,
    require_text,
    split_lines,
)

LICENCE = (
    "GroupLens: research use with citation; no commercial use without permission; may be passed on under "
    "the same conditions (README.txt in the archive)"
)
TITLES = {"ml-latest-small": "MovieLens latest small", "ml-25m": "MovieLens 25M", "ml-32m": "MovieLens 32M"}
NO_CATEGORIES = "(no genres listed)"
# What stands for "no genre" among the genres of 100K.
_NO_GENRE = "unknown"
# seconds since 1970 up to the year 9999, so that milliseconds are refused rather than taken for the far future
LAST_SECOND = 253_402_300_799

# the last bracket that holds a year, or a range such as (1975-1979) or (2007-), whose first year counts
_TITLE_YEAR = re.compile(r"(?P<title>\S.*?)\s*\((?P<year>(?:18|19|20)\d\d)(?:\s*[-–—]\s*(?:\d{4})?)?\)", re.DOTALL)

# What the old sets write for a user's gender, age and job.
GENDERS = {"F": "female", "M": "male"}
AGES = {
    "1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56 or more",
}  # fmt: skip
_JOB_NAMES = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman",
    "unemployed", "writer",
)  # fmt: skip
JOBS = {str(code): name for code, name in enumerate(_JOB_NAMES)}
PROFILE = ("The user is {gender}.", "{Their} age is {age}.", "{Their} job is {job}.")


def read_csv_form(reading: Reading) -> Dataset:
    """A dataset from a zip or folder that holds movies.csv and ratings.csv (UTF-8, with a header).

    Raises ``DataError`` for what is broken, as far as bad rows are not skipped; so do the other two.
    """
    problems, progress = reading.problems, reading.progress
    progress("reading the raw files", 0.0)
    files = read_files(reading.source, ("movies.csv", "ratings.csv"))
    movies = _read_movies(files["movies.csv"], problems)
    progress("reading ratings.csv", 0.1)
    ratings, movie_of = _read_ratings(files["ratings.csv"], movies, problems)
    progress("sorting the interactions", 0.7)
    user_of, user_ids = pd.factorize(ratings["userId"])
    meta = reading.meta(
        TITLES.get(reading.name, reading.name), hash_files(files), rating_min=0.5, licence=LICENCE, format="ml-csv"
    )
    raw = Raw(
        pd.DataFrame({"user": user_ids}), _movie_frame(movies["movieId"], movies["title"], movies["genres"]),
        user_of, movie_of, ratings["rating"], ratings["timestamp"],
    )  # fmt: skip
    return build(meta, raw, keep_unused=True)


def read_1m(reading: Reading) -> Dataset:
    """The dataset from a zip or folder with users.dat, movies.dat and ratings.dat."""
    problems, progress = reading.problems, reading.progress
    progress("reading the raw files", 0.0)
    files = read_files(reading.source, ("users.dat", "movies.dat", "ratings.dat"))
    users = _table("users.dat", files, "::", ("user", "gender", "age", "job", "zip"), problems)
    frame = _user_frame(users, {"gender": GENDERS, "age": AGES, "job": JOBS, "zip": None}, problems)
    movies = _once(_table("movies.dat", files, "::", ("movie", "title", "genres"), problems), "movie", problems)
    progress("reading ratings.dat", 0.1)
    ratings = _table("ratings.dat", files, "::", ("user", "movie", "rating", "timestamp"), problems)
    raw = _rated(frame, movies, ratings, problems)
    progress("sorting the interactions", 0.7)
    return build(_old_meta(reading, "MovieLens 1M", files), raw)


def read_100k(reading: Reading) -> Dataset:
    """The dataset from a zip or folder with u.data (tabs), u.item, u.user and u.genre ("|")."""
    problems, progress = reading.problems, reading.progress
    progress("reading the raw files", 0.0)
    files = read_files(reading.source, ("u.data", "u.item", "u.user", "u.genre"))
    movies = _movies_with_flags(files, problems)
    users = _table("u.user", files, "|", ("user", "age", "gender", "job", "zip"), problems)
    users = parse_numbers(users, "age", problems, low=1, high=120, whole=True)
    users = replace(users, columns={**users.columns, "age": users["age"].astype(str).astype(object)})
    frame = _user_frame(users, {"gender": GENDERS, "age": None, "job": None, "zip": None}, problems)
    progress("reading u.data", 0.2)
    ratings = _table("u.data", files, "\t", ("user", "movie", "rating", "timestamp"), problems)
    raw = _rated(frame, movies, ratings, problems)
    return build(_old_meta(reading, "MovieLens 100K", files), raw)


def split_title(text: str) -> tuple[str, int | None]:
    """("Toy Story", 1995) from "Toy Story (1995)"; the whole text and None where it does not end in a year."""
    text = text.strip()
    match = _TITLE_YEAR.fullmatch(text)
    return (match["title"], int(match["year"])) if match else (text, None)


def split_categories(text: str) -> tuple[str, ...]:
    """("Comedy", "Drama") from "Comedy|Drama"; empty for "(no genres listed)"."""
    return tuple(part for part in map(str.strip, text.split("|")) if part and part != NO_CATEGORIES)


def _read_movies(data: bytes, problems: RowProblems) -> Table:
    movies = read_csv("movies.csv", data, ("movieId", "title", "genres"), problems)
    for name in ("movieId", "title"):
        movies = require_text(movies, name, problems)
    return _once(movies, "movieId", problems)


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


def _movie_frame(ids: np.ndarray, titles: np.ndarray, genres: np.ndarray) -> pd.DataFrame:
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


def _movies_with_flags(files: dict[str, bytes], problems: RowProblems) -> Table:
    """The columns movie, title and genres (split by "|") of u.item, whose flags are in the order of u.genre."""
    table = _table("u.genre", files, "|", ("genre", "code"), problems)
    table = parse_numbers(table, "code", problems, low=0, high=1000, whole=True)
    genres = [str(name) for _, name in sorted(zip(table["code"], table["genre"], strict=True))]
    flags = [f"flag {name}" for name in genres]
    movies = _table("u.item", files, "|", ("movie", "title", "released", "video", "url", *flags), problems)
    for flag in flags:
        movies = require_listed(movies, flag, ("0", "1"), "0 or 1", problems)
    movies = _once(movies, "movie", problems)
    rows = zip(*(movies[flag] for flag in flags), strict=True)
    said = ([name for name, flag in zip(genres, row, strict=True) if flag == "1" and name != _NO_GENRE] for row in rows)
    listed = np.array(["|".join(names) for names in said], dtype=object)
    return Table(movies.file, movies.lines, {"movie": movies["movie"], "title": movies["title"], "genres": listed})


def _old_meta(reading: Reading, title: str, files: dict[str, bytes]) -> DatasetMeta:
    """What the two old sets have in common: whole stars, and something known of each user."""
    title = title if reading.name.startswith("ml-") else reading.name
    profile = Templates(profile=PROFILE)
    return reading.meta(title, hash_files(files), licence=LICENCE, domain="movies-profile", templates=profile)


def _rated(listed_users: pd.DataFrame, movies: Table, ratings: Table, problems: RowProblems) -> Raw:
    """The ratings (columns user, movie, rating, timestamp) checked against the users and movies that are listed.

    ``movies`` has the columns movie, title and genres.
    """
    ratings = parse_numbers(ratings, "rating", problems, low=1, high=5)
    ratings = parse_numbers(ratings, "timestamp", problems, low=0, high=LAST_SECOND, whole=True)
    known = {"user": pd.Index(listed_users["user"]), "movie": pd.Index(movies["movie"])}
    ratings = require_listed(ratings, "user", known["user"], "a user of the file of users", problems)
    ratings = require_listed(ratings, "movie", known["movie"], f"a movie that {movies.file} lists", problems)
    user_of, movie_of = (ids.get_indexer(ratings[column]) for column, ids in known.items())
    keys = user_of.astype(np.int64) * len(movies) + movie_of
    users, items = ratings["user"], ratings["movie"]
    kept = drop_repeats(ratings, keys, "rating", lambda row: f"user {users[row]!r} with movie {items[row]!r}", problems)
    if len(kept) != len(ratings):
        user_of, movie_of = (ids.get_indexer(kept[column]) for column, ids in known.items())
    frame = _movie_frame(movies["movie"], movies["title"], movies["genres"])
    return Raw(listed_users, frame, user_of, movie_of, kept["rating"], kept["timestamp"])


def _user_frame(users: Table, columns: dict[str, dict[str, str] | None], problems: RowProblems) -> pd.DataFrame:
    """The table's users once each; of ``columns``, those with a code have it replaced by what it means."""
    users = _once(users, "user", problems)
    for name, codes in columns.items():
        if codes is not None:
            users = require_listed(users, name, codes, f"one of {', '.join(codes)}", problems)
    named = {
        name: users[name] if codes is None else [codes[value] for value in users[name]]
        for name, codes in columns.items()
    }
    return pd.DataFrame({"user": users["user"]} | named)


def _once(table: Table, key: str, problems: RowProblems) -> Table:
    """The table with the first row of each key; later ones are a row problem."""
    keys = table[key]
    return drop_repeats(table, keys, key.removesuffix("Id"), lambda row: f"{key} {keys[row]!r}", problems)


def _table(file: str, files: dict[str, bytes], separator: str, names: tuple[str, ...], problems: RowProblems) -> Table:
    """A file of the old sets; its first two columns must hold text."""
    table = collect(file, split_lines(decode(file, files[file], "latin-1"), separator), names, names, problems)
    for name in names[:2]:
        table = require_text(table, name, problems)
    return table
