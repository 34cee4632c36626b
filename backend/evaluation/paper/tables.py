"""The paper's tables out of scored systems: pure functions from scores to lines. Which systems there are is left to
``storage.evaluation``.

What "without CM" means in Table 5: eq. 10 with both variances left out, (alpha P_R + P_G) / (alpha + 1), at the same
alpha. The paper says no more than that CM is removed. P_G alone it cannot be: then KP could change nothing, and the
line without both would be RALLRec's own of Table 4, which it is not. P_R alone it cannot be: that reaches 0.60 AUC on
MovieLens in Table 3, the line has 0.764. What is left is a merge whose weights do not look at consistency.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.evaluation.intervals import DRAWS, Drawn, draw
from backend.evaluation.metrics import METRICS
from backend.evaluation.paper.exhibits import Column, Line, Table
from backend.evaluation.paper.published import paper_line, paper_tokens

_TOKENS = (Column("tokens", "tokens per response", "", 1), Column("responses", "responses", "", 0))


def columns() -> tuple[Column, ...]:
    """A column for each registered metric."""
    return tuple(Column(own.key, own.name, own.better, own.digits, own.about) for own in METRICS.values())


@dataclass(frozen=True)
class Scored:
    """What a system reaches on n samples. ``drawn``: the same for draws of users, by metric, where it was drawn.

    ``missing`` says why there is nothing; ``run``: the command that makes what is missing.
    """

    name: str
    n: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    drawn: Mapping[str, Drawn] = field(default_factory=dict, repr=False)
    missing: str = ""
    run: str = ""

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        found = {metric: own.interval() for metric, own in self.drawn.items()}
        return {metric: (own.low, own.high) for metric, own in found.items()}


def score(name: str, users: ArrayLike, labels: ArrayLike, scores: ArrayLike, draws: int = DRAWS) -> Scored:
    """A system's metrics on all samples, with the same for draws of users; no ``draws``: without these."""
    values = {key: metric.function(users, labels, scores) for key, metric in METRICS.items()}
    drawn = {metric: draw(metric, users, labels, scores, draws) for metric in METRICS} if draws else {}
    return Scored(name, len(np.asarray(labels)), values, drawn)


def of_systems(
    key: str,
    title: str,
    split: str,
    lines: Iterable[tuple[str, str, Scored]],
    paper: str | None = None,
    notes: Sequence[str] = (),
    about: Mapping[str, str] | None = None,
) -> Table:
    """A table with a line (key, name) for each system; ``paper``: its dataset to be read beside; ``about``: by key."""
    words = about or {}
    made = tuple(
        Line(
            own, name, found.values, found.intervals, found.missing, found.run, paper_line(key, own, paper),
            words.get(own, ""),
        )
        for own, name, found in lines
    )  # fmt: skip
    return Table(key, title, split, columns(), made, tuple(notes))


def with_improvement(table: Table) -> Table:
    """Tables 2 and 3: a last line that says by how many percent the second line is better than the first."""
    first, second = table.lines[:2]
    values = {
        column.key: _improvement(first.values.get(column.key), second.values.get(column.key), column.better)
        for column in table.columns
    }
    theirs = {
        column.key: _improvement(first.paper.get(column.key), second.paper.get(column.key), column.better)
        for column in table.columns
        if column.key in first.paper and column.key in second.paper
    }
    known = {name: value for name, value in values.items() if not np.isnan(value)}
    missing = "" if known else "both lines are needed"
    last = Line("improvement", "improvement, %", known, missing=missing, paper=theirs, compared=False)
    return Table(table.key, table.title, table.split, table.columns, (*table.lines, last), table.notes)


def unweighted(p_r: ArrayLike, p_g: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Table 5 without CM: eq. 10 with both variances left out, which is its limit for a large epsilon."""
    own, other = np.asarray(p_r, dtype=np.float64), np.asarray(p_g, dtype=np.float64)
    return (alpha * own + other) / (alpha + 1)


def of_tokens(split: str, chains: Iterable[tuple[str, str, ArrayLike, str, str]], paper: str | None) -> Table:
    """Table 7: mean tokens per response, a line for each way to ask (key, name, tokens of any shape, missing, run)."""
    lines = []
    for key, name, given, missing, run in chains:
        tokens = np.asarray(given, dtype=np.float64).ravel()
        known = tokens[~np.isnan(tokens)]
        values = {"tokens": float(known.mean()), "responses": float(len(known))} if len(known) else {}
        theirs = paper_tokens(paper) if key == "recent" else {}
        lines.append(Line(key, name, values, missing="" if values else missing, run=run, paper=theirs))
    return Table("table-7", "Table 7: tokens per response", split, _TOKENS, tuple(lines))


def _improvement(first: float | None, second: float | None, better: str) -> float:
    """In percent of the first; positive where the second is better."""
    if first is None or second is None or not first:
        return float("nan")
    change = 100 * (second - first) / first
    return change if better == "high" else -change
