"""Everything that one home folder and its settings open: database, dataset, vectors, engines, pipeline.

The one place where the method (``backend``) meets what is kept; commands and screens both start here. Each part is
opened on first use and then shared between threads.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend import datasets
from backend.baselines import BOOSTING, NETWORKS
from backend.datasets import Dataset, DatasetMeta, build_samples, split
from backend.datasets.statistics import TrainingStatistics
from backend.datasets.store import META
from backend.engines import Encoder, Engine, create_encoder, create_engine, models
from backend.errors import CorruptCacheError, DataError, NotPreparedError, SettingsError, UnknownNameError
from backend.pipeline import Pipeline, Recipe
from backend.representation import VARIANTS, ItemSpace
from backend.retrieval import nearest, open_index
from backend.settings import Settings
from backend.stories import Story
from backend.training.config import RECIPES, ReasonerConfig, TuneConfig
from backend.types import ModelRef, Progress
from storage.database.connection import Database, open_database
from storage.jobs.worker import Worker
from storage.kept.stories import read_stories
from storage.precompute.artifacts import BUNDLE, ArtifactStore
from storage.precompute.baselines import load_scores
from storage.precompute.graph import Node, build_graph
from storage.precompute.job import load_array
from storage.precompute.mix import load_space
from storage.precompute.plan import Precompute
from storage.precompute.tune import adapter_name
from storage.results.cached_engine import CachedEngine
from storage.results.keys import unknown_of
from storage.results.requests import note_requests
from storage.results.servers import check_server
from storage.roles import ROLES, BaseWeights, Role, base_of, encoder_of, made_with, role_of
from storage.shipped import import_shipped, shipped_results, shipped_samples


@dataclass
class _Opened:
    """What the views of one workspace over its datasets share: all that is open, and the lock over it."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    engines: dict[BaseWeights, Any] = field(default_factory=dict)
    roles: dict[tuple[str, str], Role] = field(default_factory=dict)
    cached: dict[Role, CachedEngine] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    spaces: dict[str, ItemSpace] = field(default_factory=dict)
    indexes: dict[tuple[str, str], Any] = field(default_factory=dict)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    views: dict[str, Workspace] = field(default_factory=dict)


class Workspace:
    """Opened from :class:`~backend.settings.Settings`; nothing is read before it is asked for. Leaving its ``with``
    block closes it.
    """

    def __init__(self, settings: Settings, bundle: Path = BUNDLE, root: Workspace | None = None) -> None:
        """``root``: the workspace of which this is a view over another dataset (:meth:`over` makes it)."""
        self.settings = settings
        self._bundle = bundle
        self._root = root or self
        self._opened: _Opened = root._opened if root else _Opened()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def over(self, name: str) -> Workspace:
        """This workspace with another dataset in the settings' place; all that is opened is shared."""
        root = self._root
        if name == root.settings.dataset:
            return root
        with self._opened.lock:
            if name not in self._opened.views:
                settings = root.settings.model_copy(update={"dataset": name})
                self._opened.views[name] = Workspace(settings, root._bundle, root)
            return self._opened.views[name]

    @property
    def other(self) -> str:
        """The dataset's name in addresses: empty for that of the app's own settings."""
        return "" if self._root is self else self.settings.dataset

    @cached_property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.settings.home / "artifacts", self._bundle)

    @property
    def database(self) -> Database:
        with self._opened.lock:
            return self._root._database

    @cached_property
    def _database(self) -> Database:
        database = open_database(self.settings.url)
        import_shipped(database, self._bundle, {role_of(self.settings, role).base.model.name for role in ROLES})
        return database

    @cached_property
    def worker(self) -> Worker:
        """This process as the database's jobs know it."""
        if self._root is not self:
            return self._root.worker
        return Worker(lambda: self.database, self.settings.home / "workers")

    def recipe(self, **overrides: Any) -> Recipe:
        """The settings' recipe with some values replaced. Raises ``SettingsError``.

        With the setting ``calibration``, M_G's answers are scaled by the temperature that its adapter was found to
        need; where it was not tuned here, there is none.
        """
        if overrides.get("template") is None:
            self._check_layouts()
        if self.settings.calibration == "temperature":
            overrides = {"p_g_temperature": self._temperature, **overrides}
        return Recipe.from_settings(self.settings, **overrides)

    def _check_layouts(self) -> None:
        """Raise ``SettingsError`` where an adapter that was tuned here would be asked in another layout than its
        own.
        """
        if self.settings.other_layout:
            return
        asked = self.settings.template
        for role in ROLES:
            named = getattr(self.settings, f"{role}_adapter")
            if named not in RECIPES:
                continue
            of_reasoner = named == "reasoner"
            table, config = (
                (self.settings.reasoner, ReasonerConfig) if of_reasoner else (self.settings.tune, TuneConfig)
            )
            layout = config.model_validate(table).template
            # Whether it was tuned is known where the dataset is; nothing is opened where the layouts agree.
            if layout != asked and self.model(role).adapter is not None:
                raise SettingsError(
                    f"The adapter {named!r} was tuned in the layout {layout!r}, and the template is {asked!r}",
                    expected="the layout that it was tuned on",
                    fix=f"set template to {layout}, tune it anew, or set other_layout to true to ask it all the same",
                )

    @cached_property
    def _temperature(self) -> float:
        """What the tuned adapter's answers are to be scaled by."""
        recipe = models.recipe_of(self.model("tuned"))
        tuned = self.precompute().ready(recipe) if recipe else None
        return float(tuned.meta.get("temperature", 1.0)) if tuned else 1.0

    def dataset(self, name: str | None = None, progress: Progress | None = None) -> Dataset:
        """A prepared dataset (the settings' by default); one that ships with the program is prepared on first use.

        Raises ``NotPreparedError`` or ``UnknownNameError``, and as :meth:`check_unchanged`.
        """
        name = name or self.settings.dataset
        with self._opened.lock:
            if name not in self._opened.datasets:
                root = self.settings.home / "datasets"
                try:
                    self._opened.datasets[name] = datasets.load(name, root)
                except NotPreparedError:
                    if datasets.bundled_source(name) is None:
                        raise
                    self._opened.datasets[name] = datasets.prepare(name, root, progress=progress)
            self.check_unchanged(name)
            return self._opened.datasets[name]

    def check_unchanged(self, name: str) -> None:
        """Raise ``DataError`` where other data was imported under this name since it was opened: what is held of the
        old one, in here and on pages, would pass for the new.
        """
        if name not in self._opened.datasets:
            return
        root = self.settings.home / "datasets"
        try:
            stamp = (root / name / META).stat().st_mtime_ns
        except OSError:  # it is being replaced, or taken away: what was read is whole
            return
        if self._opened.stamps.get(name) != stamp:
            if datasets.stored_hash(name, root) not in ("", self._opened.datasets[name].meta.data_hash):
                raise DataError(
                    f"Other data was imported as {name} while this program ran", fix="start it again: rallrec serve"
                )
            self._opened.stamps[name] = stamp

    def model(self, role: str, name: str | None = None) -> ModelRef:
        """Which weights play ``tuned`` (M_G) or ``reasoning`` (M_R) for a dataset."""
        return self.role(role, name).model

    def role(self, role: str, name: str | None = None) -> Role:
        """Who plays a role for a dataset: an adapter named by its recipe is the one that was tuned on this dataset.

        Its name in results holds the hash of its weights, so that one tuned anew is another. Where none was tuned for
        this base, it plays without an adapter.
        """
        player = role_of(self.settings, role)
        if player.adapter not in RECIPES:
            return player
        key = role, name or self.settings.dataset
        with self._opened.lock:
            if key not in self._opened.roles:
                work = self.precompute(name)
                fits = work.nodes[player.adapter].model == base_of(self.settings, role)
                tuned = work.ready(player.adapter) if fits else None
                adapter = (adapter_name(tuned), str(tuned.folder)) if tuned else ()
                self._opened.roles[key] = Role(player.base, *adapter)
            return self._opened.roles[key]

    @property
    def describer(self) -> ModelRef:
        """Which weights describe items."""
        return role_of(self.settings, "describer").model

    @property
    def encoder(self) -> ModelRef:
        """Which weights turn item texts into vectors."""
        return encoder_of(self.settings).model

    def engine(self, role: str, name: str | None = None) -> Engine:
        """The engine that plays a role. Roles with the same base share its weights, whatever their adapters."""
        with self._opened.lock:
            player = self.role(role, name)
            base = self._base(player.base)
            return base if player.adapter is None else base.adapted(player.adapter, player.folder)

    def item_encoder(self) -> Encoder:
        """What turns item texts into vectors: never quantized, and run in this process."""
        with self._opened.lock:
            base = encoder_of(self.settings)
            if base not in self._opened.engines:
                self._opened.engines[base] = create_encoder(base.engine, **made_with(self.settings, base))
            encoder: Encoder = self._opened.engines[base]
            return encoder

    def _base(self, base: BaseWeights) -> Engine:
        """The one engine of these base weights. What runs in this process encodes too: the encoder can be it."""
        if base not in self._opened.engines:
            options = made_with(self.settings, base)
            if base.model.server:
                options["on_contact"] = lambda model, said: check_server(self.database, model, said)
            self._opened.engines[base] = create_engine(base.engine, **options)
        engine: Engine = self._opened.engines[base]
        return engine

    def _maker(self, role: str) -> Engine | Encoder:
        """Who plays a role that makes artifacts: ``encoder`` or ``describer``."""
        return self.item_encoder() if role == "encoder" else self.engine(role)

    def cached_engine(self, role: str, name: str | None = None) -> CachedEngine:
        """The engine of a role behind the database's cache. Roles with the same base wait for each other's misses."""
        return self.cached(self.role(role, name))

    def cached(self, player: Role) -> CachedEngine:
        """The engine of a base with whatever adapter, behind the database's cache."""
        with self._opened.lock:
            if player not in self._opened.cached:
                plain = Role(player.base)
                if plain not in self._opened.cached:
                    self._opened.cached[plain] = CachedEngine(self._base(player.base), self.database)
                if player.adapter is not None:
                    self._opened.cached[player] = self._opened.cached[plain].adapted(player.adapter, player.folder)
            return self._opened.cached[player]

    def precompute(self, name: str | None = None) -> Precompute:
        """What is made ahead from a dataset under the settings."""
        return Precompute(self.dataset(name), self.settings, self.artifacts, self._makers, self._maker)

    def graph(self, meta: DatasetMeta) -> dict[str, Node]:
        """What would be made ahead from a dataset under the settings, as its description alone tells: opens nothing."""
        return build_graph(meta, self.settings, self._makers)

    @property
    def _makers(self) -> dict[str, ModelRef]:
        """Which weights play each role that a stage names."""
        bases = {role: base_of(self.settings, role) for role in ROLES}
        return {"encoder": self.encoder, "describer": self.describer, **bases}

    def space(self, name: str | None = None, progress: Progress | None = None) -> ItemSpace:
        """The item vectors of a dataset, memory-mapped; mixed now (seconds) if only that is missing.

        Raises ``NotPreparedError`` naming the command that makes what else is missing.
        """
        name = name or self.settings.dataset
        with self._opened.lock:
            if name not in self._opened.spaces:
                self._opened.spaces[name] = load_space(self.precompute(name).artifact("space", progress))
            return self._opened.spaces[name]

    def nearest(
        self, item: int, count: int, variant: str, name: str | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Codes of the ``count`` items nearest to an item code, and their similarities (:func:`retrieval.nearest`).

        Raises ``NotPreparedError``, ``UnknownNameError``.
        """
        vectors = self.space(name).variant(variant)
        with self._opened.lock:
            key = name or self.settings.dataset, variant
            if key not in self._opened.indexes:
                folder = self.precompute(name).artifact("index").folder
                self._opened.indexes[key] = open_index(folder / f"{variant}.faiss")
            return nearest(self._opened.indexes[key], vectors, item, count)

    def flat_map(self, variant: str, name: str | None = None) -> NDArray[np.float32]:
        """Where each item lies on the flat map of a variant: [items, 2], in [-1, 1].

        Raises ``NotPreparedError``, ``UnknownNameError``.
        """
        if variant not in VARIANTS:
            raise UnknownNameError("embedding variant", variant, VARIANTS)
        return load_array(self.precompute(name).artifact("map"), f"{variant}.npy")

    def baselines(self, name: str | None = None) -> dict[str, NDArray[np.float64]]:
        """P(yes) of boosting and the ID-based systems, where trained, by name: float64[n_interactions], NaN for
        training rows.

        Raises ``CorruptCacheError``.
        """
        work, data = self.precompute(name), self.dataset(name)
        ready = {system: work.ready(system.lower()) for system in (*NETWORKS, BOOSTING)}
        return {system: load_scores(artifact, data) for system, artifact in ready.items() if artifact}

    def prepared_samples(self) -> list[tuple[str, str]]:
        """(user id, item id) of the samples whose results ship; none where other models play than made these, or for
        data that does not ship."""
        if datasets.bundled_source(self.settings.dataset) is None:
            return []
        try:
            shipped = shipped_results(self._bundle)
        except CorruptCacheError:  # said once, where the results are taken over
            return []
        made = {entry.ref for entry in shipped.manifest.models} if shipped else set()
        if not all(model in made or unknown_of(model) in made for model in map(self.model, ROLES)):
            return []
        return shipped_samples(self._bundle, "test")

    def prepared_stories(self) -> dict[str, Story]:
        """The stories that ship, by key; none where other models play than made the results that they are about."""
        return read_stories(self._bundle) if self.prepared_samples() else {}

    def pipeline(self, name: str | None = None) -> Pipeline:
        """The pipeline over a dataset. Raises ``NotPreparedError`` where its vectors are missing."""
        name = name or self.settings.dataset
        with self._opened.lock:
            if name not in self._opened.pipelines:
                engines = self.cached_engine("tuned", name), self.cached_engine("reasoning", name)
                data = self.dataset(name)
                statistics = TrainingStatistics(data, split(build_samples(data), data, self.settings.split))
                made = Pipeline(data, self.space(name), *engines, statistics)
                made.on_asked = partial(note_requests, self.database, made.questions)
                self._opened.pipelines[name] = made
            return self._opened.pipelines[name]

    def close(self) -> None:
        """End this process's jobs as interrupted, and close the database, if it was opened."""
        if "worker" in self.__dict__:
            self.worker.close()
        if "_database" in self.__dict__:
            self._database.close()
            del self.__dict__["_database"]
