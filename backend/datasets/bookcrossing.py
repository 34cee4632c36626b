"""BookCrossing as it is published: BX-Users.csv, BX-Books.csv and BX-Book-Ratings.csv, with all that is odd in them.

cp1252, ";" between fields, quotes inside fields (with a backslash, or bare), HTML entities, NULL, no times, ratings of
books that are not listed. What is odd in every copy is read, or left out and counted; what is broken is a bad row.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pandas as pd

from backend.datasets.build import Raw, build, latest_of_repeats
from backend.datasets.reading import Reading
from backend.datasets.rules import Templates
from backend.datasets.schema import Dataset, LabelRule
from backend.datasets.sources import hash_files, read_files
from backend.datasets.tables import (
    RowProblems,
    Table,
    collect,
    drop_repeats,
    parse_numbers,
    read_header,
    require_text,
)

FILES = ("BX-Users.csv", "BX-Books.csv", "BX-Book-Ratings.csv")
USERS = ("User-ID", "Location", "Age")
BOOKS = ("ISBN", "Book-Title", "Book-Author", "Year-Of-Publication", "Publisher")
RATINGS = ("User-ID", "ISBN", "Book-Rating")
# The paper's rules: the 5-core, the last book of every user (whose first four are left), nine users of ten to learn.
RULES = {"k_core": 5, "min_history": 4, "samples": "last", "split": "users", "train": 0.9, "validation": 0.0}
PROFILE = ("The user lives in {country}.", "{Their} age is {age}.")
# The age groups of MovieLens 1M. Ages outside of them are taken for made up.
AGES = ((5, "under 18"), (18, "18-24"), (25, "25-34"), (35, "35-44"), (45, "45-49"), (50, "50-55"), (56, "56 or more"))
OLDEST = 100

_NO_WORD = re.compile(r"[\W_\d]*|n/?a|null|unknown", re.IGNORECASE)
# Python's cp1252 refuses five bytes; as browsers do, they are taken for the control characters of latin-1.
_CP1252 = {code: bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(0x80, 0xA0)}
# A field in quotes ends at a quote without a backslash before it, and with a field or the end of the line behind it.
_QUOTED = re.compile(r'"((?:\\.|[^\\])*?)"(?=;(?:"|[^";]*(?:;|$))|$)')
_BARE = re.compile(r'([^";]*)(?=;|$)')
_ESCAPED = re.compile(r"\\(.)")


def read(reading: Reading) -> Dataset:
    """The dataset from a zip or folder with the three files. Raises ``DataError``, for bad rows if none are skipped."""
    problems, progress = reading.problems, reading.progress
    progress("reading the raw files", 0.0)
    files = read_files(reading.source, FILES)
    users = _table("BX-Users.csv", files["BX-Users.csv"], USERS, "User-ID", problems)
    books = _table("BX-Books.csv", files["BX-Books.csv"], BOOKS, "ISBN", problems)
    books = require_text(books, "Book-Title", problems)
    progress("reading BX-Book-Ratings.csv", 0.2)
    ratings = _table("BX-Book-Ratings.csv", files["BX-Book-Ratings.csv"], RATINGS, None, problems)
    ratings = parse_numbers(ratings, "Book-Rating", problems, low=0, high=10, whole=True)
    rules = reading.rules_over(**RULES)
    raw = _rated(users, books, ratings, problems, implicit=rules.implicit == "keep")
    progress("sorting the interactions", 0.7)
    meta = reading.meta(
        "BookCrossing", hash_files(files), item_noun="book", item_noun_plural="books", verb_past="read",
        rating_min=0, rating_max=10, label_rule=LabelRule(threshold=5, inclusive=True), time_ordered=False,
        licence="Cai-Nicolas Ziegler, IIF Freiburg (2004): free for research with acknowledgement",
        format="bookcrossing", domain="books", category_noun="author", category_noun_plural="authors", own_year=True,
        rules=rules, templates=Templates(profile=PROFILE),
    )  # fmt: skip
    return build(meta, raw)


def split_row(row: str) -> list[str] | None:
    """The fields of one line, quotes off and backslashes resolved; None where it cannot be told where they end.

    ``NULL`` is an empty field.
    """
    if "\\" not in row and row.startswith('"') and row.endswith('"'):
        fields = row[1:-1].split('";"')
        if not any('"' in field for field in fields):  # nearly all lines
            return fields
    fields, place = [], 0
    while True:
        match = (_QUOTED if row.startswith('"', place) else _BARE).match(row, place)
        if match is None:
            return None
        field = match[1]
        fields.append(_ESCAPED.sub(r"\1", field) if row.startswith('"', place) else "" if field == "NULL" else field)
        if match.end() == len(row):
            return fields
        place = match.end() + 1


def country_of(location: str) -> str | None:
    """``usa`` of "nyc, new york, usa"; None where the last part says nothing."""
    last = location.rpartition(",")[2].strip(" \"'.").lower()
    return None if _NO_WORD.fullmatch(last) else last


def age_group(age: str) -> str | None:
    """``25-34`` of "27"; None for no age, and for one that nobody who rates books has."""
    try:
        years = float(age)
    except ValueError:
        return None
    if not AGES[0][0] <= years <= OLDEST:
        return None
    return next(name for least, name in reversed(AGES) if years >= least)


def _table(file: str, data: bytes, columns: tuple[str, ...], unique: str | None, problems: RowProblems) -> Table:
    text = data.decode("latin-1").translate(_CP1252).removeprefix("ï»¿")
    rows = _rows(text)
    names = read_header(file, rows, columns)
    table = collect(file, rows, names, columns, problems)
    for name in columns[:1] if unique else columns[:2]:
        table = require_text(table, name, problems)
    if unique:
        table = drop_repeats(table, table[unique], unique, lambda row: f"{unique} {table[unique][row]!r}", problems)
    return table


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    for line, row in enumerate(text.split("\n"), 1):
        row = row.rstrip("\r")
        if row:
            yield line, split_row(row) or [row]


def _rated(users: Table, books: Table, ratings: Table, problems: RowProblems, *, implicit: bool) -> Raw:
    """Ratings of unknown books are in every copy of the data: left out and counted. A user who is not listed, too."""
    known = pd.Index(users["User-ID"]), pd.Index(books["ISBN"])
    user_of, book_of = known[0].get_indexer(ratings["User-ID"]), known[1].get_indexer(ratings["ISBN"])
    listed = (user_of >= 0) & (book_of >= 0)
    problems.leave_out(f"{ratings.file}: a book or user that is not listed", int((~listed).sum()))
    if not implicit:
        explicit = ratings["Book-Rating"] > 0
        problems.leave_out(f"{ratings.file}: implicit rating (0)", int((listed & ~explicit).sum()))
        listed &= explicit
    raw = Raw(
        _user_frame(users), _book_frame(books), user_of[listed], book_of[listed], ratings["Book-Rating"][listed], None
    )
    raw, repeats = latest_of_repeats(raw)
    problems.leave_out(f"{ratings.file}: repeated rating (the last one counts)", repeats)
    return raw


def _user_frame(users: Table) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user": users["User-ID"],
            "country": [country_of(text) for text in users["Location"]],
            "age": [age_group(text) for text in users["Age"]],
        },
        dtype=object,
    )


def _book_frame(books: Table) -> pd.DataFrame:
    titles, authors, publishers = ([_plain(text) for text in books[name]] for name in (BOOKS[1], BOOKS[2], BOOKS[4]))
    return pd.DataFrame(
        {
            "item": books["ISBN"],
            "title": titles,
            "year": pd.array([_year(text) for text in books[BOOKS[3]]], dtype="Int64"),
            "categories": pd.Series([(name,) if name else () for name in authors], dtype=object),
            "publisher": pd.Series([name or None for name in publishers], dtype=object),
        }
    )


def _plain(text: str) -> str:
    """Entities resolved (also twice: ``&amp;amp;``), space tidied."""
    return " ".join(html.unescape(html.unescape(text)).split())


def _year(text: str) -> int | None:
    """0 and years to come stand for none."""
    return int(text) if text.isascii() and text.isdigit() and 1400 <= int(text) <= 2100 else None
