"""A dataset in which two crowds watch two kinds of movies, and a call that trains on it in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import datasets
from backend.datasets import Dataset, Split, build_samples, split
from backend.representation.collaborative import Collaborative, CollaborativeConfig, train_collaborative
from tests.conftest import write_movielens

MOVIES = 40  # the last is rated after training alone, the one before it never
Train = Callable[..., Collaborative]


@pytest.fixture(scope="session")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """60 users, one after the other; odd users rate 12 odd movies and one even, and the other way round."""
    random = np.random.default_rng(7)
    ratings = []
    for user in range(60):
        of_taste, not_of_taste = (np.arange(1 + kind, MOVIES - 1, 2) for kind in ((user + 1) % 2, user % 2))
        seen = random.permutation([*random.choice(of_taste, 12, replace=False), random.choice(not_of_taste)])
        ratings += [(user, int(movie), 4, 100 * user + 20 * place) for place, movie in enumerate(seen)]
    ratings.append((59, MOVIES, 4, 10**6))
    movies = [(n, f"Movie {n} (2000)", "Drama") for n in range(1, MOVIES + 1)]
    folder = write_movielens(tmp_path_factory.mktemp("crowds"), movies, ratings)
    return datasets.prepare("ml-latest-small", tmp_path_factory.mktemp("prepared"), source=folder)


@pytest.fixture(scope="session")
def parts(crowds: Dataset) -> Split:
    return split(build_samples(crowds), crowds)


@pytest.fixture
def train(crowds: Dataset, parts: Split, tmp_path: Path) -> Train:
    """train(seed=..., progress=..., any setting=...) on the two crowds."""

    def call(
        dataset: Dataset = crowds,
        split: Split = parts,
        *,
        seed: int = 1,
        checkpoint: Path = tmp_path / "state",
        progress: Any = None,
        stop: Any = None,
        **settings: Any,
    ) -> Collaborative:
        settings = {"dimensions": 8, "batch_size": 200, "max_epochs": 5, "recall_at": 5} | settings
        config = CollaborativeConfig(**settings)
        return train_collaborative(
            dataset, split, config, seed, checkpoint=checkpoint, device="cpu", progress=progress, stop=stop
        )

    return call
