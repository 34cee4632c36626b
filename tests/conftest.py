"""What several folders of tests share: a small dataset in MovieLens' format, the golden cases, the real model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# A core runs one test process, and its threads would only wait for each other. Torch reads this when it is imported,
# and the programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from backend import datasets
from backend.datasets import Dataset, DatasetMeta, LabelRule
from backend.engines import models
from backend.representation import PARTS, ItemSpace, mix
from backend.types import ModelRef

# How long an example takes says something about the machine's other work, not about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent
# Where the embedded model is, or is fetched to. Read once: to the program, it would be an unknown setting.
MODELS = Path(os.environ.pop("RALLREC_TEST_MODELS", ROOT / "var" / "models"))
SMALL_MODEL = "smollm2-135m-instruct"
DAY = 86_400

MovieLens = Callable[..., Path]


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that ``make`` fills. The test processes of one run share it: the first one makes it, the others wait.

    Nobody may write into it afterwards; whoever wants to takes a copy.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared" / name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (done := folder.with_suffix(".done")).exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("RALLREC_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], list[dict[str, Any]]]:
    """golden("merge") reads the golden cases of that name."""
    return lambda name: json.loads((ROOT / "tests" / "golden" / f"{name}.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def model_ref() -> ModelRef:
    """The embedded small model."""
    return models.resolve(SMALL_MODEL)


@pytest.fixture(scope="session")
def models_dir(model_ref: ModelRef) -> Path:
    """The folder that holds the embedded model; fetched (98 MB, once) where it is missing."""
    models.fetch(model_ref, MODELS)
    return MODELS


def meta_of(**said: Any) -> DatasetMeta:
    """What a dataset of movies says of itself, with some of it otherwise."""
    plain: dict[str, Any] = {
        "name": "made", "title": "Made", "item_noun": "movie", "item_noun_plural": "movies", "verb_past": "watched",
        "rating_min": 0.5, "rating_max": 5, "rating_unit": "stars", "label_rule": LabelRule(threshold=3),
        "time_ordered": True, "licence": "none", "source_hash": "",
    }  # fmt: skip
    return DatasetMeta(**{**plain, **said})


def random_space(items: int, seed: int = 0) -> ItemSpace:
    """Item vectors of six random columns for each part."""
    rng = np.random.default_rng(seed)
    rows = mix([rng.standard_normal((items, 6)) for _ in PARTS]).astype(np.float32)
    return ItemSpace(rows, dict.fromkeys(PARTS, 6))


def write_movielens(
    folder: Path, movies: Iterable[tuple[Any, str, str]], ratings: Iterable[tuple[Any, Any, float, int]]
) -> Path:
    """movies.csv and ratings.csv in ``folder``, as MovieLens writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "movies.csv").open("w", encoding="utf-8", newline="") as out:
        out.write("movieId,title,genres\n")
        for movie, title, genres in movies:
            quoted = title.replace('"', '""')
            out.write(f'{movie},"{quoted}",{genres}\n')
    with (folder / "ratings.csv").open("w", encoding="utf-8", newline="") as out:
        out.write("userId,movieId,rating,timestamp\n")
        out.writelines(f"{user},{movie},{rating},{when}\n" for user, movie, rating, when in ratings)
    return folder


def small_movies(count: int = 30) -> list[tuple[int, str, str]]:
    genres = ("Action", "Drama", "Comedy", "Horror|Thriller", "(no genres listed)")
    return [(n, f"Movie number {n} ({1950 + n % 70})", genres[n % 5]) for n in range(1, count + 1)]


def small_ratings(users: int = 8, movies: int = 30) -> list[tuple[int, int, float, int]]:
    """User u rates 2 + 3 u movies, one a day; every third pair of ratings shares its second."""
    return [
        (user, 1 + (7 * user + 11 * place) % movies, 0.5 + (user + place) % 10 / 2, DAY * (place - place % 3 % 2))
        for user in range(users)
        for place in range(min(2 + 3 * user, movies))
    ]


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 30 movies and 8 users, the first two of whom have too few ratings for a sample."""
    return write_movielens(tmp_path_factory.mktemp("raw") / "small", small_movies(), small_ratings())


@pytest.fixture(scope="session")
def small(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return datasets.prepare("ml-latest-small", tmp_path_factory.mktemp("small"), source=small_source)


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The real dataset that ships with the program."""
    folder = made_once(tmp_path_factory, "shipped", lambda made: datasets.prepare("ml-latest-small", made))
    return datasets.load("ml-latest-small", folder)
