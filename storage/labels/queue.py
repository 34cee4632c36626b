"""The queue: which task somebody gets next. Each answer is one transaction, so that no two get the same place.

Nothing is locked beyond it: a task is reserved until a time that is written in its label's row, and whoever asks after
that time finds the place free. So a browser or a server that dies holds nothing back.

Some tasks are hidden ones whose answer is known: a qualification before the first real task, and checks among the
others. Which of a person's tasks is a hidden one is drawn from the project's seed, the person and how many they had:
asking again changes nothing, and nobody can tell which it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from backend.labelling import Account, Judgement, Project
from backend.seeding import derive_seed
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.audit import has_seen
from storage.labels.roles import may
from storage.labels.rows import (
    EMPTY,
    has_place,
    new_id,
    places_taken,
    project_row,
    read_project,
    read_task,
    settle,
    task_row,
)
from storage.labels.tables import LabelRow, TaskRow
from storage.labels.values import Nothing, Task


def next_task(database: Database, key: str, account: Account, now: datetime | None = None) -> Task | Nothing:
    """What this person is to do next: their own open draft, a task of the qualification, one that is new to them, or
    at last one that they put back. Raises ``NotFoundError``.

    It is reserved for them from then on. A task is never given to more people than the project's overlap.
    """
    now = now or utc_now()
    settle(database, key, now)
    with database.session(durable=True) as session:
        row = project_row(session, key)
        project = read_project(row)
        reserved = _own_draft(session, key, project, account, now, put_back=False)
        if reserved is None and not row.open:
            return Nothing("closed", "This project gives out no tasks at present")
        hidden = None if reserved else next_hidden(session, key, project, account.name)
        if isinstance(hidden, str):
            says = "You did not pass this project's qualification, or skipped some of it: ask its reviewer"
            return Nothing(hidden, says, _skipped(session, key, account))
        if hidden is not None:
            reserved = hidden, _reserve(session, hidden, project, account, now)
        reserved = reserved or _new_task(session, key, project, account, now)
        reserved = reserved or _own_draft(session, key, project, account, now, put_back=True)
        if reserved is None:
            return _why_nothing(session, key, account, now)
        return read_task(session, *reserved, project)


def left_for(session: Session, key: str, project: Project, author: str, now: datetime) -> int:
    """How many ordinary tasks are new to somebody and have a place left."""
    query = select(func.count()).select_from(TaskRow).where(*_free(key, project, author, now))
    return session.scalar(query) or 0


def keep_place(session: Session, task: TaskRow, draft: LabelRow, project: Project, now: datetime) -> bool:
    """Reserve a draft's task for longer, if its place is still its author's, or free again. Returns whether it is."""
    still = draft.stands or (draft.reserved_until is not None and draft.reserved_until > now)
    if still or has_place(session, task, project, draft.author, now):
        renew(draft, project, now)
        return True
    return False


def renew(row: LabelRow, project: Project, now: datetime) -> None:
    """The task is reserved for as long as the project says, from now."""
    row.reserved_until = now + timedelta(minutes=project.minutes)


def _own_draft(
    session: Session, key: str, project: Project, account: Account, now: datetime, put_back: bool
) -> tuple[TaskRow, LabelRow] | None:
    """The draft that somebody left last, if its place is still theirs, or free again."""
    order = (LabelRow.deferred_at,) if put_back else (LabelRow.updated_at.desc(), LabelRow.id)
    drafts = session.scalars(
        select(LabelRow)
        .where(
            LabelRow.task.in_(_tasks(key)),
            LabelRow.author == account.name,
            LabelRow.status == "draft",
            LabelRow.deferred_at.is_not(None) if put_back else LabelRow.deferred_at.is_(None),
        )
        .order_by(*order)
    ).all()
    for draft in drafts:
        task = task_row(session, draft.task, lock=True)
        if keep_place(session, task, draft, project, now):
            draft.deferred_at = None
            return task, draft
    return None


def _new_task(
    session: Session, key: str, project: Project, account: Account, now: datetime
) -> tuple[TaskRow, LabelRow] | None:
    """The first task that is new to somebody and has a place left.

    On PostgreSQL others may be choosing at the same time. Tasks that they are at are passed over first, and waited for
    only where nothing else is left; what was counted before the lock is counted again under it.
    """
    full: list[str] = []
    alone = session.get_bind().dialect.name == "sqlite"  # nobody else writes while this transaction does
    for wait in (False, True):
        while True:
            query = select(TaskRow).where(*_free(key, project, account.name, now), TaskRow.id.not_in(full))
            query = query.order_by(TaskRow.place).limit(1).with_for_update(of=TaskRow, skip_locked=not wait)
            task = session.scalars(query).first()
            if task is None:
                break
            if alone or has_place(session, task, project, account.name, now):
                return task, _reserve(session, task, project, account, now)
            full.append(task.id)
        if alone:
            break
    return None


def _free(key: str, project: Project, author: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    mine = select(LabelRow.id).where(LabelRow.task == TaskRow.id, LabelRow.author == author)
    taken = places_taken(TaskRow.id, now).correlate(TaskRow).scalar_subquery()
    return TaskRow.project_key == key, TaskRow.gold.is_(None), ~mine.exists(), taken < project.overlap


def _reserve(session: Session, task: TaskRow, project: Project, account: Account, now: datetime) -> LabelRow:
    blind = project.blind and not (may(account, "review") and has_seen(session, account.name, task.id))
    row = LabelRow(
        id=new_id(task.id, account.name), task=task.id, author=account.name, status="draft", version=0,
        judgement=EMPTY, seconds=0.0, rubric=project.rubric, blind=blind, gold=task.gold is not None,
        qualification=task.qualification, created_at=now, updated_at=now, skip_reason="", stands=False,
    )  # fmt: skip
    renew(row, project, now)
    session.add(row)
    session.flush()
    return row


def _why_nothing(session: Session, key: str, account: Account, now: datetime) -> Nothing:
    skipped = _skipped(session, key, account)
    mine = select(LabelRow.task).where(LabelRow.author == account.name, LabelRow.status != "draft")
    until = session.scalar(
        select(func.min(LabelRow.reserved_until)).where(
            LabelRow.task.in_(_tasks(key)),
            LabelRow.task.not_in(mine),
            LabelRow.author != account.name,
            LabelRow.status == "draft",
            LabelRow.stands.is_(False),
            LabelRow.gold.is_(False),
            LabelRow.reserved_until > now,
        )
    )
    if until is not None:
        says = "All that is left is reserved for others; what they do not finish comes back"
        return Nothing("reserved", says, skipped, until)
    return Nothing("done", "You have done all that there is for you here", skipped)


def _skipped(session: Session, key: str, account: Account) -> int:
    query = select(func.count()).where(
        LabelRow.task.in_(_tasks(key)), LabelRow.author == account.name, LabelRow.status == "skipped"
    )
    return session.scalar(query) or 0


def _tasks(key: str) -> Select[Any]:
    return select(TaskRow.id).where(TaskRow.project_key == key)


def agreement(judgement: Judgement, known: Judgement) -> tuple[int, int]:
    """How many of the known answers a judgement gives, and how many there are: one per step, or the preferred chain."""
    if known.preferred is not None:
        return int(judgement.preferred == known.preferred), 1
    same = sum(
        step in judgement.steps and judgement.steps[step].value == said.value for step, said in known.steps.items()
    )
    return same, len(known.steps)


def next_hidden(session: Session, key: str, project: Project, author: str) -> TaskRow | str | None:
    """The hidden task that is due for somebody; ``unqualified`` where they did not pass; None where none is due."""
    to_pass = min(project.qualification, _count(session, key, qualification=True))
    if to_pass:
        done = _done(session, key, author, qualification=True)
        if len(done) < to_pass:
            # Who skips a task of the qualification has not passed it.
            return _first(session, key, author, qualification=True) or "unqualified"
        right, known = (sum(column) for column in zip(*(agreement(*pair) for pair in done), strict=True))
        if known and right / known < project.pass_share:
            return "unqualified"
    if project.gold and _is_due(session, key, project, author):
        return _first(session, key, author, qualification=False)
    return None


def _is_due(session: Session, key: str, project: Project, author: str) -> bool:
    query = (
        select(func.count())
        .select_from(LabelRow)
        .join(TaskRow, TaskRow.id == LabelRow.task)
        .where(TaskRow.project_key == key, LabelRow.author == author, LabelRow.qualification.is_(False))
    )
    had = session.scalar(query) or 0
    return derive_seed(project.seed, "hidden", key, author, had) / 2**63 < project.gold


def _first(session: Session, key: str, author: str, qualification: bool) -> TaskRow | None:
    mine = select(LabelRow.id).where(LabelRow.task == TaskRow.id, LabelRow.author == author)
    query = (
        select(TaskRow)
        .where(
            TaskRow.project_key == key,
            TaskRow.gold.is_not(None),
            TaskRow.qualification.is_(qualification),
            ~mine.exists(),
        )
        .order_by(TaskRow.place)
        .limit(1)
    )
    return session.scalars(query).first()


def _count(session: Session, key: str, qualification: bool) -> int:
    query = select(func.count()).where(
        TaskRow.project_key == key, TaskRow.gold.is_not(None), TaskRow.qualification.is_(qualification)
    )
    return session.scalar(query) or 0


def _done(session: Session, key: str, author: str, qualification: bool) -> list[tuple[Judgement, Judgement]]:
    """(what this person said, what is right) of the hidden tasks that they submitted."""
    query = (
        select(LabelRow.judgement, TaskRow.gold)
        .join(TaskRow, TaskRow.id == LabelRow.task)
        .where(
            TaskRow.project_key == key,
            TaskRow.gold.is_not(None),
            TaskRow.qualification.is_(qualification),
            LabelRow.author == author,
            LabelRow.status == "submitted",
        )
    )
    return [
        (Judgement.model_validate_json(said), Judgement.model_validate_json(known))
        for said, known in session.execute(query)
        if known is not None
    ]
