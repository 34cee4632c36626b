"""Files that a stage made: each in a folder named by its kind and the hash of the recipe that made it.

A folder gets its name only when it is complete, and says what made it in ``meta.json``. The bundle, read-only and
shipped with the program, is looked through after the home folder.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backend.errors import CorruptCacheError
from backend.seeding import digest

BUNDLE = Path(__file__).parent / "bundle"


@dataclass(frozen=True)
class Artifact:
    """A finished artifact: its folder and what its ``meta.json`` says."""

    folder: Path
    meta: dict[str, Any]

    @property
    def bundled(self) -> bool:
        return BUNDLE in self.folder.parents


class ArtifactStore:
    """``root``: the folder of this home's artifacts (made when first written to)."""

    def __init__(self, root: Path, bundle: Path = BUNDLE) -> None:
        self._root, self._bundle = root, bundle

    def find(self, kind: str, recipe: dict[str, Any]) -> Artifact | None:
        """The finished artifact of exactly this recipe, or None. Raises ``CorruptCacheError`` for a forged one."""
        for place in (self._root, self._bundle):
            folder = place / _name(kind, recipe)
            if (folder / "meta.json").is_file():
                meta = _read_meta(folder)
                if meta.get("recipe") != recipe:
                    raise CorruptCacheError(
                        f"{folder}/meta.json does not match its folder's name", fix=f"delete {folder}"
                    )
                return Artifact(folder, meta)
        return None

    def workspace(self, kind: str, recipe: dict[str, Any]) -> Path:
        """The folder in which this artifact is being made; what an interrupted run left there is still in it."""
        folder = self._root / f".{_name(kind, recipe)}.part"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def finish(self, kind: str, recipe: dict[str, Any], **facts: Any) -> Artifact:
        """Write ``meta.json`` and give the folder its name, in place of an earlier one."""
        part, final = self.workspace(kind, recipe), self._root / _name(kind, recipe)
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        meta = {"kind": kind, "recipe": recipe, "made": made, "version": _version(), **facts}
        (part / "meta.json").write_text(json.dumps(meta, indent=2, ensure_ascii=False) + "\n", "utf-8")
        if final.exists():
            shutil.rmtree(final)
        part.replace(final)
        return Artifact(final, meta)


def _name(kind: str, recipe: dict[str, Any]) -> str:
    return f"{kind}-{digest(recipe, 16)}"


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text("utf-8"))
    except ValueError as error:
        raise CorruptCacheError(f"{folder}/meta.json cannot be read ({error})", fix=f"delete {folder}") from error
    return meta


def _version() -> str:
    try:
        return version("rallrec-plus")
    except PackageNotFoundError:
        return "unknown"
