"""What somebody has labelled so far, to look at, edit and take up again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from app.label.drawing.frame import address
from app.shared.templating import render
from backend.labelling import Judgement, Rubric, Version
from backend.labelling.judgement import CANNOT, PREFERENCES, TIE
from storage.labels.values import OwnLabel

STATES = {"submitted": "✓ submitted", "skipped": "↷ skipped", "draft": "… draft"}


def own_labels(labels: Sequence[OwnLabel], project: str) -> str:
    """One's labels of a project, the latest first."""
    rows = [
        {
            "own": own,
            "state": STATES[own.status],
            "when": _minute(own.submitted_at or own.updated_at),
            "time": clock(own.seconds),
            "history": address("history", project, label=own.label),
            "work": address("work", project, task=own.task),
            "edit": address("work", project) + "&task={task}&edit=1",
        }
        for own in labels
    ]
    counts = {name: sum(own.status == name for own in labels) for name in STATES}
    return render("label/mine.html", rows=rows, counts=counts, states=STATES, work=address("work", project))


def versions(earlier: Sequence[Version], rubric: Rubric, project: str, label: OwnLabel | None) -> str:
    """The earlier states of a label, the latest first; ``label``: what it is now, where it is one's own."""
    every = [
        {
            "at": _minute(own.at),
            "state": STATES[own.status],
            "time": clock(own.seconds),
            "said": in_words(own.judgement, rubric, label.first if label else ""),
        }
        for own in reversed(earlier)
    ]
    now = label and f"{STATES[label.status]} · {_minute(label.submitted_at or label.updated_at)}"
    title = label.title if label else "Earlier states"
    return render("label/versions.html", every=every, title=title, now=now, back=address("mine", project))


def in_words(judgement: Judgement, rubric: Rubric, first: str = "") -> list[tuple[str, str]]:
    """What a judgement says, as (of what, what), in the rubric's order. ``first``: the id of the task's first chain."""
    said: list[tuple[str, str]] = []
    for step in judgement.steps.values():
        tags = ", ".join(rubric.tag(tag).label.lower() for tag in step.tags)
        said.append(("A step", rubric.step(step.value).label + (f": {tags}" if tags else "")))
    said += [
        (scale.label, str(judgement.scales[scale.name])) for scale in rubric.scales if scale.name in judgement.scales
    ]
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
    if seconds is None:
        return "–"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _minute(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"
