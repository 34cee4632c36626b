"""Everything that one home folder and its settings open: database, dataset, vectors, engines, pipeline.

The one place where the method (``backend``) meets what is kept; commands and screens both start here. Each part is
opened on first use and then shared between threads.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend import datasets
from backend.datasets import Dataset
from backend.engines import Engine, create_engine, models
from backend.errors import NotPreparedError, UnknownNameError
from backend.pipeline import Pipeline, Recipe
from backend.representation import VARIANTS, ItemSpace
from backend.retrieval import nearest, open_index
from backend.settings import Settings
from backend.types import ModelRef, Progress
from storage.artifacts import ArtifactStore
from storage.cached_engine import CachedEngine
from storage.database import Database, open_database
from storage.precompute import Precompute
from storage.stages.job import load_array
from storage.stages.mix import load_space

ROLES = ("tuned", "reasoning")
SCRIPTED = ModelRef("scripted", "1")


class Workspace:
    """Opened from :class:`~backend.settings.Settings`; nothing is read before it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.RLock()
        self._engines: dict[ModelRef, Engine] = {}
        self._cached: dict[ModelRef, CachedEngine] = {}
        self._datasets: dict[str, Dataset] = {}
        self._spaces: dict[str, ItemSpace] = {}
        self._indexes: dict[tuple[str, str], Any] = {}
        self._pipelines: dict[str, Pipeline] = {}

    @cached_property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.settings.home / "artifacts")

    @property
    def database(self) -> Database:
        with self._lock:
            return self._database

    @cached_property
    def _database(self) -> Database:
        return open_database(self.settings.url)

    def recipe(self, **overrides: Any) -> Recipe:
        """The settings' recipe with some values replaced. Raises ``SettingsError``."""
        return Recipe.from_settings(self.settings, **overrides)

    def dataset(self, name: str | None = None, progress: Progress | None = None) -> Dataset:
        """A prepared dataset (the settings' by default); one that ships with the program is prepared on first use.

        Raises ``NotPreparedError`` or ``UnknownNameError``.
        """
        name = name or self.settings.dataset
        with self._lock:
            if name not in self._datasets:
                root = self.settings.home / "datasets"
                try:
                    self._datasets[name] = datasets.load(name, root)
                except NotPreparedError:
                    if datasets.bundled_source(name) is None:
                        raise
                    self._datasets[name] = datasets.prepare(name, root, progress=progress)
            return self._datasets[name]

    def model(self, role: str) -> ModelRef:
        """Which weights play ``tuned`` (M_G) or ``reasoning`` (M_R)."""
        if role not in ROLES:
            raise UnknownNameError("role", role, ROLES)
        if self.settings.engine == "scripted":
            return SCRIPTED
        return models.resolve(getattr(self.settings, f"{role}_model"))

    @property
    def encoder(self) -> ModelRef:
        """Which weights turn item texts into vectors."""
        return _named(self.settings.encoder)

    @property
    def describer(self) -> ModelRef:
        """Which weights describe items."""
        return _named(self.settings.describer)

    def engine(self, model: ModelRef) -> Engine:
        """The engine that runs these weights: one per model, so that M_G and M_R share what they can."""
        with self._lock:
            if model not in self._engines:
                self._engines[model] = create_engine(
                    "scripted"
                    if model == SCRIPTED
                    else "transformers"
                    if self.settings.engine == SCRIPTED.name
                    else self.settings.engine,
                    model=model,
                    models_dir=self.settings.home / "models",
                    device=self.settings.device,
                    delay=self.settings.scripted_delay,
                )
            return self._engines[model]

    def _engine_of(self, role: str) -> Engine:
        """The engine of a role that makes artifacts: ``encoder`` or ``describer``."""
        if role == "encoder" and self.settings.encoder_kind == "sentence":
            return create_engine("sentence", model=self.encoder, device=self.settings.device)
        return self.engine(self.encoder if role == "encoder" else self.describer)

    def cached_engine(self, role: str) -> CachedEngine:
        """The engine of a role behind the database's cache; one per model, whose misses wait for each other."""
        with self._lock:
            model = self.model(role)
            if model not in self._cached:
                self._cached[model] = CachedEngine(self.engine(model), self.database)
            return self._cached[model]

    def precompute(self, name: str | None = None) -> Precompute:
        """What is made ahead from a dataset under the settings."""
        roles = {"encoder": self.encoder, "describer": self.describer}
        return Precompute(self.dataset(name), self.settings, self.artifacts, roles, self._engine_of)

    def space(self, name: str | None = None, progress: Progress | None = None) -> ItemSpace:
        """The item vectors of a dataset, memory-mapped; mixed now (seconds) if only that is missing.

        Raises ``NotPreparedError`` naming the command that makes what else is missing.
        """
        name = name or self.settings.dataset
        with self._lock:
            if name not in self._spaces:
                self._spaces[name] = load_space(self.precompute(name).artifact("space", progress))
            return self._spaces[name]

    def nearest(
        self, item: int, count: int, variant: str, name: str | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Codes of the ``count`` items nearest to an item code, and their similarities (:func:`retrieval.nearest`).

        Raises ``NotPreparedError``, ``UnknownNameError``.
        """
        vectors = self.space(name).variant(variant)
        with self._lock:
            key = name or self.settings.dataset, variant
            if key not in self._indexes:
                folder = self.precompute(name).artifact("index").folder
                self._indexes[key] = open_index(folder / f"{variant}.faiss")
            return nearest(self._indexes[key], vectors, item, count)

    def flat_map(self, variant: str, name: str | None = None) -> NDArray[np.float32]:
        """Where each item lies on the flat map of a variant: [items, 2], in [-1, 1].

        Raises ``NotPreparedError``, ``UnknownNameError``.
        """
        if variant not in VARIANTS:
            raise UnknownNameError("embedding variant", variant, VARIANTS)
        return load_array(self.precompute(name).artifact("map"), f"{variant}.npy")

    def pipeline(self, name: str | None = None) -> Pipeline:
        """The pipeline over a dataset. Raises ``NotPreparedError`` where its vectors are missing."""
        name = name or self.settings.dataset
        with self._lock:
            if name not in self._pipelines:
                engines = self.cached_engine("tuned"), self.cached_engine("reasoning")
                self._pipelines[name] = Pipeline(self.dataset(name), self.space(name), *engines)
            return self._pipelines[name]

    def close(self) -> None:
        """Close the database, if it was opened."""
        if "_database" in self.__dict__:
            self._database.close()
            del self.__dict__["_database"]


def _named(name: str) -> ModelRef:
    return SCRIPTED if name == SCRIPTED.name else models.resolve(name)
