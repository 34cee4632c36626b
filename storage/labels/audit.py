"""Who changed what: rows that are only ever added, in the transaction of the change that they tell of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.tables import AuditRow

_SEEN = "task.seen"


@dataclass(frozen=True)
class Change:
    """``about``: the key of what was changed (an account's name, a project, a task, a label). ``before`` and ``after``
    hold what differs, as JSON.
    """

    number: int
    at: datetime
    who: str
    what: str
    about: str
    before: dict[str, Any]
    after: dict[str, Any]


def note(
    session: Session,
    who: str,
    what: str,
    about: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add a row to a change that is being made. Passwords and tokens are nobody's to write here."""
    row = AuditRow(at=utc_now(), who=who, what=what, about=about, before=_json(before), after=_json(after))
    session.add(row)


def audit(
    database: Database,
    who: str,
    what: str,
    about: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Tell of what was changed outside of the database, such as a backup that was taken back."""
    with database.session(durable=True) as session:
        note(session, who, what, about, before, after)


def note_seen(database: Database, who: str, task: str) -> None:
    """Somebody saw everything about a task: a label that they write of it later is not blind. Told once."""
    with database.session(read_only=True) as session:
        if has_seen(session, who, task):
            return
    audit(database, who, _SEEN, task)


def has_seen(session: Session, who: str, task: str) -> bool:
    """Whether :func:`note_seen` was told of this."""
    query = select(AuditRow.number).where(AuditRow.about == task, AuditRow.what == _SEEN, AuditRow.who == who)
    return session.scalars(query.limit(1)).first() is not None


def changes(database: Database, about: str | None = None, limit: int | None = None) -> Iterator[Change]:
    """The latest ``limit`` changes, the newest first; of one thing alone, where ``about`` names it."""
    query = select(AuditRow).order_by(AuditRow.number.desc()).limit(limit)
    if about is not None:
        query = query.where(AuditRow.about == about)
    with database.session(read_only=True) as session:
        for row in session.scalars(query).yield_per(500):
            yield Change(
                row.number, row.at, row.who, row.what, row.about, json.loads(row.before), json.loads(row.after)
            )


def _json(values: Mapping[str, Any] | None) -> str:
    return json.dumps(dict(values or {}), ensure_ascii=False, sort_keys=True, default=str)
