"""What people do on the labelling page: log in, take a task, judge it, take it back; and what reviewers do beside.

Methods may be called from any thread. The first argument is who asks (None: nobody is logged in); they raise
``RallrecError``, of which ``AccessError`` says that this is not for whoever asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from app.label.access import check_member, needs, somebody
from app.label.cached_chains import CachedChains
from app.label.task_view import rules_view, task_view
from backend.errors import ForbiddenError, NotFoundError
from backend.labelling import Account, Judgement, Project, Version
from storage.database.connection import Database
from storage.labels import logins, projects, queue, undoing, work
from storage.labels.audit import note_seen
from storage.labels.progress import own_progress, place, progress
from storage.labels.roles import may
from storage.labels.values import Nothing, Own, OwnLabel, Saved, Submitted, Task
from storage.workspace import Workspace


class LabellingService:
    """One per app."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._chains = CachedChains(workspace)

    @property
    def database(self) -> Database:
        return self.workspace.database

    def who(self, token: str | None) -> Account | None:
        """Whose token this is. Opens no database for somebody without one."""
        return logins.who(self.database, token) if token else None

    @needs("counts")
    def me(self, account: Account | None) -> Account | None:
        """Who asks."""
        return account

    @needs("counts")
    def log_in(self, _account: Account | None, name: str, password: str) -> tuple[str, Account]:
        """A token for the browser, and who that is. Raises ``NotLoggedInError``, ``LockedOutError``."""
        token = logins.log_in(self.database, name, password)
        return token, somebody(logins.who(self.database, token))

    @needs("counts")
    def log_out(self, _account: Account | None, token: str | None) -> None:
        """Also for somebody whose login has expired."""
        logins.log_out(self.database, token)

    @needs("account")
    def change_password(self, account: Account | None, old: str, new: str, token: str) -> None:
        logins.change_password(self.database, somebody(account), old, new, token)

    @needs("counts")
    def projects(self, account: Account | None) -> list[projects.Listed]:
        """All projects and how much was done in each; nobody's labels."""
        return projects.projects(self.database, account)

    @needs("project")
    def rules(self, _account: Account | None, key: str) -> Project:
        """What the project is, for showing its tasks and its name."""
        return projects.project(self.database, key)

    @needs("project")
    def project(self, account: Account | None, key: str) -> dict[str, Any]:
        """Its rules and how far it is: of everybody for those who may see it, else of whoever asks."""
        account = somebody(account)
        found = projects.project(self.database, key)
        told: dict[str, Any] = {
            "key": key,
            "project": rules_view(found, account),
            "open": projects.is_open(self.database, key),
            "member": projects.is_member(self.database, key, account),
        }
        if may(account, "agreement"):
            return told | {"progress": asdict(progress(self.database, key))}
        return told | {"own": asdict(own_progress(self.database, key, account))}

    @needs("projects")
    def preview(self, _account: Account | None, wanted: Project) -> dict[str, int]:
        """How much a project would have: samples, chains and tasks."""
        return self._chains.count(wanted)

    @needs("projects")
    def warm(self, _account: Account | None) -> None:
        """Read what :meth:`preview` counts, in the background: for who may be about to make a project."""
        self._chains.warm(self.workspace.settings.dataset)

    @needs("projects")
    def create_project(self, account: Account | None, wanted: Project, members: Collection[str]) -> str:
        """Of what is cached now. Raises ``UsageError`` where nothing fits."""
        by = somebody(account).name
        return projects.create_project(self.database, wanted, self._chains.of(wanted), members, by)

    @needs("projects")
    def update_project(
        self,
        account: Account | None,
        key: str,
        values: Mapping[str, Any],
        open: bool | None = None,
        members: Collection[str] | None = None,
    ) -> Project:
        by = somebody(account).name
        return projects.update_project(self.database, key, by, values=values, open=open, members=members)

    @needs("projects")
    def members(self, _account: Account | None, key: str) -> list[str]:
        return projects.members(self.database, key)

    @needs("label")
    def next(self, account: Account | None, key: str) -> Task | Nothing:
        return queue.next_task(self.database, key, self._member(account, key))

    @needs("label")
    def task(self, account: Account | None, task: str, unblinded: bool = False) -> Task:
        """One that was given to whoever asks; a reviewer may open any, and ``unblinded``."""
        account = somebody(account)
        reviewer = may(account, "review")
        if unblinded and not reviewer:
            raise ForbiddenError("Only reviewers see everything about a task")
        try:
            return work.open_task(self.database, task, self._at(account, task), unblinded)
        except (NotFoundError, ForbiddenError):
            if not reviewer:
                raise
            if unblinded:
                note_seen(self.database, account.name, task)
            return work.open_task(self.database, task)

    @needs("label")
    def draft(self, account: Account | None, task: str, judgement: Judgement, seconds: float, version: int) -> Saved:
        return work.save_draft(self.database, task, self._at(account, task), judgement, seconds, version)

    @needs("label")
    def submit(
        self, account: Account | None, task: str, judgement: Judgement, seconds: float, version: int, submission: str
    ) -> Submitted:
        return work.submit(self.database, task, self._at(account, task), judgement, seconds, version, submission)

    @needs("label")
    def skip(self, account: Account | None, task: str, reason: str) -> Own:
        return work.skip(self.database, task, self._at(account, task), reason)

    @needs("label")
    def requeue(self, account: Account | None, task: str, author: str | None = None) -> Own:
        """One's own; of another's, for reviewers."""
        account = somebody(account)
        if author and author != account.name and not may(account, "review"):
            raise ForbiddenError("Only reviewers put back what others skipped")
        if not author or author == account.name:
            self._at(account, task)
        return work.requeue(self.database, task, author or account.name, account)

    @needs("label")
    def undo(self, account: Account | None, key: str) -> Task | None:
        return undoing.undo(self.database, key, self._member(account, key))

    @needs("label")
    def reopen(self, account: Account | None, label: str) -> Task:
        return undoing.reopen(self.database, label, somebody(account))

    @needs("label")
    def leave(self, account: Account | None, label: str) -> None:
        """Give up editing a submitted label."""
        undoing.leave_as_it_was(self.database, label, somebody(account))

    @needs("label")
    def own_labels(self, account: Account | None, key: str) -> list[OwnLabel]:
        return undoing.own_labels(self.database, key, somebody(account))

    @needs("label")
    def history(self, account: Account | None, label: str) -> list[Version]:
        """What a label said before: one's own, or anybody's for reviewers."""
        account = somebody(account)
        if not may(account, "review") and undoing.author_of(self.database, label) != account.name:
            raise NotFoundError(f"The label {label!r} is not one of yours")
        return undoing.history(self.database, label)

    def view(self, account: Account, task: Task, unblinded: bool = False) -> dict[str, Any]:
        """What whoever asks may see of a task that they were given."""
        position = {"done": 0, "left": 0}
        if task.own is not None:
            position["done"], position["left"] = place(self.database, task.key, task.project, account.name)
        return task_view(self.workspace, task, position, unblinded and may(account, "review"))

    def _member(self, account: Account | None, key: str) -> Account:
        account = somebody(account)
        check_member(projects.is_member(self.database, key, account))
        return account

    def _at(self, account: Account | None, task: str) -> Account:
        account = somebody(account)
        check_member(projects.is_member_at(self.database, task, account))
        return account
