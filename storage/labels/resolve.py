"""Adjudication: all labels of a task side by side, and the one that a reviewer wrote after reading them, kept apart."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from backend.errors import ConflictError, NotFoundError, UsageError
from backend.labelling import Account, Judgement
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.audit import note, note_seen
from storage.labels.records import labels, resolved
from storage.labels.rows import keep_version, label_row, lacks, new_id, read_task, task_row
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
        open_label = label_row(session, task, reviewer.name) if reviewer else None
        if open_label is not None and open_label.status == "draft" and open_label.blind:
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
    given = tuple(labels(database, key, task=task))
    return SideBySide(whole, given, next(resolved(database, key, task), None), gold, qualification)


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
        row_resolved = session.scalars(select(ResolvedRow).where(ResolvedRow.task == task)).first()
        name = row_resolved.id if row_resolved else new_id(task, by, "resolved")
        problems = lacks(whole, judgement, own_answer=False)
        if problems:
            return Submitted(name, 0, problems)
        said = judgement.model_dump_json()
        if row_resolved is None:
            row_resolved = ResolvedRow(
                id=name, task=task, author=by, rubric=whole.project.rubric, blind=False, gold=row.gold is not None,
                qualification=row.qualification, created_at=now, judgement=said, seconds=seconds, updated_at=now,
                submitted_at=now,
            )  # fmt: skip
            session.add(row_resolved)
        elif row_resolved.judgement != said:
            keep_version(session, row_resolved, "submitted")
            row_resolved.judgement, row_resolved.author, row_resolved.seconds = said, by, seconds
            row_resolved.updated_at = row_resolved.submitted_at = now
        note(session, by, "label.resolve", name, after={"task": task})
    return Submitted(name, 1)


def set_gold(database: Database, task: str, judgement: Judgement | None, by: str, qualification: bool = False) -> None:
    """This judgement of the task is right: from now on it is a hidden task, or one of the qualification; with None it
    is an ordinary one again. Labels that are there stay what they were. Raises ``UsageError`` for a judgement that
    lacks something, ``NotFoundError``.
    """
    with database.session(durable=True) as session:
        row = task_row(session, task, lock=True)
        if judgement is not None:
            problems = lacks(read_task(session, row), judgement, own_answer=False)
            if problems:
                raise UsageError(f"The known judgement is not whole: {problems[0].says}")
        before = {"gold": row.gold is not None, "qualification": row.qualification}
        row.gold = None if judgement is None else judgement.model_dump_json()
        row.qualification = qualification and judgement is not None
        after = {"gold": row.gold is not None, "qualification": row.qualification}
        note(session, by, "task.gold", task, before, after)
