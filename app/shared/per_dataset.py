"""Several datasets in one app: which there are, which one an address means, and a service for each of them.

An address names its dataset with ``dataset=``; without it, it is that of the settings, as it always was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError

from backend import datasets
from backend.datasets import DatasetMeta
from backend.datasets.registry import require_known
from backend.datasets.store import META
from storage.workspace import Workspace

Service = TypeVar("Service")


@dataclass(frozen=True)
class DatasetChoice:
    """A dataset that pages can be opened on. ``query``: what an address says of it; empty for the settings' own."""

    name: str
    title: str
    licence: str
    query: str
    current: bool


class PerDataset(Generic[Service]):
    """A service for each dataset, made on first use by ``make`` from a workspace over it. Safe from any thread."""

    def __init__(self, workspace: Workspace, make: Callable[[Workspace], Service]) -> None:
        self.workspace, self._make = workspace, make
        self._services: dict[str, Service] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> Service:
        """Of a dataset's name, as an address has it. Raises ``UnknownNameError`` for one that is not there, and
        ``DataError`` for one that was replaced while the app ran.
        """
        work = over(self.workspace, name)
        work.check_unchanged(work.settings.dataset)
        with self._lock:
            key = work.settings.dataset
            if key not in self._services:
                self._services[key] = self._make(work)
            return self._services[key]

    def choices(self, name: str = "") -> list[DatasetChoice]:
        """The datasets that are prepared or ship, the settings' first; ``name``: the one that a page shows."""
        return choices(self.workspace, name)


def over(workspace: Workspace, name: str) -> Workspace:
    """The workspace over the dataset that an address names; empty: the settings' own. Raises ``UnknownNameError``."""
    usual = workspace.settings.dataset
    name = str(name or usual)  # a browser can send anything
    if name != usual:
        require_known(name, workspace.settings.home / "datasets")
    return workspace.over(name)


def choices(workspace: Workspace, name: str = "") -> list[DatasetChoice]:
    """See :meth:`PerDataset.choices`. Reads each dataset's ``meta.json``, nothing else."""
    usual, root = workspace.settings.dataset, workspace.settings.home / "datasets"
    names = dict.fromkeys([usual, *datasets.known_names(root)])
    offered = []
    for dataset in names:
        try:
            meta = DatasetMeta.model_validate_json((root / dataset / META).read_bytes())
            title, licence = meta.title, meta.licence
        except (OSError, ValidationError):  # not prepared yet, or damaged: said where it is opened
            title, licence = dataset, ""
        query = "" if dataset == usual else urlencode({"dataset": dataset})
        offered.append(DatasetChoice(dataset, title, licence, query, dataset == (name or usual)))
    return offered
