"""Projects: making one out of chains, changing its rules, who is a member, and how far it is."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from pydantic import ValidationError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from backend.errors import UsageError
from backend.labelling import Account, ChainRecord, Project, Setting, rubric
from backend.labelling.tasks import Exhibits, tasks_of
from backend.seeding import digest
from storage.database.connection import Database
from storage.database.tables import insert_or_pass, utc_now
from storage.labels.accounts import get as get_account
from storage.labels.audit import note
from storage.labels.queue import left_for
from storage.labels.rows import project_row, read_project, settle, task_row
from storage.labels.tables import ChainRow, LabelRow, MemberRow, ProjectRow, ResolvedRow, TaskRow

# What may change once labels are there: none of it changes what a label means.
CHANGEABLE = ("name", "overlap", "minutes", "gold", "qualification", "pass_share", "guidelines")


@dataclass(frozen=True)
class ListedProject:
    """A project in a list. ``member``: whether whoever asked may label in it. ``submitted``: labels, of everybody."""

    key: str
    project: Project
    open: bool
    member: bool
    tasks: int
    submitted: int
    created_at: datetime


def create_project(
    database: Database,
    project: Project,
    exhibits: Iterable[tuple[ChainRecord, Setting]],
    members: Collection[str] = (),
    by: str = "rallrec",
) -> str:
    """A project of these chains, in its order; its key. Raises ``UsageError`` where there is nothing to label,
    ``UnknownNameError`` for a rubric and ``NotFoundError`` for a member that is none.
    """
    rubric(project.rubric)
    tasks = tasks_of(project, exhibits)
    if not tasks:
        raise UsageError(
            "No chain that is cached fits the project",
            expected="one at least (two of a sample, where pairs are compared)",
            fix="loosen its filter, or make chains with: rallrec reason",
        )
    key = secrets.token_hex(6)
    with database.session(durable=True) as session:
        session.add(
            ProjectRow(key=key, project=project.model_dump_json(), open=True, created_by=by, created_at=utc_now())
        )
        session.flush()
        add_tasks(session, key, tasks)
        _set_members(session, key, members)
        note(session, by, "project.add", key, after={"name": project.name, "tasks": len(tasks)})
    return key


def add_tasks(session: Session, key: str, tasks: Collection[Exhibits], first: int = 0) -> None:
    """Tasks at the places from ``first`` on; one with the same chains is there once."""
    chains = {chain_hash(chain): chain for of_task, _ in tasks for chain in of_task}
    session.execute(
        insert_or_pass(session, ChainRow),
        [{"hash": name, "chain": chain.model_dump_json()} for name, chain in sorted(chains.items())],
    )
    rows = []
    for place, (of_task, setting) in enumerate(tasks, first):
        names = [chain_hash(chain) for chain in of_task]
        rows.append(
            {
                "id": digest([key, *names], 24), "project_key": key, "place": place, "chain": names[0],
                "other": names[1] if len(names) > 1 else None, "setting": setting.model_dump_json(), "gold": None,
                "qualification": False,
            }
        )  # fmt: skip
    session.execute(insert_or_pass(session, TaskRow), rows)


def chain_hash(chain: ChainRecord) -> str:
    """Names all that is kept of a chain."""
    return digest(chain.model_dump(mode="json"))


def project(database: Database, key: str) -> Project:
    """Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        return read_project(project_row(session, key))


def projects(database: Database, account: Account | None) -> list[ListedProject]:
    """All projects, the newest first, with how much was done in each."""
    with database.session(read_only=True) as session:
        tasks: dict[str, int] = dict(
            session.execute(select(TaskRow.project_key, func.count()).group_by(TaskRow.project_key)).all()
        )
        done: dict[str, int] = dict(
            session.execute(
                select(TaskRow.project_key, func.count())
                .join(LabelRow, LabelRow.task == TaskRow.id)
                .where(LabelRow.status == "submitted")
                .group_by(TaskRow.project_key)
            ).all()
        )
        name = account.name if account else ""
        mine = set(session.scalars(select(MemberRow.project_key).where(MemberRow.account == name)))
        rows = session.scalars(select(ProjectRow).order_by(ProjectRow.created_at.desc(), ProjectRow.key))
        return [
            ListedProject(
                row.key, read_project(row), row.open, row.key in mine, tasks.get(row.key, 0), done.get(row.key, 0),
                row.created_at,
            )
            for row in rows
        ]  # fmt: skip


def update_project(
    database: Database,
    key: str,
    by: str,
    *,
    values: Mapping[str, Any] | None = None,
    open: bool | None = None,
    members: Collection[str] | None = None,
) -> Project:
    """Change some of :data:`CHANGEABLE`, whether tasks are given out, and who is a member (all of them are named).

    Raises ``UsageError`` for another value, or one that it does not take, ``NotFoundError``.
    """
    changed = dict(values or {})
    if fixed := sorted(changed.keys() - set(CHANGEABLE)):
        raise UsageError(
            f"{fixed[0]} of a project cannot be changed", expected=f"one of {', '.join(CHANGEABLE)}, open, members"
        )
    with database.session(durable=True) as session:
        row = project_row(session, key)
        now = read_project(row)
        before: dict[str, Any] = {name: getattr(now, name) for name in changed}
        try:
            changed_project = Project.model_validate(now.model_dump() | changed)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{first['loc'][-1]} is {first['input']!r}: {first['msg']}") from error
        row.project = changed_project.model_dump_json()
        if open is not None:
            before, changed, row.open = before | {"open": row.open}, changed | {"open": open}, open
        if members is not None:
            before |= {"members": _members(session, key)}
            _set_members(session, key, members)
            changed |= {"members": _members(session, key)}
        note(session, by, "project.update", key, before, changed)
    return changed_project


def members(database: Database, key: str) -> list[str]:
    """The names of those who may label in a project. Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        project_row(session, key)
        return _members(session, key)


def is_member(database: Database, key: str, account: Account) -> bool:
    """Whether somebody may label in a project. Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        return session.get(MemberRow, (project_row(session, key).key, account.name)) is not None


def is_member_at(database: Database, task: str, account: Account) -> bool:
    """Whether somebody may label in the project of a task. Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        return session.get(MemberRow, (task_row(session, task).project_key, account.name)) is not None


def is_open(database: Database, key: str) -> bool:
    """Whether tasks are given out. Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        return project_row(session, key).open


def project_of_task(database: Database, task: str) -> str:
    """The key of a task's project. Raises ``NotFoundError``."""
    with database.session(read_only=True) as session:
        return task_row(session, task).project_key


def _members(session: Session, key: str) -> list[str]:
    return list(
        session.scalars(select(MemberRow.account).where(MemberRow.project_key == key).order_by(MemberRow.account))
    )


def _set_members(session: Session, key: str, names: Collection[str]) -> None:
    named = {get_account(session, name).name for name in names}
    session.execute(delete(MemberRow).where(MemberRow.project_key == key, MemberRow.account.not_in(named)))
    if named:
        rows = [{"project_key": key, "account": name} for name in sorted(named)]
        session.execute(insert_or_pass(session, MemberRow), rows)


@dataclass(frozen=True)
class PersonProgress:
    """``left``: tasks that are new to them and have a place. ``seconds``: the median of what they submitted, or None.
    ``reserved``: what they have before them now, drafts included; ``drafts``: what they began and did not submit.
    """

    name: str
    member: bool
    submitted: int
    skipped: int
    drafts: int
    reserved: int
    left: int
    seconds: float | None


@dataclass(frozen=True)
class Progress:
    """``wanted``: labels that the project asks for: its ordinary tasks times its overlap; ``filled``: how many of these
    places are filled by submitted labels. ``submitted``, ``skipped``, ``drafts`` and ``reserved`` are of all people,
    hidden tasks included. ``resolved``, ``hidden``: how many tasks.
    """

    tasks: int
    hidden: int
    resolved: int
    overlap: int
    wanted: int
    filled: int
    submitted: int
    skipped: int
    drafts: int
    reserved: int
    seconds: float | None
    people: tuple[PersonProgress, ...]


def progress(database: Database, key: str, now: datetime | None = None) -> Progress:
    """Raises ``NotFoundError``."""
    now = now or utc_now()
    settle(database, key, now)
    with database.session(read_only=True) as session:
        project = read_project(project_row(session, key))
        tasks = _count(session, TaskRow.project_key == key, TaskRow.gold.is_(None))
        hidden = _count(session, TaskRow.project_key == key, TaskRow.gold.is_not(None))
        labels = _labels(session, key)
        members = set(session.scalars(select(MemberRow.account).where(MemberRow.project_key == key)))
        names = sorted(members | {row.author for row in labels})
        people = tuple(_person(session, key, project, name, name in members, labels, now) for name in names)
        resolved = session.scalar(
            select(func.count()).select_from(ResolvedRow).join(TaskRow).where(TaskRow.project_key == key)
        )
        ordinary = sum(row.status == "submitted" and not row.gold for row in labels)
        return Progress(
            tasks, hidden, resolved or 0, project.overlap, tasks * project.overlap, ordinary,
            sum(person.submitted for person in people), sum(person.skipped for person in people),
            sum(person.drafts for person in people), sum(person.reserved for person in people), _median(labels), people,
        )  # fmt: skip


def own_progress(database: Database, key: str, account: Account, now: datetime | None = None) -> PersonProgress:
    """How far one person is. Raises ``NotFoundError``."""
    now = now or utc_now()
    with database.session(read_only=True) as session:
        project = read_project(project_row(session, key))
        member = session.get(MemberRow, (key, account.name)) is not None
        labels = _labels(session, key, account.name)
        return _person(session, key, project, account.name, member, labels, now)


def place(database: Database, key: str, project: Project, author: str, now: datetime | None = None) -> tuple[int, int]:
    """How many tasks somebody has done (submitted or skipped), and how many are new to them and have a place."""
    done = (
        select(func.count())
        .select_from(LabelRow)
        .join(TaskRow, TaskRow.id == LabelRow.task)
        .where(TaskRow.project_key == key, LabelRow.author == author, LabelRow.status != "draft")
    )
    with database.session(read_only=True) as session:
        return session.scalar(done) or 0, left_for(session, key, project, author, now or utc_now())


def _labels(session: Session, key: str, author: str | None = None) -> Sequence[LabelRow]:
    query = select(LabelRow).join(TaskRow, TaskRow.id == LabelRow.task).where(TaskRow.project_key == key)
    return session.scalars(query if author is None else query.where(LabelRow.author == author)).all()


def _person(
    session: Session, key: str, project: Project, name: str, member: bool, labels: Sequence[LabelRow], now: datetime
) -> PersonProgress:
    theirs = [row for row in labels if row.author == name]
    drafts = [row for row in theirs if row.status == "draft"]
    return PersonProgress(
        name, member,
        sum(row.status == "submitted" for row in theirs),
        sum(row.status == "skipped" for row in theirs),
        sum(row.version > 0 for row in drafts),
        sum(row.reserved_until is not None and row.reserved_until > now for row in drafts),
        left_for(session, key, project, name, now),
        _median(theirs),
    )  # fmt: skip


def _median(labels: Sequence[LabelRow]) -> float | None:
    seconds = [row.seconds for row in labels if row.status == "submitted"]
    return float(median(seconds)) if seconds else None


def _count(session: Session, *where: object) -> int:
    return session.scalar(select(func.count()).select_from(TaskRow).where(*where)) or 0  # type: ignore[arg-type]
