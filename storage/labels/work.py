"""Work on a task: drafts, submitting, skipping, putting back, and taking back what was done. Nothing is ever lost.

Every change names the version that it was made from. If that is older than what is kept, the change is refused with
what is kept, so that two pages of the same person never overwrite each other unseen. What was submitted stays in the
label's history: an undone label is a draft and counts no more; one that is opened to be edited stands again as it was,
should nothing come of it before its reservation ends.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import ConflictError, NotFoundError, UsageError
from backend.labelling import Account, ChainRecord, Judgement, Version
from storage.database.connection import Database
from storage.database.tables import utc_now
from storage.labels.audit import note
from storage.labels.queue import keep_place, renew
from storage.labels.records import read_version
from storage.labels.rows import (
    has_place,
    keep_version,
    label_row,
    lacks,
    project_row,
    read_project,
    read_state,
    read_task,
    settle,
    stand_again,
    task_row,
)
from storage.labels.tables import ChainRow, LabelRow, TaskRow, VersionRow
from storage.labels.values import LabelState, OwnLabel, Saved, Submitted, Task

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
            kept_of(kept),
            fix="your draft is kept; go on with the next task",
        )
    return Submitted(row.id, row.version)


def skip(database: Database, task: str, account: Account, reason: str, now: datetime | None = None) -> LabelState:
    """Pass a task over, for a reason; its place is free for others. What was said so far is kept, and it comes back by
    :func:`requeue`, or ``undoing.undo``. Raises ``UsageError``, ``ConflictError`` for what is submitted.
    """
    now, reason = now or utc_now(), " ".join(reason.split())
    if not 0 < len(reason) <= MOST_REASON:
        raise UsageError("A skip needs a reason", expected=f"1 to {MOST_REASON} characters")
    with database.session(durable=True) as session:
        _, row = _mine(session, task, account)
        if row.status == "submitted":
            raise ConflictError("This task is submitted", kept_of(row), fix="undo it first")
        if row.status == "draft":
            row.status, row.skip_reason, row.updated_at, row.version = "skipped", reason, now, row.version + 1
            row.reserved_until, row.stands, row.deferred_at = None, False, None
            note(session, account.name, "label.skip", row.id, after={"task": task, "reason": reason})
        return read_state(row)


def requeue(database: Database, task: str, author: str, by: Account, now: datetime | None = None) -> LabelState:
    """Put a task that ``author`` skipped, or has open, back into the queue: it comes to them again, after all others.

    Its draft is kept, its place is free. Raises ``ConflictError`` for what is submitted, ``NotFoundError``.
    """
    now = now or utc_now()
    with database.session(durable=True) as session:
        task_row(session, task, lock=True)
        row = label_row(session, task, author)
        if row is None:
            raise NotFoundError(f"The task {task!r} is not one of {author}'s")
        if row.status == "submitted" or row.stands:
            raise ConflictError("This task is submitted", kept_of(row), fix="undo it first")
        before = row.status
        row.status, row.skip_reason, row.reserved_until, row.deferred_at = "draft", "", None, now
        note(session, by.name, "label.requeue", row.id, {"status": before}, {"task": task})
        return read_state(row)


def open_task(database: Database, task: str, account: Account | None = None, unblinded: bool = False) -> Task:
    """A task with what this person said of it. Without an account, for a reviewer: nobody's.

    ``unblinded``: they see everything about it, and a label that they write of it says so. Raises ``NotFoundError``
    where it is not this person's.
    """
    with database.session(durable=unblinded, read_only=not unblinded) as session:
        row = task_row(session, task)
        label = label_row(session, task, account.name) if account else None
        if account and label is None:
            raise NotFoundError(f"The task {task!r} is not one of yours", fix="open /label and go on from there")
        if label is not None and unblinded:
            label.blind = False
        return read_task(session, row, label)


def kept_of(row: LabelRow) -> dict[str, object]:
    """What is kept, as JSON: for whoever has to choose between it and what they have."""
    return {
        "status": row.status,
        "version": row.version,
        "judgement": read_state(row).judgement.model_dump(mode="json"),
        "seconds": row.seconds,
        "at": row.updated_at.isoformat(),
        "reserved_until": row.reserved_until.isoformat() if row.reserved_until else None,
    }


def _mine(session: Session, task: str, account: Account) -> tuple[TaskRow, LabelRow]:
    """The task, locked, and this person's row of it."""
    locked = task_row(session, task, lock=True)
    row = label_row(session, task, account.name)
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
        raise ConflictError(f"This task is {words}", kept_of(row), fix="undo that, or go on with the next")
    again = version == row.version - 1 and said == row.judgement  # its reply was lost
    if version != row.version and not again:
        raise ConflictError(
            "A newer draft of this task is kept, from another page",
            kept_of(row),
            fix="choose which of the two it should be",
        )
    project = read_project(project_row(session, task.project_key))
    if not keep_place(session, task, row, project, now):
        row.reserved_until = None
    if not again:
        row.judgement, row.version = said, version + 1
        row.seconds, row.updated_at = min(max(0.0, seconds), _MOST_SECONDS), now


def _was_taken_in(session: Session, row: LabelRow, submission: str) -> bool:
    """Whether this submission came before; it may have been undone since."""
    if row.submission == submission and row.status == "submitted":
        return True
    before = select(VersionRow.number).where(VersionRow.label == row.id, VersionRow.submission == submission)
    return session.scalars(before.limit(1)).first() is not None


def undo(database: Database, key: str, account: Account, now: datetime | None = None) -> Task | None:
    """Take back what this person submitted or skipped last; called again, what they did before. None: nothing left."""
    now = now or utc_now()
    with database.session(durable=True) as session:
        done = LabelRow.author == account.name, LabelRow.status.in_(("submitted", "skipped"))
        query = select(LabelRow).join(TaskRow, TaskRow.id == LabelRow.task).where(TaskRow.project_key == key, *done)
        row = session.scalars(query.order_by(LabelRow.updated_at.desc(), LabelRow.id).limit(1)).first()
        return None if row is None else _take_back(session, row, account, now, stands=False)


def reopen(database: Database, label: str, account: Account, now: datetime | None = None) -> Task:
    """Open one of one's own labels to edit it. Raises ``NotFoundError`` for a label that is not one's own."""
    now = now or utc_now()
    with database.session(durable=True) as session:
        return _take_back(session, _my_label(session, label, account), account, now, stands=True)


def leave_as_it_was(database: Database, label: str, account: Account) -> None:
    """Give up editing a submitted label: it stands again as it was. Raises ``NotFoundError``."""
    with database.session(durable=True) as session:
        row = _my_label(session, label, account)
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
            chain = ChainRecord.model_validate_json(kept)
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


def _my_label(session: Session, label: str, account: Account) -> LabelRow:
    row = session.get(LabelRow, label)
    if row is None or row.author != account.name:
        raise NotFoundError(f"The label {label!r} is not one of yours", fix="choose one of your own list")
    return row


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
