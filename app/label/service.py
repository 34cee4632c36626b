"""What people do on the labelling page: log in, take a task, judge it, take it back; what reviewers and admins do
beside; and what comes of it all: agreement, disputes, insight and files.

Methods may be called from any thread. The first argument is who asks (None: nobody is logged in); they raise
``RallrecError``, of which ``AccessError`` says that this is not for whoever asks.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, TypeVar, cast

from app.label.access import check_member, needs
from app.label.cached_chains import CachedChains
from app.label.task_view import rules_view, task_view
from backend.errors import ForbiddenError, NotFoundError, UnknownNameError, UsageError
from backend.labelling import Account, Judgement, Label, Project, Version
from backend.labelling.agreement import AgreementReport, Confusion, confusion, record, report
from backend.labelling.disputed import Dispute, disputed
from backend.labelling.formats import FORMATS
from backend.labelling.formats.label_studio import setup
from backend.labelling.insight import Insight, insight
from storage.database.connection import Database
from storage.labels import accounts, audit, projects, queue, records, resolve, taking_over, work
from storage.labels.roles import may
from storage.labels.values import LabelState, Nothing, OwnLabel, Saved, SideBySide, Submitted, Task
from storage.workspace import Workspace

MOST_CHANGES = 1000
STATUSES = ("submitted", "all", "resolved")
# Beside the labels' own formats: what is made from all labels of a project together.
AGREEMENT, SETUP = "agreement", "label-studio-setup"
_IN_MEMORY = 8_000_000
_KEPT = 32

Made = TypeVar("Made")


@dataclass(frozen=True)
class Export:
    """A file to be sent. ``content`` stands at its beginning, and is closed by whoever sends it."""

    name: str
    media_type: str
    content: IO[bytes]


class LabelService:
    """One per app. Figures are computed once for each state of a project's labels, and kept until that changes."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._chains = CachedChains(workspace)
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], tuple[str, Any]] = {}

    @property
    def database(self) -> Database:
        return self.workspace.database

    # --- accounts ---

    def who(self, token: str | None) -> Account | None:
        """Whose token this is. Opens no database for somebody without one."""
        return accounts.who(self.database, token) if token else None

    @needs("counts")
    def log_in(self, _account: Account | None, name: str, password: str) -> tuple[str, Account]:
        """A token for the browser, and whose it is. Raises ``NotLoggedInError``, ``LockedOutError``."""
        token = accounts.log_in(self.database, name, password)
        account = accounts.who(self.database, token)
        assert account is not None
        return token, account

    @needs("counts")
    def log_out(self, _account: Account | None, token: str | None) -> None:
        """This works for somebody whose login has expired, too."""
        accounts.log_out(self.database, token)

    @needs("account")
    def change_password(self, account: Account, old: str, new: str, token: str) -> None:
        accounts.change_password(self.database, account, old, new, token)

    @needs("administer")
    def accounts(self, _account: Account) -> list[accounts.ListedAccount]:
        return accounts.accounts(self.database)

    @needs("projects")
    def names(self, _account: Account) -> list[Account]:
        """The accounts that a project can have as members."""
        return [listed.account for listed in accounts.accounts(self.database) if not listed.disabled]

    @needs("administer")
    def add_account(self, account: Account, name: str, password: str, role: str) -> Account:
        return accounts.add_account(self.database, name, password, role, account.name)

    @needs("administer")
    def change_account(
        self,
        account: Account,
        name: str,
        *,
        role: str | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> None:
        """What is None stays as it is. Raises ``NotFoundError``, ``UsageError``."""
        if role is None and password is None and disabled is None:
            raise UsageError("Nothing is to be changed", expected="role, password or disabled")
        if role is not None:
            accounts.set_role(self.database, name, role, account.name)
        if password is not None:
            accounts.set_password(self.database, name, password, account.name)
        if disabled is not None:
            accounts.disable(self.database, name, disabled, account.name)

    @needs("administer")
    def audit(self, _account: Account, about: str | None = None) -> list[audit.Change]:
        """The latest changes, the newest first."""
        return list(audit.changes(self.database, about, MOST_CHANGES))

    # --- projects ---

    @needs("counts")
    def projects(self, account: Account | None) -> list[projects.ListedProject]:
        """All projects and how much was done in each; nobody's labels."""
        return projects.projects(self.database, account)

    @needs("project")
    def rules(self, _account: Account, key: str) -> Project:
        """What the project is, for showing its tasks and its name."""
        return projects.project(self.database, key)

    @needs("project")
    def project(self, account: Account, key: str) -> dict[str, Any]:
        """Its rules and how far it is: of everybody for those who may see it, else of whoever asks."""
        told: dict[str, Any] = {
            "key": key,
            "project": rules_view(projects.project(self.database, key), account),
            "open": projects.is_open(self.database, key),
            "member": projects.is_member(self.database, key, account),
        }
        if may(account, "agreement"):
            return told | {"progress": asdict(projects.progress(self.database, key))}
        return told | {"own": asdict(projects.own_progress(self.database, key, account))}

    @needs("projects")
    def preview(self, _account: Account, project: Project) -> dict[str, int]:
        """How much a project would have: samples, chains and tasks."""
        return self._chains.count(project)

    @needs("projects")
    def warm(self, _account: Account) -> None:
        """Read what :meth:`preview` counts, in the background: for somebody who may be about to make a project."""
        self._chains.warm(self.workspace.settings.dataset)

    @needs("projects")
    def create_project(self, account: Account, project: Project, members: Collection[str]) -> str:
        """A project of what is cached now; returns its key. Raises ``UsageError`` where nothing fits."""
        return projects.create_project(self.database, project, self._chains.of(project), members, account.name)

    @needs("projects")
    def update_project(
        self,
        account: Account,
        key: str,
        values: Mapping[str, Any],
        open: bool | None = None,
        members: Collection[str] | None = None,
    ) -> Project:
        return projects.update_project(self.database, key, account.name, values=values, open=open, members=members)

    @needs("projects")
    def members(self, _account: Account, key: str) -> list[str]:
        return projects.members(self.database, key)

    # --- work on tasks ---

    @needs("label")
    def next(self, account: Account, key: str) -> Task | Nothing:
        self._check_member(account, key)
        return queue.next_task(self.database, key, account)

    @needs("label")
    def task(self, account: Account, task: str, unblinded: bool = False) -> Task:
        """A task that was given to whoever asks; a reviewer may open any, and ``unblinded``."""
        reviewer = may(account, "review")
        if unblinded and not reviewer:
            raise ForbiddenError("Only reviewers see everything about a task")
        try:
            self._check_member_at(account, task)
            return work.open_task(self.database, task, account, unblinded)
        except (NotFoundError, ForbiddenError):
            if not reviewer:
                raise
            if unblinded:
                audit.note_seen(self.database, account.name, task)
            return work.open_task(self.database, task)

    @needs("label")
    def view(self, account: Account, task: Task, unblinded: bool = False) -> dict[str, Any]:
        """What whoever asks may see of a task that they were given."""
        done = left = 0
        if task.state is not None:
            done, left = projects.place(self.database, task.key, task.project, account.name)
        return task_view(self.workspace, task, {"done": done, "left": left}, unblinded and may(account, "review"))

    @needs("label")
    def draft(self, account: Account, task: str, judgement: Judgement, seconds: float, version: int) -> Saved:
        self._check_member_at(account, task)
        return work.save_draft(self.database, task, account, judgement, seconds, version)

    @needs("label")
    def submit(
        self, account: Account, task: str, judgement: Judgement, seconds: float, version: int, submission: str
    ) -> Submitted:
        self._check_member_at(account, task)
        return work.submit(self.database, task, account, judgement, seconds, version, submission)

    @needs("label")
    def skip(self, account: Account, task: str, reason: str) -> LabelState:
        self._check_member_at(account, task)
        return work.skip(self.database, task, account, reason)

    @needs("label")
    def requeue(self, account: Account, task: str, author: str | None = None) -> LabelState:
        """Put back a task that one skipped oneself; for reviewers, one that ``author`` skipped."""
        author = author or account.name
        if author == account.name:
            self._check_member_at(account, task)
        elif not may(account, "review"):
            raise ForbiddenError("Only reviewers put back what others skipped")
        return work.requeue(self.database, task, author, account)

    @needs("label")
    def undo(self, account: Account, key: str) -> Task | None:
        self._check_member(account, key)
        return work.undo(self.database, key, account)

    @needs("label")
    def reopen(self, account: Account, label: str) -> Task:
        return work.reopen(self.database, label, account)

    @needs("label")
    def leave(self, account: Account, label: str) -> None:
        """Give up editing a submitted label."""
        work.leave_as_it_was(self.database, label, account)

    @needs("label")
    def own_labels(self, account: Account, key: str) -> list[OwnLabel]:
        return work.own_labels(self.database, key, account)

    @needs("label")
    def history(self, account: Account, label: str) -> list[Version]:
        """What a label said before: one's own, or anybody's for reviewers."""
        if not may(account, "review") and work.author_of(self.database, label) != account.name:
            raise NotFoundError(f"The label {label!r} is not one of yours")
        return work.history(self.database, label)

    def _check_member(self, account: Account, key: str) -> None:
        check_member(projects.is_member(self.database, key, account))

    def _check_member_at(self, account: Account, task: str) -> None:
        check_member(projects.is_member_at(self.database, task, account))

    # --- review ---

    @needs("review")
    def side_by_side(self, account: Account, task: str) -> SideBySide:
        """Raises ``ConflictError`` where whoever asks has a blind label of the task open themselves."""
        return resolve.side_by_side(self.database, projects.project_of_task(self.database, task), task, account)

    @needs("review")
    def resolve(self, account: Account, task: str, judgement: Judgement, seconds: float = 0.0) -> Submitted:
        return resolve.resolve(self.database, task, judgement, account.name, seconds)

    @needs("review")
    def set_gold(self, account: Account, task: str, judgement: Judgement | None, qualification: bool) -> None:
        resolve.set_gold(self.database, task, judgement, account.name, qualification)

    @needs("administer")
    def take_over(self, account: Account, labels: Iterable[Label]) -> taking_over.Counts:
        return taking_over.take_over(self.database, labels, account.name)

    # --- results ---

    @needs("agreement")
    def report(self, _account: Account, key: str) -> AgreementReport:
        """How well people agree. Raises ``NotFoundError``, as all of these do where there is no such project."""
        return self._report(key)

    @needs("agreement")
    def confusion(self, _account: Account, key: str, dimension: str, first: str, second: str) -> Confusion:
        """What two people said of the same units. Raises ``UnknownNameError``."""
        return confusion(self._submitted(key), dimension, first, second)

    @needs("review")
    def disputed(self, _account: Account, key: str) -> list[Dispute]:
        """The most disputed task first."""
        return self._once("disputed", key, lambda: disputed(self._submitted(key), records.resolved(self.database, key)))

    @needs("agreement")
    def insight(self, _account: Account, key: str) -> Insight:
        """What quality goes with."""
        return self._once("insight", key, lambda: insight(self._submitted(key), records.resolved(self.database, key)))

    @needs("agreement")
    def counts(self, _account: Account, key: str) -> dict[str, int]:
        """How many labels there are of each status, and how many tasks are ``resolved``."""
        return records.counts(self.database, key)

    @needs("agreement")
    def export(self, account: Account, key: str, name: str, status: str = "submitted") -> Export:
        """A project's labels in a format. ``status``: one of :data:`STATUSES`; who may not see everybody's labels gets
        resolved ones alone. :data:`AGREEMENT` and :data:`SETUP` are formats of the project as a whole. Raises
        ``UnknownNameError``, ``ForbiddenError``.
        """
        project = projects.project(self.database, key)
        plain = re.sub(r"[^A-Za-z0-9]+", "-", project.name).strip("-").lower() or "labels"
        content = cast(IO[bytes], SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
        if name == AGREEMENT:
            content.write(json.dumps(record(self._report(key)), indent=2, ensure_ascii=False).encode() + b"\n")
            made = Export(f"{plain}-agreement.json", "application/json", content)
        elif name == SETUP:
            content.write(setup(project.rubric).encode())
            made = Export("label-studio-setup.xml", "application/xml", content)
        elif name in FORMATS:
            chosen = FORMATS[name]
            chosen.write(self._labels(account, key, status), cast(BinaryIO, content))
            kind = "" if chosen.name == chosen.suffix else f"-{chosen.name}"
            made = Export(f"{plain}-{status}{kind}.{chosen.suffix}", chosen.media_type, content)
        else:
            raise UnknownNameError("format", name, (*FORMATS, AGREEMENT, SETUP))
        content.seek(0)
        return made

    def _labels(self, account: Account, key: str, status: str) -> Iterable[Label]:
        if status not in STATUSES:
            raise UnknownNameError("status of labels", status, STATUSES)
        if status == "resolved":
            return records.resolved(self.database, key)
        if not may(account, "review"):
            raise ForbiddenError("What each person said is for reviewers", fix="export with status=resolved")
        return records.labels(self.database, key, status=None if status == "all" else ("submitted",))

    def _report(self, key: str) -> AgreementReport:
        return self._once(
            "report", key, lambda: report(self._submitted(key), records.known_answers(self.database, key))
        )

    def _submitted(self, key: str) -> list[Label]:
        return list(records.labels(self.database, key, status=("submitted",)))

    def _once(self, what: str, key: str, make: Callable[[], Made]) -> Made:
        """What was made of the project's labels as they are now; made by one thread while the others wait."""
        with self._lock:
            state = records.state(self.database, key)
            known = self._made.get((what, key))
            if known is None or known[0] != state:
                known = state, make()
                self._made.pop((what, key), None)
                self._made[what, key] = known
                while len(self._made) > _KEPT:
                    self._made.pop(next(iter(self._made)))
            return cast(Made, known[1])
