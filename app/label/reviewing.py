"""What reviewers and admins do beside labelling: adjudication, hidden tasks, accounts, the audit log.

As in :mod:`app.label.service`, the first argument of a method is who asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from app.label.access import needs, somebody
from backend.errors import UsageError
from backend.labelling import Account, Judgement, Label
from storage.database.connection import Database
from storage.labels import accounts, audit, gold, projects, resolve, taking_over
from storage.labels.values import SideBySide, Submitted
from storage.workspace import Workspace

MOST_CHANGES = 1000


class ReviewingService:
    """One per app."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @property
    def database(self) -> Database:
        return self.workspace.database

    @needs("review")
    def side_by_side(self, account: Account | None, task: str) -> SideBySide:
        """Raises ``ConflictError`` where whoever asks has a blind label of the task open themselves."""
        key = projects.project_of_task(self.database, task)
        return resolve.side_by_side(self.database, key, task, somebody(account))

    @needs("review")
    def resolve(self, account: Account | None, task: str, judgement: Judgement, seconds: float = 0.0) -> Submitted:
        return resolve.resolve(self.database, task, judgement, somebody(account).name, seconds)

    @needs("review")
    def set_gold(self, account: Account | None, task: str, judgement: Judgement | None, qualification: bool) -> None:
        gold.set_gold(self.database, task, judgement, somebody(account).name, qualification)

    @needs("administer")
    def accounts(self, _account: Account | None) -> list[accounts.Listed]:
        return accounts.accounts(self.database)

    @needs("projects")
    def names(self, _account: Account | None) -> list[Account]:
        """Whom a project can have as members."""
        return [listed.account for listed in accounts.accounts(self.database) if not listed.disabled]

    @needs("administer")
    def add_account(self, account: Account | None, name: str, password: str, role: str) -> Account:
        return accounts.add_account(self.database, name, password, role, somebody(account).name)

    @needs("administer")
    def change_account(
        self,
        account: Account | None,
        name: str,
        *,
        role: str | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> None:
        """What is None stays as it is. Raises ``NotFoundError``, ``UsageError``."""
        by = somebody(account).name
        if role is None and password is None and disabled is None:
            raise UsageError("Nothing is to be changed", expected="role, password or disabled")
        if role is not None:
            accounts.set_role(self.database, name, role, by)
        if password is not None:
            accounts.set_password(self.database, name, password, by)
        if disabled is not None:
            accounts.disable(self.database, name, disabled, by)

    @needs("administer")
    def take_over(self, account: Account | None, records: Iterable[Label]) -> taking_over.Counts:
        return taking_over.take_over(self.database, records, somebody(account).name)

    @needs("administer")
    def audit(self, _account: Account | None, about: str | None = None) -> list[audit.Change]:
        """The latest changes, the newest first."""
        return list(islice(audit.changes(self.database, about, MOST_CHANGES), MOST_CHANGES))
