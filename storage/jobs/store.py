"""The rows of jobs: how one begins, moves from state to state and ends. Who runs them is ``storage.jobs.worker``.

Every move is one statement that names the states it may come from, so of two processes that try the same move one
succeeds and the other is told that it did not.

```
queued -> running -> done | failed
   \\--------\\-----> stopped (somebody asked) | interrupted (its process ended)
stopped | failed | interrupted -> queued (somebody resumes it)
```
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, delete, false, func, or_, select, update
from sqlalchemy.orm import Session

from storage.database.connection import Database
from storage.database.tables import JobRow, utc_now
from storage.jobs.kind import JobParams, JobReport
from storage.jobs.kinds import UNATTENDED, stored

# State -> states that it may become.
MOVES: Mapping[str, frozenset[str]] = {
    "queued": frozenset({"running", "stopped", "interrupted"}),
    "running": frozenset({"done", "failed", "stopped", "interrupted"}),
    "done": frozenset(),
    "stopped": frozenset({"queued"}),
    "failed": frozenset({"queued"}),
    "interrupted": frozenset({"queued"}),
}
STATES = tuple(MOVES)
LIVE = ("queued", "running")
RESUMABLE = tuple(state for state, after in MOVES.items() if "queued" in after)
# A process that said nothing for so long is taken for dead where there is no better way to tell.
LEASE = timedelta(seconds=30)

_NEWEST = JobRow.queued_at.desc(), JobRow.number.desc()


@dataclass(frozen=True)
class StoredJob:
    """One row as of now; its columns are explained at :class:`storage.database.tables.JobRow`."""

    number: int
    kind: str
    json_text: str
    key: str
    state: str
    owner: str
    worker: str | None
    stop_asked: bool
    report: JobReport
    error: str
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def params(self) -> JobParams:
        """Raises ``CorruptCacheError`` for what another version wrote."""
        return stored(self.kind, self.json_text)

    def is_of(self, owner: str) -> bool:
        """Whether the holder of this key started it."""
        return self.owner == hashed(owner)


def key_of(params: JobParams) -> str:
    """What equal jobs have in common."""
    return hashlib.sha256(f"{params.kind} {params.json_text}".encode()).hexdigest()


def hashed(owner: str) -> str:
    """What is kept of a key that tells who started a job: nobody who reads the database can pass for them."""
    return hashlib.sha256(owner.encode()).hexdigest()


class JobStore:
    """Over a database. Methods may be called from any thread; they raise ``StorageError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, params: JobParams, owner: str, worker: str | None = None) -> StoredJob:
        """Queue a job; with ``worker``, for that process alone."""
        now = utc_now()
        row = JobRow(
            kind=params.kind, params=params.json_text, key=key_of(params), state="queued", owner=hashed(owner),
            worker=worker, stop_asked=False, stage="", finished=0, error="", created_at=now, queued_at=now,
            heartbeat_at=now if worker else None,
        )  # fmt: skip
        with self._database.session() as session:
            session.add(row)
            session.flush()
            return _job(row)

    def get(self, number: int) -> StoredJob | None:
        with self._database.session(read_only=True) as session:
            row = session.get(JobRow, number)
            return _job(row) if row else None

    def latest(self, params: JobParams) -> StoredJob | None:
        """The job with exactly these parameters that was queued last."""
        query = select(JobRow).where(JobRow.key == key_of(params)).order_by(*_NEWEST)
        with self._database.session(read_only=True) as session:
            row = session.scalars(query.limit(1)).first()
            return _job(row) if row else None

    def recent(self, count: int, states: Mapping[str, Collection[str]]) -> list[StoredJob]:
        """The jobs queued last, newest first, by kind and then in one of these states."""
        pairs = [(kind, state) for kind, of_kind in states.items() for state in of_kind]
        query = select(JobRow).order_by(*_NEWEST).limit(count)
        picked = [(JobRow.kind == kind) & (JobRow.state == state) for kind, state in pairs]
        with self._database.session(read_only=True) as session:
            return [_job(row) for row in session.scalars(query.where(or_(false(), *picked)))]

    def waiting_before(self, job: StoredJob) -> int:
        """How many jobs of anybody's are to run before this one, which no process has to itself."""
        query = select(func.count()).where(
            JobRow.kind.in_(UNATTENDED),
            (JobRow.state == "running") | ((JobRow.state == "queued") & (JobRow.queued_at < job.queued_at)),
        )
        with self._database.session(read_only=True) as session:
            return int(session.execute(query).scalar_one())

    def claim(self, worker: str, kinds: Collection[str] = UNATTENDED) -> StoredJob | None:
        """Take the job that waits longest, for ``worker`` to run; None where none waits. Two never get the same."""
        query = (
            select(JobRow.number)
            .where(JobRow.state == "queued", JobRow.kind.in_(kinds), JobRow.worker.is_(None))
            .order_by(JobRow.queued_at, JobRow.number)
        )
        with self._database.session() as session:
            for number in session.scalars(query).all():
                if self._begin(session, number, JobRow.worker.is_(None), worker):
                    return _job(session.get_one(JobRow, number, populate_existing=True))
        return None

    def begin(self, number: int, worker: str) -> bool:
        """Run a job that was queued for ``worker``; False where it must not any more."""
        with self._database.session() as session:
            return self._begin(session, number, JobRow.worker == worker, worker)

    def beat(self, worker: str, reports: Mapping[int, JobReport]) -> dict[int, bool]:
        """Say that ``worker`` lives and how far its jobs are.

        Number -> whether it was asked to stop, for the jobs that are still its own; what is missing was taken from it.
        """
        now, stops = utc_now(), {}
        with self._database.session() as session:
            for number, report in reports.items():
                mine = (JobRow.number == number, JobRow.worker == worker, JobRow.state.in_(LIVE))
                stop_asked = session.execute(select(JobRow.stop_asked).where(*mine)).scalar()
                if stop_asked is not None and _changed(session, *mine, heartbeat_at=now, **_columns(report)):
                    stops[number] = bool(stop_asked)
        return stops

    def end(self, number: int, worker: str, state: str, report: JobReport | None = None, error: str = "") -> bool:
        """A job that ``worker`` runs, or was to run, ends in this state; False where it is no longer its own."""
        with self._database.session() as session:
            return self._move(
                session, number, state, JobRow.worker == worker,
                error=error, ended_at=utc_now(), **(_columns(report) if report else {}),
            )  # fmt: skip

    def ask_to_stop(self, number: int) -> bool:
        """A job that nobody has taken yet is stopped at once, another one when its worker hears of it; False where it
        has ended. Who may ask is for the caller to check.
        """
        with self._database.session() as session:
            if self._move(session, number, "stopped", JobRow.worker.is_(None), ended_at=utc_now()):
                return True
            return bool(_changed(session, JobRow.number == number, JobRow.state.in_(LIVE), stop_asked=True))

    def resume(self, number: int, owner: str, worker: str | None = None) -> bool:
        """Queue an ended job again, now the job of ``owner``; False where it is done, or somebody was quicker."""
        now = utc_now()
        with self._database.session() as session:
            return self._move(
                session, number, "queued",
                owner=hashed(owner), worker=worker, stop_asked=False, error="", queued_at=now, started_at=None,
                ended_at=None, heartbeat_at=now if worker else None,
            )  # fmt: skip

    def sweep(self, alive: Callable[[str], bool | None]) -> int:
        """Mark as interrupted the live jobs of processes that have ended; how many.

        ``alive`` says whether a process lives; where it cannot tell (None), :data:`LEASE` does.
        """
        with self._database.session(read_only=True) as session:
            query = select(JobRow.worker, func.max(JobRow.heartbeat_at)).where(
                JobRow.state.in_(LIVE), JobRow.worker.is_not(None)
            )
            seen = [(str(worker), beaten) for worker, beaten in session.execute(query.group_by(JobRow.worker))]
        late = utc_now() - LEASE
        dead = [
            worker
            for worker, beaten in seen
            for lives in [alive(worker)]
            if lives is False or (lives is None and (beaten is None or beaten < late))
        ]
        return sum(map(self.abandon, dead))

    def abandon(self, worker: str) -> int:
        """Mark every live job of a process as interrupted; how many."""
        with self._database.session() as session:
            return _changed(
                session, JobRow.worker == worker, JobRow.state.in_(LIVE), state="interrupted", ended_at=utc_now()
            )

    def forget(self, kind: str, before: datetime) -> int:
        """Delete the done jobs of a kind that ended before then; how many."""
        old = (JobRow.kind == kind, JobRow.state == "done", JobRow.ended_at < before)
        with self._database.session() as session:
            result: Any = session.execute(delete(JobRow).where(*old))
            return int(result.rowcount)

    def _begin(self, session: Session, number: int, guard: Any, worker: str) -> bool:
        now = utc_now()
        return self._move(
            session, number, "running", guard, worker=worker, started_at=now, heartbeat_at=now, stage="starting"
        )

    @staticmethod
    def _move(session: Session, number: int, to: str, *guards: Any, **values: Any) -> bool:
        """Move one job to a state, if it is in one that may become that; whether it was."""
        before = [state for state, after in MOVES.items() if to in after]
        return bool(_changed(session, JobRow.number == number, JobRow.state.in_(before), *guards, state=to, **values))


def _changed(session: Session, *where: Any, **values: Any) -> int:
    """How many rows an update changed."""
    statement = update(JobRow).where(*where).values(**values).execution_options(synchronize_session=False)
    result: CursorResult[Any] = session.execute(statement)  # type: ignore[assignment]
    return result.rowcount


def _columns(report: JobReport) -> dict[str, Any]:
    fraction = None if report.fraction is None else min(max(report.fraction, 0.0), 1.0)
    return {"stage": report.stage, "fraction": fraction, "finished": report.finished, "total": report.total}


def _job(row: JobRow) -> StoredJob:
    report = JobReport(row.stage, row.fraction, row.finished, row.total)
    return StoredJob(
        row.number, row.kind, row.params, row.key, row.state, row.owner, row.worker, row.stop_asked, report, row.error,
        row.created_at, row.queued_at, row.started_at, row.ended_at,
    )  # fmt: skip
