"""The shape of a table and of a figure: numbers and plain words, ready to be drawn, compared and downloaded.

How they are computed is in ``tables`` and ``figures``, how they look in ``backend.evaluation.drawing``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.numbers import or_null

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """``better``: ``high``, ``low`` or nothing; ``digits`` after the point; ``about``: what it is, in a sentence."""

    key: str
    name: str
    better: str = ""
    digits: int = 3
    about: str = ""


@dataclass(frozen=True)
class TableLine:
    """One row of a table. ``values`` by column, NaN where it is not defined; ``intervals``: their bounds, where known.

    ``missing`` says why there are no values, ``run`` what to run to have them. ``paper``: what the paper has here.
    ``compared``: whether it can be the best of a column. ``spreads``: the standard deviations over so many ``runs``,
    where the values are means over runs.
    """

    key: str
    name: str
    values: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    missing: str = ""
    run: str = ""
    paper: Mapping[str, float] = field(default_factory=dict)
    about: str = ""
    compared: bool = True
    spreads: Mapping[str, float] = field(default_factory=dict)
    runs: int = 0


@dataclass(frozen=True)
class ResultTable:
    """``split``: what the numbers are measured on; ``notes``: what a reader must know."""

    key: str
    title: str
    split: str
    columns: tuple[Column, ...]
    lines: tuple[TableLine, ...]
    notes: tuple[str, ...] = ()

    def best(self, column: Column) -> str:
        """The key of the line that is best in a column; empty where none can be, or several are."""
        known = {
            line.key: line.values[column.key]
            for line in self.lines
            if line.compared and isfinite(line.values.get(column.key, np.nan))
        }
        if len(known) < 2 or not column.better:
            return ""
        top = (max if column.better == "high" else min)(known.values())
        keys = [key for key, value in known.items() if value == top]
        return keys[0] if len(keys) == 1 else ""

    def records(self) -> list[dict[str, Any]]:
        """One flat object per line and column: what is downloaded."""
        with_runs = any(line.runs for line in self.lines)
        return [
            {
                "line": line.key, "name": line.name, "column": column.key,
                "value": or_null(line.values.get(column.key)),
                "low": or_null(line.intervals.get(column.key, (None, None))[0]),
                "high": or_null(line.intervals.get(column.key, (None, None))[1]),
                "paper": or_null(line.paper.get(column.key)), "missing": line.missing, "run": line.run,
            }
            | ({"runs": line.runs, "spread": or_null(line.spreads.get(column.key))} if with_runs else {})
            for line in self.lines
            for column in self.columns
        ]  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Points that belong together: ``x``, ``y``: float64[p]; ``words``: what each point is, in words, or none.

    ``facts``: further numbers of each point (float64[p]), such as how many samples it is made of. The samples behind
    point i are ``order[spans[i, 0]:spans[i, 1]]`` (places in the list of samples); both are empty where a point has
    none. ``behind_words``: what these samples are, where that is not what the point is.
    """

    key: str
    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    words: tuple[str, ...] = ()
    facts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    order: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    spans: Int64 = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    behind_words: tuple[str, ...] = ()

    def behind(self, point: int) -> Int64:
        """The samples of a point, each once, in the order of the list."""
        if not 0 <= point < len(self.spans):
            return np.empty(0, dtype=np.int64)
        start, stop = self.spans[point].tolist()
        return np.unique(self.order[start:stop])


@dataclass(frozen=True)
class Panel:
    """One set of axes. ``kind``: ``bars``, ``line``, ``dots`` or ``calibration``; ``log``: of x; ``zero``: y from 0."""

    key: str
    title: str
    x: str
    y: str
    kind: str
    series: tuple[Series, ...]
    log: bool = False
    zero: bool = False


@dataclass(frozen=True)
class Figure:
    """``missing`` and ``run``: why there is nothing to draw, and what to run; then there are no panels."""

    key: str
    title: str
    split: str
    panels: tuple[Panel, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str = ""
    run: str = ""

    def series(self, panel: str, key: str) -> Series | None:
        """The series with this key in the panel with this key; None where there is none."""
        named = (one for drawn in self.panels if drawn.key == panel for one in drawn.series if one.key == key)
        return next(named, None)

    def records(self) -> list[dict[str, Any]]:
        """One flat object per point: what is downloaded."""
        return [
            {
                "panel": panel.key, "series": one.key, "point": place,
                "x": or_null(one.x[place]), "y": or_null(one.y[place]),
                "words": one.words[place] if one.words else "",
            }
            | {name: or_null(values[place]) for name, values in one.facts.items()}
            for panel in self.panels
            for one in panel.series
            for place in range(len(one.x))
        ]  # fmt: skip
