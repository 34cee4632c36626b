"""What the engine needs of a way to speak with a server."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol

from backend.engines.openai.pieces import Show
from backend.types import Answer, Messages, Sampling, Trace


@dataclass(frozen=True)
class Draw:
    """One text to draw: by which model of the server, how, and from which stream (``seed``). ``index``: of a chain."""

    model: str
    sampling: Sampling
    seed: int
    index: int = 0


@dataclass
class Clock:
    """Seconds since it was made."""

    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


class Dialect(Protocol):
    """One way to speak. Every method raises ``EngineError`` for what fails with its prompt."""

    name: str

    async def answer(self, model: str, messages: Messages) -> Answer:
        """P(yes) of one prompt."""
        ...

    def chains(self, messages: Messages) -> Chains:
        """Ready to draw chains of one prompt."""
        ...

    async def write(self, messages: Messages, draw: Draw) -> str:
        """One text."""
        ...


class Chains(Protocol):
    """The chains of one prompt."""

    def draw(self, draw: Draw, show: Show | None) -> Awaitable[Trace]:
        """One chain with the P(yes) read after it."""
        ...
