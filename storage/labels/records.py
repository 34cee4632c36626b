"""Labels as canonical rows, with all that is needed to read them elsewhere; how many there are, which answers are
known, and whether anything changed. Taking such rows in is ``taking_over``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from backend.labelling import ChainRecord, Judgement, Label, Project, Setting, Version
from backend.seeding import digest
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.rows import project_row, read_project, settle
from storage.labels.tables import ChainRow, LabelRow, ResolvedRow, TaskRow, VersionRow

# Whether somebody said something of the task: it is not a mere reservation.
_SAID = (LabelRow.version > 0) | (LabelRow.status != "draft")


def labels(
    database: Database, key: str, *, status: Collection[str] | None = None, task: str | None = None
) -> Iterator[Label]:
    """The labels of a project, task by task in its order, then by author. Mere reservations are none.

    ``status``: only these, of ``submitted``, ``skipped`` and ``draft``. Raises ``NotFoundError``.
    """
    settle(database, key, utc_now())
    query = select(LabelRow, TaskRow).join(TaskRow, TaskRow.id == LabelRow.task).where(_SAID)
    if status is not None:
        query = query.where(LabelRow.status.in_(list(status)))
    yield from _read(database, key, task, query.order_by(TaskRow.place, TaskRow.id, LabelRow.author))


def resolved(database: Database, key: str, task: str | None = None) -> Iterator[Label]:
    """What reviewers resolved, task by task in the project's order. Raises ``NotFoundError``."""
    query = select(ResolvedRow, TaskRow).join(TaskRow, TaskRow.id == ResolvedRow.task)
    yield from _read(database, key, task, query.order_by(TaskRow.place, TaskRow.id))


def _read(database: Database, key: str, task: str | None, query: Select[Any, Any]) -> Iterator[Label]:
    query = query.where(TaskRow.project_key == key)
    with database.session(read_only=True) as session:
        reader = LabelReader(session, key, task)
        for row, of in session.execute(query if task is None else query.where(TaskRow.id == task)):
            yield reader.label(row, of)


class LabelReader:
    """Rows of one project read as :class:`Label`, in one session. What many labels share is read once."""

    def __init__(self, session: Session, key: str, task: str | None = None) -> None:
        self._session, self._key = session, key
        self.project: Project = read_project(project_row(session, key))
        self._versions = _versions(session, key, task)
        self._chain = lru_cache(maxsize=1024)(self._read_chain)

    def label(self, row: LabelRow | ResolvedRow, task: TaskRow) -> Label:
        """Reads the row. A resolved label is gold if it is what the task's known answer says."""
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

    def _read_chain(self, name: str) -> ChainRecord:
        return ChainRecord.model_validate_json(self._session.get_one(ChainRow, name).chain)


def read_version(row: VersionRow) -> Version:
    """A version out of its row."""
    return Version(
        judgement=Judgement.model_validate_json(row.judgement), status=row.status, at=row.at, seconds=row.seconds
    )


def _versions(session: Session, key: str, task: str | None) -> dict[str, list[Version]]:
    versions: dict[str, list[Version]] = {}
    for table in (LabelRow, ResolvedRow):
        of: Any = select(table.id).join(TaskRow, TaskRow.id == table.task).where(TaskRow.project_key == key)
        of = of if task is None else of.where(TaskRow.id == task)
        query = select(VersionRow).where(VersionRow.label.in_(of)).order_by(VersionRow.label, VersionRow.number)
        for row in session.scalars(query):
            versions.setdefault(row.label, []).append(read_version(row))
    return versions


def known_answers(database: Database, key: str) -> dict[str, Judgement]:
    """The judgements that are known to be right, by task: of the project's gold tasks. Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        project_row(session, key)
        query = select(TaskRow.id, TaskRow.gold).where(TaskRow.project_key == key, TaskRow.gold.is_not(None))
        return {task: Judgement.model_validate_json(gold) for task, gold in session.execute(query) if gold}


def counts(database: Database, key: str) -> dict[str, int]:
    """How many labels there are of each status, mere reservations left out, and how many tasks are resolved."""
    with database.session(read_only=True) as session:
        project_row(session, key)
        query = (
            select(LabelRow.status, func.count())
            .join(TaskRow, TaskRow.id == LabelRow.task)
            .where(TaskRow.project_key == key, _SAID)
            .group_by(LabelRow.status)
        )
        by_status: dict[str, int] = dict(session.execute(query).all())
        of_project = select(func.count()).select_from(ResolvedRow).join(TaskRow, TaskRow.id == ResolvedRow.task)
        return (
            dict.fromkeys(("submitted", "skipped", "draft"), 0)
            | by_status
            | {"resolved": session.scalar(of_project.where(TaskRow.project_key == key)) or 0}
        )


def state(database: Database, key: str) -> str:
    """Changes whenever a submitted or resolved label of the project does, or a known answer. Raises
    ``NotFoundError``.
    """
    with database.session(read_only=True) as session:
        project_row(session, key)
        rows: list[Any] = []
        for table in (LabelRow, ResolvedRow):
            query = (
                select(table.id, table.updated_at, TaskRow.gold, TaskRow.qualification)
                .join(TaskRow, TaskRow.id == table.task)
                .where(TaskRow.project_key == key)
                .order_by(table.id)
            )
            query = query.where(LabelRow.status == "submitted") if table is LabelRow else query
            rows += [[name, at.isoformat(), gold, qualifies] for name, at, gold, qualifies in session.execute(query)]
        return digest(rows)
