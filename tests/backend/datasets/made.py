"""Raw files in the formats of the paper's datasets, made up: small ones with warts, and large ones with the real
sets' shape. Everything is drawn from a seed; no real id or title is in it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

GENRES = ("Action", "Comedy", "Drama", "Horror", "Sci-Fi", "Thriller")
# The shape of the real MovieLens 1M.
ML_1M = {"users": 6_040, "movies": 3_883, "rated": 3_706, "ratings": 1_000_209}
PLACES = ("nyc, new york, usa", "köln, , germany", "paris, île-de-france, france", "x, n/a, n/a", "porto, , portugal")


def write_ml_1m(folder: Path, users: int, movies: int, rated: int, ratings: int, seed: int = 0) -> Path:
    """users.dat, movies.dat, ratings.dat: each user rates 20 movies or more, ``rated`` of the ``movies`` are rated."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    jobs, ages = rng.integers(0, 21, users), rng.choice([1, 18, 25, 35, 45, 50, 56], users)
    genders = rng.choice(["F", "M"], users)
    lines = (f"{n + 1}::{genders[n]}::{ages[n]}::{jobs[n]}::{10_000 + n % 3_439}\n" for n in range(users))
    _write(folder / "users.dat", lines, "latin-1")
    genres = rng.integers(0, len(GENRES), (movies, 2)).tolist()
    named = ("|".join(dict.fromkeys(GENRES[code] for code in codes)) for codes in genres)
    lines = (f"{n + 1}::Film é {n + 1}, The ({1930 + n % 70})::{names}\n" for n, names in enumerate(named))
    _write(folder / "movies.dat", lines, "latin-1")
    owners, chosen = _pairs(rng, users, movies, rated, ratings, least=20)
    stars = rng.choice([1, 2, 3, 4, 5], ratings, p=[0.06, 0.11, 0.26, 0.35, 0.22])
    times = 956_703_932 + rng.integers(0, 90_000_000, users)[owners] + rng.integers(0, 5_000, ratings)
    rows = zip(*(column.tolist() for column in (owners + 1, chosen + 1, stars, times)), strict=True)
    _write(
        folder / "ratings.dat", (f"{user}::{movie}::{mark}::{when}\n" for user, movie, mark, when in rows), "latin-1"
    )
    return folder


def write_bookcrossing(folder: Path, users: int = 60, books: int = 40, ratings: int = 900, seed: int = 0) -> Path:
    """The three CSV files in cp1252, with quotes, entities, NULL, implicit zeros, and a rating of a book not listed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    ages = ["NULL" if age < 12 else f'"{age}"' for age in rng.integers(5, 90, users)]
    lines = (f'"{n + 1}";"{PLACES[n % len(PLACES)]}";{age}\n' for n, age in enumerate(ages))
    _write(folder / "BX-Users.csv", ['"User-ID";"Location";"Age"\n', *lines], "cp1252")
    titles = ('\\"Quoted\\"; a story', "Salt &amp; Pepper", "Plain – dash", 'He said "no"; so', "Été")
    header = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S"\n'
    lines = (
        f'"{n:09d}X";"{titles[n % 5]} {n}";"Author {n % 7}";"{0 if n % 11 == 0 else 1950 + n % 50}";'
        f'"House &amp; Sons {n % 3}";"http://images/{n}.jpg"\n'
        for n in range(books)
    )
    _write(folder / "BX-Books.csv", [header, *lines], "cp1252")
    owners, chosen = _pairs(rng, users, books, books, ratings, least=6)
    marks = np.where(rng.random(ratings) < 0.4, 0, rng.integers(1, 11, ratings))
    rows = (f'"{user + 1}";"{book:09d}X";"{mark}"\n' for user, book, mark in zip(owners, chosen, marks, strict=True))
    stray = '"1";"NOT LISTED";"7"\n'
    _write(folder / "BX-Book-Ratings.csv", ['"User-ID";"ISBN";"Book-Rating"\n', stray, *rows], "cp1252")
    return folder


def write_amazon(
    folder: Path, edition: int, users: int = 80, products: int = 50, reviews: int = 1_500, seed: int = 0
) -> Path:
    """Gzipped JSON lines of reviews and of products, as 2018 or 2023 has them; one product has no title."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    owners, chosen = _pairs(rng, users, products, products, reviews, least=6)
    stars, days = rng.integers(1, 6, reviews), rng.integers(10_000, 15_000, reviews)
    rows = zip(owners.tolist(), chosen.tolist(), stars.tolist(), days.tolist(), strict=True)
    ending = "json.gz" if edition == 2018 else "jsonl.gz"
    _write_json(folder / f"Movies_and_TV.{ending}", (amazon_review(edition, *row) for row in rows))
    listed = [amazon_product(edition, n, f"Film {n} &amp; more" if n else "") for n in range(products)]
    _write_json(folder / f"meta_Movies_and_TV.{ending}", [*listed, listed[1]])
    return folder


def write_ml_100k(folder: Path, users: int = 25, movies: int = 40, ratings: int = 700, seed: int = 0) -> Path:
    """u.user, u.item, u.genre and u.data."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    lines = (f"{n + 1}|{24 + n}|{'MF'[n % 2]}|{('technician', 'other')[n % 2]}|{85711 + n}\n" for n in range(users))
    _write(folder / "u.user", lines, "latin-1")
    names = ("unknown", *GENRES)
    _write(folder / "u.genre", [*(f"{name}|{code}\n" for code, name in enumerate(names)), "\n"], "latin-1")
    _write(folder / "u.item", (_item_line(n, names) for n in range(movies)), "latin-1")
    owners, chosen = _pairs(rng, users, movies, movies, ratings, least=20)
    stars, times = rng.integers(1, 6, ratings), 874_724_710 + rng.integers(0, 10**6, ratings)
    rows = zip(*(column.tolist() for column in (owners + 1, chosen + 1, stars, times)), strict=True)
    _write(folder / "u.data", ("\t".join(map(str, row)) + "\n" for row in rows), "latin-1")
    return folder


def _item_line(n: int, names: tuple[str, ...]) -> str:
    """The first film has two genres, the second one none, which the file calls unknown."""
    flags = {0: ("Action", "Comedy"), 1: ("unknown",)}.get(n, (GENRES[n % len(GENRES)],))
    marks = "|".join("1" if name in flags else "0" for name in names)
    return f"{n + 1}|Père {n + 1} (1995)|01-Jan-1995||http://us.imdb.com/{n}|{marks}\n"


MAPPING = """
title = "Games"
licence = "made up"
interactions = "plays.csv"
items = "games.csv"

[columns]
user = "player"
item = "game"
rating = "stars"
timestamp = "when"
title = "name"
year = "made"
categories = "tags"

[profile]
gender = "sex"
town = "home"

[read]
time = "date"
separator = "/"

[rating]
min = 1
max = 5
unit = "points"

[label]
threshold = 3

[words]
domain = "general"
item = "game"
items = "games"
verb_past = "played"
category = "kind"
categories = "kinds"

[templates]
profile = ["The user is {gender} and lives in {town}.", "{They} like to play."]
title = "The {noun} {label} is of the kind {categories}."
"""


def write_custom(folder: Path, players: int = 40, games: int = 30, plays: int = 700, seed: int = 0) -> Path:
    """plays.csv and games.csv of one's own, and the mapping file that says what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    lines = (f'g{n},"Game ""{n}"", the",{1990 + n},{"puzzle/ race" if n % 2 else ""}\n' for n in range(games))
    _write(folder / "games.csv", ["game,name,made,tags\n", *lines], "utf-8")
    owners, chosen = _pairs(rng, players, games, games, plays, least=8)
    stars, days = rng.integers(1, 6, plays), rng.integers(1, 28, plays)
    rows = zip(owners.tolist(), chosen.tolist(), stars.tolist(), days.tolist(), strict=True)
    lines = (
        f"u{user},g{game},{mark},2021-05-{day:02d}T10:00:00Z,{('female', 'male', '')[user % 3]},Town {user % 4}\n"
        for user, game, mark, day in rows
    )
    _write(folder / "plays.csv", ["player,game,stars,when,sex,home\n", *lines], "utf-8")
    (folder / "mapping.toml").write_text(MAPPING, "utf-8")
    return folder


def amazon_review(edition: int, user: int, product: int, stars: int, day: int) -> dict[str, Any]:
    if edition == 2018:
        return {"overall": float(stars), "reviewerID": f"A{user:013d}", "asin": f"B{product:09d}", "verified": True,
                "reviewTime": "09 13, 2009", "unixReviewTime": 86_400 * day, "reviewText": "fine " * 40}  # fmt: skip
    return {"rating": float(stars), "user_id": f"A{user:027d}", "parent_asin": f"B{product:09d}", "asin": "other",
            "title": "Fine", "timestamp": 86_400_000 * day + 17, "text": "fine " * 40}  # fmt: skip


def amazon_product(edition: int, product: int, title: str) -> dict[str, Any]:
    genre = GENRES[product % len(GENRES)]
    if edition == 2018:
        return {"asin": f"B{product:09d}", "title": title, "category": ["Movies &amp; TV", genre], "price": "$1"}
    return {"parent_asin": f"B{product:09d}", "title": title, "categories": ["Movies & TV", genre], "details": {}}


def _pairs(
    rng: np.random.Generator, users: int, items: int, rated: int, count: int, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """``count`` different (user, item) pairs: each user has ``least`` or more, each of the ``rated`` items has one."""
    assert least * users <= count <= rated * users
    counts = np.full(users, least)
    while left := count - int(counts.sum()):
        weights = np.where(counts < rated, rng.pareto(1.2, users) + 0.1, 0)
        counts = np.minimum(counts + rng.multinomial(left, weights / weights.sum()), rated)
    owners = np.repeat(np.arange(users), counts)
    # Each user's items follow each other around the circle of all: none comes twice before all came once.
    place_of = rng.permutation(items)[:rated]
    return owners, place_of[np.arange(count) % rated]


def _write(path: Path, lines: Iterable[str], encoding: str) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        file.writelines(lines)


def _write_json(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    # Without the time of day, so that equal rows are equal bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
        file.writelines(json.dumps(row).encode() + b"\n" for row in rows)
