"""Work on a task: drafts, submitting, skipping, putting back. Taking something back is ``undoing``.

Every change names the version that it was made from. What is older than what is kept is refused, with what is kept, so
that two pages of the same person never overwrite each other unseen.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import ConflictError, NotFoundError, UsageError
from backend.labelling import Account, Judgement
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.audit import note
from storage.labels.queue import renew
from storage.labels.rows import has_place, lacks, own_row, project_row, read_own, read_project, read_task, task_row
from storage.labels.tables import LabelRow, TaskRow, VersionRow
from storage.labels.values import Own, Saved, Submitted, Task

MOST_REASON = 500
_MOST_SECONDS = 7 * 24 * 3600


def save_draft(
    database: Database,
    task: str,
    account: Account,
    judgement: Judgement,
    seconds: float,
    version: int,
    now: datetime | None = None,
) -> Saved:
    """Keep what somebody has so far, and the task reserved for them. ``version``: the one that it was made from.

    The same draft again is the same one. Raises ``ConflictError`` where another version is kept, or none is open;
    ``NotFoundError`` for a task that is not this person's.
    """
    now = now or utc_now()
    with database.session(durable=True) as session:
        locked, row = _mine(session, task, account)
        _keep(session, locked, row, judgement, seconds, version, now)
        return Saved(row.version, row.updated_at, row.reserved_until)


def submit(
    database: Database,
    task: str,
    account: Account,
    judgement: Judgement,
    seconds: float,
    version: int,
    submission: str,
    now: datetime | None = None,
) -> Submitted:
    """Submit a judgement; one that lacks something is kept as a draft, and what it lacks is said.

    ``submission``: a name that the browser gives to this try. Sent again after a reply that was lost, it is told the
    same and changes nothing, whatever happened since. Raises as :func:`save_draft`, and ``ConflictError`` where the
    reservation had run out and others have filled the task: then it stays a draft.
    """
    now = now or utc_now()
    if not 8 <= len(submission) <= 64:
        raise UsageError(f"submission has {len(submission)} characters", expected="a name of 8 to 64")
    with database.session(durable=True) as session:
        locked, row = _mine(session, task, account)
        if _was_taken_in(session, row, submission):
            return Submitted(row.id, row.version)
        _keep(session, locked, row, judgement, seconds, version, now)
        problems = lacks(read_task(session, locked), judgement)
        if problems:
            return Submitted(row.id, row.version, problems)
        full = row.reserved_until is None
        if not full:
            row.status, row.submission, row.submitted_at = "submitted", submission, now
            row.reserved_until, row.stands, row.deferred_at, row.skip_reason = None, False, None, ""
            note(session, account.name, "label.submit", row.id, after={"task": task, "version": row.version})
        kept = row
    if full:
        raise ConflictError(
            "Your reservation had run out, and others have done this task meanwhile",
            kept_of(read_own(kept)),
            fix="your draft is kept; go on with the next task",
        )
    return Submitted(row.id, row.version)


def skip(database: Database, task: str, account: Account, reason: str, now: datetime | None = None) -> Own:
    """Pass a task over, for a reason; its place is free for others. What was said so far is kept, and it comes back by
    :func:`requeue`, or ``undoing.undo``. Raises ``UsageError``, ``ConflictError`` for what is submitted.
    """
    now, reason = now or utc_now(), " ".join(reason.split())
    if not 0 < len(reason) <= MOST_REASON:
        raise UsageError("A skip needs a reason", expected=f"1 to {MOST_REASON} characters")
    with database.session(durable=True) as session:
        _, row = _mine(session, task, account)
        if row.status == "submitted":
            raise ConflictError("This task is submitted", kept_of(read_own(row)), fix="undo it first")
        if row.status == "draft":
            row.status, row.skip_reason, row.updated_at, row.version = "skipped", reason, now, row.version + 1
            row.reserved_until, row.stands, row.deferred_at = None, False, None
            note(session, account.name, "label.skip", row.id, after={"task": task, "reason": reason})
        return read_own(row)


def requeue(database: Database, task: str, author: str, by: Account, now: datetime | None = None) -> Own:
    """Put a task that ``author`` skipped, or has open, back into the queue: it comes to them again, after all others.

    Its draft is kept, its place is free. Raises ``ConflictError`` for what is submitted, ``NotFoundError``.
    """
    now = now or utc_now()
    with database.session(durable=True) as session:
        task_row(session, task, lock=True)
        row = own_row(session, task, author)
        if row is None:
            raise NotFoundError(f"The task {task!r} is not one of {author}'s")
        if row.status == "submitted" or row.stands:
            raise ConflictError("This task is submitted", kept_of(read_own(row)), fix="undo it first")
        before = row.status
        row.status, row.skip_reason, row.reserved_until, row.deferred_at = "draft", "", None, now
        note(session, by.name, "label.requeue", row.id, {"status": before}, {"task": task})
        return read_own(row)


def open_task(database: Database, task: str, account: Account | None = None, unblinded: bool = False) -> Task:
    """A task with what this person said of it. Without an account, for a reviewer: nobody's.

    ``unblinded``: they see everything about it, and a label that they write of it says so. Raises ``NotFoundError``
    where it is not this person's.
    """
    with database.session(durable=unblinded, read_only=not unblinded) as session:
        row = task_row(session, task)
        own = own_row(session, task, account.name) if account else None
        if account and own is None:
            raise NotFoundError(f"The task {task!r} is not one of yours", fix="open /label and go on from there")
        if own is not None and unblinded:
            own.blind = False
        return read_task(session, row, own)


def kept_of(own: Own) -> dict[str, object]:
    """What is kept, as JSON: for whoever has to choose between it and their own."""
    return {
        "status": own.status,
        "version": own.version,
        "judgement": own.judgement.model_dump(mode="json"),
        "seconds": own.seconds,
        "at": own.updated_at.isoformat(),
        "reserved_until": own.reserved_until.isoformat() if own.reserved_until else None,
    }


def _mine(session: Session, task: str, account: Account) -> tuple[TaskRow, LabelRow]:
    """The task, locked, and this person's row of it."""
    locked = task_row(session, task, lock=True)
    row = own_row(session, task, account.name)
    if row is None:
        raise NotFoundError(f"The task {task!r} is not one of yours", fix="open /label and go on from there")
    return locked, row


def _keep(
    session: Session, task: TaskRow, row: LabelRow, judgement: Judgement, seconds: float, version: int, now: datetime
) -> None:
    """Write a draft over the one that it was made from, and reserve its place again where there is one."""
    said = judgement.model_dump_json()
    if row.status != "draft":
        words = "submitted already" if row.status == "submitted" else "skipped"
        raise ConflictError(f"This task is {words}", kept_of(read_own(row)), fix="undo that, or go on with the next")
    again = version == row.version - 1 and said == row.judgement  # its reply was lost
    if version != row.version and not again:
        raise ConflictError(
            "A newer draft of this task is kept, from another page",
            kept_of(read_own(row)),
            fix="choose which of the two it should be",
        )
    project = read_project(project_row(session, task.project_key))
    held = row.stands or (row.reserved_until is not None and row.reserved_until > now)
    if held or has_place(session, task, project, row.author, now):
        renew(row, project, now)
    else:
        row.reserved_until = None
    if not again:
        row.judgement, row.version = said, version + 1
        row.seconds, row.updated_at = min(max(0.0, seconds), _MOST_SECONDS), now


def _was_taken_in(session: Session, row: LabelRow, submission: str) -> bool:
    """Whether this submission came before; it may have been undone since."""
    if row.submission == submission and (row.status == "submitted"):
        return True
    before = select(VersionRow.number).where(VersionRow.label == row.id, VersionRow.submission == submission)
    return session.scalars(before.limit(1)).first() is not None
