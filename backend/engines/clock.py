"""How long a request's own work took where several run side by side: ``seconds`` of :class:`backend.types.Answer`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self


class WorkClock:
    """Divides the time that passes equally among those that run. ``now`` tells the time in seconds."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now, self._last = now, now()
        self._running = 0
        # What one that runs all the time would have had until ``_last``.
        self._each = 0.0

    def begin(self) -> WorkShare:
        """One more runs from now on, until its share is ended."""
        self._pass()
        self._running += 1
        return WorkShare(self, self._each)

    def _end(self, begun: float) -> float:
        self._pass()
        self._running -= 1
        return self._each - begun

    def _pass(self) -> None:
        now = self._now()
        if self._running:
            self._each += (now - self._last) / self._running
        self._last = now


class WorkShare:
    """The share of one that runs. As a context manager it ends with the block, whatever happens there."""

    def __init__(self, clock: WorkClock, begun: float) -> None:
        self._clock, self._begun = clock, begun
        self._seconds: float | None = None

    def end(self) -> float:
        """Its seconds, up to the first call."""
        if self._seconds is None:
            self._seconds = self._clock._end(self._begun)
        return self._seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
