"""How far a project is: in all, and person by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.labelling import Account, Project
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.queue import left_for
from storage.labels.rows import project_row, read_project, settle
from storage.labels.tables import LabelRow, MemberRow, ResolvedRow, TaskRow


@dataclass(frozen=True)
class Person:
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
    people: tuple[Person, ...]


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
            sum(own.submitted for own in people), sum(own.skipped for own in people),
            sum(own.drafts for own in people), sum(own.reserved for own in people), _median(labels), people,
        )  # fmt: skip


def own_progress(database: Database, key: str, account: Account, now: datetime | None = None) -> Person:
    """Of one person alone. Raises ``NotFoundError``."""
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
) -> Person:
    own = [row for row in labels if row.author == name]
    drafts = [row for row in own if row.status == "draft"]
    return Person(
        name, member,
        sum(row.status == "submitted" for row in own),
        sum(row.status == "skipped" for row in own),
        sum(row.version > 0 for row in drafts),
        sum(row.reserved_until is not None and row.reserved_until > now for row in drafts),
        left_for(session, key, project, name, now),
        _median(own),
    )  # fmt: skip


def _median(labels: Sequence[LabelRow]) -> float | None:
    seconds = [row.seconds for row in labels if row.status == "submitted"]
    return float(median(seconds)) if seconds else None


def _count(session: Session, *where: object) -> int:
    return session.scalar(select(func.count()).select_from(TaskRow).where(*where)) or 0  # type: ignore[arg-type]
