"""What every view of ``/label`` has around it: whose it is, and the way to the other views."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup

from app.shared.templating import render
from backend.labelling import Account

_EVERYONE = ("admin", "reviewer", "annotator", "viewer")
_LABELLERS = ("admin", "reviewer", "annotator")
_REVIEWERS = ("admin", "reviewer")
_READERS = ("admin", "reviewer", "viewer")


@dataclass(frozen=True)
class Tab:
    """A view, by its name in the address; ``of_project``: it is one project's. What a role may really do is decided
    where it is done.
    """

    view: str
    words: str
    roles: tuple[str, ...]
    of_project: bool = True


TABS = (
    Tab("work", "Label", _LABELLERS),
    Tab("mine", "My labels", _LABELLERS),
    Tab("progress", "Progress", _EVERYONE),
    Tab("agreement", "Agreement", _READERS),
    Tab("disputed", "Disputed", _REVIEWERS),
    Tab("adjudicate", "Adjudicate", _REVIEWERS),
    Tab("insight", "Insight", _READERS),
    Tab("export", "Export", _READERS),
    Tab("projects", "Projects", _EVERYONE, of_project=False),
    Tab("people", "People", ("admin",), of_project=False),
)


def frame(account: Account | None, view: str, project: str, name: str, body: str) -> str:
    """``body`` (HTML made here) with the tabs that ``account`` has. ``project``: the key of the one at hand, or empty;
    ``name``: what it is called.
    """
    tabs = [
        {"words": tab.words, "link": address(tab.view, project if tab.of_project else ""), "current": tab.view == view}
        for tab in TABS
        if account is not None and account.role in tab.roles and (project or not tab.of_project)
    ]
    return render("label/frame.html", account=account, tabs=tabs, view=view, project=name, body=Markup(body))


def address(view: str, project: str = "", **more: str) -> str:
    """The page's address of a view."""
    query = {"project": project, "view": view} | more
    return "/label?" + urlencode({name: value for name, value in query.items() if value})
