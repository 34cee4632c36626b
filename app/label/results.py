"""What comes of labelling: agreement, disputes, insight and files. As elsewhere here, the first argument is who asks.

Figures are computed once for each state of a project's labels, and kept until that changes.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, TypeVar, cast

from app.label.access import needs
from backend.errors import ForbiddenError, UnknownNameError
from backend.labelling import Account, Label
from backend.labelling.agreement import Confusion, Report, confusion, record, report
from backend.labelling.disputed import Dispute, disputed
from backend.labelling.formats import FORMATS, file_format
from backend.labelling.formats.label_studio import setup
from backend.labelling.insight import Insight, insight
from storage.database.connection import Database
from storage.labels import projects, records, results
from storage.labels.roles import may
from storage.workspace import Workspace

STATUSES = ("submitted", "all", "resolved")
# Beside the labels' own formats: what is made from all of them together.
AGREEMENT, SETUP = "agreement", "label-studio-setup"
_IN_MEMORY = 8_000_000
_KEPT = 32

Made = TypeVar("Made")


@dataclass(frozen=True)
class Export:
    """A file to be sent: ``content`` stands at its beginning, and is closed by whoever sends it."""

    name: str
    media_type: str
    content: IO[bytes]


class ResultsService:
    """One per app."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], tuple[str, Any]] = {}

    @property
    def database(self) -> Database:
        return self.workspace.database

    @needs("agreement")
    def report(self, _account: Account | None, key: str) -> Report:
        """How well people agree. Raises ``NotFoundError``, as all of these do for a project that is none."""
        return self._report(key)

    @needs("agreement")
    def confusion(self, _account: Account | None, key: str, dimension: str, first: str, second: str) -> Confusion:
        """What two people said of the same. Raises ``UnknownNameError``."""
        return confusion(self._submitted(key), dimension, first, second)

    @needs("review")
    def disputed(self, _account: Account | None, key: str) -> list[Dispute]:
        """The most disputed task first."""

        def make() -> list[Dispute]:
            return disputed(self._submitted(key), records.resolved(self.database, key))

        return self._once("disputed", key, make)

    @needs("agreement")
    def insight(self, _account: Account | None, key: str) -> Insight:
        """What quality goes with."""

        def make() -> Insight:
            return insight(self._submitted(key), records.resolved(self.database, key))

        return self._once("insight", key, make)

    @needs("agreement")
    def counts(self, _account: Account | None, key: str) -> dict[str, int]:
        """Labels by status, and ``resolved``."""
        return results.counts(self.database, key)

    @needs("agreement")
    def export(self, account: Account | None, key: str, name: str, status: str = "submitted") -> Export:
        """A project's labels in a format. ``status``: one of :data:`STATUSES`; who may not see everybody's labels gets
        resolved ones alone. :data:`AGREEMENT` and :data:`SETUP` are formats of the project as a whole. Raises
        ``UnknownNameError``, ``ForbiddenError``.
        """
        project = projects.project(self.database, key)
        plain = re.sub(r"[^A-Za-z0-9]+", "-", project.name).strip("-").lower() or "labels"
        content = cast(IO[bytes], SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
        if name == AGREEMENT:
            content.write(json.dumps(record(self._report(key)), indent=2, ensure_ascii=False).encode() + b"\n")
            made = Export(f"{plain}-agreement.json", "application/json", content)
        elif name == SETUP:
            content.write(setup(project.rubric).encode())
            made = Export("label-studio-setup.xml", "application/xml", content)
        else:
            chosen = _format(name)
            chosen.write(self._labels(account, key, status), cast(BinaryIO, content))
            kind = "" if chosen.name == chosen.suffix else f"-{chosen.name}"
            made = Export(f"{plain}-{status}{kind}.{chosen.suffix}", chosen.media_type, content)
        content.seek(0)
        return made

    def _labels(self, account: Account | None, key: str, status: str) -> Iterable[Label]:
        if status not in STATUSES:
            raise UnknownNameError("status of labels", status, STATUSES)
        if status == "resolved":
            return records.resolved(self.database, key)
        if not may(account, "review"):
            raise ForbiddenError("What each person said is for reviewers", fix="export with status=resolved")
        return records.labels(self.database, key, status=None if status == "all" else ("submitted",))

    def _report(self, key: str) -> Report:
        def make() -> Report:
            return report(self._submitted(key), results.known_answers(self.database, key))

        return self._once("report", key, make)

    def _submitted(self, key: str) -> list[Label]:
        return list(records.labels(self.database, key, status=("submitted",)))

    def _once(self, what: str, key: str, make: Callable[[], Made]) -> Made:
        """What was made of the project's labels as they are now; made by one thread while the others wait."""
        with self._lock:
            state = results.state(self.database, key)
            known = self._made.get((what, key))
            if known is None or known[0] != state:
                known = state, make()
                self._made.pop((what, key), None)
                self._made[what, key] = known
                while len(self._made) > _KEPT:
                    self._made.pop(next(iter(self._made)))
            return cast(Made, known[1])


def _format(name: str) -> Any:
    if name not in FORMATS:
        raise UnknownNameError("format", name, (*FORMATS, AGREEMENT, SETUP))
    return file_format(name)
