"""One panel of a figure as SVG. Every point says what it is on hover, and can be a link to the samples behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10, nan, sqrt

from markupsafe import Markup, escape

from backend.evaluation.paper.exhibits import Panel, Series

# link(panel, series, point) -> the address of the samples behind a point; empty where there is none
Link = Callable[[Panel, Series, int], str]

_W, _H, _LEFT, _RIGHT, _TOP, _BOTTOM = 380, 230, 42, 12, 26, 40
# Model colours are the app's; the others are told apart by shape as well.
_MODELS = {
    "RALLRec": "tuned",
    "RALLRec+": "merged",
    "merged": "merged",
    "responses": "reasoning",
    "windows": "reasoning",
}
_SHAPES = (
    "M0-3.6a3.6 3.6 0 1 0 .01 0z", "M-3.4-3.4h6.8v6.8h-6.8z", "M0-4.6 4.6 0 0 4.6-4.6 0z", "M-4 3.4h8l-4-7.2z",
    "M-4-3.4h8l-4 7.2z",
)  # fmt: skip
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4")
# So many groups have room for their words below them.
_WORDS = 12
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_panel(panel: Panel, link: Link | None = None, mark: float | None = None, chosen: str = "") -> Markup:
    """The panel's SVG. ``mark``: a value of x that is marked; ``chosen``: ``series:point`` that is pointed at."""
    draw = {"bars": _bars, "dots": _dots, "calibration": _calibration}.get(panel.kind, _line)
    inside = draw(panel, _Marks(panel, link, chosen, mark))
    label = f"{panel.title}: {panel.y} by {panel.x}"
    return Markup(
        '<svg class="panel-drawing" viewBox="0 0 {} {}" role="group" aria-label="{}">'
        '<text x="{}" y="14" class="head">{}</text>{}</svg>'
    ).format(_W, _H, label, _LEFT - 30, panel.title, inside)


class _Marks:
    """The marks of a panel's points: shape by series, words on hover, a link where there is one."""

    def __init__(self, panel: Panel, link: Link | None, chosen: str, present: float | None) -> None:
        self._panel, self._link, self._chosen, self.present = panel, link, chosen, present
        self._place = {series.key: place for place, series in enumerate(panel.series)}

    def style(self, series: Series) -> str:
        return _MODELS.get(series.key, f"other{self._place[series.key] % len(_SHAPES)}")

    def dash(self, series: Series) -> str:
        return _DASHES[self._place[series.key] % len(_DASHES)]

    def shape(self, series: Series, x: float, y: float, scale: float = 1.0) -> Markup:
        outline = _SHAPES[self._place[series.key] % len(_SHAPES)]
        return Markup('<path class="{}" d="{}" transform="translate({:.1f} {:.1f}) scale({:.2f})"/>').format(
            self.style(series), outline, x, y, scale
        )

    def point(self, series: Series, place: int, inside: Markup) -> Markup:
        """``inside`` as a point that says in words what it is, and is a link where there is one."""
        words = said(self._panel, series, place)
        target = self._link(self._panel, series, place) if self._link else ""
        key = f"{self._panel.key}:{series.key}:{place}"
        now = Markup(' aria-current="true"') if self._chosen == f"{series.key}:{place}" else ""
        if target:
            return Markup('<a href="{}" data-go="{}" aria-label="{}"{}><title>{}</title>{}</a>').format(
                target, key, words, now, words, inside
            )
        return Markup("<g><title>{}</title>{}</g>").format(words, inside)

    def legend(self) -> Markup:
        if len(self._panel.series) < 2:
            return Markup("")
        parts, x = [], float(_LEFT)
        for series in self._panel.series:
            parts.append(self.shape(series, x, _H - 5) + Markup('<text x="{:.0f}" y="{}">{}</text>').format(
                x + 8, _H - 2, series.name
            ))  # fmt: skip
            x += 20 + 4.9 * len(series.name)
        return Markup("").join(parts)


def said(panel: Panel, series: Series, place: int) -> str:
    """A point in words: what it is, its value, and what else is known of it."""
    words = series.words[place] if series.words else f"{panel.x} {written(float(series.x[place]))}"
    name = f"{series.name}, " if len(panel.series) > 1 and series.name != words else ""
    facts = [f"{key} {written(float(values[place]))}" for key, values in series.facts.items()]
    return "; ".join([f"{name}{words}", f"{panel.y} {written(float(series.y[place]))}", *facts])


@dataclass(frozen=True)
class AxisScale:
    """A range of values [``low``, ``high``] laid over [``start``, ``end``] on paper; ``log``: by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, at = (log10(one) if self.log else one for one in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers within the range, about ``count`` of them; powers of ten where it is logarithmic."""
        if self.log:
            first, last = ceil(log10(self.low) - 1e-9), floor(log10(self.high) + 1e-9)
            every = max(1, ceil((last - first + 1) / count))
            return [10.0**power for power in range(first, last + 1, every)]
        if self.high <= self.low:
            return [self.low]
        rough = (self.high - self.low) / count
        power = 10.0 ** floor(log10(rough))
        step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough * 0.999)
        first = ceil(self.low / step - 1e-9)
        last = floor(self.high / step + 1e-9)
        return [round(place * step, 12) for place in range(first, last + 1)]


def spread(values: list[float], zero: bool = False, room: float = 0.06) -> tuple[float, float]:
    """The range that shows these values with a little room; from 0 with ``zero``. (0, 1) where there are none."""
    known = [value for value in values if isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = (min(0.0, *known), max(0.0, *known)) if zero else (min(known), max(known))
    width = (high - low) or abs(high) * 0.1 or 1.0
    return (low if zero and low == 0 else low - room * width), high + room * width


def written(value: float) -> str:
    """A number at a tick or a mark: few digits, small and large ones as powers of ten."""
    if not isfinite(value):
        return "–"
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        mantissa, exponent = f"{value:.1e}".split("e")
        front = "" if mantissa == "1.0" else f"{float(mantissa):g}×"
        return f"{front}10{str(int(exponent)).translate(_RAISED)}"
    return f"{value:.3g}"


def _bars(panel: Panel, marks: _Marks) -> Markup:
    y = _y(panel, zero=True)
    count = max((len(series.x) for series in panel.series), default=0)
    step = (_W - _LEFT - _RIGHT) / max(count, 1)
    width = step * 0.78 / max(len(panel.series), 1)
    parts = [_grid(y), *_names(panel, step, count)]
    for number, series in enumerate(panel.series):
        for place, value in enumerate(series.y.tolist()):
            if not isfinite(value):
                continue
            left = _LEFT + place * step + step * 0.11 + number * width
            top = y.at(value)
            above = _above(series, place, y, top) - 3
            bar = Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{} bar"/>'
                '<text x="{:.1f}" y="{:.1f}" text-anchor="middle" class="value">{}</text>'
            ).format(left, top, width * 0.94, y.start - top, marks.style(series), left + width / 2, above,
                     written(value) if width > 17 else "")  # fmt: skip
            parts.append(marks.point(series, place, bar + _whisker(series, place, y, left + width * 0.8)))
    return Markup("").join([*parts, marks.legend()])


def _whisker(series: Series, place: int, y: AxisScale, x: float) -> Markup:
    """A line from ``low`` to ``high``, where these are known."""
    low, high = (_fact(series, name, place) for name in ("low", "high"))
    if not isfinite(low) or not isfinite(high):
        return Markup("")
    return Markup('<path d="M{:.1f} {:.1f}V{:.1f}" class="whisker"/>').format(x, y.at(low), y.at(high))


def _above(series: Series, place: int, y: AxisScale, top: float) -> float:
    high = _fact(series, "high", place)
    return min(top, y.at(high)) if isfinite(high) else top


def _fact(series: Series, name: str, place: int) -> float:
    return float(series.facts[name][place]) if name in series.facts else nan


def _names(panel: Panel, step: float, count: int) -> list[Markup]:
    """The words below each group of bars, a range in two lines if need be; a number where they do not fit."""
    words = next((series.words for series in panel.series if len(series.words) == count), ())
    room = int(step / 4.6)
    whole = [(word,) for word in words]
    halves = [tuple(part for part in (first, f"to {last}" if last else "") if part)
              for first, _, last in (word.partition(" to ") for word in words)]  # fmt: skip
    fitting = (words for words in (whole, halves) if all(len(part) <= room for parts in words for part in parts))
    fits = next(fitting, None) if words and count <= _WORDS else None
    shown = fits or [(str(place + 1),) for place in range(count)]
    return [
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            _LEFT + (place + 0.5) * step, _H - _BOTTOM + 12 + 9 * line, part
        )
        for place, parts in enumerate(shown)
        for line, part in enumerate(parts)
    ] + ([] if fits else [_under(panel.x)])


def _line(panel: Panel, marks: _Marks) -> Markup:
    x, y = _x(panel), _y(panel, panel.zero)
    parts = [_grid(y), _ticks(x), _under(panel.x)]
    if marks.present is not None and (marks.present > 0 or not x.log):
        left = min(max(x.at(marks.present), _LEFT), _W - _RIGHT)
        parts.append(Markup('<path d="M{:.1f} {}V{}" class="present"/>').format(left, _TOP, _H - _BOTTOM))
    for series in panel.series:
        known = [(place, a, b) for place, (a, b) in enumerate(zip(series.x.tolist(), series.y.tolist(), strict=True))
                 if isfinite(b) and (a > 0 or not x.log)]  # fmt: skip
        path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for _, a, b in known)
        parts.append(Markup('<polyline points="{}" class="{} stroke" stroke-dasharray="{}"/>').format(
            path, marks.style(series), marks.dash(series)
        ))  # fmt: skip
        parts += [marks.point(series, place, marks.shape(series, x.at(a), y.at(b), 0.8)) for place, a, b in known]
    return Markup("").join([*parts, marks.legend()])


def _dots(panel: Panel, marks: _Marks) -> Markup:
    """Scattered points with their names beside them."""
    x, y = _x(panel, room=1.6 if panel.log else 1.0), _y(panel, panel.zero)
    parts = [_grid(y), _ticks(x), _under(panel.x)]
    for series in panel.series:
        for place, (a, b) in enumerate(zip(series.x.tolist(), series.y.tolist(), strict=True)):
            left, top = x.at(a), y.at(b)
            over = left > _W * 0.7
            name = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
                left + (-7 if over else 7), top + 3, "end" if over else "start", series.name
            )
            parts.append(marks.point(series, place, marks.shape(series, left, top) + name))
    return Markup("").join(parts)


def _calibration(panel: Panel, marks: _Marks) -> Markup:
    """A point lies on the diagonal where what is said is what happens; a large mark stands for many samples."""
    x, y = AxisScale(0, 1, _LEFT, _W - _RIGHT), AxisScale(0, 1, _H - _BOTTOM, _TOP)
    parts = [_grid(y), _ticks(x), _under(panel.x)]
    parts.append(
        Markup('<path d="M{:.0f} {:.0f}L{:.0f} {:.0f}" class="rule"/>').format(x.at(0), y.at(0), x.at(1), y.at(1))
    )
    for series in panel.series:
        sizes = series.facts.get("samples", series.x * 0 + 1)
        most = max(sizes.tolist(), default=1.0)
        for place, (a, b) in enumerate(zip(series.x.tolist(), series.y.tolist(), strict=True)):
            scale = 0.7 + 1.5 * sqrt(float(sizes[place]) / most)
            parts.append(marks.point(series, place, marks.shape(series, x.at(a), y.at(b), scale)))
    return Markup("").join(parts)


def _x(panel: Panel, room: float = 0.0) -> AxisScale:
    values = [value for series in panel.series for value in series.x.tolist() if value > 0 or not panel.log]
    low, high = (min(values), max(values)) if values else (0.1, 1.0)
    if panel.log:
        low, high = low / (1 + room), high * (1 + room)
    return AxisScale(low, high, _LEFT + 6, _W - _RIGHT - 6, panel.log)


def _y(panel: Panel, zero: bool) -> AxisScale:
    drawn = [values for series in panel.series for values in (series.y, series.facts.get("high", series.y))]
    low, high = spread([value for values in drawn for value in values.tolist()], zero)
    return AxisScale(low, high, _H - _BOTTOM, _TOP)


def _grid(y: AxisScale) -> Markup:
    return Markup("").join(
        Markup('<path d="M{} {:.1f}H{}" class="rule"/><text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            _LEFT, y.at(value), _W - _RIGHT, _LEFT - 5, y.at(value) + 3, written(value)
        )
        for value in y.ticks()
    )


def _ticks(x: AxisScale) -> Markup:
    return Markup("").join(
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            x.at(value), _H - _BOTTOM + 12, written(value)
        )
        for value in x.ticks(6)
    )


def _under(words: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="middle" class="axis-name">{}</text>').format(
        (_LEFT + _W - _RIGHT) / 2, _H - _BOTTOM + 24, escape(words)
    )
