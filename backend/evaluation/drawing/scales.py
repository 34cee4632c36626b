"""From numbers to places on paper: ranges, round ticks, and how numbers are written at them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10


@dataclass(frozen=True)
class Scale:
    """A range of values [``low``, ``high``] laid over [``start``, ``end``] on paper; ``log``: by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, own = (log10(each) if self.log else each for each in (self.low, self.high, value))
        share = (own - low) / (high - low) if high > low else 0.5
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


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
