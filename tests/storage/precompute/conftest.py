"""A small home in which every stage runs in seconds, with the scripted engine in the model's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import datasets
from backend.engines import SCRIPTED
from backend.settings import Settings
from storage.precompute.artifacts import ArtifactStore
from storage.precompute.plan import Precompute
from tests.conftest import small_movies, small_ratings, write_movielens

QUICK: dict[str, Any] = {
    "engine": "scripted",
    "encoder": "scripted",
    "describer": "scripted",
    "describe": {"items": 25},
    "collaborative": {"dimensions": 8, "max_epochs": 4, "batch_size": 32},
    "align": {"max_epochs": 4},
}


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
        from backend.engines.scripted import ScriptedEngine

        roles = dict.fromkeys(("encoder", "describer", "tuned", "reasoning"), SCRIPTED)
        return Precompute(small, Settings(**QUICK | settings), store, roles, lambda _role: ScriptedEngine())

    return of
