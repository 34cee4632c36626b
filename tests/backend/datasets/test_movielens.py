"""The shipped MovieLens data, its titles, and a raw folder small enough to check by hand."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from backend.datasets import Dataset, build_samples, bundled_source, load, prepare, split
from backend.datasets.movielens import split_categories, split_title
from backend.errors import UnknownNameError, UsageError
from storage.precompute.artifacts import BUNDLE, ArtifactStore

NAME = "ml-latest-small"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Toy Story (1995)", ("Toy Story", 1995)),
        ("Rocky VI (1986) ", ("Rocky VI", 1986)),
        ("Blind Side, The  (2009)", ("Blind Side, The", 2009)),
        ("Babylon 5", ("Babylon 5", None)),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            ("City of Lost Children, The (Cité des enfants perdus, La)", 1995),
        ),
        ("1-900 (06) (1994)", ("1-900 (06)", 1994)),
        ("Fawlty Towers (1975-1979)", ("Fawlty Towers", 1975)),
        ("Life on Mars (1995–1999)", ("Life on Mars", 1995)),
        ("Big Bang Theory, The (2007-)", ("Big Bang Theory, The", 2007)),
        ("1984", ("1984", None)),
        ("(1995)", ("(1995)", None)),
        ("Room (9999)", ("Room (9999)", None)),
        ("2001 (1968) (restored)", ("2001 (1968) (restored)", None)),
    ],
)
def test_the_year_is_taken_off_the_title(text: str, expected: tuple[str, int | None]) -> None:
    assert split_title(text) == expected


def test_categories_are_split_and_none_is_empty() -> None:
    assert split_categories("Comedy|Drama") == ("Comedy", "Drama")
    assert split_categories("(no genres listed)") == split_categories("") == ()


def test_a_small_folder_by_hand(raw, tmp_path: Path) -> None:
    dataset = prepare(NAME, tmp_path / "out", source=raw())
    assert dataset.users["user"].tolist() == ["2", "10"]  # by value, not by character
    assert dataset.items["item"].tolist() == ["2", "9", "10"]
    assert dataset.items["title"].tolist() == ["A, B", "Babylon 5", "Heat"]
    assert dataset.items["categories"].tolist() == [("Drama",), (), ("Action", "Crime")]
    assert [dataset.item_label(code) for code in range(3)] == ["A, B (2001)", "Babylon 5", "Heat (1995)"]
    # user 2: 9 at 20, then 2 and 10 at 50; user 10: 9 at 40
    assert dataset.user_index.tolist() == [0, 0, 0, 1]
    assert dataset.item_index.tolist() == [1, 0, 2, 1]
    assert dataset.timestamp.tolist() == [20, 50, 50, 40]
    assert dataset.rating.tolist() == [1, 4, 3.5, 3]
    assert dataset.labels.tolist() == [False, True, True, False]
    assert dataset.user_ptr.tolist() == [0, 3, 4]
    assert dataset.user_rows(0) == slice(0, 3)
    assert dataset.history_before(2) == slice(0, 2)
    assert dataset.history_before(3) == slice(3, 3)
    assert dataset.find_row(0, 2) == 2
    assert dataset.find_row(1, 2) is None
    assert (dataset.user_code("10"), dataset.item_code("10")) == (1, 2)
    assert [array.dtype for array in (dataset.user_index, dataset.item_index, dataset.rating)] == ["i4", "i4", "f4"]
    assert [array.dtype for array in (dataset.timestamp, dataset.user_ptr)] == ["i8", "i8"]
    with pytest.raises(ValueError, match="read-only"):
        dataset.rating[0] = 1


def test_the_shipped_data_has_the_published_counts(real: Dataset) -> None:
    assert (real.n_users, real.n_items, real.n_interactions) == (671, 9_125, 100_004)
    assert len(np.unique(real.item_index)) == 9_066  # the others were only tagged
    assert (real.rating.min(), real.rating.max()) == (0.5, 5.0)
    assert int(real.items["year"].isna().sum()) == 4
    assert int(real.items["year"].min()) == 1902
    assert sum(not categories for categories in real.items["categories"]) == 18
    assert real.meta.skipped == {}
    assert real.item_label(real.item_code("1")) == "Toy Story (1995)"
    assert not real.items["title"].str.contains(r"\((?:19|20)\d\d\)$").any()


def test_the_shipped_data_makes_one_sample_for_all_but_five_of_each_user(real: Dataset) -> None:
    samples = build_samples(real)
    assert len(samples) == 96_649 == 100_004 - 5 * 671
    parts = split(samples, real)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (77_319, 9_664, 9_666)
    assert (real.timestamp[parts.train].max()) <= real.timestamp[parts.validation].min()
    assert (real.timestamp[parts.validation].max()) <= real.timestamp[parts.test].min()


def test_zip_and_folder_give_the_same_dataset(real: Dataset, tmp_path: Path) -> None:
    source = bundled_source(NAME)
    assert source is not None
    with zipfile.ZipFile(source) as archive:
        archive.extractall(tmp_path)
        assert any(name.endswith("README.txt") for name in archive.namelist()), "the licence travels with the data"
    assert prepare(NAME, tmp_path / "out", source=tmp_path / NAME).meta == real.meta


@pytest.mark.parametrize("given", ["9999", "1 ", "", "Toy Story", "-1", "٣", "9" * 30])
def test_an_unknown_id_says_how_many_there_are_and_a_few_near(real: Dataset, given: str) -> None:
    with pytest.raises(UsageError) as caught:
        real.item_code(given)
    assert repr(given) in str(caught.value)
    assert "9,125 movies" in str(caught.value)
    assert len(str(caught.value)) < 400
    with pytest.raises(UsageError, match="671 users"):
        real.user_code(given)


def test_near_ids_are_near(real: Dataset) -> None:
    with pytest.raises(UsageError, match="'668', '669', '670', '671'"):
        real.user_code("672")
    with pytest.raises(UsageError, match="'1', '2', '3', '4'"):
        real.user_code("0")


def test_an_unknown_dataset_lists_the_known_ones(tmp_path: Path) -> None:
    assert bundled_source("../etc") is None
    for call in (lambda: prepare("ml-1b", tmp_path), lambda: load("ml-1b", tmp_path)):
        with pytest.raises(UnknownNameError, match="ml-latest-small"):
            call()


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = "import sys, backend.datasets; print([m for m in ('pandas', 'pyarrow', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_shipped_artifacts_are_those_of_the_shipped_data(real: Dataset) -> None:
    """Their recipes hold the data's hash: whatever datasets can say of themselves now, this one is what it was."""
    recipes = [artifact.meta["recipe"] for artifact in ArtifactStore(BUNDLE / "nothing").all()]
    assert len(recipes) > 5
    assert {(recipe["data"]["name"], recipe["data"]["hash"]) for recipe in recipes if "data" in recipe} == {
        (NAME, real.meta.data_hash)
    }
    assert real.meta.meaning == {}
