"""Files that a stage made: each in a folder named by its kind and the hash of the recipe that made it.

A folder gets its name only when it is complete, and says what made it in ``meta.json``. The bundle, read-only and
shipped with the program, is looked through after the home folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backend.errors import CorruptCacheError, StorageError
from backend.seeding import digest
from storage.arrays import save_text

BUNDLE = Path(__file__).parents[1] / "bundle"
META = "meta.json"
# Unfinished work lives here, inside the folder of the artifact being made; it is gone once the artifact has its name.
SCRATCH = "scratch"


@dataclass(frozen=True)
class Artifact:
    """A finished artifact: its folder and what its ``meta.json`` says."""

    folder: Path
    meta: dict[str, Any]

    @property
    def bundled(self) -> bool:
        return BUNDLE in self.folder.parents

    @property
    def bytes(self) -> int:
        """Size of its files."""
        return sum(file["bytes"] for file in self.meta["files"].values())

    def damage(self) -> list[str]:
        """Names of the files that are not as they were written; reads them all."""
        return [
            name
            for name, fingerprint in self.meta["files"].items()
            if not (self.folder / name).is_file() or _fingerprint(self.folder / name) != fingerprint
        ]


class ArtifactStore:
    """``root``: the folder of this home's artifacts (made when first written to)."""

    def __init__(self, root: Path, bundle: Path = BUNDLE) -> None:
        self._root, self._bundle = root, bundle

    def find(self, kind: str, recipe: dict[str, Any]) -> Artifact | None:
        """The finished artifact of exactly this recipe, or None. Raises ``CorruptCacheError`` for a forged one."""
        for place in (self._root, self._bundle):
            folder = place / artifact_name(kind, recipe)
            if (folder / META).is_file():
                meta = _read_meta(folder)
                if meta.get("recipe") != recipe:
                    raise CorruptCacheError(f"{folder}/{META} does not match its folder's name", fix=f"delete {folder}")
                return Artifact(folder, meta)
        return None

    def all(self) -> list[Artifact]:
        """Every finished artifact, by name; one of the home hides its like in the bundle. Unreadable ones are left
        out."""
        artifacts: dict[str, Artifact] = {}
        for place in (self._bundle, self._root):
            for path in place.glob(f"*/{META}") if place.is_dir() else ():
                try:
                    artifacts[path.parent.name] = Artifact(path.parent, _read_meta(path.parent))
                except CorruptCacheError:
                    continue
        return [artifacts[name] for name in sorted(artifacts) if not name.startswith(".")]

    def part(self, kind: str, recipe: dict[str, Any]) -> Path:
        """Where this artifact is being made; it need not exist."""
        return self._root / f".{artifact_name(kind, recipe)}.part"

    def begun(self, kind: str, recipe: dict[str, Any]) -> bool:
        """Whether an interrupted run left something to go on with."""
        return self.part(kind, recipe).is_dir()

    def discard(self, kind: str, recipe: dict[str, Any]) -> None:
        """Forget what an interrupted run left."""
        shutil.rmtree(self.part(kind, recipe), ignore_errors=True)

    @contextmanager
    def making(self, kind: str, recipe: dict[str, Any], wait: float = 0) -> Iterator[None]:
        """Hold the lock of one artifact: no two runs make the same. Waits ``wait`` seconds for another run.

        Raises ``StorageError`` where the other goes on, or where nothing can be written.
        """
        from filelock import FileLock, Timeout

        try:
            locks = self._root / ".locks"
            locks.mkdir(parents=True, exist_ok=True)
            lock = FileLock(locks / artifact_name(kind, recipe))
            lock.acquire(timeout=wait)
        except Timeout as error:
            raise StorageError(
                f"Another run is making {artifact_name(kind, recipe)} in {self._root}",
                fix="wait for it, or stop it; nothing is lost",
            ) from error
        except OSError as error:
            raise StorageError(
                f"Artifacts cannot be written in {self._root} ({error})",
                fix="free some space, or set RALLREC_HOME to a folder that can be written",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def finish(self, kind: str, recipe: dict[str, Any], **facts: Any) -> Artifact:
        """Write ``meta.json``, clear the scratch folder and give the folder its name, in place of an earlier one.

        Killed in between, :meth:`resume_finish` does the rest.
        """
        part = self.part(kind, recipe)
        files = {
            str(path.relative_to(part)): _fingerprint(path)
            for path in sorted(part.rglob("*"))
            if path.is_file() and path.name != META and SCRATCH not in path.relative_to(part).parts
        }
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        meta = {"kind": kind, "recipe": recipe, "made": made, "version": _version(), **facts, "files": files}
        save_text(part / META, json.dumps(meta, indent=2, ensure_ascii=False) + "\n")
        return self._name_it(kind, recipe)

    def resume_finish(self, kind: str, recipe: dict[str, Any]) -> Artifact | None:
        """The artifact, if an earlier run completed it but was killed before it had its name."""
        return self._name_it(kind, recipe) if (self.part(kind, recipe) / META).is_file() else None

    def _name_it(self, kind: str, recipe: dict[str, Any]) -> Artifact:
        part, final = self.part(kind, recipe), self._root / artifact_name(kind, recipe)
        shutil.rmtree(part / SCRATCH, ignore_errors=True)
        if final.exists():
            shutil.rmtree(final)
        part.replace(final)
        return Artifact(final, _read_meta(final))


def recipe_hash(recipe: dict[str, Any]) -> str:
    """What stands for a recipe in names, and in the recipes of what is made from it."""
    return digest(recipe, 16)


def artifact_name(kind: str, recipe: dict[str, Any]) -> str:
    """The name of an artifact's folder."""
    return f"{kind}-{recipe_hash(recipe)}"


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta = json.loads((folder / META).read_text("utf-8"))
        if not isinstance(meta, dict):
            raise ValueError("it is not a JSON object")
    except (OSError, ValueError) as error:
        raise CorruptCacheError(f"{folder}/{META} cannot be read ({error})", fix=f"delete {folder}") from error
    return meta


def _version() -> str:
    try:
        return version("rallrec-plus")
    except PackageNotFoundError:
        return "unknown"
