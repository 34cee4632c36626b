"""A limit on how much a server may answer, so that a broken one cannot fill the memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

# A chain of 32,768 tokens streams about 12 MB.
LONGEST_ANSWER = 64 * 2**20


class AnswerTooLarge(Exception):
    """More bytes than :data:`LONGEST_ANSWER`."""


async def bound(response: Any) -> None:
    """A hook for responses of httpx (or httpx2, whichever the client stands on): counts the bytes as they are read."""
    response.stream = _bounded_class(type(response.stream))(response.stream)


def _bounded_class(kind: type) -> Any:
    base = next(own for own in kind.__mro__ if own.__name__ == "AsyncByteStream")
    return type("BoundedStream", (_Bounded, base), {})


class _Bounded:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for part in self._inner:
            read += len(part)
            if read > LONGEST_ANSWER:
                raise AnswerTooLarge(f"more than {LONGEST_ANSWER} bytes")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
