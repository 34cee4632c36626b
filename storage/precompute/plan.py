"""``rallrec precompute``: what has to be made, why, and the making of it, one artifact after the other.

An artifact is found by its recipe, so a stage runs only where something that it depends on changed. Stopped or killed
at any point, the next run goes on where this one was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.commands import command_line
from backend.datasets import Dataset
from backend.engines import Encoder, Engine
from backend.errors import CorruptCacheError, NotPreparedError
from backend.settings import Settings
from backend.types import ModelRef, Progress, Stop
from storage.arrays import save_text
from storage.precompute.artifacts import SCRATCH, Artifact, ArtifactStore
from storage.precompute.graph import Node, build_graph, kinds_until
from storage.precompute.job import StageWork

# How often, in seconds, the time spent so far is noted, so that it survives a kill.
_NOTE_EVERY = 2.0
# Seconds to wait for another process that makes the same quick artifact.
_QUICK_WAIT = 120.0


@dataclass(frozen=True)
class Planned:
    """One artifact of a plan. ``state``: ``ready``, ``shipped``, ``begun``, ``missing`` or ``damaged``; ``why``."""

    node: Node
    state: str
    why: str
    artifact: Artifact | None

    @property
    def will_run(self) -> bool:
        return self.artifact is None


class Precompute:
    """The graph of one dataset over one store. ``engine_of`` gives who plays a stage's role."""

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        store: ArtifactStore,
        models: Mapping[str, ModelRef],
        engine_of: Callable[[str], Engine | Encoder],
    ) -> None:
        self.nodes = build_graph(dataset.meta, settings, models)
        self._dataset, self._settings, self._store, self._engine_of = dataset, settings, store, engine_of

    def plan(self, until: str | None = None, fresh: Sequence[str] = (), *, extra: bool = False) -> list[Planned]:
        """What a run would do, in order; ``fresh`` names stages to make anew, ``extra``: with the extra stages too.

        Raises ``UnknownNameError``.
        """
        for name in fresh:
            kinds_until(name)
        kinds = list(self.nodes) if extra and until is None else kinds_until(until)
        return [self._planned(self.nodes[kind], fresh) for kind in kinds]

    def run(
        self,
        until: str | None = None,
        fresh: Sequence[str] = (),
        progress: Progress | None = None,
        stop: Stop | None = None,
        on_done: Callable[[Artifact], None] | None = None,
        *,
        extra: bool = False,
    ) -> list[Artifact]:
        """Make what is missing; all artifacts of the plan, in order. Raises ``Stopped``, and what the stages raise."""
        artifacts = []
        for planned in self.plan(until, fresh, extra=extra):
            artifact = planned.artifact
            if artifact is None:
                anew = planned.state == "damaged" or planned.node.stage.name in fresh
                artifact = self._make(planned.node, progress or _silent, stop or _never, anew=anew)
                if on_done:
                    on_done(artifact)
            artifacts.append(artifact)
        return artifacts

    def ready(self, kind: str) -> Artifact | None:
        """The finished artifact of a kind, or None. Makes nothing."""
        return self._store.find(kind, self.nodes[kind].recipe)

    def artifact(self, kind: str, progress: Progress | None = None) -> Artifact:
        """A finished artifact; one that takes but seconds is made now if all it needs is there.

        Raises ``NotPreparedError`` naming the command that makes it.
        """
        node = self.nodes[kind]
        artifact = self._store.find(kind, node.recipe)
        if artifact:
            return artifact
        missing = [
            input_kind
            for input_kind in node.stage.inputs
            if self._store.find(input_kind, self.nodes[input_kind].recipe) is None
        ]
        if node.stage.quick and all(self.nodes[input_kind].stage.quick for input_kind in missing):
            for input_kind in missing:
                self.artifact(input_kind, progress)
            return self._make(node, progress or _silent, _never, wait=_QUICK_WAIT)
        needed = ", ".join(dict.fromkeys(self.nodes[input_kind].stage.name for input_kind in [*missing, kind]))
        raise NotPreparedError(
            f"{self._dataset.meta.title} has no {kind} under these settings (missing: {needed})",
            fix=command_line(
                self._settings.model_copy(update={"dataset": self._dataset.meta.name}),
                "precompute",
                "--until",
                node.stage.name,
            ),
        )

    def _planned(self, node: Node, fresh: Sequence[str]) -> Planned:
        kind = node.stage.kind
        if node.stage.name in fresh:
            return Planned(node, "missing", "asked for anew", None)
        try:
            artifact = self._store.find(kind, node.recipe)
        except CorruptCacheError as error:
            return Planned(node, "damaged", f"{error.problem}; a run makes it anew", None)
        if artifact:
            return Planned(node, "shipped" if artifact.bundled else "ready", f"made {artifact.meta['made']}", artifact)
        if self._store.begun(kind, node.recipe):
            return Planned(node, "begun", "begun by a run that goes on or was interrupted; nothing of it is lost", None)
        return Planned(node, "missing", self._why_missing(node), None)

    def _why_missing(self, node: Node) -> str:
        """What differs from the last artifact of this kind and dataset, and whether it waits to be asked for."""
        waits = "; it is made only when asked for" if node.stage.extra else ""
        alike = [
            artifact
            for artifact in self._store.all()
            if artifact.meta.get("kind") == node.stage.kind
            and artifact.meta["recipe"].get("data", {}).get("name") == self._dataset.meta.name
        ]
        if not alike:
            return "never made" + waits
        latest = max(alike, key=lambda artifact: artifact.meta["made"])
        changes = _differences(latest.meta["recipe"], node.recipe)
        return "changed since the last one: " + ", ".join(changes) + waits

    def _make(self, node: Node, progress: Progress, stop: Stop, *, anew: bool = False, wait: float = 0.0) -> Artifact:
        """Make one artifact under its lock; one that another run finished meanwhile is taken, unless ``anew``."""
        kind, recipe = node.stage.kind, node.recipe
        with self._store.making(kind, recipe, wait):
            artifact = None if anew else self._store.find(kind, recipe)
            return artifact or self._make_held(node, progress, stop, anew)

    def _make_held(self, node: Node, progress: Progress, stop: Stop, anew: bool) -> Artifact:
        """Make one artifact; its lock is held. Made ``anew``, it takes nothing over from earlier ones."""
        kind, recipe = node.stage.kind, node.recipe
        done = self._store.resume_finish(kind, recipe)
        if done:
            return done
        part = self._store.part(kind, recipe)
        part.mkdir(parents=True, exist_ok=True)
        clock = _Clock(part)
        inputs = {input_kind: self._input(input_kind) for input_kind in node.stage.inputs}

        def report(what: str, fraction: float | None) -> None:
            clock.note()
            progress(what, fraction)

        def load_engine() -> Engine | Encoder:
            return self._engine_of(node.stage.role or "")

        earlier = () if anew else tuple(one for one in self._store.all() if one.meta.get("kind") == kind)
        job = StageWork(
            self._dataset, self._settings, node.config, part, inputs, load_engine, report, stop, node.model, recipe,
            earlier,
        )  # fmt: skip
        clock.job = job
        progress(node.stage.name, None)
        facts = node.stage.make(job)
        made_from = {input_kind: artifact.folder.name for input_kind, artifact in inputs.items()}
        return self._store.finish(kind, recipe, inputs=made_from, seconds=round(clock.seconds, 1), **facts)

    def _input(self, kind: str) -> Artifact:
        artifact = self._store.find(kind, self.nodes[kind].recipe)
        if artifact is None:  # only if somebody deletes files while this runs
            raise NotPreparedError(f"The artifact {kind} is gone", fix="run the command again")
        return artifact


class _Clock:
    """Seconds of work on one artifact, also of the runs before this one."""

    def __init__(self, part: Path) -> None:
        self.job: StageWork | None = None
        self._file = part / SCRATCH / "seconds.json"
        self._started = self._noted = time.perf_counter()
        try:
            self._before = float(json.loads(self._file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            self._before = 0.0

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._started

    def note(self) -> None:
        if self.job and time.perf_counter() - self._noted > _NOTE_EVERY:
            self._noted = time.perf_counter()
            save_text(self.job.scratch / self._file.name, json.dumps(self.seconds))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """``config.items: 2000 -> 3000`` for every leaf that differs; hashes only by name."""
    changes = []
    for key in sorted(old.keys() | new.keys()):
        before, after, name = old.get(key), new.get(key), f"{path}{key}"
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changes += _differences(before, after, f"{name}.")
        elif path == "inputs." or key == "hash":
            changes.append(name)
        else:
            changes.append(f"{name}: {before} -> {after}")
    return changes


def _silent(_what: str, _fraction: float | None) -> None:
    pass


def _never() -> bool:
    return False
