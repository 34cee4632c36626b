"""The cached chains that a project can be made of: read whole to make one, counted from memory to set its filter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import func, select

from backend.errors import RallrecError
from backend.labelling import ChainFilter, Project
from backend.labelling.tasks import Exhibit, tasks_of
from storage.database.tables import AnswerRow, TraceRow
from storage.labels.exhibits import exhibits, fits
from storage.results.requests import AnsweredSamples
from storage.workspace import Workspace


class CachedChains:
    """Any thread may call. Which samples were answered is not read twice, nor what is counted."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Any, list[Exhibit]]] = {}
        self._answered: dict[str, AnsweredSamples] = {}
        self._warming: dict[str, threading.Thread] = {}

    def warm(self, dataset: str) -> threading.Thread:
        """Read a dataset's chains beside everything else, once: the first count takes seconds. Returns who reads."""

        def read() -> None:
            # What cannot be read is said to who counts.
            with suppress(RallrecError):
                self._every(dataset)

        reader = threading.Thread(target=read, name="cached chains", daemon=True)
        if self._warming.setdefault(dataset, reader) is reader:
            reader.start()
        return self._warming[dataset]

    def of(self, project: Project) -> Iterator[Exhibit]:
        """All that fits the project's filter. Raises as :func:`exhibits` does."""
        return self._read(project.dataset, project.chains)

    def count(self, project: Project) -> dict[str, int]:
        """How many samples, chains and tasks the project would have: of :meth:`of`, without reading it again."""
        every = self._every(project.dataset)
        tasks = tasks_of(project, (exhibit for exhibit in every if fits(*exhibit, project.chains)))
        chains = [chain for exhibit, _ in tasks for chain in exhibit]
        return {
            "samples": len({(chain.user, chain.item) for chain in chains}),
            "chains": len({chain.id for chain in chains}),
            "tasks": len(tasks),
        }

    def _every(self, dataset: str) -> list[Exhibit]:
        """All chains of a dataset, without their prompts and histories; read again when something was added."""
        with self._lock:
            state = self._state(dataset)
            if dataset not in self._kept or self._kept[dataset][0] != state:
                bare = {"prompt": "", "history": ()}
                read = self._read(dataset, ChainFilter())
                self._kept[dataset] = state, [(chain.model_copy(update=bare), setting) for chain, setting in read]
            return self._kept[dataset][1]

    def _read(self, dataset: str, chain_filter: ChainFilter) -> Iterator[Exhibit]:
        answered = self._answered.setdefault(dataset, AnsweredSamples(self._workspace, dataset))
        return exhibits(self._workspace, chain_filter, dataset, answered)

    def _state(self, dataset: str) -> Any:
        with self._workspace.database.session(read_only=True) as session:
            counts = [session.scalar(select(func.count()).select_from(kind)) for kind in (AnswerRow, TraceRow)]
        return self._workspace.dataset(dataset).meta.data_hash, *counts
