"""The bundle: artifacts and cached results that ship with the program. Checking it, and taking its results over.

Artifacts are used where they lie (``storage.precompute.artifacts``). Results go into the database at its first use;
beside their file lies ``results.json``, which says what is in it, so that later starts need not open it.
"""

from __future__ import annotations

import csv
import json
import logging
import zlib
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.engines import makes_up_answers
from backend.errors import CorruptCacheError, RallrecError, StorageError, UsageError
from backend.types import ModelRef
from storage.database.connection import Database
from storage.kept.stories import STORIES, read_stories
from storage.precompute.artifacts import META, Artifact, artifact_name
from storage.results.keys import is_known
from storage.results.transfer import (
    Imported,
    Manifest,
    ResultsFile,
    export_results,
    import_results,
    is_imported,
    read_results,
)

RESULTS = "results.jsonl.gz"
RESULTS_META = "results.json"
PARTS = ("test", "validation")

_log = logging.getLogger(__name__)


class ShippedResults(BaseModel):
    """``results.json``: the size in bytes and the SHA-256 of the file of results, and what its first line says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str
    manifest: Manifest


@dataclass(frozen=True)
class BundleReport:
    """What a bundle holds. ``compressed``: bytes of its files as a wheel packs them. ``damaged``: what, and how."""

    folder: Path
    artifacts: tuple[str, ...]
    results: ShippedResults | None
    bytes: int
    compressed: int
    damaged: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The report in JSON's own types."""
        results = self.results.model_dump(mode="json") if self.results else None
        return asdict(self) | {"folder": str(self.folder), "results": results}


def samples_file(bundle: Path, part: str) -> Path:
    """The list (CSV: user, item) of the samples of a part whose results ship."""
    return bundle / f"samples-{part}.csv"


def shipped_samples(bundle: Path, part: str) -> list[tuple[str, str]]:
    """(user id, item id) of the samples of a part whose results ship; none where there is no list."""
    path = samples_file(bundle, part)
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["user"], row["item"]) for row in csv.DictReader(file)]


def is_bundle_file(path: Path) -> bool:
    """Whether a file has a name that a bundle's own files have, beside its artifacts."""
    return path.name in (RESULTS, RESULTS_META, STORIES, *(samples_file(path, part).name for part in PARTS))


def ship_results(
    database: Database, models: Collection[ModelRef], bundle: Path, keys: Collection[str] | None = None
) -> ResultsFile | None:
    """Replace the results of ``bundle`` with those of ``models`` (of ``keys`` alone, where given).

    None, and no results are in it, where the database holds none. Raises ``UsageError`` where the models did not all
    answer in one known precision, and what :func:`~storage.results.transfer.export_results` raises.
    """
    _check_one_precision(models)
    try:
        bundle.mkdir(parents=True, exist_ok=True)
        file = export_results(database, bundle / RESULTS, models=models, keys=keys)
        if file.manifest.answers + file.manifest.traces == 0:
            for name in (RESULTS_META, RESULTS):
                (bundle / name).unlink(missing_ok=True)
            return None
        said = ShippedResults(bytes=file.bytes, sha256=file.sha256, manifest=file.manifest)
        text = json.dumps(said.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        (bundle / RESULTS_META).write_text(text, "utf-8")
    except OSError as error:
        raise StorageError(f"{bundle} cannot be written ({error})", fix="give another place") from error
    return file


def _check_one_precision(models: Collection[ModelRef]) -> None:
    """Numbers of several precisions are noise to each other, and of an unknown one nobody can prove anything."""
    answering = [model for model in models if not makes_up_answers(model.name)]
    ways = {f"{model.precision or 'unknown'} (read in way {model.reading or 'unknown'})" for model in answering}
    if len(ways) > 1 or not all(map(is_known, answering)):
        raise UsageError(
            f"The results to ship have these precisions: {', '.join(sorted(ways))}",
            expected="one that is known",
            fix="set RALLREC_DTYPE for all models, and run: rallrec reason --again unknown",
        )


def shipped_results(bundle: Path) -> ShippedResults | None:
    """What ``results.json`` says; None where there is none. Raises ``CorruptCacheError`` where it cannot be read."""
    path = bundle / RESULTS_META
    try:
        return ShippedResults.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise CorruptCacheError(f"{path} cannot be read", fix="install the program again") from error


def import_shipped(database: Database, bundle: Path, names: Collection[str]) -> Imported | None:
    """Take over the results of ``bundle`` if one of the models called ``names`` made them, and none did so before.

    Never raises ``RallrecError``: without them the program runs as well, so what is wrong is logged.
    """
    try:
        shipped = shipped_results(bundle)
        if shipped is None or not {model.name for model in shipped.manifest.models} & set(names):
            return None
        if is_imported(database, shipped.sha256):
            return None
        imported = import_results(database, bundle / RESULTS, known=shipped.sha256)
    except RallrecError as error:
        _log.error("The results that ship with the program were not taken over. %s", error)
        return None
    _log.info("took over %d answers and %d chains that ship", imported.answers, imported.traces)
    return imported


def verify_bundle(folder: Path) -> BundleReport:
    """Check every file of a bundle against what was written of it, and every row of its results. Reads all of it.

    What is wrong is in the report. Raises ``UsageError`` where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}", expected="a bundle", fix="make one: rallrec bundle build")
    artifacts, damaged = [], []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            artifacts.append(path.name)
            damaged += [f"{path.name}: {problem}" for problem in _artifact_problems(path)]
        elif not is_bundle_file(path):
            damaged.append(f"{path.name}: it is no part of a bundle")
    results = None
    try:
        results = shipped_results(folder)
        if results:
            read, _ = read_results(folder / RESULTS, results.sha256)
            if (read.bytes, read.manifest) != (results.bytes, results.manifest):
                damaged.append(f"{RESULTS_META}: it does not match {RESULTS}")
        elif (folder / RESULTS).exists():
            damaged.append(f"{RESULTS}: {RESULTS_META} is missing")
        read_stories(folder)
    except RallrecError as error:
        damaged.append(f"results and stories: {error.problem}")
    files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    size, compressed = sum(map(len, files)), sum(len(zlib.compress(file)) for file in files)
    return BundleReport(folder, tuple(artifacts), results, size, compressed, tuple(damaged))


def _artifact_problems(folder: Path) -> list[str]:
    try:
        meta = json.loads((folder / META).read_text("utf-8"))
        artifact = Artifact(folder, meta)
        if artifact_name(meta["kind"], meta["recipe"]) != folder.name:
            return [f"{META} does not give the folder's name"]
        problems = [f"{name} is not as it was written" for name in artifact.damage()]
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        return problems + [f"{name} is not in {META}" for name in sorted(files - {META, *meta["files"]})]
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        return [f"{META} cannot be read ({error})"]
