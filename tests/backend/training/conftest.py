"""A tiny model in a folder, and a small dataset's graph with it in both roles, for what learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend import datasets
from backend.datasets import Dataset
from backend.engines import SCRIPTED
from backend.engines.scripted import ScriptedEngine
from backend.settings import Settings
from backend.types import ModelRef
from storage.precompute.artifacts import ArtifactStore
from storage.precompute.plan import Precompute
from tests.backend.training.tiny_models import save_tiny
from tests.conftest import DAY, small_movies, write_movielens
from tests.storage.precompute.conftest import QUICK

LITTLE: dict[str, Any] = {
    "samples": 12, "held_out": 6, "k": 3, "epochs": 1, "batch_size": 4, "rounds": 3, "base": "float32", "layers": 0,
    "targets": ["q_proj", "v_proj"], "template": "answered", "loss": "every-answer",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Threads that wait for each other crawl where a machine's cores are shared.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
        tables = {"tune": LITTLE | {"orders": 2}, "reasoner": LITTLE | {"orders": 1}}
        tables |= {name: tables[name] | settings.pop(name) for name in list(tables) if name in settings}
        chosen = Settings(**QUICK | {"device": "cpu"} | tables | settings)
        artifacts = ArtifactStore(store, bundle=store / "no bundle")
        return Precompute(dataset, chosen, artifacts, roles, lambda _role: ScriptedEngine())

    return of
