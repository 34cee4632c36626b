"""Drawings of what was measured of labels: SVG as trusted markup made of numbers and of names that are escaped.

What a mark says is its hover title too. Marks of one row differ in shape, not in colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from app.shared.templating import significant
from backend.labelling.insight import Trend
from backend.labelling.measures import Measure

Place = Callable[[float], float]
# One viewBox for each kind of drawing; CSS sizes them.
_ROW_W, _ROW_H, _ROW_PAD = 240, 14, 6
_W, _H, _LEFT, _RIGHT, _TOP, _BOTTOM = 300, 150, 34, 8, 8, 24
_SHAPES = {
    "round": '<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6" class="{kind}"/>',
    "square": '<rect x="{x0:.1f}" y="{y0:.1f}" width="6.6" height="6.6" class="{kind}"/>',
    "diamond": '<path d="M{x:.1f} {y0:.1f}l4.4 3.3l-4.4 3.3l-4.4 -3.3z" class="{kind}"/>',
    "tick": '<rect x="{x1:.1f}" y="{y1:.1f}" width="2" height="10" class="{kind}"/>',
}


@dataclass(frozen=True)
class Mark:
    """A measure in a row. ``shape``: round, square, diamond or tick; ``kind``: its CSS class; ``says``: its name."""

    measure: Measure
    shape: str
    kind: str
    says: str


def told(measure: Measure, digits: int = 2, sign: str = "") -> str:
    """``0.71 [0.52, 0.84]``; an en dash where it is not defined."""
    if math.isnan(measure.value):
        return "–"
    value = f"{measure.value:{sign}.{digits}f}"
    if math.isnan(measure.low):
        return value
    return f"{value} [{measure.low:{sign}.{digits}f}, {measure.high:{sign}.{digits}f}]"


def rows(marks: Sequence[Mark], low: float, high: float, zero: float | None = None) -> Markup:
    """Measures below each other on one axis from ``low`` to ``high``, each with its interval; undefined ones are left
    out. What lies beyond the axis ends at its edge. ``zero``: where a rule stands.
    """
    known = [mark for mark in marks if not math.isnan(mark.measure.value)]
    if not known:
        return Markup("")
    x = _scale(low, high, _ROW_PAD, _ROW_W - _ROW_PAD)
    tall = _ROW_H * len(known)
    rule = "" if zero is None else f'<line x1="{x(zero):.1f}" y1="0" x2="{x(zero):.1f}" y2="{tall}" class="rule"/>'
    drawn = "".join(_mark(mark, x, _ROW_H * (place + 0.5)) for place, mark in enumerate(known))
    label = escape("; ".join(f"{mark.says} {told(mark.measure)}" for mark in known))
    return Markup(
        f'<svg class="marks-row" viewBox="0 0 {_ROW_W} {tall}" role="img" aria-label="{label}">{rule}{drawn}</svg>'
    )


def axis(low: float, high: float, zero: float) -> Markup:
    """The numbers above such rows."""
    x = _scale(low, high, _ROW_PAD, _ROW_W - _ROW_PAD)
    ends = {low: "start", zero: "middle", high: "end"}
    texts = "".join(f'<text x="{x(at):.1f}" y="9" text-anchor="{anchor}">{at:g}</text>' for at, anchor in ends.items())
    return Markup(f'<svg class="marks-row" viewBox="0 0 {_ROW_W} 12" aria-hidden="true">{texts}</svg>')


def trend_figure(trend: Trend, number: str) -> Markup:
    """A quality along a number: a dot per chain, and the mean of each part with its interval.

    ``number``: what runs along the bottom. Empty where there is no chain.
    """
    if not trend.points:
        return Markup("")
    numbers = [point[0] for point in trend.points]
    low, high = min(numbers), max(numbers)
    x = _scale(low, high, _LEFT, _W - _RIGHT)
    y = _scale(trend.quality.low, trend.quality.high, _H - _BOTTOM, _TOP)
    dots = "".join(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="2.2" class="one"/>' for a, b, _ in trend.points)
    means = "".join(
        _upright(group.mean, x(group.at), y, f"{number} {group.name}: {told(group.mean)}, {group.mean.of} chains")
        for group in trend.groups
    )
    said = escape(f"{trend.quality.label} along {number}: rank correlation {told(trend.rank)}")
    return Markup(
        f'<svg class="trend-drawn" viewBox="0 0 {_W} {_H}" role="img" aria-label="{said}">'
        f"{_axes(trend, low, high, x, y)}{dots}{means}</svg>"
    )


def _axes(trend: Trend, low: float, high: float, x: Place, y: Place) -> str:
    worst, best = trend.quality.low, trend.quality.high
    marks = "".join(
        f'<line x1="{_LEFT}" y1="{y(at):.1f}" x2="{_W - _RIGHT}" y2="{y(at):.1f}" class="rule"/>'
        f'<text x="{_LEFT - 5}" y="{y(at) + 3:.1f}" text-anchor="end">{at:g}</text>'
        for at in (worst, (worst + best) / 2, best)
    )
    ends = {low: "start", high: "end"} if high > low else {low: "middle"}
    for at, side in ends.items():
        marks += f'<text x="{x(at):.1f}" y="{_H - 8}" text-anchor="{side}">{significant(at, 2)}</text>'
    return marks


def _mark(mark: Mark, x: Place, y: float) -> str:
    measure = mark.measure
    at, kind, line = x(measure.value), escape(mark.kind), ""
    if not math.isnan(measure.low):
        line = f'<line x1="{x(measure.low):.1f}" y1="{y}" x2="{x(measure.high):.1f}" y2="{y}" class="span {kind}"/>'
    shape = _SHAPES[mark.shape].format(x=at, x0=at - 3.3, x1=at - 1, y=y, y0=y - 3.3, y1=y - 5, kind=kind)
    return f"<g><title>{escape(mark.says)} {told(measure)}, of {measure.of}</title>{line}{shape}</g>"


def _upright(measure: Measure, x: float, y: Place, says: str) -> str:
    line = ""
    if not math.isnan(measure.low):
        line = (
            f'<line x1="{x:.1f}" y1="{y(measure.low):.1f}" x2="{x:.1f}" y2="{y(measure.high):.1f}" class="span mean"/>'
        )
    shape = _SHAPES["square"].format(x0=x - 3.3, y0=y(measure.value) - 3.3, kind="mean")
    return f"<g><title>{escape(says)}</title>{line}{shape}</g>"


def _scale(low: float, high: float, start: float, end: float) -> Place:
    """Returns what maps a number to its place: beyond the ends to the end, and to the middle where all are alike."""
    if high <= low:
        return lambda _value: (start + end) / 2
    return lambda value: start + (end - start) * min(max((value - low) / (high - low), 0.0), 1.0)
