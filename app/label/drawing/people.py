"""Who somebody is: logging in, one's own account, and for admins everybody's."""

from __future__ import annotations

from collections.abc import Sequence

from app.shared.templating import render
from backend.labelling import Account
from storage.labels.accounts import Listed

# What each role may do, in the order of how much.
ROLES = {
    "viewer": "reads progress, agreement and resolved labels",
    "annotator": "labels in the projects they are a member of, and sees their own labels",
    "reviewer": "makes projects, sees everything, resolves, exports",
    "admin": "all of that, and accounts",
}


def login(then: str) -> str:
    """The form, which goes on to ``then`` (an address of this page)."""
    return render("label/login.html", then=then)


def own_account(account: Account) -> str:
    """One's own account: role, another password, logout."""
    return render("label/account.html", account=account, about=ROLES[account.role])


def everybody(accounts: Sequence[Listed], account: Account | None) -> str:
    """All accounts, each with its role and what an admin can do about it."""
    return render("label/people.html", accounts=accounts, account=account, roles=ROLES)
