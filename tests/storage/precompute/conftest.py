"""A small home in which every stage runs in seconds, with the scripted engine in the model's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import datasets
from backend.datasets import Dataset
from backend.engines import SCRIPTED
from backend.engines.scripted import ScriptedEngine
from backend.settings import Settings
from backend.types import ModelRef
from storage.precompute.artifacts import ArtifactStore
from storage.precompute.plan import Precompute
from tests.backend.training.tiny_models import save_tiny
from tests.conftest import DAY, small_movies, small_ratings, write_movielens

QUICK: dict[str, Any] = {
    "engine": "scripted",
    "encoder": "scripted",
    "describer": "scripted",
    "describe": {"items": 25},
    "collaborative": {"dimensions": 8, "max_epochs": 4, "batch_size": 32},
    "align": {"max_epochs": 4},
}
LITTLE: dict[str, Any] = {
    "samples": 12, "held_out": 6, "k": 3, "epochs": 1, "batch_size": 4, "rounds": 3, "base": "float32", "layers": 0,
    "targets": ["q_proj", "v_proj"], "template": "answered", "loss": "every-answer",
}  # fmt: skip


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    """30 rated movies and two that nobody rated."""
    folder = tmp_path_factory.mktemp("precompute")
    source = write_movielens(folder / "raw", small_movies(32), small_ratings())
    return datasets.prepare("ml-latest-small", folder / "datasets", source=source)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "home" / "artifacts", bundle=tmp_path / "no bundle")


@pytest.fixture
def precompute(small: datasets.Dataset, store: ArtifactStore) -> Callable[..., Precompute]:
    """precompute(mix={...}) is the graph of the small dataset under these settings, over one store."""

    def of(**settings: Any) -> Precompute:
        roles = dict.fromkeys(("encoder", "describer", "tuned", "reasoning"), SCRIPTED)
        return Precompute(small, Settings(**QUICK | settings), store, roles, lambda _role: ScriptedEngine())

    return of


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of 32 columns over single characters, with tokenizer and chat template."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 users who rate 14 of 25 movies each, one a day, so that most movies have ratings by others."""
    rng = np.random.default_rng(5)
    ratings = [
        (user, 1 + int(movie), float(rng.integers(1, 11)) / 2, DAY * (place + user % 3))
        for user in range(24)
        for place, movie in enumerate(rng.permutation(25)[:14])
    ]
    folder = tmp_path_factory.mktemp("tune")
    source = write_movielens(folder / "raw", small_movies(25), ratings)
    return datasets.prepare("ml-latest-small", folder / "datasets", source=source)


@pytest.fixture(scope="session")
def work(data: Dataset, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Precompute]:
    """work(dataset, store=..., tune={...}): the graph with the tiny model as both M_G and M_R."""
    roles = {"encoder": SCRIPTED, "describer": SCRIPTED} | dict.fromkeys(
        ("tuned", "reasoning"), ModelRef(str(tiny_folder))
    )
    shared = tmp_path_factory.mktemp("store")

    def of(dataset: Dataset = data, store: Path = shared, **settings: Any) -> Precompute:
        tables = {"tune": LITTLE | {"orders": 2}, "reasoner": LITTLE | {"orders": 1, "composed": "label"}}
        tables |= {name: tables[name] | settings.pop(name) for name in list(tables) if name in settings}
        chosen = Settings(**QUICK | {"device": "cpu"} | tables | settings)
        artifacts = ArtifactStore(store, bundle=store / "no bundle")
        return Precompute(dataset, chosen, artifacts, roles, lambda _role: ScriptedEngine())

    return of
