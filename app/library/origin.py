"""Whose the artifacts are that the plan of one dataset does not name: who reads them now, or why nobody does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend import datasets
from backend.errors import RallrecError
from storage import inventory
from storage.precompute.artifacts import artifact_name
from storage.workspace import Workspace


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
        root, own = workspace.settings.home / "datasets", workspace.settings.dataset
        self._hashes: dict[str, str] = {}
        self._readers: dict[str, tuple[str, str]] = {}
        for name in dict.fromkeys([own, *datasets.known_names(root)]):
            try:
                if not datasets.is_prepared(name, root):
                    continue
                meta = inventory.count_dataset(name, root).meta
                # Its own plan is drawn apart; here it only tells whether the data is still the same.
                nodes = {} if name == own else workspace.over(name).graph(meta)
            except RallrecError:  # its row among the datasets says so
                continue
            self._hashes[name] = meta.data_hash
            self._readers |= {artifact_name(kind, node.recipe): (name, kind) for kind, node in nodes.items()}

    def of(self, folder: str, recipe: Mapping[str, Any]) -> Origin:
        """Of the artifact in this folder of the store."""
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
