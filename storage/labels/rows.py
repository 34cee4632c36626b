"""Rows read as values, and the few questions that the queue and the work on a task have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from backend.errors import NotFoundError
from backend.labelling import ChainRecord, Judgement, Problem, Project, Setting, missing, rubric
from backend.labelling.record import Status
from backend.seeding import digest
from storage.database.connection import Database
from storage.labels.tables import ChainRow, LabelRow, ProjectRow, ResolvedRow, TaskRow, VersionRow
from storage.labels.values import LabelState, Task

EMPTY = Judgement().model_dump_json()


def project_row(session: Session, key: str) -> ProjectRow:
    """Raises ``NotFoundError``."""
    row = session.get(ProjectRow, key)
    if row is None:
        raise NotFoundError(f"There is no project {key!r}", fix="open /label to see which there are")
    return row


def task_row(session: Session, task: str, lock: bool = False) -> TaskRow:
    """``lock``: until the transaction ends, no other may give out or fill the task. Raises ``NotFoundError``."""
    row = session.get(TaskRow, task, with_for_update=lock or None, populate_existing=lock)
    if row is None:
        raise NotFoundError(f"There is no task {task!r}", fix="open /label and go on from there")
    return row


def label_row(session: Session, task: str, author: str) -> LabelRow | None:
    return session.scalars(select(LabelRow).where(LabelRow.task == task, LabelRow.author == author)).first()


def read_project(row: ProjectRow) -> Project:
    return Project.model_validate_json(row.project)


def read_task(session: Session, row: TaskRow, label: LabelRow | None = None, project: Project | None = None) -> Task:
    """The whole task, with what ``own`` says."""
    project = project or read_project(project_row(session, row.project_key))
    chains = tuple(
        ChainRecord.model_validate_json(session.get_one(ChainRow, chain).chain)
        for chain in (row.chain, row.other)
        if chain
    )
    setting = Setting.model_validate_json(row.setting)
    return Task(row.id, row.project_key, project, chains, setting, read_state(label) if label else None)


def read_state(row: LabelRow) -> LabelState:
    return LabelState(
        row.id, cast(Status, row.status), row.version, Judgement.model_validate_json(row.judgement), row.seconds,
        row.skip_reason, row.reserved_until, row.updated_at, row.submitted_at,
    )  # fmt: skip


def lacks(task: Task, judgement: Judgement, own_answer: bool = True) -> tuple[Problem, ...]:
    """What a judgement of the task lacks. ``own_answer``: whether it needs its author's own yes or no."""
    problems = missing(
        judgement, rubric(task.project.rubric), task.steps, first_error=task.project.first_error, pair=task.pair
    )
    return tuple(problem for problem in problems if own_answer or problem.where not in ("verdict", "confidence"))


def takes_place(now: datetime) -> ColumnElement[bool]:
    """Whether a label fills a place of its task's overlap: it is submitted, or its author may still submit it.

    Labels of hidden tasks fill none: everybody judges these.
    """
    may_submit = and_(LabelRow.status == "draft", or_(LabelRow.stands, LabelRow.reserved_until > now))
    return and_(LabelRow.gold.is_(False), or_(LabelRow.status == "submitted", may_submit))


def places_taken(task: Any, now: datetime, but: str | None = None) -> Select[Any]:
    """How many places of a task are taken (``task``: its id, or the column of an outer query); not counting ``but``."""
    query = select(func.count()).select_from(LabelRow).where(LabelRow.task == task, takes_place(now))
    return query if but is None else query.where(LabelRow.author != but)


def has_place(session: Session, task: TaskRow, project: Project, author: str, now: datetime) -> bool:
    """Whether this person may submit a label of the task (which is locked) without going over its overlap."""
    if task.gold is not None:
        return True
    return (session.scalar(places_taken(task.id, now, but=author)) or 0) < project.overlap


def new_id(task: str, author: str, kind: str = "label") -> str:
    """The id of a person's label of a task: the same wherever it is made."""
    return digest([kind, task, author], 24)


def keep_version(session: Session, row: LabelRow | ResolvedRow, status: str | None = None) -> None:
    """Keep what a label says now, before it says something else."""
    number = (session.scalar(select(func.max(VersionRow.number)).where(VersionRow.label == row.id)) or 0) + 1
    session.add(
        VersionRow(
            label=row.id, number=number, status=status or getattr(row, "status", "submitted"),
            judgement=row.judgement, seconds=row.seconds, at=row.updated_at,
            submission=getattr(row, "submission", None),
        )
    )  # fmt: skip
    session.flush()


def settle(database: Database, key: str, now: datetime) -> None:
    """Submitted labels of a project that were opened to be edited, and left: the submission stands again.

    What had been changed by then is in the label's history, as a draft. Writes only where there are some.
    """
    tasks = select(TaskRow.id).where(TaskRow.project_key == key)
    left = select(LabelRow).where(LabelRow.stands, LabelRow.reserved_until <= now, LabelRow.task.in_(tasks))
    with database.session(read_only=True) as session:
        if session.scalars(left.limit(1)).first() is None:
            return
    with database.session(durable=True) as session:
        for row in session.scalars(left.with_for_update(skip_locked=True)).all():
            stand_again(session, row)


def stand_again(session: Session, row: LabelRow) -> None:
    """The latest submission of a label that is being edited is the label again."""
    last = session.scalars(
        select(VersionRow)
        .where(VersionRow.label == row.id, VersionRow.status == "submitted")
        .order_by(VersionRow.number.desc())
        .limit(1)
    ).one()
    if row.judgement != last.judgement:
        keep_version(session, row)
    row.judgement, row.seconds, row.updated_at, row.submission = last.judgement, last.seconds, last.at, last.submission
    row.status, row.stands, row.reserved_until, row.version = "submitted", False, None, row.version + 1
    session.flush()
