"""How well the people of a project agree: each dimension, each pair of people, with intervals over tasks."""

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
from backend.labelling.gold import GoldResult, gold_results
from backend.labelling.judgement import Judgement
from backend.labelling.measures import LEVEL, Measure, drawn_times, measure, undefined
from backend.labelling.ratings import Dimension, Ratings, counted, ratings
from backend.labelling.record import Label

NO_SUCH_PAIR = "these two judged nothing in common"


@dataclass(frozen=True)
class Pair:
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
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Report:
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
    pair: Pair


def report(labels: Iterable[Label], known: Mapping[str, Judgement] | None = None) -> Report:
    """The agreement of one project's labels. ``known``: the right judgements of its gold tasks, by task.

    Never raises for what people said or left out: what is not defined is NaN with a reason.
    """
    own = list(labels)
    kept = counted(own)
    tables = ratings(kept)
    people_of: dict[str, int] = {}
    for label in kept:
        people_of[label.task] = people_of.get(label.task, 0) + 1
    return Report(
        len(kept),
        len(people_of),
        sum(count > 1 for count in people_of.values()),
        tables[0].raters if tables else (),
        tuple(_agreement(table) for table in tables),
        gold_results(own, known or {}),
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


def record(own: Report) -> dict[str, Any]:
    """The report as one JSON-ready object: what is exported and what ``rallrec labels agreement --json`` prints."""
    return {
        "labels": own.labels,
        "tasks": own.tasks,
        "tasks_with_two_labels_or_more": own.shared,
        "people": list(own.people),
        "interval": {"level": LEVEL, "over": "tasks"},
        "dimensions": [
            {
                "name": agreed.dimension.name,
                "level": agreed.dimension.level,
                "categories": list(agreed.dimension.categories),
                "units": agreed.units,
                "shared": agreed.shared,
                "percent": agreed.percent.record,
                "krippendorff_alpha": agreed.alpha.record,
                gwet_name(agreed.dimension): agreed.gwet.record,
                "pairs": [
                    {
                        "first": pair.first,
                        "second": pair.second,
                        "percent": pair.percent.record,
                        "cohen_kappa": pair.kappa.record,
                    }
                    for pair in agreed.pairs
                ],
            }
            for agreed in own.dimensions
        ],
        "gold": [result.record for result in own.gold],
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


def _pair(table: Ratings, first: str, second: str) -> Pair:
    """Two people's agreement; of units that both judged."""
    level, q = table.dimension.level, len(table.dimension.categories)
    one, other = _answers(table, first), _answers(table, second)
    both = ~(np.isnan(one) | np.isnan(other))
    shared = int(both.sum())
    if not shared:
        nothing = undefined(NO_SUCH_PAIR)
        return Pair(first, second, nothing, nothing)
    cells = _table_of_two(table, first, second).astype(np.float64)
    of_task = [task for task, own in zip(table.tasks, both, strict=True) if own]
    times = drawn_times(of_task).astype(np.float64)
    drawn = (times @ cells.reshape(shared, -1)).reshape(-1, q, q)
    agreed = (one == other)[both].astype(np.float64)
    with np.errstate(invalid="ignore"):
        share = (times @ agreed) / times.sum(axis=1)
    kappa = float(coefficients.kappas(cells.sum(axis=0, keepdims=True), level)[0])
    return Pair(
        first,
        second,
        measure(float(agreed.mean()), share, shared, NO_SUCH_PAIR),
        measure(kappa, coefficients.kappas(drawn, level), shared, ALL_ALIKE),
    )


def _answers(table: Ratings, person: str) -> NDArray[np.float64]:
    own: NDArray[np.float64] = table.values[:, table.raters.index(person)]
    return own


def _table_of_two(table: Ratings, first: str, second: str) -> NDArray[np.int64]:
    """int64[shared units, categories, categories]: a 1 in the cell of what the two said of each."""
    places: Sequence[int] = range(len(table.dimension.categories))
    one, other = _answers(table, first), _answers(table, second)
    both = ~(np.isnan(one) | np.isnan(other))
    own = (one[both, None] == places)[:, :, None] & (other[both, None] == places)[:, None, :]
    counts: NDArray[np.int64] = own.astype(np.int64)
    return counts
