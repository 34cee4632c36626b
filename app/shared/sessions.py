"""What open pages remember, by page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MOST = 1000

State = TypeVar("State")


class Sessions(Generic[State]):
    """Of at most :data:`MOST` pages; the ones used longest ago are forgotten first. Safe to call from any thread."""

    def __init__(self, new: Callable[[], State]) -> None:
        self._new = new
        self._held: OrderedDict[str, State] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, page: str) -> State:
        """What the page with this key remembers; begun now where it is not known."""
        with self._lock:
            state = self._held.setdefault(page, self._new())
            self._held.move_to_end(page)
            while len(self._held) > MOST:
                self._held.popitem(last=False)
            return state
