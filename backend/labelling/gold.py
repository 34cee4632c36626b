"""How each person did on gold tasks: those whose right answer is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.labelling.judgement import Judgement
from backend.labelling.measures import Measure, drawn_times, measure, undefined
from backend.labelling.ratings import dimensions, said
from backend.labelling.record import Label

NO_GOLD = "nothing to compare with"


@dataclass(frozen=True)
class GoldResult:
    """``tasks``: gold tasks that this person judged, of which ``qualification`` were to qualify.

    ``steps``: share of steps judged as known; ``scales``: mean distance from the known number, 0 to 4; ``verdict``:
    share of own verdicts as known; ``preferred``: share of pairs decided as known.
    """

    person: str
    tasks: int
    qualification: int
    steps: Measure
    scales: Measure
    verdict: Measure
    preferred: Measure

    @property
    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "person": self.person,
            "tasks": self.tasks,
            "qualification": self.qualification,
            "steps": self.steps.record,
            "scales": self.scales.record,
            "verdict": self.verdict.record,
            "preferred": self.preferred.record,
        }


def gold_results(labels: Iterable[Label], known: Mapping[str, Judgement]) -> tuple[GoldResult, ...]:
    """The people with a submitted label of a gold task, by name. ``known``: the right judgement, by task."""
    by_person: dict[str, list[Label]] = {}
    for label in labels:
        if label.kind == "label" and label.status == "submitted" and label.task in known:
            by_person.setdefault(label.author, []).append(label)
    return tuple(_result(person, own, known) for person, own in sorted(by_person.items()))


def _result(person: str, labels: Sequence[Label], known: Mapping[str, Judgement]) -> GoldResult:
    found: dict[str, list[tuple[str, float]]] = {"steps": [], "scales": [], "verdict": [], "preferred": []}
    for label in labels:
        right = known[label.task]
        chains = [chain.id for chain in label.chains]
        for dimension in dimensions(label.rubric, label.project.mode):
            wanted = said(dimension, right, chains)
            given = said(dimension, label.judgement, chains)
            name = "scales" if dimension.level == "ordinal" else dimension.name
            if name not in found:
                continue
            for unit in wanted.keys() & given.keys():
                far = abs(dimension.categories.index(wanted[unit]) - dimension.categories.index(given[unit]))
                found[name].append((label.task, float(far if name == "scales" else far == 0)))
    measures = {name: _mean(own) for name, own in found.items()}
    return GoldResult(person, len(labels), sum(label.qualification for label in labels), **measures)


def _mean(own: Sequence[tuple[str, float]]) -> Measure:
    if not own:
        return undefined(NO_GOLD)
    values = np.array([value for _task, value in own])
    times = drawn_times([task for task, _value in own])
    return measure(float(values.mean()), times @ values / np.maximum(times.sum(axis=1), 1), len(own), NO_GOLD)
