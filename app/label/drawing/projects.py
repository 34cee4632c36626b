"""The projects: how far each is, and the form that makes or changes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.label.drawing.frame import address
from app.label.drawing.own import clock
from app.shared.templating import render
from backend.labelling import Account, Project
from storage.labels.projects import Listed

ORDERS = {
    "random": "random",
    "disagreement": "where the two models disagree most",
    "variance": "where the chains disagree most",
}
OUTCOMES = {
    "any": "whatever it says",
    "correct": "that says what really happened",
    "wrong": "that says what did not happen",
    "no_answer": "that gives no answer",
}
KNOWLEDGE = {
    "any": "with or without",
    "none": "without",
    "paper": "the paper's sentence",
    "graded": "the graded sentence",
}


def project_list(projects: Sequence[Listed], account: Account | None) -> str:
    """Each project and how much was done in it, and what ``account`` can do there."""
    manages = account is not None and account.role in ("admin", "reviewer")
    rows = [
        {
            "own": own,
            "links": _links(own, account),
            "wanted": own.tasks * own.project.overlap,
        }
        for own in projects
    ]
    return render("label/projects.html", rows=rows, account=account, manages=manages)


def progress(told: Mapping[str, Any]) -> str:
    """How far a project is: of everybody, or of whoever asks alone. ``told``: as the service tells of a project."""
    every = told.get("progress")
    people = every["people"] if every else [told["own"]]
    rows = [{"one": one, "time": "–" if one["seconds"] is None else clock(one["seconds"])} for one in people]
    return render(
        "label/progress.html", every=every, rows=rows, time=every and every["seconds"] and clock(every["seconds"])
    )


def _links(own: Listed, account: Account | None) -> list[tuple[str, str]]:
    if account is None:
        return []
    links = []
    if own.member and account.role != "viewer":
        links += [("Label", address("work", own.key)), ("My labels", address("mine", own.key))]
    links.append(("Progress", address("progress", own.key)))
    if account.role != "annotator":
        links.append(("Results", address("agreement", own.key)))
    if account.role in ("admin", "reviewer"):
        links.append(("Change", address("project", own.key)))
    return links


def project_form(
    project: Project,
    key: str,
    members: Sequence[str],
    names: Sequence[str],
    datasets: Mapping[str, str],
    *,
    is_open: bool,
) -> str:
    """Of a new project where ``key`` is empty. ``names``: who could be a member; ``datasets``: words by name."""
    return render(
        "label/project.html",
        project=project,
        key=key,
        members=members,
        names=names,
        datasets=datasets,
        is_open=is_open,
        orders=ORDERS,
        outcomes=OUTCOMES,
        knowledge=KNOWLEDGE,
    )
