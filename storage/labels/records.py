"""Labels as canonical rows, with all that is needed to read them elsewhere. Taking such rows in is ``taking_over``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.labelling import Chain, Judgement, Label, Project, Setting, Version
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.rows import project_row, read_project, settle
from storage.labels.tables import ChainRow, LabelRow, ResolvedRow, TaskRow, VersionRow


def labels(
    database: Database, key: str, *, status: Collection[str] | None = None, task: str | None = None
) -> Iterator[Label]:
    """The labels of a project, task by task in its order, then by author. Mere reservations are none.

    ``status``: only these, of ``submitted``, ``skipped`` and ``draft``. Raises ``NotFoundError``.
    """
    settle(database, key, utc_now())
    query = (
        select(LabelRow, TaskRow)
        .join(TaskRow, TaskRow.id == LabelRow.task)
        .where(TaskRow.project_key == key, (LabelRow.version > 0) | (LabelRow.status != "draft"))
        .order_by(TaskRow.place, TaskRow.id, LabelRow.author)
    )
    if status is not None:
        query = query.where(LabelRow.status.in_(list(status)))
    if task is not None:
        query = query.where(TaskRow.id == task)
    with database.session(read_only=True) as session:
        reading = Reading(session, key, task)
        for row, of in session.execute(query):
            yield reading.label(row, of)


def resolved(database: Database, key: str, task: str | None = None) -> Iterator[Label]:
    """What reviewers resolved, task by task in the project's order. Raises ``NotFoundError``."""
    query = (
        select(ResolvedRow, TaskRow)
        .join(TaskRow, TaskRow.id == ResolvedRow.task)
        .where(TaskRow.project_key == key)
        .order_by(TaskRow.place, TaskRow.id)
    )
    if task is not None:
        query = query.where(TaskRow.id == task)
    with database.session(read_only=True) as session:
        reading = Reading(session, key, task)
        for row, of in session.execute(query):
            yield reading.label(row, of)


class Reading:
    """Rows of one project read as :class:`Label`, in one session. What many labels share is read once."""

    def __init__(self, session: Session, key: str, task: str | None = None) -> None:
        self._session, self._key = session, key
        self.project: Project = read_project(project_row(session, key))
        self._versions = _versions(session, key, task)
        self._chain = lru_cache(maxsize=1024)(self._read_chain)

    def label(self, row: LabelRow | ResolvedRow, task: TaskRow) -> Label:
        """Of a label's row, or a resolved one's: that is gold where it is what the task's known answer says."""
        raw = isinstance(row, LabelRow)
        judgement = Judgement.model_validate_json(row.judgement)
        gold, qualification = row.gold, row.qualification
        if not raw:
            gold = task.gold is not None and Judgement.model_validate_json(task.gold) == judgement
            qualification = gold and task.qualification
        return Label(
            kind="label" if raw else "resolved", id=row.id, project_key=self._key, project=self.project, task=task.id,
            author=row.author, status=row.status if isinstance(row, LabelRow) else "submitted",
            created_at=row.created_at, updated_at=row.updated_at, submitted_at=row.submitted_at, seconds=row.seconds,
            blind=row.blind, rubric=row.rubric, gold=gold, qualification=qualification,
            skip_reason=row.skip_reason if isinstance(row, LabelRow) else "",
            judgement=judgement, history=tuple(self._versions.get(row.id, ())),
            chains=tuple(self._chain(name) for name in (task.chain, task.other) if name),
            setting=Setting.model_validate_json(task.setting),
        )  # fmt: skip

    def _read_chain(self, name: str) -> Chain:
        return Chain.model_validate_json(self._session.get_one(ChainRow, name).chain)


def read_version(row: VersionRow) -> Version:
    """A version out of its row."""
    return Version(
        judgement=Judgement.model_validate_json(row.judgement), status=row.status, at=row.at, seconds=row.seconds
    )


def _versions(session: Session, key: str, task: str | None) -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = {}
    for table in (LabelRow, ResolvedRow):
        of: Any = select(table.id).join(TaskRow, TaskRow.id == table.task).where(TaskRow.project_key == key)
        of = of if task is None else of.where(TaskRow.id == task)
        query = select(VersionRow).where(VersionRow.label.in_(of)).order_by(VersionRow.label, VersionRow.number)
        for row in session.scalars(query):
            found.setdefault(row.label, []).append(read_version(row))
    return found
