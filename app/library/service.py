"""The Library page's questions: what is there, what made it, what is missing and how to make it.

Knows no Gradio and no HTML. Looks only: no file is hashed, no model loaded, nothing made but a dataset that ships.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.library.facts import facts_of
from app.library.view import (
    ArtifactEntry,
    Cache,
    CacheEntry,
    DatasetEntry,
    DrawnEntry,
    Facts,
    File,
    Input,
    ModelEntry,
    Shelf,
)
from backend import datasets
from backend.commands import command_line
from backend.datasets import Dataset
from backend.engines import SCRIPTED, makes_up_answers, models
from backend.errors import CorruptCacheError, RallrecError
from backend.types import ModelRef
from storage import inventory
from storage.doctor.checks import check
from storage.doctor.findings import Finding
from storage.inventory import Space
from storage.precompute.artifacts import Artifact, artifact_name
from storage.precompute.plan import Planned
from storage.results.keys import is_known
from storage.roles import ROLES, WRITERS, role_of
from storage.workspace import Workspace

# An unfinished artifact that was written to so many seconds ago is being made; else its run has ended.
_STILL_MAKING = 300.0


class LibraryService:
    """One per app and dataset. Methods may be called from any thread; each raises ``RallrecError`` for its own part
    alone.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        # By folder and when it was made: an artifact with its name never changes, and a million descriptions take long.
        self._facts: dict[tuple[Path, str], Facts | None] = {}

    def dataset(self) -> Dataset:
        """Returns the dataset that the page is about."""
        return self._workspace.dataset()

    def shelf(self) -> Shelf:
        """Lists the plan of the dataset and the other artifacts of the store. It never raises."""
        named = {"dataset": self._workspace.other, "command": self._command()}
        try:
            work, data = self._workspace.precompute(), self.dataset()
        except RallrecError as error:
            return Shelf((), tuple(self._others({})), str(error), **named)
        keys = {artifact_name(kind, node.recipe): kind for kind, node in work.nodes.items()}
        plan = [self._entry(planned, data, keys) for planned in work.plan(extra=True)]
        return Shelf(tuple(plan), tuple(self._others(keys)), **named)

    def datasets(self) -> list[DatasetEntry]:
        """Lists the datasets that ship and those that were imported; the page's own comes first."""
        settings = self._workspace.settings
        names = dict.fromkeys([settings.dataset, *datasets.known_names(settings.home / "datasets")])
        return [self._dataset_entry(name) for name in names]

    def models(self) -> list[ModelEntry]:
        """Lists who plays each role under the settings."""
        work = self._workspace
        roles = {role: role_of(work.settings, role) for role in WRITERS}
        entries = {
            role: self._model_entry(role, played.model, at_server=bool(played.base.url))
            for role, played in roles.items()
        }
        entries["encoder"] = self._model_entry("encoder", work.encoder)
        return [entries[role] for role in (*ROLES, "encoder", "describer")]

    def space(self) -> Space:
        """Measures what the home folder takes, and what is free beside it."""
        return inventory.home_space(self._workspace.settings.home)

    def cache(self) -> Cache:
        """Counts the cached answers and chains. It makes no database where there is none yet."""
        url = self._workspace.settings.url
        file = inventory.database_file(url)
        if file is not None and not file.exists():
            return Cache(str(file), False, None, ())
        database = self._workspace.database
        rows = tuple(
            CacheEntry(
                stored_name(row.model),
                row.model.revision,
                row.answers,
                row.traces,
                f"{row.latest:%Y-%m-%dT%H:%M:%SZ}",
            )
            for row in inventory.count_results(database)
        )
        drawn = tuple(
            DrawnEntry(
                stored_name(row.model), row.temperature, row.top_p, row.max_tokens,
                row.prompts, row.seeds, row.chains,
            )
            for row in inventory.count_drawn(database)
        )  # fmt: skip
        return Cache(str(file or database.url), True, inventory.database_bytes(file) if file else None, rows, drawn)

    def _command(self, *options: str) -> str:
        """What makes the artifacts of this dataset."""
        return command_line(self._workspace.settings, "precompute", *options)

    def _entry(self, planned: Planned, data: Dataset, keys: Mapping[str, str]) -> ArtifactEntry:
        node, artifact = planned.node, planned.artifact
        stage = node.stage
        plain: dict[str, Any] = {
            "key": stage.kind,
            "kind": stage.kind,
            "stage": stage.name,
            "recipe": node.recipe,
            "inputs": _inputs(node.recipe.get("inputs"), keys),
            "quick": stage.quick,
        }
        command = self._command("--until", stage.name)
        if artifact is None:
            return ArtifactEntry(**plain, **self._unmade(planned, command))
        try:
            known = _known(artifact)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return ArtifactEntry(**plain, state="damaged", why=_unlike(artifact, error), command=command)
        damage = _missing_or_cut(artifact)
        if damage:
            why = f"{damage}. To fix it: delete {artifact.folder} and run the command."
            return ArtifactEntry(**plain, **known, state="damaged", why=why, command=command)
        facts, problem = None, ""
        try:
            place = artifact.folder, known["made"]
            if place not in self._facts:
                self._facts[place] = facts_of(stage.kind, artifact, data)
            facts = self._facts[place]
        except CorruptCacheError as error:
            problem = str(error)
        return ArtifactEntry(**plain, **known, state=planned.state, why="", command="", facts=facts, error=problem)

    def _unmade(self, planned: Planned, command: str) -> dict[str, Any]:
        node = planned.node
        if planned.state != "begun":
            return {"state": planned.state, "why": planned.why, "command": command}
        part = inventory.unfinished(self._workspace.artifacts.part(node.stage.kind, node.recipe))
        if part is None:  # it got its name just now
            return {"state": "making", "why": "it is being finished", "command": ""}
        ago = max(time.time() - part.written, 0.0)
        known = {"seconds": part.seconds, "bytes": part.bytes}
        if ago < _STILL_MAKING:
            return known | {"state": "making", "why": f"last written to {ago:.0f} s ago", "command": ""}
        return known | {"state": "interrupted", "why": planned.why, "command": command}

    def _others(self, keys: Mapping[str, str]) -> list[ArtifactEntry]:
        """Newest first."""
        rest = [artifact for artifact in self._workspace.artifacts.all() if artifact.folder.name not in keys]
        known = {**keys, **{artifact.folder.name: artifact.folder.name for artifact in rest}}
        origins, entries = Origins(self._workspace), []
        for artifact in rest:
            name = artifact.folder.name
            try:
                recipe = artifact.meta["recipe"]
                noted, origin = _known(artifact), origins.of(name, recipe)
                entry = ArtifactEntry(
                    key=name, kind=str(artifact.meta["kind"]), stage=str(recipe.get("stage", "")), recipe=recipe,
                    inputs=_inputs(recipe.get("inputs"), known),
                    state="shipped" if artifact.bundled else "ready", why=origin.why, command="",
                    dataset=origin.dataset, reader=origin.reader, place=origin.place, **noted,
                )  # fmt: skip
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                entry = ArtifactEntry(name, name, "", "damaged", _unlike(artifact, error), "", {})
            entries.append(entry)
        return sorted(entries, key=lambda entry: entry.made, reverse=True)

    def _dataset_entry(self, name: str) -> DatasetEntry:
        root, current = self._workspace.settings.home / "datasets", name == self._workspace.settings.dataset
        command = datasets.command_for(name)
        if name not in datasets.DATASETS and name not in datasets.known_names(root):
            return DatasetEntry(name, "missing", current, command)
        if not datasets.is_prepared(name, root):
            return DatasetEntry(name, "shipped", current, command)
        try:
            counted = inventory.count_dataset(name, root)
        except RallrecError as error:
            return DatasetEntry(name, "damaged", current, command, why=str(error))
        return DatasetEntry(
            name, "prepared", current,
            title=counted.meta.title, licence=counted.meta.licence,
            users=counted.users, items=counted.items, interactions=counted.interactions, bytes=counted.bytes,
            skipped=sum(counted.meta.skipped.values()), order_note=counted.meta.order_note,
        )  # fmt: skip

    def _model_entry(self, role: str, model: ModelRef, *, at_server: bool = False) -> ModelEntry:
        name, models_dir = models.display_name(model), self._workspace.settings.models_dir
        if makes_up_answers(model.name):
            return ModelEntry(role, name, model.revision, SCRIPTED.name)
        if at_server:
            return ModelEntry(role, name, model.revision, "server")
        if models.is_fetched(model, models_dir):
            folder = Path(models.fetch(model, models_dir))  # it is there: this only names it
            return ModelEntry(role, name, model.revision, "disk", inventory.folder_bytes(folder))
        if model.name in models.EMBEDDED:
            return ModelEntry(role, name, model.revision, "fetched", None, "rallrec prepare --model")
        return ModelEntry(role, name, model.revision, "hub")


def _inputs(named: Any, keys: Mapping[str, str]) -> tuple[Input, ...]:
    pairs: Sequence[tuple[str, str]] = list(named.items()) if isinstance(named, Mapping) else []
    return tuple(Input(str(kind), str(code), keys.get(f"{kind}-{code}")) for kind, code in pairs)


def _known(artifact: Artifact) -> dict[str, Any]:
    """Reads what ``meta.json`` says of any artifact. Raises ``KeyError`` and the like where it does not."""
    meta = artifact.meta
    width = meta.get("dimensions")
    if isinstance(width, Mapping):
        width = sum(width.values())
    files = (File(name, int(f["bytes"]), str(f["sha256"])) for name, f in meta["files"].items())
    return {
        "folder": artifact.folder.name,
        "made": str(meta.get("made", "")),
        "version": str(meta.get("version", "")),
        "seconds": float(meta["seconds"]) if "seconds" in meta else None,
        "bytes": artifact.bytes,
        "rows": int(meta["rows"]) if "rows" in meta else None,
        "dimensions": None if width is None else int(width),
        "files": tuple(files),
    }


def _unlike(artifact: Artifact, error: Exception) -> str:
    lacking = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    return f"{artifact.folder}/meta.json is not as this version writes it ({lacking}). To fix it: delete that folder."


def _missing_or_cut(artifact: Artifact) -> str:
    """Names the first file that is gone or has another size than it was written with. It reads no file."""
    for name, noted in artifact.meta["files"].items():
        try:
            size = (artifact.folder / name).stat().st_size
        except OSError:
            return f"{artifact.folder / name} is missing"
        if size != noted["bytes"]:
            return f"{artifact.folder / name} has {size:,} bytes and should have {noted['bytes']:,}"
    return ""


@dataclass(frozen=True)
class Origin:
    """``dataset``: what an artifact was made from. ``reader``: the dataset whose pages read it now, ``place``: as which
    kind; both empty where none does, and ``why``.
    """

    dataset: str
    reader: str
    place: str
    why: str


class Origins:
    """What the store's artifacts are for, by the datasets that are prepared besides that of the workspace.

    Reads each dataset's description and opens none of them.
    """

    def __init__(self, workspace: Workspace) -> None:
        root, present = workspace.settings.home / "datasets", workspace.settings.dataset
        self._hashes: dict[str, str] = {}
        self._readers: dict[str, tuple[str, str]] = {}
        for name in dict.fromkeys([present, *datasets.known_names(root)]):
            try:
                if not datasets.is_prepared(name, root):
                    continue
                meta = inventory.count_dataset(name, root).meta
                # Its own plan is drawn apart; here it only tells whether the data is still the same.
                nodes = {} if name == present else workspace.over(name).graph(meta)
            except RallrecError:  # its row among the datasets says so
                continue
            self._hashes[name] = meta.data_hash
            self._readers |= {artifact_name(kind, node.recipe): (name, kind) for kind, node in nodes.items()}

    def of(self, folder: str, recipe: Mapping[str, Any]) -> Origin:
        """Tells the origin of the artifact in this folder of the store."""
        data = recipe.get("data", {})
        name, code = str(data.get("name", "")), data.get("hash")
        reader, place = self._readers.get(folder, ("", ""))
        if reader:
            return Origin(name, reader, place, "")
        if name not in self._hashes:
            why = f"Made from the dataset {name}, which is not prepared here, or cannot be read."
        elif code != self._hashes[name]:
            why = f"Made from other data: {name} has changed since."
        else:
            why = (
                "Made under other settings, or by another version of the program. Once these are as they were, "
                f"the pages of {name} read it again."
            )
        return Origin(name, "", "", why)


class DoctorService:
    """One per app and dataset. Methods may be called from any thread, and never raise ``RallrecError``."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._found: tuple[float, list[Finding]] | None = None

    def findings(self) -> list[Finding]:
        """Returns what the checks find now. It may wait for model servers; callers who come meanwhile share the next
        look."""
        called = time.monotonic()
        with self._lock:
            if self._found is None or self._found[0] < called:
                self._found = time.monotonic(), check(self._workspace.settings)
            return self._found[1]


def stored_name(model: ModelRef) -> str:
    """What a model is called among those whose results are kept: in which precision, and by which server."""
    how = [model.precision, f"served at {model.server}" if model.server else None]
    said = ", ".join(part for part in how if part) if is_known(model) else "precision unknown"
    return f"{models.display_name(model)}, {said}" if said else models.display_name(model)
