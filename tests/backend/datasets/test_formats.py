"""Every adapter: small sets by hand with the warts that the real ones have, and what holds for all of them."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backend.datasets import FORMATS, Dataset, build_samples, import_data, load, split
from backend.datasets.bookcrossing import age_group, country_of, split_row
from backend.datasets.statistics import training_rows
from backend.datasets.summary import summarise
from backend.errors import DataError, NotPreparedError, UnknownNameError, UsageError
from tests.backend.datasets.made import (
    amazon_product,
    amazon_review,
    write_amazon,
    write_bookcrossing,
    write_custom,
    write_ml_1m,
    write_ml_100k,
)

WRITERS: dict[str, Callable[[Path], Path]] = {
    "ml-1m": lambda folder: write_ml_1m(folder, users=30, movies=60, rated=50, ratings=900),
    "ml-100k": write_ml_100k,
    "bookcrossing": write_bookcrossing,
    "amazon-2018": lambda folder: write_amazon(folder, 2018),
    "amazon-2023": lambda folder: write_amazon(folder, 2023),
    "custom": write_custom,
}


def bring_in(source: Path, name: str, root: Path, **options: Any) -> Dataset:
    if name == "custom":
        options.setdefault("mapping", source / "mapping.toml")
    return import_data(source, name, name, root, **options)


@pytest.fixture(scope="module", params=WRITERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp(request.param)
    bring_in(WRITERS[request.param](folder / "raw"), request.param, folder / "out")
    return load(request.param, folder / "out")


def test_every_format_is_made_here_and_an_unknown_one_is_answered_with_all_of_them(tmp_path: Path) -> None:
    assert set(FORMATS) == {*WRITERS, "ml-csv"}
    with pytest.raises(UnknownNameError) as refused:
        import_data(tmp_path, "mine", "ml-2m", tmp_path)
    assert all(name in str(refused.value) for name in FORMATS)


def test_a_history_is_strictly_earlier_and_labels_follow_the_rule(made: Dataset) -> None:
    samples = build_samples(made)
    assert len(samples) > 10
    for row, start in zip(samples.rows, samples.starts, strict=True):
        before = made.history_before(int(row))
        assert (before.start, before.stop) == (start, row)
        assert row - start >= made.meta.rules.min_history
        assert (made.user_index[before] == made.user_index[row]).all()
        assert (made.timestamp[before] <= made.timestamp[row]).all()
        assert made.item_index[row] not in made.item_index[before]
    rule = made.meta.label_rule
    least = {"bookcrossing": (5, True)}.get(made.meta.format, (3, False))
    assert (rule.threshold, rule.inclusive) == least
    assert made.labels.tolist() == [mark >= 5 if rule.inclusive else mark > 3 for mark in made.rating.tolist()]


@pytest.mark.parametrize("how", ["", "chronological", "per-user", "users"])
def test_nothing_is_learned_from_a_validation_or_test_interaction(made: Dataset, how: str) -> None:
    parts = split(build_samples(made), made, how)
    learned = training_rows(made, parts)
    held_out = np.concatenate([parts.validation, parts.test])
    assert len(held_out)
    assert np.intersect1d(learned, held_out).size == 0
    assert np.isin(parts.train, learned).all()
    if how == "users":
        assert not set(made.user_index[parts.train]) & set(made.user_index[held_out])


def test_every_user_and_item_has_interactions_and_every_item_a_title(made: Dataset) -> None:
    assert (np.diff(made.user_ptr) > 0).all()
    assert (made.item_counts > 0).all()
    assert all(title and title == title.strip() and "&amp;" not in title for title in made.items["title"])
    core = made.meta.rules.k_core
    assert np.diff(made.user_ptr).min() >= core
    assert made.item_counts.min() >= core


def test_what_the_data_means_is_a_part_of_its_hash(made: Dataset, tmp_path: Path) -> None:
    name = made.meta.name
    raw = WRITERS[name](tmp_path / "raw")
    again = bring_in(raw, name, tmp_path).meta
    assert again == made.meta
    other_rules = bring_in(raw, name, tmp_path, rules={"min_history": 3}).meta
    assert other_rules.data_hash != again.data_hash
    assert other_rules.source_hash == again.source_hash


def test_a_zip_gives_what_the_folder_gives(made: Dataset, tmp_path: Path) -> None:
    name = made.meta.name
    raw = WRITERS[name](tmp_path / "raw")
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        for path in raw.iterdir():
            archive.write(path, f"inner/{path.name}")
    options = {"mapping": raw / "mapping.toml"} if name == "custom" else {}
    meta = bring_in(tmp_path / "raw.zip", name, tmp_path, **options).meta
    assert meta.data_hash == made.meta.data_hash


# (format, file, a line of rubbish, what is said of it)
BROKEN = {
    "ml-1m": ("ratings.dat", b"1::nothing\n", "2 fields"),
    "ml-100k": ("u.data", b"1\t2\tgreat\t5\n", "rating is 'great'"),
    "bookcrossing": ("BX-Book-Ratings.csv", b'"7";"never closed\n', "1 fields"),
    "amazon-2018": ("Movies_and_TV.json.gz", b'{"overall": 5.0, "reviewerID"\n', "is no JSON object"),
    "amazon-2023": ("Movies_and_TV.jsonl.gz", b'["not", "an", "object"]\n', "is no JSON object"),
    "custom": ("plays.csv", b"u1,g1,4\n", "3 fields"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_malformed_line_in_the_middle_is_named_and_can_be_skipped(name: str, tmp_path: Path) -> None:
    raw, (file, rubbish, said) = WRITERS[name](tmp_path / "raw"), BROKEN[name]
    whole = bring_in(raw, name, tmp_path / "whole")
    opened = gzip.open if file.endswith(".gz") else open
    with opened(raw / file, "rb") as stream:
        lines = stream.readlines()
    middle = len(lines) // 2
    with opened(raw / file, "wb") as stream:
        stream.writelines([*lines[:middle], rubbish, *lines[middle:]])
    with pytest.raises(DataError) as caught:
        bring_in(raw, name, tmp_path / "out")
    for part in (f"{file}, line {middle + 1}:", said, "--skip-bad-rows"):
        assert part in str(caught.value)
    assert not (tmp_path / "out").exists()
    skipped = bring_in(raw, name, tmp_path / "out", skip_bad_rows=True)
    assert skipped.meta.data_hash == whole.meta.data_hash
    assert sum(skipped.meta.skipped.values()) == sum(whole.meta.skipped.values()) + 1
    assert said in skipped.meta.skipped_examples[0]


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ('"1";"nyc, new york, usa";NULL', ["1", "nyc, new york, usa", ""]),
        ('"0195";"Classical \\"Myth\\"; ology";"M"', ["0195", 'Classical "Myth"; ology', "M"]),
        ('"a";"He said "hi"; bye";"A"', ["a", 'He said "hi"; bye', "A"]),
        ('"a";"x "quoted"";"b"', ["a", 'x "quoted"', "b"]),
        ('276725;"034545104X";0', ["276725", "034545104X", "0"]),
        ('"x";"";"3"', ["x", "", "3"]),
        ('"a";"one \\\\ two";"3"', ["a", "one \\ two", "3"]),
        ('"a";"never closed', None),
    ],
)
def test_bookcrossings_quotes(row: str, fields: list[str] | None) -> None:
    assert split_row(row) == fields


def test_bookcrossings_countries_and_ages() -> None:
    assert [country_of(text) for text in ("nyc, new york, usa", "x, y, ", "a, b, n/a", "Köln, , Germany.", "")] == [
        "usa", None, None, "germany", None,
    ]  # fmt: skip
    ages = ("27", "", "230", "4", "5", "17", "18", "56", "100", "twenty")
    assert [age_group(text) for text in ages] == [
        "25-34", None, None, None, "under 18", "under 18", "18-24", "56 or more", "56 or more", None,
    ]  # fmt: skip


def test_bookcrossing_by_hand(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "BX-Users.csv").write_bytes(
        '"User-ID";"Location";"Age"\n"8";"köln, , germany";"31"\n"9";"x, y, n/a";NULL\n'.encode("cp1252")
    )
    (raw / "BX-Books.csv").write_bytes(
        '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S"\n'
        '"1X";"A \\"B\\" &amp; C – D";"Ann; Author";"1999";"P &amp; Q";"http://i"\n'
        '"2";"Two";"";"0";"";"http://i"\n'.encode("cp1252")
    )
    (raw / "BX-Book-Ratings.csv").write_bytes(
        b'"User-ID";"ISBN";"Book-Rating"\n"8";"1X";"0"\n"8";"2";"5"\n"9";"1X";"10"\n"8";"gone";"7"\n"8";"2";"4"\n'
    )
    data = bring_in(raw, "bookcrossing", tmp_path, rules={"k_core": 0, "min_history": 1})
    assert data.users.astype(object).where(data.users.notna(), None).values.tolist() == [
        ["8", "germany", "25-34"], ["9", None, None],
    ]  # fmt: skip
    assert data.items["title"].tolist() == ["Two", 'A "B" & C – D']
    assert data.items["categories"].tolist() == [(), ("Ann; Author",)]
    assert data.item_label(1) == 'A "B" & C – D (1999)'
    assert sorted(zip(data.user_index, data.item_index, data.rating, strict=True)) == [(0, 0, 4), (0, 1, 0), (1, 1, 10)]
    assert data.labels.tolist() == [mark >= 5 for mark in data.rating]
    assert data.timestamp.tolist() == [0, 1, 0], "places in a shuffle"
    assert not data.meta.time_ordered
    assert "order is arbitrary here" in data.meta.order_note
    assert sum(data.meta.skipped.values()) == 2, "a book that is not listed, and a repeated rating"
    explicit = bring_in(raw, "bookcrossing", tmp_path, rules={"k_core": 0, "min_history": 1, "implicit": "drop"})
    assert sorted(explicit.rating) == [4, 10]


def test_bookcrossing_has_one_sample_per_user_and_nine_of_ten_users_to_learn_from(tmp_path: Path) -> None:
    raw = write_bookcrossing(tmp_path / "raw", users=187, books=60, ratings=3_000)
    data = bring_in(raw, "bookcrossing", tmp_path)
    told = summarise(data)
    assert (told.users, told.samples, told.train, told.valid, told.test) == (187, 187, 168, 0, 19)
    rows = build_samples(data).rows
    assert sorted(rows) == (data.user_ptr[1:] - 1).tolist(), "the last one of each user"
    other_seed = bring_in(raw, "bookcrossing", tmp_path, rules={"seed": 1})
    assert other_seed.user_ptr.tolist() == data.user_ptr.tolist()
    assert other_seed.item_index.tolist() != data.item_index.tolist(), "another seed is another order"
    for user in range(data.n_users):
        mine = data.user_rows(user)
        assert sorted(other_seed.item_index[mine]) == sorted(data.item_index[mine])


def test_ml_1m_by_hand(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "users.dat").write_bytes(b"1::F::1::10::48067\n2::M::56::16::70072\n")
    (raw / "movies.dat").write_bytes(
        "5::Amélie (2001)::Comedy|Romance\n6::Nobody Saw It (1990)::Drama\n7::Heat (1995)::Action\n".encode("latin-1")
    )
    (raw / "ratings.dat").write_bytes(b"2::7::3::978300760\n1::5::5::978302109\n1::7::4::978301968\n")
    data = bring_in(raw, "ml-1m", tmp_path)
    assert data.users.to_numpy().tolist() == [
        ["1", "female", "under 18", "K-12 student", "48067"], ["2", "male", "56 or more", "self-employed", "70072"],
    ]  # fmt: skip
    assert [data.item_label(code) for code in range(2)] == ["Amélie (2001)", "Heat (1995)"], "what nobody rated is out"
    assert data.item_index.tolist() == [1, 0, 1]
    assert data.labels.tolist() == [True, True, False]
    for line, said in ((b"3::7::3::1\n", "user '3' is not known"), (b"1::9::3::1\n", "movie '9' is not known")):
        (raw / "ratings.dat").write_bytes(b"1::5::5::978302109\n" + line)
        with pytest.raises(DataError, match=f"ratings.dat, line 2: {said}"):
            bring_in(raw, "ml-1m", tmp_path)


def test_ml_100k_by_hand(tmp_path: Path) -> None:
    data = bring_in(write_ml_100k(tmp_path / "raw"), "ml-100k", tmp_path)
    assert data.users.iloc[0].tolist() == ["1", "male", "24", "technician", "85711"]
    assert data.items["title"].iloc[0] == "Père 1"
    assert data.categories[0] == ("Action", "Comedy")
    assert data.categories[1] == (), "'unknown' is no genre"
    assert list(summarise(data).cardinalities) == ["user", "gender", "age", "job", "zip", "movie", "title", "genre"]


@pytest.mark.parametrize("edition", [2018, 2023])
def test_amazon_by_hand(edition: int, tmp_path: Path) -> None:
    raw, ending = tmp_path / "raw", "json" if edition == 2018 else "jsonl"
    raw.mkdir()
    reviews = [amazon_review(edition, *row) for row in ((1, 0, 5, 100), (1, 1, 2, 90), (2, 0, 3, 80), (1, 0, 1, 110))]
    if edition == 2018:
        del reviews[1]["unixReviewTime"]
    products = [amazon_product(edition, 0, "Heat (1995) &amp; <b>more</b>"), amazon_product(edition, 1, "Two (2002)")]
    for name, rows in (("Movies_and_TV", reviews), ("meta_Movies_and_TV", products)):
        (raw / f"{name}.{ending}").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    name = f"amazon-{edition}"
    data = bring_in(raw, name, tmp_path, rules={"k_core": 0})
    assert [data.item_label(code) for code in range(2)] == ["Heat (1995) & more", "Two (2002)"]
    assert data.categories == [("Action",), ("Comedy",)]
    triples = zip(data.user_index.tolist(), data.item_index.tolist(), data.rating.tolist(), strict=True)
    assert sorted(triples) == [(0, 0, 1), (0, 1, 2), (1, 0, 3)], "the latest of two reviews counts"
    second = 1_252_800_000 if edition == 2018 else 90 * 86_400
    assert int(data.timestamp[data.find_row(0, 1)]) == second
    assert data.meta.skipped == {f"Movies_and_TV.{ending}: repeated review (the latest counts)": 1}
    assert bring_in(raw / f"Movies_and_TV.{ending}", name, tmp_path, rules={"k_core": 0}).meta == data.meta
    (raw / f"Books.{ending}").write_text("")
    with pytest.raises(DataError, match="2 files of reviews"):
        bring_in(raw, name, tmp_path)


def test_a_file_that_is_cut_short_is_told(tmp_path: Path) -> None:
    raw = write_amazon(tmp_path / "raw", 2018)
    file = raw / "Movies_and_TV.json.gz"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"Movies_and_TV.json.gz cannot be read to its end .* get the file again"):
        bring_in(raw, "amazon-2018", tmp_path, skip_bad_rows=True)


def test_wrong_use_is_told(tmp_path: Path) -> None:
    raw = WRITERS["ml-1m"](tmp_path / "raw")
    for name in ("../up", "Upper", "", "x" * 65, ".hidden"):
        with pytest.raises(UsageError, match="cannot be a dataset's name"):
            import_data(raw, name, "ml-1m", tmp_path)
    with pytest.raises(UnknownNameError, match="amazon-2018, amazon-2023, bookcrossing"):
        import_data(raw, "x", "netflix", tmp_path)
    with pytest.raises(UsageError, match="the format custom, and only there"):
        import_data(raw, "x", "ml-1m", tmp_path, mapping=raw / "mapping.toml")
    with pytest.raises(UsageError, match="leave nothing for test"):
        import_data(raw, "x", "ml-1m", tmp_path, rules={"train": 0.9})
    with pytest.raises(UsageError, match="split cannot be 'random'"):
        import_data(raw, "x", "ml-1m", tmp_path, rules={"split": "random"})
    with pytest.raises(DataError, match="No interaction is left in the 99-core"):
        import_data(raw, "x", "ml-1m", tmp_path, rules={"k_core": 99})
    with pytest.raises(UnknownNameError, match="rallrec data import"):
        load("x", tmp_path)
    import_data(raw, "x", "ml-1m", tmp_path)
    (tmp_path / "x" / "items.parquet").unlink()
    with pytest.raises(DataError, match="rallrec data import PATH --name x"):
        load("x", tmp_path)
    with pytest.raises(NotPreparedError):
        load("ml-latest-small", tmp_path)


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    raw = write_custom(tmp_path / "raw")
    plain = bring_in(raw, "custom", tmp_path)
    frame = pd.read_csv(raw / "plays.csv")
    frame.assign(when=pd.to_datetime(frame["when"])).to_parquet(raw / "plays.parquet")
    mapping = raw / "mapping.toml"
    mapping.write_text(mapping.read_text("utf-8").replace("plays.csv", "plays.parquet"), "utf-8")
    again = bring_in(raw, "custom", tmp_path)
    assert again.meta.data_hash == plain.meta.data_hash
