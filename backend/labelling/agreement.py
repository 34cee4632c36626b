"""How well the people of a project agree: each dimension, each pair of people, and each person with the tasks whose
right answer is known. Intervals are over tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import UnknownNameError
from backend.labelling import coefficients
from backend.labelling.coefficients import ALL_ALIKE, NOBODY_TWICE
from backend.labelling.judgement import Judgement
from backend.labelling.measures import LEVEL, Measure, drawn_times, measure, plain, undefined
from backend.labelling.ratings import Dimension, Ratings, counted, dimensions, ratings, said
from backend.labelling.record import Label

NO_SUCH_PAIR = "these two judged nothing in common"


@dataclass(frozen=True)
class PairAgreement:
    """Two people in one dimension. ``percent``: how often they agree; ``kappa``: Cohen's, weighted where ordinal."""

    first: str
    second: str
    percent: Measure
    kappa: Measure


@dataclass(frozen=True)
class Agreement:
    """One dimension. ``units``: what was judged (chains or steps); ``shared``: by two people or more."""

    dimension: Dimension
    units: int
    shared: int
    percent: Measure
    alpha: Measure
    gwet: Measure
    pairs: tuple[PairAgreement, ...]


@dataclass(frozen=True)
class AgreementReport:
    """All dimensions of a project's submitted labels. ``tasks``: with a label; ``shared``: with two or more."""

    labels: int
    tasks: int
    shared: int
    people: tuple[str, ...]
    dimensions: tuple[Agreement, ...]
    gold: tuple[GoldResult, ...]


@dataclass(frozen=True)
class Confusion:
    """``counts[i][j]``: units that ``first`` put into category i and ``second`` into category j."""

    dimension: Dimension
    first: str
    second: str
    counts: tuple[tuple[int, ...], ...]
    pair: PairAgreement


def report(labels: Iterable[Label], known: Mapping[str, Judgement] | None = None) -> AgreementReport:
    """The agreement of one project's labels. ``known``: the right judgements of its gold tasks, by task.

    Never raises for what people said or left out: what is not defined is NaN with a reason.
    """
    given = list(labels)
    kept = counted(given)
    tables = ratings(kept)
    people_of: dict[str, int] = {}
    for label in kept:
        people_of[label.task] = people_of.get(label.task, 0) + 1
    return AgreementReport(
        len(kept),
        len(people_of),
        sum(count > 1 for count in people_of.values()),
        tables[0].raters if tables else (),
        tuple(_agreement(table) for table in tables),
        gold_results(given, known or {}),
    )


def confusion(labels: Iterable[Label], dimension: str, first: str, second: str) -> Confusion:
    """What two people said of the same units. Raises ``UnknownNameError`` for a dimension or a person."""
    tables = {table.dimension.name: table for table in ratings(labels)}
    if dimension not in tables:
        raise UnknownNameError("dimension", dimension, tables)
    table = tables[dimension]
    for person in (first, second):
        if person not in table.raters:
            raise UnknownNameError("annotator of this project", person, table.raters)
    counts = _table_of_two(table, first, second).sum(axis=0)
    rows = tuple(tuple(int(count) for count in row) for row in counts)
    return Confusion(table.dimension, first, second, rows, _pair(table, first, second))


def record(report: AgreementReport) -> dict[str, Any]:
    """The report as one JSON-ready object: what is exported and what ``rallrec labels agreement --json`` prints."""

    def of(agreed: Agreement) -> dict[str, Any]:
        return {
            "name": agreed.dimension.name,
            "level": agreed.dimension.level,
            "categories": list(agreed.dimension.categories),
            "units": agreed.units,
            "shared": agreed.shared,
            "percent": plain(agreed.percent),
            "krippendorff_alpha": plain(agreed.alpha),
            gwet_name(agreed.dimension): plain(agreed.gwet),
            "pairs": [
                {"first": pair.first, "second": pair.second, "percent": plain(pair.percent),
                 "cohen_kappa": plain(pair.kappa)}
                for pair in agreed.pairs
            ],
        }  # fmt: skip

    return {
        "labels": report.labels,
        "tasks": report.tasks,
        "tasks_with_two_labels_or_more": report.shared,
        "people": list(report.people),
        "interval": {"level": LEVEL, "over": "tasks"},
        "dimensions": [of(agreed) for agreed in report.dimensions],
        "gold": plain(report.gold),
    }


def gwet_name(dimension: Dimension) -> str:
    """Which of Gwet's coefficients a dimension has."""
    return "gwet_ac2" if dimension.level == "ordinal" else "gwet_ac1"


def _agreement(table: Ratings) -> Agreement:
    counts, level = table.counts, table.dimension.level
    shared = int((counts.sum(axis=1) > 1).sum())
    if not shared:
        nothing = undefined(NOBODY_TWICE)
        return Agreement(table.dimension, len(counts), 0, nothing, nothing, nothing, ())
    pairs = [_pair(table, *two) for two in combinations(table.raters, 2)]
    many = drawn_times(table.tasks).astype(np.float64)
    return Agreement(
        table.dimension,
        len(counts),
        shared,
        measure(float(coefficients.percent(counts)[0]), coefficients.percent(counts, many), shared, NOBODY_TWICE),
        measure(coefficients.alpha(counts, level), coefficients.alphas(counts, level, many), shared, ALL_ALIKE),
        measure(
            float(coefficients.gwet(counts, level)[0]), coefficients.gwet(counts, level, many), shared, NOBODY_TWICE
        ),
        tuple(pair for pair in pairs if pair.percent.of),
    )


def _pair(table: Ratings, first: str, second: str) -> PairAgreement:
    """Two people's agreement; of units that both judged."""
    level, q = table.dimension.level, len(table.dimension.categories)
    one, two = _answers(table, first), _answers(table, second)
    both = ~(np.isnan(one) | np.isnan(two))
    shared = int(both.sum())
    if not shared:
        nothing = undefined(NO_SUCH_PAIR)
        return PairAgreement(first, second, nothing, nothing)
    cells = _table_of_two(table, first, second).astype(np.float64)
    of_task = [task for task, is_shared in zip(table.tasks, both, strict=True) if is_shared]
    times = drawn_times(of_task).astype(np.float64)
    drawn = (times @ cells.reshape(shared, -1)).reshape(-1, q, q)
    agreed = (one == two)[both].astype(np.float64)
    with np.errstate(invalid="ignore"):
        share = (times @ agreed) / times.sum(axis=1)
    kappa = float(coefficients.kappas(cells.sum(axis=0, keepdims=True), level)[0])
    return PairAgreement(
        first,
        second,
        measure(float(agreed.mean()), share, shared, NO_SUCH_PAIR),
        measure(kappa, coefficients.kappas(drawn, level), shared, ALL_ALIKE),
    )


def _answers(table: Ratings, person: str) -> NDArray[np.float64]:
    answers: NDArray[np.float64] = table.values[:, table.raters.index(person)]
    return answers


def _table_of_two(table: Ratings, first: str, second: str) -> NDArray[np.int64]:
    """int64[shared units, categories, categories]: a 1 in the cell of what the two said of each."""
    places: Sequence[int] = range(len(table.dimension.categories))
    one, two = _answers(table, first), _answers(table, second)
    both = ~(np.isnan(one) | np.isnan(two))
    cells = (one[both, None] == places)[:, :, None] & (two[both, None] == places)[:, None, :]
    counts: NDArray[np.int64] = cells.astype(np.int64)
    return counts


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


def gold_results(labels: Iterable[Label], known: Mapping[str, Judgement]) -> tuple[GoldResult, ...]:
    """The people with a submitted label of a gold task, by name. ``known``: the right judgement, by task."""
    by_person: dict[str, list[Label]] = {}
    for label in labels:
        if label.kind == "label" and label.status == "submitted" and label.task in known:
            by_person.setdefault(label.author, []).append(label)
    return tuple(_result(person, given, known) for person, given in sorted(by_person.items()))


def _result(person: str, labels: Sequence[Label], known: Mapping[str, Judgement]) -> GoldResult:
    values: dict[str, list[tuple[str, float]]] = {"steps": [], "scales": [], "verdict": [], "preferred": []}
    for label in labels:
        right = known[label.task]
        chains = [chain.id for chain in label.chains]
        for dimension in dimensions(label.rubric, label.project.mode):
            expected = said(dimension, right, chains)
            given = said(dimension, label.judgement, chains)
            name = "scales" if dimension.level == "ordinal" else dimension.name
            if name not in values:
                continue
            for unit in expected.keys() & given.keys():
                far = abs(dimension.categories.index(expected[unit]) - dimension.categories.index(given[unit]))
                values[name].append((label.task, float(far if name == "scales" else far == 0)))
    of_each = {name: _mean(of_tasks) for name, of_tasks in values.items()}
    return GoldResult(person, len(labels), sum(label.qualification for label in labels), **of_each)


def _mean(of_tasks: Sequence[tuple[str, float]]) -> Measure:
    if not of_tasks:
        return undefined(NO_GOLD)
    values = np.array([value for _task, value in of_tasks])
    times = drawn_times([task for task, _value in of_tasks])
    return measure(float(values.mean()), times @ values / np.maximum(times.sum(axis=1), 1), len(of_tasks), NO_GOLD)
