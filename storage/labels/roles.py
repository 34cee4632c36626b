"""What each role may do, in one table. Whether somebody is a member of a project is asked beside it.

``None`` stands for whoever is not logged in: they see how much there is, and none of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.labelling import Account

ROLES = ("admin", "reviewer", "annotator", "viewer")

_ADMIN = frozenset({"admin"})
_REVIEWER = _ADMIN | {"reviewer"}
_ANNOTATOR = _REVIEWER | {"annotator"}
_VIEWER = _REVIEWER | {"viewer"}
_ACCOUNT = frozenset(ROLES)
_ANYBODY = _ACCOUNT | {None}

MAY: Mapping[str, frozenset[str | None]] = {
    # See which projects there are and how far they are; log in.
    "counts": _ANYBODY,
    # Change one's own password, log out.
    "account": _ACCOUNT,
    # Open a project: its rules, one's own progress in it.
    "project": _ACCOUNT,
    # Judge tasks of projects that one is a member of, and see what one judged oneself.
    "label": _ANNOTATOR,
    # See how far everybody is, how well they agree, and what was resolved.
    "agreement": _VIEWER,
    # See everybody's labels side by side, everything about a task, and write the resolved label.
    "review": _REVIEWER,
    # Make projects, change them, say who is a member.
    "projects": _REVIEWER,
    # Accounts, imports, and the audit log.
    "administer": _ADMIN,
}


def may(account: Account | None, action: str) -> bool:
    """Whether somebody (None: nobody is logged in) may do this. Raises ``KeyError`` for an action that is none."""
    return (account.role if account else None) in MAY[action]
