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
from backend.engines import Encoder, Engine, create_encoder, create_engine
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
from storage.roles import SCRIPTED, Base, Role, encoder_of, options_of, role_of
from storage.stages.job import load_array
from storage.stages.mix import load_space

__all__ = ["SCRIPTED", "Workspace"]


class Workspace:
    """Opened from :class:`~backend.settings.Settings`; nothing is read before it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.RLock()
        self._engines: dict[Base, Any] = {}
        self._cached: dict[Role, CachedEngine] = {}
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
        return role_of(self.settings, role).model

    @property
    def describer(self) -> ModelRef:
        """Which weights describe items."""
        return role_of(self.settings, "describer").model

    @property
    def encoder(self) -> ModelRef:
        """Which weights turn item texts into vectors."""
        return encoder_of(self.settings).model

    def engine(self, role: str) -> Engine:
        """The engine that plays a role. Roles with the same base share its weights, whatever their adapters."""
        with self._lock:
            found = role_of(self.settings, role)
            base = self._base(found.base)
            return base if found.adapter is None else base.adapted(found.adapter)

    def item_encoder(self) -> Encoder:
        """What turns item texts into vectors: never quantized, and run in this process."""
        with self._lock:
            base = encoder_of(self.settings)
            if base not in self._engines:
                options = options_of(self.settings, base.engine)
                self._engines[base] = create_encoder(base.engine, model=base.model, **options)
            encoder: Encoder = self._engines[base]
            return encoder

    def _base(self, base: Base) -> Engine:
        """The one engine of these base weights. What runs in this process encodes too: the encoder can be it."""
        if base not in self._engines:
            options = options_of(self.settings, base.engine) | ({"url": base.url} if base.url else {})
            self._engines[base] = create_engine(base.engine, model=base.model, **options)
        engine: Engine = self._engines[base]
        return engine

    def _maker(self, role: str) -> Engine | Encoder:
        """Who plays a role that makes artifacts: ``encoder`` or ``describer``."""
        return self.item_encoder() if role == "encoder" else self.engine(role)

    def cached_engine(self, role: str) -> CachedEngine:
        """The engine of a role behind the database's cache. Roles with the same base wait for each other's misses."""
        with self._lock:
            found = role_of(self.settings, role)
            if found not in self._cached:
                plain = Role(found.base)
                if plain not in self._cached:
                    self._cached[plain] = CachedEngine(self._base(found.base), self.database)
                if found.adapter is not None:
                    self._cached[found] = self._cached[plain].adapted(found.adapter)
            return self._cached[found]

    def precompute(self, name: str | None = None) -> Precompute:
        """What is made ahead from a dataset under the settings."""
        roles = {"encoder": self.encoder, "describer": self.describer}
        return Precompute(self.dataset(name), self.settings, self.artifacts, roles, self._maker)

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
