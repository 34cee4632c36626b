"""Canonical rows taken in from elsewhere: what is new is added, what is there is compared, nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import UsageError
from backend.labelling import Label
from storage.database.connection import Database
from storage.database.tables import insert_or_pass, utc_now
from storage.labels.accounts import checked_name, find, folded
from storage.labels.audit import note
from storage.labels.projects import chain_hash
from storage.labels.records import LabelReader
from storage.labels.rows import read_project
from storage.labels.tables import (
    AccountRow,
    ChainRow,
    LabelRow,
    MemberRow,
    ProjectRow,
    ResolvedRow,
    TaskRow,
    VersionRow,
)


@dataclass(frozen=True)
class Counts:
    """How many rows were added, and how many were there just so. ``conflicting``: ids of those that say something else
    than what is here under the same id, or task and author; they were left out. ``projects``: keys of projects whose
    rules differ from those here, which stay; their labels are taken in.
    """

    new: int
    same: int
    conflicting: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()


def take_over(database: Database, records: Iterable[Label], by: str = "rallrec") -> Counts:
    """Add rows, with the projects, tasks, chains and accounts (without a password) that they need and that are missing.

    All or, where something raises, none. Raises ``UsageError`` for a key or a name that cannot be one.
    """
    with database.session(durable=True) as session:
        taking = _Taking(session, by)
        for record in records:
            taking.take(record)
        counts = Counts(taking.new, taking.same, tuple(taking.conflicting), tuple(sorted(taking.differing)))
        note(session, by, "labels.import", "", after={"new": counts.new, "same": counts.same,
                                                      "conflicting": len(counts.conflicting)})  # fmt: skip
    return counts


class _Taking:
    def __init__(self, session: Session, by: str) -> None:
        self._session, self._by = session, by
        self.new = self.same = 0
        self.conflicting: list[str] = []
        self.differing: set[str] = set()
        self._places: dict[str, int] = {}

    def take(self, record: Label) -> None:
        _check(record)
        get = self._session.get
        row = get(LabelRow, record.id) if record.kind == "label" else get(ResolvedRow, record.id)
        if row is not None:
            self._compare(record, row)
        elif self._can_be_added(record):
            self._add(record)
            self.new += 1
        else:
            self.conflicting.append(record.id)

    def _compare(self, record: Label, row: LabelRow | ResolvedRow) -> None:
        task = self._session.get_one(TaskRow, row.task)
        here = LabelReader(self._session, task.project_key, task.id).label(row, task)
        if here.project != record.project:
            self.differing.add(task.project_key)
        if here.model_copy(update={"project": record.project}) == record:
            self.same += 1
        else:
            self.conflicting.append(record.id)

    def _can_be_added(self, record: Label) -> bool:
        """Whether nothing that is here stands against it: the same task of other chains, another label of the task by
        the same author, a name that is written in another way.
        """
        account = find(self._session, record.author)
        if account is not None and account.name != record.author:
            return False
        task = self._session.get(TaskRow, record.task)
        if task is None:
            return True
        chains = tuple(name for name in (task.chain, task.other) if name)
        if task.project_key != record.project_key or chains != tuple(map(chain_hash, record.chains)):
            return False
        if record.setting.model_dump_json() != task.setting:
            return False
        table = LabelRow if record.kind == "label" else ResolvedRow
        another = select(table.id).where(table.task == record.task)
        if record.kind == "label":
            another = another.where(LabelRow.author == record.author)
        return self._session.scalars(another.limit(1)).first() is None

    def _add(self, record: Label) -> None:
        self._need_account(record)
        self._need_project(record)
        self._need_task(record)
        common = {
            "id": record.id, "task": record.task, "author": record.author,
            "judgement": record.judgement.model_dump_json(), "seconds": record.seconds, "rubric": record.rubric,
            "blind": record.blind, "gold": record.gold, "qualification": record.qualification,
            "created_at": record.created_at, "updated_at": record.updated_at, "submitted_at": record.submitted_at,
        }  # fmt: skip
        if record.kind == "label":
            version = max(1, len(record.history) + 1)
            self._session.add(
                LabelRow(**common, status=record.status, version=version, skip_reason=record.skip_reason, stands=False)
            )
        else:
            self._session.add(ResolvedRow(**common))
            self._need_gold(record)
        for number, version_ in enumerate(record.history, 1):
            self._session.add(
                VersionRow(
                    label=record.id, number=number, status=version_.status, at=version_.at, seconds=version_.seconds,
                    judgement=version_.judgement.model_dump_json(), submission=None,
                )
            )  # fmt: skip
        self._session.flush()

    def _need_account(self, record: Label) -> None:
        if self._session.get(AccountRow, record.author) is None:
            role = "reviewer" if record.kind == "resolved" else "annotator"
            self._session.add(AccountRow(name=record.author, folded=folded(record.author), password=None, role=role))
            note(self._session, self._by, "account.add", record.author, after={"role": role, "password": False})
            self._session.flush()

    def _need_project(self, record: Label) -> None:
        row = self._session.get(ProjectRow, record.project_key)
        if row is None:
            self._session.add(
                ProjectRow(
                    key=record.project_key, project=record.project.model_dump_json(), open=True, created_by=self._by,
                    created_at=utc_now(),
                )
            )  # fmt: skip
            after = {"name": record.project.name, "imported": True}
            note(self._session, self._by, "project.add", record.project_key, after=after)
            self._session.flush()
        elif read_project(row) != record.project:
            self.differing.add(record.project_key)
        member = {"project_key": record.project_key, "account": record.author}
        self._session.execute(insert_or_pass(self._session, MemberRow), [member])

    def _need_task(self, record: Label) -> None:
        if self._session.get(TaskRow, record.task) is not None:
            return
        names = [chain_hash(chain) for chain in record.chains]
        chains = [
            {"hash": name, "chain": chain.model_dump_json()} for name, chain in zip(names, record.chains, strict=True)
        ]
        self._session.execute(insert_or_pass(self._session, ChainRow), chains)
        self._session.add(
            TaskRow(
                id=record.task, project_key=record.project_key, place=self._next_place(record.project_key),
                chain=names[0], other=names[1] if len(names) > 1 else None, setting=record.setting.model_dump_json(),
                gold=None, qualification=False,
            )
        )  # fmt: skip
        self._session.flush()

    def _need_gold(self, record: Label) -> None:
        """A resolved label that is gold is its task's known answer, where the task has none yet."""
        task = self._session.get_one(TaskRow, record.task)
        if record.gold and task.gold is None:
            task.gold, task.qualification = record.judgement.model_dump_json(), record.qualification
            note(
                self._session, self._by, "task.gold", task.id, after={"gold": True, "qualification": task.qualification}
            )

    def _next_place(self, key: str) -> int:
        if key not in self._places:
            last = self._session.scalar(select(func.max(TaskRow.place)).where(TaskRow.project_key == key))
            self._places[key] = -1 if last is None else last
        self._places[key] += 1
        return self._places[key]


def _check(record: Label) -> None:
    """Raises ``UsageError`` for what no row here can hold."""
    for what, value, most in (
        ("id", record.id, 32), ("task", record.task, 32), ("project_key", record.project_key, 16),
        ("rubric", record.rubric, 16),
    ):  # fmt: skip
        if not 0 < len(value) <= most:
            raise UsageError(f"{what} is {value[:80]!r}", expected=f"1 to {most} characters")
    if not 1 <= len(record.chains) <= 2:
        raise UsageError(f"The label {record.id} has {len(record.chains)} chains", expected="one, or two")
    if checked_name(record.author) != record.author:
        raise UsageError(f"{record.author!r} is no name", expected="a name without space around it")
