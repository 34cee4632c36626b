"""Adjudication: all labels of a task side by side, and the one that a reviewer wrote after reading them, kept apart."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from backend.errors import ConflictError, NotFoundError
from backend.labelling import Account, Judgement
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.audit import note, note_seen
from storage.labels.records import labels, resolved
from storage.labels.rows import keep_version, lacks, new_id, own_row, read_task, task_row
from storage.labels.tables import ResolvedRow
from storage.labels.values import SideBySide, Submitted


def side_by_side(database: Database, key: str, task: str, reviewer: Account | None = None) -> SideBySide:
    """Everything that was said of a task of the project. Raises ``NotFoundError``; and ``ConflictError`` for a
    ``reviewer`` who has a blind label of the task open: they would see what others said before they say it themselves.
    """
    with database.session(read_only=True) as session:
        row = task_row(session, task)
        if row.project_key != key:
            raise NotFoundError(f"The project has no task {task!r}")
        own = own_row(session, task, reviewer.name) if reviewer else None
        if own is not None and own.status == "draft" and own.blind:
            raise ConflictError(
                "You have this task open yourself, and would see what others said of it",
                {"task": task},
                fix="submit or skip your own label first",
            )
        whole = read_task(session, row)
        gold = None if row.gold is None else Judgement.model_validate_json(row.gold)
        qualification = row.qualification
    if reviewer is not None:
        note_seen(database, reviewer.name, task)
    found = tuple(labels(database, key, task=task))
    return SideBySide(whole, found, next(resolved(database, key, task), None), gold, qualification)


def resolve(
    database: Database, task: str, judgement: Judgement, by: str, seconds: float = 0.0, now: datetime | None = None
) -> Submitted:
    """Write what the task's label should be; raw labels stay as they are. What was resolved before is in its history.

    A resolved label needs no verdict of one's own. ``problems`` says what else it lacks; then nothing is written.
    """
    now = now or utc_now()
    with database.session(durable=True) as session:
        row = task_row(session, task, lock=True)
        whole = read_task(session, row)
        found = session.scalars(select(ResolvedRow).where(ResolvedRow.task == task)).first()
        name = found.id if found else new_id(task, by, "resolved")
        problems = lacks(whole, judgement, own_answer=False)
        if problems:
            return Submitted(name, 0, problems)
        said = judgement.model_dump_json()
        if found is None:
            found = ResolvedRow(
                id=name, task=task, author=by, rubric=whole.project.rubric, blind=False, gold=row.gold is not None,
                qualification=row.qualification, created_at=now, judgement=said, seconds=seconds, updated_at=now,
                submitted_at=now,
            )  # fmt: skip
            session.add(found)
        elif found.judgement != said:
            keep_version(session, found, "submitted")
            found.judgement, found.author, found.seconds = said, by, seconds
            found.updated_at = found.submitted_at = now
        note(session, by, "label.resolve", name, after={"task": task})
    return Submitted(name, 1)
