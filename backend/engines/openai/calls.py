"""Many units of work on the server at once, heard one after the other by the thread that asked.

A unit is one answer, one chain or one text of a prompt. Callbacks, ``stop`` included, run in the caller's thread alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event, RLock
from typing import Any

from backend.engines.base import raise_if
from backend.engines.openai.client import ServerClient
from backend.engines.openai.faults import ServerFault
from backend.errors import EngineError, PartialError, RallrecError
from backend.types import Stop

# Seconds between two looks at ``stop`` while nothing comes from the server.
_LOOK = 0.05
# Seconds that cancelled requests are given to close their connections.
_PATIENCE = 1.0
_Heard = Callable[[], None]


@dataclass(frozen=True)
class Unit:
    """``run`` does the work on the client's loop; ``done`` hears its result in the caller's thread."""

    prompt: int
    run: Callable[[], Awaitable[Any]]
    done: Callable[[Any], None]


class Calls:
    """One call of an engine: ``asked`` is how many prompts it has."""

    def __init__(self, client: ServerClient, asked: int, stop: Stop | None) -> None:
        self._client, self._asked, self._stop = client, asked, stop
        self._events: queue.SimpleQueue[_Heard | None] = queue.SimpleQueue()
        self._failures = _Failures(limit=2 * client.config.concurrency)

    def tell(self, heard: _Heard) -> None:
        """Have the caller's thread run ``heard``, after all that was told before."""
        self._events.put(heard)

    def run(self, units: Sequence[Unit]) -> None:
        """Do every unit, in their order, some at once.

        Raises ``Stopped``; the one ``EngineError`` where all fail for the same reason; else ``PartialError``.
        """
        ended = Event()
        raise_if(self._stop)
        future = self._client.submit(self._work(units, ended))
        try:
            self._listen()
            future.result()
        finally:
            future.cancel()
            ended.wait(_PATIENCE)
        self._failures.raise_any(self._asked, {unit.prompt for unit in units})

    def _listen(self) -> None:
        while True:
            raise_if(self._stop)
            try:
                heard = self._events.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if heard is None:
                return
            heard()

    async def _work(self, units: Sequence[Unit], ended: Event) -> None:
        waiting = iter(units)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._client.config.concurrency, len(units))):
                    group.create_task(self._worker(waiting))
        finally:
            ended.set()
            self._events.put(None)

    async def _worker(self, waiting: Iterator[Unit]) -> None:
        for unit in waiting:
            if self._failures.given_up(unit.prompt):
                continue
            try:
                result = await unit.run()
            except RallrecError as error:
                self._failures.add(unit.prompt, error)
            except Exception as error:  # a server can always send what nobody thought of
                self._failures.add(unit.prompt, _unforeseen(error))
            else:
                self._failures.in_a_row = 0
                self._events.put(lambda unit=unit, result=result: unit.done(result))  # type: ignore[misc]


@dataclass
class _Failures:
    """What failed, by prompt. ``limit``: failures in a row after which the server counts as gone."""

    limit: int
    by_prompt: dict[int, RallrecError] = field(default_factory=dict)
    in_a_row: int = 0
    gone: RallrecError | None = None

    def given_up(self, prompt: int) -> bool:
        """Whether there is no use in asking for more of ``prompt``."""
        if self.gone:
            self.by_prompt.setdefault(prompt, self.gone)
            return True
        known = self.by_prompt.get(prompt)
        return known is not None and not (isinstance(known, ServerFault) and known.transient)

    def add(self, prompt: int, error: RallrecError) -> None:
        self.by_prompt.setdefault(prompt, error)
        fault = error if isinstance(error, ServerFault) else None
        self.in_a_row += 1 if fault and fault.transient else 0
        if fault and (fault.everywhere or self.in_a_row >= self.limit):
            self.gone = self.gone or fault

    def raise_any(self, asked: int, prompts: set[int]) -> None:
        if not self.by_prompt:
            return
        reasons = {str(error): error for _, error in sorted(self.by_prompt.items())}
        first = next(iter(reasons.values()))
        if len(reasons) == 1 and set(self.by_prompt) == prompts:
            raise first if isinstance(first, EngineError) else EngineError(str(first)) from first
        failures = {prompt: str(error) for prompt, error in self.by_prompt.items()}
        raise PartialError(failures, asked, fix=first.fix if len(reasons) == 1 else None)


def _unforeseen(error: Exception) -> EngineError:
    wrapped = EngineError(
        f"What the server sent could not be used ({type(error).__name__}: {error})",
        fix="look at the server's log, and report this",
    )
    wrapped.__cause__ = error
    return wrapped


@contextlib.contextmanager
def holding(lock: RLock, stop: Stop | None) -> Iterator[None]:
    """The lock, waited for only until ``stop``."""
    while not lock.acquire(timeout=_LOOK):
        raise_if(stop)
    try:
        yield
    finally:
        lock.release()
