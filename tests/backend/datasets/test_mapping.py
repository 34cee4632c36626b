"""Mapping files: what is wrong in one is named with its line; a guessed one reads the file that it was guessed from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from backend.datasets import import_data
from backend.datasets.guesses import guess, write_mapping
from backend.datasets.mapping import find_line, load_mapping
from backend.errors import DataError
from tests.backend.datasets.made import MAPPING, write_custom


def line_of(text: str, part: str) -> int:
    return next(number for number, row in enumerate(text.splitlines(), 1) if part in row)


# (what is replaced, by what, the line named, what is said)
WRONG = {
    "not toml": ('user = "player"', "user = player", "user = player", "no TOML"),
    "a missing column": ('user = "player"\n', "", "[columns]", "columns.user: Field required"),
    "an unknown key": ('unit = "points"', 'units = "points"', "units =", "rating.units"),
    "a table that is none": ("[rating]", "[ratings]", "[ratings]", "ratings"),
    "text for a number": ("min = 1", 'min = "one"', "min =", "rating.min is 'one'"),
    "min above max": ("min = 1", "min = 9", "[rating]", "min 9 is not below max 5"),
    "a threshold outside": ("threshold = 3", "threshold = 30", "threshold =", "label.threshold 30 is outside"),
    "a word that is none": ('domain = "general"', 'domain = "films"', "domain =", "words.domain is 'films'"),
    "another time": ('time = "date"', 'time = "hours"', "time =", "read.time is 'hours'"),
    "a name in a sentence": ("lives in {town}", "lives in {city}", "profile = [", "{city} is not in [profile]"),
    "a title without label": ("The {noun} {label} is", "The {noun} is", "title = \"The", "does not hold {label}"),
    "a wrong place": ("{label} is of", "{label} {price} is of", "title = \"The", "{price} is not known here"),
    "a profile's name": ('town = "home"', 'Town = "home"', "[profile]", "'Town' cannot be a name here"),
    "an encoding": ('separator = "/"', 'separator = "/"\nencoding = "utf-9"', "encoding =", "no encoding of this name"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "at", "said"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_named_with_its_line(old: str, new: str, at: str, said: str, tmp_path: Path) -> None:
    text = MAPPING.replace(old, new)
    assert text != MAPPING
    (tmp_path / "mapping.toml").write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        load_mapping(tmp_path / "mapping.toml")
    assert said in str(caught.value)
    assert f"line {line_of(text, at)}" in str(caught.value)


def test_a_column_that_the_file_lacks_is_named_with_the_mappings_line(tmp_path: Path) -> None:
    raw = write_custom(tmp_path / "raw")
    mapping = raw / "mapping.toml"
    for old, new, at in (
        ('rating = "stars"', 'rating = "points"', "rating ="),
        ('town = "home"', 'town = "x"', "town ="),
    ):
        text = MAPPING.replace(old, new)
        mapping.write_text(text, "utf-8")
        with pytest.raises(DataError, match=f"mapping.toml, line {line_of(text, at)}: .* plays.csv has no such column"):
            import_data(raw, "x", "custom", tmp_path, mapping=mapping)
    with pytest.raises(DataError, match="rallrec data describe"):
        load_mapping(tmp_path / "absent.toml")


def test_lines_are_found_by_table_and_key() -> None:
    text = 'a = 1\n[t]\n# a = 2\n "a" = 3\n[t.u]\na=4\n'
    assert [find_line(text, where) for where in (("a",), ("t", "a"), ("t", "u", "a"), ("t", "b"), ("x", "y"))] == [
        1, 4, 6, 2, 1,
    ]  # fmt: skip


def test_custom_data_speaks_in_its_own_words(tmp_path: Path) -> None:
    raw = write_custom(tmp_path / "raw")
    data = import_data(raw, "games", "custom", tmp_path, mapping=raw / "mapping.toml")
    meta = data.meta
    assert (meta.title, meta.item_noun, meta.verb_past, meta.rating_unit) == ("Games", "game", "played", "points")
    assert (meta.domain, meta.category_noun, meta.own_year, meta.time_ordered) == ("general", "kind", True, True)
    assert data.item_label(data.item_code("g1")) == 'Game "1", the (1991)'
    assert data.categories[data.item_code("g1")] == ("puzzle", "race")
    assert data.users.iloc[0].tolist() == ["u0", "female", "Town 0"]
    assert set(data.timestamp % 86_400) == {10 * 3600}, "dates are UTC seconds"


def test_without_times_the_order_is_drawn_and_the_split_is_by_users(tmp_path: Path) -> None:
    raw = write_custom(tmp_path / "raw")
    mapping = raw / "mapping.toml"
    mapping.write_text(MAPPING.replace('timestamp = "when"\n', ""), "utf-8")
    meta = import_data(raw, "games", "custom", tmp_path, mapping=mapping).meta
    assert not meta.time_ordered
    assert meta.rules.split == "users"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_guessed_mapping_reads_the_file_that_it_was_guessed_from(ending: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "userId": [1, 1, 2, 2, 1, 1, 1, 1], "isbn": list("abcdefgh"), "Book-Rating": [1, 5, 2.5, 4, 3, 2, 1, 4],
            "time": [1_600_000_000_000 + n for n in range(8)], "Book-Title": ["It, again"] * 8, "Author": ["A; B"] * 8,
            "Age": [30] * 8,
        }
    )  # fmt: skip
    path = tmp_path / f"mine.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False, sep=";")
    else:
        frame.to_parquet(path)
    guessed = guess(path)
    assert guessed.roles == {
        "user": "userId", "item": "isbn", "rating": "Book-Rating", "timestamp": "time", "title": "Book-Title",
        "categories": "Author",
    }  # fmt: skip
    assert (guessed.low, guessed.high, guessed.time, guessed.profile) == (1, 5, "milliseconds", ("Age",))
    assert (guessed.delimiter, guessed.separator) == (";" if ending == "csv" else ",", ";")
    from scripts.mapping_questions import guessed_mapping

    mapping = guessed_mapping(guessed)
    (tmp_path / "m.toml").write_text(write_mapping(mapping, ("a note",)), "utf-8")
    assert load_mapping(tmp_path / "m.toml") == mapping
    data = import_data(path, "mine", "custom", tmp_path, mapping=tmp_path / "m.toml")
    assert (data.n_users, data.n_items, data.n_interactions) == (2, 8, 8)
    assert data.meta.templates.profile == ("{Their} age is {age}.",)
    assert data.categories[0] == ("A", "B")
    assert data.timestamp.min() == 1_600_000_000


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("a,b\n1,2\n")
    (tmp_path / "no.parquet").write_text("text")
    for name, said in (
        ("absent.csv", "There is no file"),
        ("two.csv", "user, item and rating"),
        ("no.parquet", "parquet"),
    ):
        with pytest.raises(DataError, match=said):
            guess(tmp_path / name)
