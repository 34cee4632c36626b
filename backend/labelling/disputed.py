"""What people disagree about most: tasks in that order, each with the dimensions and steps that divide them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelling.ratings import STEPS, Ratings, counted, ratings
from backend.labelling.record import Label


@dataclass(frozen=True)
class Part:
    """One dimension of a task. ``score``: mean distance of two answers, 0 (all alike) to 1 (as far as can be).

    ``answers``: by person, the category; for steps, how many of the task's steps they called bad.
    """

    name: str
    label: str
    score: float
    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Dispute:
    """A task that two people or more judged. ``score``: the mean of its parts' scores; ``parts``: the worst first.

    ``divided``: the ids of steps of which not everybody said the same.
    """

    task: str
    title: str
    user: str
    people: tuple[str, ...]
    score: float
    parts: tuple[Part, ...]
    divided: tuple[str, ...]
    resolved: bool

    @property
    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "task": self.task,
            "title": self.title,
            "user": self.user,
            "people": list(self.people),
            "score": self.score,
            "resolved": self.resolved,
            "divided_steps": list(self.divided),
            "parts": [{"name": part.name, "score": part.score, "answers": dict(part.answers)} for part in self.parts],
        }


def disputed(labels: Iterable[Label], resolved: Iterable[Label] = ()) -> list[Dispute]:
    """Tasks with two labels or more, the most disputed first; equal ones by their task's id."""
    kept = counted(labels)
    done = {label.task for label in resolved if label.kind == "resolved"}
    by_task: dict[str, list[Label]] = {}
    for label in kept:
        by_task.setdefault(label.task, []).append(label)
    parts: dict[str, list[tuple[Part, tuple[str, ...]]]] = {}
    for table in ratings(kept):
        for task, part in _parts(table).items():
            parts.setdefault(task, []).append(part)
    disputes = [
        _dispute(task_labels, parts.get(task, []), task in done)
        for task, task_labels in by_task.items()
        if len(task_labels) > 1
    ]
    return sorted(disputes, key=lambda dispute: (-dispute.score, dispute.task))


def _dispute(labels: Sequence[Label], parts: Sequence[tuple[Part, tuple[str, ...]]], done: bool) -> Dispute:
    chain = labels[0].chains[0]
    worst_first = tuple(sorted((part for part, _ in parts), key=lambda part: -part.score))
    return Dispute(
        labels[0].task,
        chain.title,
        chain.user,
        tuple(label.author for label in labels),
        float(np.mean([part.score for part in worst_first])) if worst_first else 0.0,
        worst_first,
        tuple(step for _, steps in parts for step in steps),
        done,
    )


def _parts(table: Ratings) -> dict[str, tuple[Part, tuple[str, ...]]]:
    """Each task's part in one dimension, with the steps that divide people; tasks that fewer than two judged: none."""
    dimension = table.dimension
    scores = _distances(table)
    of_task: dict[str, list[int]] = {}
    for row, task in enumerate(table.tasks):
        if not np.isnan(scores[row]):
            of_task.setdefault(task, []).append(row)
    parts = {}
    for task, rows in of_task.items():
        divided = tuple(table.units[row] for row in rows if scores[row] > 0) if dimension.name == STEPS else ()
        part = Part(dimension.name, dimension.label, float(scores[rows].mean()), _answers(table, rows))
        parts[task] = part, divided
    return parts


def _distances(table: Ratings) -> NDArray[np.float64]:
    """float64[units]: the mean distance between two people's answers, NaN where fewer than two gave one."""
    far = np.full(len(table.values), np.nan)
    spread = max(len(table.dimension.categories) - 1, 1)
    for row, answers in enumerate(table.values):
        known = answers[~np.isnan(answers)]
        if len(known) > 1:
            apart = np.abs(known[:, None] - known)
            if table.dimension.level == "nominal":
                apart = (apart > 0) * spread
            far[row] = apart.sum() / (len(known) * (len(known) - 1)) / spread
    return far


def _answers(table: Ratings, rows: Sequence[int]) -> tuple[tuple[str, str], ...]:
    names = table.dimension.categories
    answers = []
    for place, person in enumerate(table.raters):
        known = [names[int(value)] for value in table.values[rows, place] if not np.isnan(value)]
        if known and table.dimension.name == STEPS:
            answers.append((person, f"{known.count('bad')} of {len(known)} bad"))
        elif known:
            answers.append((person, known[0]))
    return tuple(answers)
