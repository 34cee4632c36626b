"""Fitting a prompt to a context whose length only the server knows: by asking again with less of the history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import accumulate
from typing import TypeVar

from backend.engines.chat import without_oldest
from backend.engines.openai.faults import TooLong
from backend.types import Messages

T = TypeVar("T")
# How often the server's own numbers are believed before half of what is left goes each time.
_BELIEVED = 2
# The context is not filled to the last token: lines differ in tokens per character.
_FILLED = 0.95


async def fitted(messages: Messages, ask: Callable[[Messages], Awaitable[T]]) -> tuple[T, int]:
    """The result of ``ask``, and how many of the oldest history lines had to go until it did not raise ``TooLong``.

    Where the server tells how long the prompt is and may be, about as many go as must; otherwise half of what is left
    each time, so that n lines take at most about log2(n) further requests.
    """
    lines = [end - start for message in messages for start, end in message.droppable]
    dropped, tried = 0, 0
    while True:
        kept = without_oldest(messages, dropped)
        try:
            return await ask(kept), dropped
        except TooLong as fault:
            left = lines[dropped:]
            if not left:
                raise
            length = sum(len(message.content) for message in kept)
            more = _excess(length, left, fault) if tried < _BELIEVED else None
            dropped += more or (len(left) + 1) // 2
            tried += 1


def _excess(length: int, lines: list[int], fault: TooLong) -> int | None:
    """How many of ``lines`` (characters each, of ``length`` in all) hold the tokens that are too many; None: untold."""
    if fault.needed is None or fault.limit is None or fault.needed <= fault.limit:
        return None
    surplus = length - _FILLED * fault.limit * length / fault.needed
    fewest = (count for count, gone in enumerate(accumulate(lines), start=1) if gone >= surplus)
    return next(fewest, len(lines))
