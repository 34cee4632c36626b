"""Labels as tables of ratings, one per dimension: who put which unit into which category. Agreement starts here.

A unit is what two people can agree on: a task for what is said of a whole chain, a step of a task for what is said of
steps. Only submitted labels count, and of qualification tasks none: those test the people, not the rubric.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backend.labelling.judgement import PREFERENCES, Judgement, preferred_side
from backend.labelling.record import Label
from backend.labelling.rubric import rubric
from backend.prompting.steps import split_steps

Level = Literal["nominal", "ordinal"]
STEPS, VERDICT, MISSING_STEP, PREFERRED = "steps", "verdict", "missing_step", "preferred"


@dataclass(frozen=True)
class Dimension:
    """Something that is asked. ``categories``: what can be answered, in order where the level is ordinal."""

    name: str
    label: str
    level: Level
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Ratings:
    """``values``: float64[units, raters], the place of the category from 0, NaN where somebody did not rate a unit.

    ``tasks``: the task of each unit; ``units``: its name, the task's or the step's id. ``raters`` are sorted by name.
    """

    dimension: Dimension
    raters: tuple[str, ...]
    tasks: tuple[str, ...]
    units: tuple[str, ...]
    values: NDArray[np.float64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64[units, categories]: how many people put each unit into each category."""
        places = np.arange(len(self.dimension.categories))
        return (self.values[:, :, None] == places).sum(axis=1, dtype=np.int64)


def counted(labels: Iterable[Label]) -> list[Label]:
    """The labels that count, one per task and author (the last one that was changed), in the order of their tasks."""
    kept: dict[tuple[str, str], Label] = {}
    for label in labels:
        if label.kind == "label" and label.status == "submitted" and not label.qualification:
            known = kept.get((label.task, label.author))
            if known is None or known.updated_at <= label.updated_at:
                kept[label.task, label.author] = label
    return sorted(kept.values(), key=lambda label: (label.task, label.author))


def dimensions(version: str, mode: str) -> tuple[Dimension, ...]:
    """What people are asked under a version of the rubric, in a project of this mode. Raises ``UnknownNameError``."""
    if mode == "pair":
        return (Dimension(PREFERRED, "Better chain", "nominal", PREFERENCES),)
    questions = rubric(version)
    grades = ("1", "2", "3", "4", "5")
    return (
        Dimension(STEPS, "Steps", "nominal", tuple(choice.name for choice in questions.steps)),
        *(Dimension(scale.name, scale.label, "ordinal", grades) for scale in questions.scales),
        Dimension(MISSING_STEP, "A step is missing", "nominal", ("no", "yes")),
        Dimension(VERDICT, "Own verdict", "nominal", ("no", "yes")),
    )


def ratings(labels: Iterable[Label]) -> tuple[Ratings, ...]:
    """A table per dimension of the labels' project; none without labels.

    The labels are of one project: its rubric and mode are the first label's. What another version of the rubric does
    not ask is missing.
    """
    kept = counted(labels)
    if not kept:
        return ()
    raters = tuple(sorted({label.author for label in kept}))
    questions = dimensions(kept[0].rubric, kept[0].project.mode)
    return tuple(_table(dimension, kept, raters) for dimension in questions)


def said(dimension: Dimension, judgement: Judgement, chains: Sequence[str]) -> dict[str, str]:
    """What a judgement says in a dimension: a category per unit, named "" for the task as a whole, or by its step.

    ``chains``: the ids of the task's chains, in its order.
    """
    name = dimension.name
    if name == STEPS:
        return {step: judged.value for step, judged in judgement.steps.items() if judged.value in dimension.categories}
    if name == VERDICT:
        return {"": judgement.verdict} if judgement.verdict else {}
    if name == MISSING_STEP:
        return {"": "yes" if judgement.missing_step else "no"}
    if name == PREFERRED:
        side = preferred_side(judgement, chains)
        return {"": side} if side else {}
    return {"": str(judgement.scales[name])} if name in judgement.scales else {}


def _table(dimension: Dimension, labels: Sequence[Label], raters: tuple[str, ...]) -> Ratings:
    column = {rater: place for place, rater in enumerate(raters)}
    category = {name: place for place, name in enumerate(dimension.categories)}
    rows: dict[tuple[str, str], dict[int, int]] = {}
    # A task has one order of its chains, however the rows of a file give them.
    chains: dict[str, list[str]] = {}
    for label in labels:
        answers = said(dimension, label.judgement, chains.setdefault(label.task, [chain.id for chain in label.chains]))
        # In the chain's order, so that figures and lists read as the text does.
        order = [step.id for step in split_steps(label.chains[0].text)] if dimension.name == STEPS else [""]
        for unit in (*order, *(unit for unit in answers if unit not in order)):
            if unit in answers:
                rows.setdefault((label.task, unit), {})[column[label.author]] = category[answers[unit]]
    values = np.full((len(rows), len(raters)), np.nan)
    for row, answers_by_place in enumerate(rows.values()):
        for place, value in answers_by_place.items():
            values[row, place] = value
    tasks = tuple(task for task, _unit in rows)
    return Ratings(dimension, raters, tasks, tuple(unit or task for task, unit in rows), values)
