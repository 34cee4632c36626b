"""Every way a raw file can be broken: one error that names the file, the line, what was given and the fix."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from backend.datasets import bundled_source, prepare
from backend.errors import DataError

NAME = "ml-latest-small"
MOVIES = "movieId,title,genres\n1,A (1995),Drama\n2,B (1996),Drama\n"
HEADER = "userId,movieId,rating,timestamp\n"
RATINGS = HEADER + "1,1,4,10\n1,2,5,11\n"

ROW_PROBLEMS = {
    "text for a rating": (MOVIES, RATINGS + "2,1,good,12\n", "ratings.csv, line 4: rating is 'good'", "0.5 to 5"),
    "empty rating": (MOVIES, RATINGS + "2,1,,12\n", "ratings.csv, line 4: rating is ''", "0.5 to 5"),
    "nan": (MOVIES, RATINGS + "2,1,nan,12\n", "ratings.csv, line 4: rating is 'nan'", "0.5 to 5"),
    "inf": (MOVIES, RATINGS + "2,1,inf,12\n", "ratings.csv, line 4: rating is 'inf'", "0.5 to 5"),
    "out of range": (MOVIES, RATINGS + "2,1,5.5,12\n", "ratings.csv, line 4: rating is '5.5'", "0.5 to 5"),
    "below range": (MOVIES, RATINGS + "2,1,0,12\n", "ratings.csv, line 4: rating is '0'", "0.5 to 5"),
    "half a second": (MOVIES, RATINGS + "2,1,4,1.5\n", "ratings.csv, line 4: timestamp is '1.5'", "a whole number"),
    "milliseconds": (MOVIES, RATINGS + "2,1,4,1260759144000\n", "line 4: timestamp is '1260759144000'", "whole"),
    "no user": (MOVIES, RATINGS + ",1,4,12\n", "ratings.csv, line 4: userId is empty", "a userId"),
    "unknown movie": (MOVIES, RATINGS + "2,7,4,12\n", "ratings.csv, line 4: movieId '7' is not in", "movies.csv lists"),
    "rated twice": (
        MOVIES,
        RATINGS + "1,2,3,99\n",
        "line 4: user '1' with movie '2' is there already, on line 3",
        "once",
    ),
    "movie twice": (MOVIES + "2,C (1997),\n", RATINGS, "movies.csv, line 4: movieId '2' is there already", "line 3"),
    "no title": (MOVIES + "3,,Drama\n", RATINGS, "movies.csv, line 4: title is empty", "a title"),
    "too few fields": (MOVIES, RATINGS + "2,1,4\n", "ratings.csv, line 4: 3 fields in ['2', '1', '4']", "4 fields"),
    "too many fields": (MOVIES, RATINGS + "2,1,4,12,x\n", "ratings.csv, line 4: 5 fields", "userId, movieId, rating"),
    "after a quoted line break": (
        MOVIES + '3,"C\nC\n(1997)",Drama\n\n4,D\n',
        RATINGS,
        "movies.csv, line 8: 2 fields in ['4', 'D']",
        "3 fields",
    ),
    "after windows line ends": (MOVIES, (RATINGS + "2,1,x,1\n").replace("\n", "\r\n"), "line 4: rating is 'x'", "0.5"),
}

FILE_PROBLEMS = {
    "missing column": (
        MOVIES,
        RATINGS.replace("rating,", "stars,"),
        "ratings.csv, line 1: no column 'rating'",
        "stars",
    ),
    "no header": (MOVIES, "1,1,4,10\n1,2,5,11\n", "ratings.csv, line 1: no column 'userId'", "a first line that names"),
    "column twice": (MOVIES, "userId,movieId,rating,timestamp,rating\n", "no column 'rating', or more than one", ""),
    "empty": (MOVIES, "", "ratings.csv is empty", "a header and at least one row"),
    "blank": (" \n\n", RATINGS, "movies.csv is empty", "a header"),
    "header only": (MOVIES, HEADER, "ratings.csv has a header but no good row", "at least one row"),
    "latin-1": (
        (MOVIES + "3,Amélie (2001),Drama\n").encode("latin-1"),
        RATINGS,
        "movies.csv, line 4: byte 0xe9 is not utf-8",
        "iconv",
    ),
    "latin-1 after a mark": (b"\xef\xbb\xbfmovieId,title,genres\n\xe9", RATINGS, "movies.csv, line 2: byte 0xe9", ""),
    "utf-16": (MOVIES.encode("utf-16"), RATINGS, "movies.csv, line 1: byte 0xff is not utf-8", "utf-8"),
    "open quote": (MOVIES + '3,"C (1997),Drama\n4,D,\n', RATINGS, "movies.csv, line 4: the row that begins", "close"),
    "quote inside": (
        MOVIES + '3,"C" (1997),Drama\n',
        RATINGS,
        "movies.csv, line 4: the row that begins here",
        "double",
    ),
    "missing movies": (None, RATINGS, "There is no movies.csv in", "a folder or a zip that holds movies.csv and"),
    "missing ratings": (MOVIES, None, "There is no ratings.csv in", "complete dataset"),
}


@pytest.mark.parametrize(("movies", "ratings", *"ab"), ROW_PROBLEMS.values(), ids=ROW_PROBLEMS)
def test_a_bad_row_is_named_and_can_be_skipped(raw, tmp_path: Path, movies, ratings, a: str, b: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError) as caught:
        prepare(NAME, out, source=raw(movies, ratings))
    assert a in str(caught.value)
    assert b in str(caught.value)
    assert "--skip-bad-rows" in str(caught.value)
    assert not out.exists(), "nothing is written"
    dataset = prepare(NAME, out, source=raw(movies, ratings), skip_bad_rows=True)
    assert sum(dataset.meta.skipped.values()) == 1
    assert a in dataset.meta.skipped_examples[0]
    assert dataset.rating.tolist() == [4, 5]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(("movies", "ratings", *"ab"), FILE_PROBLEMS.values(), ids=FILE_PROBLEMS)
def test_a_broken_file_is_named_even_when_rows_may_be_skipped(raw, tmp_path, movies, ratings, a, b, skip) -> None:
    with pytest.raises(DataError) as caught:
        prepare(NAME, tmp_path / "out", source=raw(movies, ratings), skip_bad_rows=skip)
    assert a in str(caught.value)
    assert b in str(caught.value)
    assert caught.value.fix
    assert not (tmp_path / "out").exists()


def test_skipped_rows_are_counted_by_reason_with_a_few_examples(raw, tmp_path: Path) -> None:
    movies = MOVIES + "2,again,\nbroken\n"
    ratings = RATINGS + "1,1,2,99\n" + "".join(f"{user},{user},4,5\n" for user in range(3, 12)) + "2,1,9,1\n2,1,4,7\n"
    dataset = prepare(NAME, tmp_path, source=raw(movies, ratings), skip_bad_rows=True)
    assert dataset.meta.skipped == {
        "movies.csv: wrong number of fields": 1,
        "movies.csv: repeated movie": 1,
        "ratings.csv: bad rating": 1,
        "ratings.csv: unknown movie": 9,
        "ratings.csv: repeated rating": 1,
    }
    assert len(dataset.meta.skipped_examples) == 4 + 5
    assert dataset.rating.tolist() == [4, 5, 4]  # the first of two rows stays


def test_no_good_row_left_is_an_error(raw, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ratings.csv has no good row left"):
        prepare(NAME, tmp_path, source=raw(MOVIES, HEADER + "1,1,x,1\n1,2,y,1\n"), skip_bad_rows=True)


def test_what_spreadsheets_leave_behind_is_ignored(raw, tmp_path: Path) -> None:
    ratings = HEADER.replace("\n", ",,\n") + "1, 1 ,4,10,,\n1,2,5,11,,4.5\n2,1,3,12\n"
    dataset = prepare(NAME, tmp_path, source=raw("\ufeff" + MOVIES, ratings.replace("\n", "\r\n")))
    assert dataset.rating.tolist() == [4, 5, 3]


def test_no_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no"):
        prepare(NAME, tmp_path / "out", source=tmp_path / "absent.zip")


@pytest.mark.parametrize("damage", ["cut", "flipped", "text"])
def test_a_corrupt_zip(tmp_path: Path, damage: str) -> None:
    shipped = bundled_source(NAME)
    assert shipped is not None
    data = bytearray(shipped.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        with zipfile.ZipFile(shipped) as archive:
            start = archive.getinfo(f"{NAME}/ratings.csv").header_offset
        for place in range(start + 5_000, start + 5_100):
            data[place] ^= 0xFF
    else:
        data = bytearray(b"userId,movieId\n")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(data)
    with pytest.raises(DataError, match=r"broken\.zip cannot be read as a zip .* download it again"):
        prepare(NAME, tmp_path / "out", source=broken)


def test_a_zip_without_a_file_or_with_two(tmp_path: Path) -> None:
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/movies.csv", MOVIES)
        archive.writestr("__MACOSX/a/movies.csv", "shadow")
    with pytest.raises(DataError, match=r"There is no ratings\.csv in"):
        prepare(NAME, tmp_path / "out", source=path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/ratings.csv", RATINGS)
    assert prepare(NAME, tmp_path / "out", source=path).n_interactions == 2
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b/ratings.csv", RATINGS)
    with pytest.raises(DataError, match=r"more than once \(a/ratings.csv, b/ratings.csv\)"):
        prepare(NAME, tmp_path / "out", source=path)
