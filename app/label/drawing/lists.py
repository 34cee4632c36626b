"""Lists and forms: the projects and how far each is, the accounts, and what somebody has labelled so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.label.drawing.frame import address
from app.shared.templating import render
from backend.labelling import Account, Judgement, Project, Rubric, Version
from backend.labelling.judgement import CANNOT, PREFERENCES, TIE
from storage.labels.accounts import ListedAccount
from storage.labels.projects import ListedProject
from storage.labels.values import OwnLabel

# What each role may do, in the order of how much.
ROLES = {
    "viewer": "reads progress, agreement and resolved labels",
    "annotator": "labels in the projects they are a member of, and sees their own labels",
    "reviewer": "makes projects, sees everything, resolves, exports",
    "admin": "all of that, and accounts",
}
# What the form of a project offers: the words by the value.
_OPTIONS = {
    "orders": {
        "random": "random",
        "disagreement": "where the two models disagree most",
        "variance": "where the chains disagree most",
    },
    "outcomes": {
        "any": "whatever it says",
        "correct": "that says what really happened",
        "wrong": "that says what did not happen",
        "no_answer": "that gives no answer",
    },
    "knowledge": {
        "any": "with or without",
        "none": "without",
        "paper": "the paper's sentence",
        "graded": "the graded sentence",
    },
}
STATES = {"submitted": "✓ submitted", "skipped": "↷ skipped", "draft": "… draft"}


def login(then: str) -> str:
    """The form, which goes on to ``then`` (an address of this page)."""
    return render("label/login.html", then=then)


def own_account(account: Account) -> str:
    """One's own account: role, another password, logout."""
    return render("label/account.html", account=account, about=ROLES[account.role])


def everybody(accounts: Sequence[ListedAccount], account: Account | None) -> str:
    """All accounts, each with its role and what an admin can do about it."""
    return render("label/people.html", accounts=accounts, account=account, roles=ROLES)


def project_list(projects: Sequence[ListedProject], account: Account | None) -> str:
    """Each project and how much was done in it, and what ``account`` can do there."""
    manages = account is not None and account.role in ("admin", "reviewer")
    rows = [
        {"listed": listed, "links": _links(listed, account), "wanted": listed.tasks * listed.project.overlap}
        for listed in projects
    ]
    return render("label/projects.html", rows=rows, account=account, manages=manages)


def _links(listed: ListedProject, account: Account | None) -> list[tuple[str, str]]:
    if account is None:
        return []
    views = [("Label", "work"), ("My labels", "mine")] if listed.member and account.role != "viewer" else []
    views.append(("Progress", "progress"))
    if account.role != "annotator":
        views.append(("Results", "agreement"))
    if account.role in ("admin", "reviewer"):
        views.append(("Change", "project"))
    return [(words, address(view, listed.key)) for words, view in views]


def progress(told: Mapping[str, Any]) -> str:
    """How far a project is: of everybody, or of whoever asks alone. ``told``: as the service tells of a project."""
    every = told.get("progress")
    people = every["people"] if every else [told["own"]]
    rows = [{"one": one, "time": clock(one["seconds"])} for one in people]
    return render("label/progress.html", every=every, rows=rows, time=clock(every["seconds"]) if every else "")


def project_form(
    project: Project, key: str, members: Sequence[str], names: Sequence[str], datasets: Mapping[str, str], *,
    is_open: bool,
) -> str:  # fmt: skip
    """The form, of a new project if ``key`` is empty. ``names``: who could be a member; ``datasets``: words by name."""
    choice = {"members": members, "names": names, "datasets": datasets} | _OPTIONS
    return render("label/project.html", project=project, key=key, is_open=is_open, **choice)


def own_labels(labels: Sequence[OwnLabel], project: str) -> str:
    """One's labels of a project, the latest first."""
    rows = [
        {
            "label": label,
            "state": STATES[label.status],
            "when": _minute(label.submitted_at or label.updated_at),
            "time": clock(label.seconds),
            "history": address("history", project, label=label.label),
            "work": address("work", project, task=label.task),
            "edit": address("work", project) + "&task={task}&edit=1",
        }
        for label in labels
    ]
    counts = {name: sum(label.status == name for label in labels) for name in STATES}
    return render("label/mine.html", rows=rows, counts=counts, states=STATES, work=address("work", project))


def versions(earlier: Sequence[Version], rubric: Rubric, project: str, label: OwnLabel | None) -> str:
    """The earlier states of a label, the latest first; ``label``: what it is now, where it is one's own."""
    rows = [
        {
            "at": _minute(version.at),
            "state": STATES[version.status],
            "time": clock(version.seconds),
            "said": in_words(version.judgement, rubric, label.first if label else ""),
        }
        for version in reversed(earlier)
    ]
    now = label and f"{STATES[label.status]} · {_minute(label.submitted_at or label.updated_at)}"
    title = label.title if label else "Earlier states"
    return render("label/versions.html", versions=rows, title=title, now=now, back=address("mine", project))


def in_words(judgement: Judgement, rubric: Rubric, first: str = "") -> list[tuple[str, str]]:
    """What a judgement says, as (of what, what), in the rubric's order. ``first``: the id of the task's first chain."""
    said: list[tuple[str, str]] = []
    for step in judgement.steps.values():
        tags = ", ".join(rubric.tag(tag).label.lower() for tag in step.tags)
        said.append(("A step", rubric.step(step.value).label + (f": {tags}" if tags else "")))
    grades = judgement.scales
    said += [(scale.label, str(grades[scale.name])) for scale in rubric.scales if scale.name in grades]
    if judgement.missing_step:
        said.append(("A step is missing", "yes"))
    if judgement.preferred in (TIE, CANNOT):
        said.append(("Better chain", judgement.preferred))
    elif judgement.preferred and first:
        said.append(("Better chain", PREFERENCES[judgement.preferred != first]))
    for name in ("verdict", "confidence", "corrected", "comment"):
        if value := getattr(judgement, name):
            said.append((name.capitalize(), str(value)))
    return said


def clock(seconds: float | None) -> str:
    """``1:05``; an en dash where it is not known."""
    return "–" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _minute(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"
