"""Amazon reviews (Movies & TV and the other categories), 2018 and 2023: JSON lines of reviews, JSON lines of products.

Read as a stream: what is kept of a review is four numbers, and of a user the id, once.
"""

from __future__ import annotations

import calendar
import html
import re
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backend.datasets.build import Raw, build, latest_of_repeats
from backend.datasets.movielens import LAST_SECOND, split_title
from backend.datasets.reading import Reading
from backend.datasets.schema import Dataset
from backend.datasets.sources import JsonLines, file_names
from backend.datasets.tables import RowProblems
from backend.errors import DataError
from backend.seeding import digest

RULES = {"k_core": 5}
_ENDINGS = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_TAG = re.compile(r"<[^>]*>")
# Categories that say no more than that it is in this shop.
_EMPTY_WORDS = {"", "movies & tv", "movies", "tv", "genre for featured categories", "all titles"}


@dataclass(frozen=True)
class Form:
    """How one edition names its fields. ``seconds(review)`` is None where there is no time that can be read."""

    user: str
    item: str
    rating: str
    product: str
    categories: str
    seconds: Callable[[dict[str, Any]], int | None]


def read_2018(reading: Reading) -> Dataset:
    """Reviews with ``reviewerID``, ``asin``, ``overall``, ``unixReviewTime`` or ``reviewTime``; products with ``asin``,
    ``title``, ``category``. Raises ``DataError`` for what is broken, as far as bad rows are not skipped.
    """
    return _read(reading, Form("reviewerID", "asin", "overall", "asin", "category", _seconds_2018), "amazon-2018")


def read_2023(reading: Reading) -> Dataset:
    """Reviews with ``user_id``, ``parent_asin``, ``rating``, ``timestamp`` in ms; products with ``parent_asin``,
    ``title``, ``categories``. Raises as :func:`read_2018`.
    """
    return _read(
        reading, Form("user_id", "parent_asin", "rating", "parent_asin", "categories", _seconds_2023), "amazon-2023"
    )


def find_files(source: Path) -> tuple[Path, str, str]:
    """Where the files are (folder or zip), and the names of those of reviews and of products.

    ``source``: the folder or zip that holds both, or the file of reviews with the other beside it. Raises
    ``DataError``.
    """
    if not source.exists():
        raise DataError(f"There is no {source}", expected=_EXPECTED, fix="check the path")
    place = source.parent if source.is_file() and source.name.endswith(_ENDINGS) else source
    names = [name for name in file_names(place) if name.endswith(_ENDINGS)]
    products = [name for name in names if Path(name).name.startswith("meta_")]
    reviews = [name for name in names if name not in products]
    if place != source:
        reviews = [source.name]
        products = [name for name in products if _category(name) == _category(source.name)] or products
    if len(reviews) != 1 or len(products) != 1:
        raise DataError(
            f"{place} holds {len(reviews)} files of reviews ({', '.join(reviews) or 'none'}) and {len(products)} of "
            f"products ({', '.join(products) or 'none'})",
            expected=_EXPECTED,
            fix="put just these two there, or give the file of reviews as the path",
        )
    return place, reviews[0], products[0]


_EXPECTED = "one file of reviews and one of products (Movies_and_TV.json.gz and meta_Movies_and_TV.json.gz, say)"


def _category(name: str) -> str:
    """``Movies_and_TV`` of ``meta_Movies_and_TV.json.gz`` and of ``Movies_and_TV_5.json.gz``."""
    return Path(name).name.partition(".")[0].removeprefix("meta_").removesuffix("_5")


def _read(reading: Reading, form: Form, format_name: str) -> Dataset:
    problems, progress = reading.problems, reading.progress
    place, reviews_name, products_name = find_files(reading.source)
    reviews, products = JsonLines(place, reviews_name), JsonLines(place, products_name)
    codes, items = _read_products(products, form, problems, reading)
    raw = _read_reviews(reviews, form, codes, items, problems, reading)
    progress("sorting the interactions", 0.7)
    raw, repeats = latest_of_repeats(raw)
    file = Path(reviews_name).name
    problems.leave_out(f"{file}: repeated review (the latest counts)", repeats)
    category = _category(reviews_name)
    words: dict[str, Any] = {} if category == "Movies_and_TV" else {
        "item_noun": "product", "item_noun_plural": "products", "verb_past": "bought", "domain": "general",
        "category_noun": "category", "category_noun_plural": "categories",
    }  # fmt: skip
    meta = reading.meta(
        f"Amazon {category.replace('_and_', ' & ').replace('_', ' ')} {format_name[-4:]}",
        digest({reviews_name: reviews.sha256, products_name: products.sha256}),
        licence="Amazon review data, McAuley Lab, UC San Diego: for research, with citation",
        format=format_name,
        rules=reading.rules_over(**RULES),
        **words,
    )
    return build(meta, raw)


def _read_products(
    products: JsonLines, form: Form, problems: RowProblems, reading: Reading
) -> tuple[dict[str, int], pd.DataFrame]:
    """Codes by id, and the frame of items. Products without a title, and listed again, are left out and counted."""
    file = Path(products.name).name
    codes: dict[str, int] = {}
    titles: list[str] = []
    years: list[int | None] = []
    categories: list[tuple[str, ...]] = []
    untitled = repeated = 0
    for line, product in products.read(problems, reading.progress, 0.0, 0.1):
        identifier = product.get(form.product)
        if not isinstance(identifier, str) or not identifier:
            problems.add(file, line, f"no {form.product}", f"{form.product} is {identifier!r}", "an id")
            continue
        title = _plain(product.get("title"))
        if not title:
            untitled += 1
        elif identifier in codes:
            repeated += 1
        else:
            codes[identifier] = len(codes)
            name, year = split_title(title)
            titles.append(name)
            years.append(year)
            categories.append(_categories(product.get(form.categories)))
    problems.leave_out(f"{file}: no title", untitled)
    problems.leave_out(f"{file}: repeated product (the first one counts)", repeated)
    frame = pd.DataFrame(
        {
            "item": list(codes),
            "title": titles,
            "year": pd.array(years, dtype="Int64"),
            "categories": pd.Series(categories, dtype=object),
        }
    )
    return codes, frame


def _read_reviews(
    reviews: JsonLines, form: Form, codes: dict[str, int], items: pd.DataFrame, problems: RowProblems, reading: Reading
) -> Raw:
    file = Path(reviews.name).name
    users: dict[str, int] = {}
    user_of, item_of, ratings, times = array("i"), array("i"), array("f"), array("q")
    unlisted = 0
    for line, review in reviews.read(problems, reading.progress, 0.1, 0.7):
        user, item, rating = review.get(form.user), review.get(form.item), review.get(form.rating)
        if not isinstance(user, str) or not user or not isinstance(item, str) or not item:
            given = f"{form.user} is {user!r}, {form.item} is {item!r}"
            problems.add(file, line, "no user or item", given, f"{form.user} and {form.item}")
            continue
        if not isinstance(rating, (int, float)) or isinstance(rating, bool) or not 1 <= rating <= 5:
            problems.add(file, line, f"bad {form.rating}", f"{form.rating} is {rating!r}", "a number from 1 to 5")
            continue
        seconds = form.seconds(review)
        if seconds is None or not 0 <= seconds <= LAST_SECOND:
            problems.add(file, line, "bad time", f"the time of the review is {seconds!r}", "a time since 1970")
            continue
        code = codes.get(item)
        if code is None:
            unlisted += 1
            continue
        user_of.append(users.setdefault(user, len(users)))
        item_of.append(code)
        ratings.append(rating)
        times.append(seconds)
    problems.leave_out(f"{file}: a product that is not listed with a title", unlisted)
    if not ratings:
        raise DataError(f"{file} has no review of a product that has a title", expected="reviews of listed products")
    frame = pd.DataFrame({"user": list(users)})
    columns = (np.frombuffer(column, dtype=column.typecode) for column in (user_of, item_of, ratings, times))
    return Raw(frame, items, *columns)


def _seconds_2018(review: dict[str, Any]) -> int | None:
    given = review.get("unixReviewTime")
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    try:  # "09 13, 2009"
        return calendar.timegm(time.strptime(str(review.get("reviewTime")), "%m %d, %Y"))
    except ValueError:
        return None


def _seconds_2023(review: dict[str, Any]) -> int | None:
    given = review.get("timestamp")
    return given // 1000 if isinstance(given, int) and not isinstance(given, bool) else None


def _categories(given: Any) -> tuple[str, ...]:
    """Without those that name the shop, each once."""
    names = [_plain(name) for name in given] if isinstance(given, list) else []
    return tuple(dict.fromkeys(name for name in names if name.lower() not in _EMPTY_WORDS))


def _plain(given: Any) -> str:
    """One line of text without entities and tags; empty for what is none."""
    text = html.unescape(given) if isinstance(given, str) else ""
    return "" if "var aPageStart" in text else " ".join(_TAG.sub(" ", text).split())
