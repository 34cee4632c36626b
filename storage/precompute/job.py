"""What a stage is, what it is given to work with, and how its rows are made piece by piece so that it can resume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import BaseModel

from backend.datasets import Dataset, Split, build_samples, split
from backend.engines import Encoder, Engine
from backend.errors import CorruptCacheError, Stopped
from backend.settings import Settings
from backend.types import ModelRef, Progress, Stop
from storage.arrays import save_array
from storage.precompute.artifacts import SCRATCH, Artifact

# The file of an artifact that is one row per item.
VECTORS = "vectors.npy"


@dataclass(frozen=True)
class Stage:
    """One artifact of the graph.

    ``name``: the stage as commands know it (two artifacts can belong to one). ``version``: raised whenever the same
    inputs would give other bytes. ``inputs``: kinds of the artifacts it reads. ``config``: the model that checks the
    stage's settings, which are the table ``table`` of :class:`Settings`. ``role``: which model it asks, if any.
    ``seeded``: whether it draws anything. ``split``: whether it depends on the split. ``quick``: seconds of work, so
    that it is made when it is first needed. ``extra``: made only where it is asked for by name. ``make`` writes the
    files into ``job.part`` and returns facts.
    """

    kind: str
    name: str
    version: int
    make: Callable[[StageWork], dict[str, Any]]
    config: type[BaseModel]
    inputs: tuple[str, ...] = ()
    table: str = ""
    role: str | None = None
    seeded: bool = False
    split: bool = False
    quick: bool = False
    extra: bool = False


@dataclass(frozen=True)
class StageWork:
    """What a stage's ``make`` is given. ``part``: the folder to fill; what an interrupted run left is still in it.

    ``model``: the weights of the stage's role, if it has one. ``recipe``: what the artifact is named by; ``earlier``:
    the finished artifacts of its kind under other recipes, from which a stage may take over what would come out the
    same.
    """

    dataset: Dataset
    settings: Settings
    config: Any
    part: Path
    inputs: Mapping[str, Artifact]
    load_engine: Callable[[], Engine | Encoder]
    progress: Progress
    stop: Stop
    model: ModelRef | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[Artifact, ...] = ()

    @property
    def scratch(self) -> Path:
        """A folder for unfinished work."""
        folder = self.part / SCRATCH
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def engine(self) -> Engine:
        """The engine that plays the stage's role, loaded."""
        return cast(Engine, self._player)

    @property
    def encoder(self) -> Encoder:
        """The encoder that plays the stage's role, loaded."""
        return cast(Encoder, self._player)

    @cached_property
    def _player(self) -> Engine | Encoder:
        player = self.load_engine()
        player.load(self.progress)
        return player

    @cached_property
    def data_split(self) -> Split:
        """The split under the settings."""
        return split(build_samples(self.dataset), self.dataset, self.settings.split)

    def labels(self) -> list[str]:
        """Title and year of every item."""
        return [self.dataset.item_label(code) for code in range(self.dataset.n_items)]

    def check_stop(self) -> None:
        """Raise ``Stopped`` when somebody asked to stop."""
        if self.stop():
            raise Stopped


def load_array(artifact: Artifact, name: str) -> np.ndarray:
    """An array of a finished artifact, memory-mapped. Raises ``CorruptCacheError`` for a damaged or missing file."""
    path = artifact.folder / name
    try:
        array: np.ndarray = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError) as error:
        raise CorruptCacheError(f"{path} is damaged ({error})", fix=f"delete {artifact.folder}") from error
    return array


def rows_by_chunk(
    job: StageWork, what: str, total: int, size: int, make: Callable[[int, int], np.ndarray]
) -> np.ndarray:
    """``make(start, end)`` for each ``size`` rows of ``total``, joined; finished chunks are kept for the next run."""
    paths = []
    for start in range(0, total, size):
        path = job.scratch / f"rows-{start:09d}.npy"
        if not path.exists():
            job.check_stop()
            save_array(path, make(start, min(start + size, total)))
        paths.append(path)
        job.progress(what, min(start + size, total) / total)
    return np.concatenate([np.load(path) for path in paths])
