"""The drawings of the Users page: SVG as trusted markup made of numbers only. No text from outside enters here."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from app.users.predictions import PredictionRow
from app.users.profile import Timeline

# How a genre's marks are drawn from their middle, by its place in the list of genres. One path holds all marks of a
# genre: thousands of ratings are ten elements.
_SHAPES = (
    "h0",
    "h0",
    "m-3.3 2.8h6.6l-3.3-6z",
    "m-3.3-2.8h6.6l-3.3 6z",
    "m0-3.8 3.8 3.8-3.8 3.8-3.8-3.8z",
    "m-3.4 0h6.8m-3.4-3.4v6.8",
    "m-2.6-2.6 5.2 5.2m0-5.2-5.2 5.2",
    "m-2.8 0a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0",
    "m-3.6 0h7.2",
    "h0",
)
_STAR = "m0-8.5 2.5 5.4 5.9.7-4.4 4 1.2 5.8-5.2-2.9-5.2 2.9 1.2-5.8-4.4-4 5.9-.7z"
_W, _H, _LEFT, _RIGHT, _TOP, _BOTTOM = 1000, 300, 34, 14, 16, 30
_GOLDEN = 0.6180339887498949
_DAY = 86_400
_TICKS = 5


def shape(genre: int) -> Markup:
    """A genre's mark, alone, for the legend."""
    place = min(genre, len(_SHAPES) - 1)
    return Markup(f'<svg class="mark-key" viewBox="-6 -6 12 12" aria-hidden="true">{_path("M0 0", place)}</svg>')


def mark_keys() -> dict[str, Markup]:
    """The marks of the target and of what was picked by either channel, alone, for the legend."""
    drawn = {
        "target": f'<path class="target-star" d="M0 0{_STAR}"/>',
        "first": '<rect x="-7" y="-7" width="14" height="14" class="pick first"/>',
        "second": '<circle r="7" class="pick second"/>',
    }
    box = 'class="mark-key" viewBox="-10 -10 20 20" aria-hidden="true"'
    return {name: Markup(f"<svg {box}>{mark}</svg>") for name, mark in drawn.items()}


def timeline_drawing(told: Timeline, axis: str, selected: PredictionRow | None, *, still: bool = False) -> Markup:
    """Every rating, by time or by order, and what retrieval picked for the selected prediction. ``still``: for reading
    alone, with no mark to step to."""
    x, y = places(told, axis)
    paths = []
    for genre in range(len(told.genres)):
        own = np.flatnonzero(told.genre == genre)
        marks = zip(x[own].tolist(), y[own].tolist(), strict=True)
        if len(own):
            place = min(genre, len(_SHAPES) - 1)
            paths.append(_path("", place, [f"M{left:.0f} {top:.1f}" for left, top in marks]))
    chosen = _picked(selected, x, y) if selected else ""
    label = f"Timeline of {len(told.items)} ratings{'' if still else '; arrow keys step through them'}"
    role = 'role="img"' if still else 'role="application" tabindex="0"'
    return Markup(
        f'<svg class="timeline" viewBox="0 0 {_W} {_H}" {role} aria-label="{label}" '
        f'data-count="{len(told.items)}">'
        f"{_scale(told)}{_ticks(told, axis)}{''.join(paths)}{chosen}</svg>"
    )


def places(told: Timeline, axis: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each rating stands. Equal ratings are spread a little up and down, in turns, so that fewer are hidden."""
    n = len(told.items)
    order = np.arange(n, dtype=np.float64)
    along = (told.when - told.when[0]).astype(np.float64) if axis == "time" and told.time_ordered and n else order
    x = _LEFT + along / (along.max(initial=0.0) or 1.0) * (_W - _LEFT - _RIGHT)
    steps = np.unique(told.rating)
    gap = float(np.diff(steps).min()) if len(steps) > 1 else told.rating_max - told.rating_min
    spread = (order * _GOLDEN % 1.0 - 0.5) * 0.62 * gap
    return x, _y(told, told.rating + spread)


def crowded(told: Timeline) -> bool:
    """Whether more than half of the ratings lie within a hundredth of the whole time."""
    n = len(told.when)
    span = int(told.when[-1] - told.when[0]) if n else 0
    if not told.time_ordered or n < 10 or not span:
        return False
    ends = np.searchsorted(told.when, told.when + span / 100, side="right")
    return int((ends - np.arange(n)).max()) > n / 2


def histogram(values: Sequence[float], own: Sequence[float], everybody: Sequence[float]) -> Markup:
    """The share of each rating: bars for the user, a line across for everybody."""
    width, height, base = 320, 130, 112
    step = width / max(len(values), 1)
    top = max([*own, *everybody, 1e-9])
    parts = []
    for place, (value, mine, theirs) in enumerate(zip(values, own, everybody, strict=True)):
        left, tall, other = place * step, mine / top * (base - 14), theirs / top * (base - 14)
        parts.append(
            f'<rect x="{left + step * 0.14:.1f}" y="{base - tall:.1f}" width="{step * 0.72:.1f}" height="{tall:.1f}" '
            f'class="own"><title>{value:g}: {mine:.0%}; everybody {theirs:.0%}</title></rect>'
            f'<path d="M{left + step * 0.04:.1f} {base - other:.1f}h{step * 0.92:.1f}" class="everybody"/>'
            f'<text x="{left + step / 2:.1f}" y="{height - 5}" text-anchor="middle">{value:g}</text>'
        )
        if mine:
            parts.append(
                f'<text x="{left + step / 2:.1f}" y="{base - max(tall, other) - 3:.1f}" text-anchor="middle">'
                f"{mine:.0%}</text>"
            )
    return Markup(
        f'<svg class="habit" viewBox="0 0 {width} {height}" role="img" aria-label="Share of each rating">'
        f'<line x1="0" y1="{base}" x2="{width}" y2="{base}" class="rule"/>{"".join(parts)}</svg>'
    )


def _path(start: str, place: int, starts: Sequence[str] | None = None) -> str:
    marks = "".join(f"{own}{_SHAPES[place]}" for own in (starts if starts is not None else [start]))
    return f'<path class="g g{place}" d="{marks}"/>'


def _y(told: Timeline, rating: NDArray[np.float64]) -> NDArray[np.float64]:
    # A little room beyond the ends: marks are spread around their rating.
    room = 0.5
    share = (told.rating_max + room - rating) / (told.rating_max - told.rating_min + 2 * room)
    return np.asarray(_TOP + share * (_H - _TOP - _BOTTOM))


def _scale(told: Timeline) -> str:
    whole = np.arange(np.ceil(told.rating_min), np.floor(told.rating_max) + 1)
    whole = whole[:: max(1, len(whole) // 10)]
    return "".join(
        f'<line x1="{_LEFT}" y1="{top:.1f}" x2="{_W - _RIGHT}" y2="{top:.1f}" class="rule"/>'
        f'<text x="{_LEFT - 8}" y="{top + 4:.1f}" text-anchor="end">{value:g}</text>'
        for value, top in zip(whole.tolist(), _y(told, whole).tolist(), strict=True)
    )


def _ticks(told: Timeline, axis: str) -> str:
    n = len(told.items)
    if not n:
        return ""
    if axis == "time" and told.time_ordered:
        first, last = int(told.when[0]), int(told.when[-1])
        shown = "%Y-%m-%d" if last - first > 3 * _DAY else "%Y-%m-%d %H:%M"
        moments = np.linspace(first, last, _TICKS if last > first else 1)
        words = [time.strftime(shown, time.gmtime(moment)) for moment in moments.tolist()]
    else:
        words = [f"{number:.0f}" for number in np.linspace(1, n, min(_TICKS, n)).tolist()]
    anchors = ["start", *["middle"] * max(0, len(words) - 2), "end"]
    at = np.linspace(_LEFT, _W - _RIGHT, len(words)).tolist()
    return "".join(
        f'<text x="{left:.0f}" y="{_H - 8}" text-anchor="{anchor}">{word}</text>'
        for left, word, anchor in zip(at, words, anchors, strict=False)
    )


def _picked(row: PredictionRow, x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    marks = []
    for number, one in enumerate(row.picked, 1):
        left, top = float(x[one.place]), float(y[one.place])
        if one.first:
            marks.append(f'<rect x="{left - 8:.1f}" y="{top - 8:.1f}" width="16" height="16" class="pick first"/>')
        if one.second:
            marks.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="{11 if one.first else 8}" class="pick second"/>')
        marks.append(f'<text x="{left:.1f}" y="{top - 12:.1f}" text-anchor="middle" class="pick-rank">{number}</text>')
    left, top = float(x[row.place]), float(y[row.place])
    return "".join(marks) + f'<path class="target-star" d="M{left:.1f} {top:.1f}{_STAR}"/>'
