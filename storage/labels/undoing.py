"""Taking back: undo, as often as there is something to undo, and editing what was submitted. Nothing is ever lost.

What was submitted stays in the label's history. An undone label is a draft, and counts no more; one that is opened to
be edited stands again as it was, should nothing come of it before its reservation ends.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from backend.errors import NotFoundError
from backend.labelling import Account, Chain, Version
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.audit import note
from storage.labels.queue import renew
from storage.labels.records import read_version
from storage.labels.rows import (
    has_place,
    keep_version,
    project_row,
    read_project,
    read_task,
    settle,
    stand_again,
    task_row,
)
from storage.labels.tables import ChainRow, LabelRow, TaskRow, VersionRow
from storage.labels.values import OwnLabel, Task


def undo(database: Database, key: str, account: Account, now: datetime | None = None) -> Task | None:
    """Take back what this person submitted or skipped last; called again, what they did before. None: nothing left."""
    now = now or utc_now()
    with database.session(durable=True) as session:
        row = session.scalars(
            _own(key, account)
            .where(LabelRow.status.in_(("submitted", "skipped")))
            .order_by(LabelRow.updated_at.desc(), LabelRow.id)
            .limit(1)
        ).first()
        return None if row is None else _take_back(session, row, account, now, stands=False)


def reopen(database: Database, label: str, account: Account, now: datetime | None = None) -> Task:
    """Open one of one's own labels to edit it. Raises ``NotFoundError`` for a label that is not one's own."""
    now = now or utc_now()
    with database.session(durable=True) as session:
        row = session.get(LabelRow, label)
        if row is None or row.author != account.name:
            raise NotFoundError(f"The label {label!r} is not one of yours", fix="choose one of your own list")
        return _take_back(session, row, account, now, stands=True)


def leave_as_it_was(database: Database, label: str, account: Account) -> None:
    """Give up editing a submitted label: it stands again as it was. Raises ``NotFoundError``."""
    with database.session(durable=True) as session:
        row = session.get(LabelRow, label)
        if row is None or row.author != account.name:
            raise NotFoundError(f"The label {label!r} is not one of yours", fix="choose one of your own list")
        task_row(session, row.task, lock=True)
        if row.status == "draft" and row.stands:
            stand_again(session, row)


def own_labels(database: Database, key: str, account: Account, now: datetime | None = None) -> list[OwnLabel]:
    """All that this person did in a project, the latest first; what is merely reserved is not among it."""
    settle(database, key, now or utc_now())
    edits = (
        select(func.count())
        .where(VersionRow.label == LabelRow.id, VersionRow.status == "submitted")
        .correlate(LabelRow)
        .scalar_subquery()
    )
    query = (
        select(LabelRow, ChainRow.chain, edits)
        .join(TaskRow, TaskRow.id == LabelRow.task)
        .join(ChainRow, ChainRow.hash == TaskRow.chain)
        .where(TaskRow.project_key == key, LabelRow.author == account.name, LabelRow.version > 0)
        .order_by(LabelRow.updated_at.desc(), LabelRow.id)
    )
    with database.session(read_only=True) as session:
        project_row(session, key)
        made = []
        for row, kept, count in session.execute(query):
            chain = Chain.model_validate_json(kept)
            made.append(
                OwnLabel(
                    row.id, row.task, row.status, chain.user, chain.title, row.created_at, row.updated_at,
                    row.submitted_at, row.seconds, row.skip_reason, count, chain.id,
                )
            )  # fmt: skip
        return made


def author_of(database: Database, label: str) -> str:
    """Whose label this is. Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        row = session.get(LabelRow, label)
        if row is None:
            raise NotFoundError(f"There is no label {label!r}")
        return row.author


def history(database: Database, label: str) -> list[Version]:
    """What a label said before, the oldest first."""
    with database.session(read_only=True) as session:
        rows = session.scalars(select(VersionRow).where(VersionRow.label == label).order_by(VersionRow.number))
        return [read_version(row) for row in rows]


def _take_back(session: Session, row: LabelRow, account: Account, now: datetime, stands: bool) -> Task:
    task = task_row(session, row.task, lock=True)
    session.refresh(row)
    project = read_project(project_row(session, task.project_key))
    before = row.status
    if before != "draft":
        keep_version(session, row)
        note(session, account.name, "label.reopen" if stands else "label.undo", row.id, {"status": before})
        row.stands = stands and before == "submitted"
        row.status, row.version, row.updated_at, row.skip_reason = "draft", row.version + 1, now, ""
        row.submission, row.deferred_at = None, None
    if before == "submitted" or row.stands or has_place(session, task, project, account.name, now):
        renew(row, project, now)
    else:
        row.reserved_until = None
    session.flush()
    return read_task(session, task, row, project)


def _own(key: str, account: Account) -> Select[Any]:
    return (
        select(LabelRow)
        .join(TaskRow, TaskRow.id == LabelRow.task)
        .where(TaskRow.project_key == key, LabelRow.author == account.name)
    )
