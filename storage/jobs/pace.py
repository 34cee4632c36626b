"""How long work will take, by how fast it went until now, and how that is said. Loads nothing."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """About how long: ``119 s``, ``2 min``, ``2.5 h``."""
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def sort_of(what: str) -> str:
    """The sort of work: what stands before a colon; numbers behind it change from step to step."""
    return what.partition(":")[0]


class Pace:
    """How long work takes by how fast it went until now; each sort of work has a clock of its own."""

    def __init__(self) -> None:
        self._sort = ""
        self._begun = self._start = 0.0

    def begins(self, what: str, fraction: float | None, now: float) -> bool:
        """Whether this is another sort of work than before, which begins now."""
        if sort_of(what) == self._sort:
            return False
        self._sort, self._begun, self._start = sort_of(what), now, fraction or 0.0
        return True

    def left(self, fraction: float | None, now: float) -> float | None:
        """Seconds that the rest will take; None where that cannot be known."""
        if fraction is None or fraction <= self._start:
            return None
        return (now - self._begun) * (1 - fraction) / (fraction - self._start)
