"""What both ways to speak with a server have in common: what is to be drawn, and what has been shown of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from backend.engines.openai.faults import ServerFault
from backend.types import Answer, ChainReading, Messages, Sampling, Trace

# Hears the new part of a chain.
Show = Callable[[str], None]


@dataclass(frozen=True)
class Draw:
    """One text to draw: by which model of the server, how, and from which stream (``seed``). ``index``: of a chain."""

    model: str
    sampling: Sampling
    seed: int
    index: int = 0


# Draws one chain of a prompt, and reads the P(yes) after it.
DrawChain = Callable[[Draw, Show | None], Awaitable[Trace]]


class Dialect(Protocol):
    """One way to speak. Every method raises ``EngineError`` for what fails with its prompt."""

    name: str

    async def answer(self, model: str, messages: Messages) -> Answer:
        """P(yes) of one prompt."""
        ...

    def chains(self, messages: Messages) -> DrawChain:
        """What draws the chains of one prompt."""
        ...

    async def read_chain(self, model: str, chain: tuple[Messages, str], max_tokens: int) -> ChainReading:
        """P(yes) behind the text of a chain of that prompt, which left room for ``max_tokens``."""
        ...

    async def write(self, messages: Messages, draw: Draw) -> str:
        """One text."""
        ...


class Shown:
    """Hands the new part of a growing text to ``show``, nothing twice. Without ``show`` there is nothing to keep to.

    A stream that breaks off is asked for again with the same seed, and its text is expected to begin in the same way:
    what was shown cannot be taken back. Where it does not, the chain fails.
    """

    def __init__(self, show: Show | None) -> None:
        self._show, self._text = show, ""

    def grow(self, text: str, *, last: bool = False) -> None:
        """``text`` is the chain so far. Raises ``ServerFault`` where it departs from what was shown."""
        if self._show is None:
            return
        goes_on = text.startswith(self._text)
        if not goes_on and (last or not self._text.startswith(text)):
            raise ServerFault(
                "A chain's stream broke off after a part of it was shown, and on repetition the server wrote another",
                expected="the same text for the same seed",
                fix="ask again",
            )
        if goes_on and text != self._text:
            piece, self._text = text[len(self._text) :], text
            self._show(piece)
