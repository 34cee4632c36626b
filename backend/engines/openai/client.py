"""The boundary to the server: one event loop in a thread, the ``openai`` client on it, retries, bounded answers.

Nothing else in the package touches HTTP. What comes back is JSON as it was sent: its readers trust nothing in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from backend.engines.config import ServerConfig
from backend.engines.openai.faults import URL_SETTING, AnswerTooLarge, Place, ServerFault, translate
from backend.errors import EngineError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
# Bytes of one answer, so that a broken server cannot fill the memory. A chain of 32,768 tokens streams about 12 MB.
LONGEST_ANSWER = 64 * 2**20
# Seconds before the first repetition; each further one waits twice as long, up to the last of these.
FIRST_WAIT = 0.5
LONGEST_WAIT = 8.0
# A local server asks for no key, but the client does not send requests without one.
_NO_KEY = "none"


class ServerClient:
    """A server at ``url`` (the address that ends in ``/v1``). Raises ``EngineError`` for what is no address."""

    def __init__(self, url: str, config: ServerConfig) -> None:
        if not _is_address(url):
            raise EngineError(
                f"The server's address is {url!r}",
                expected="an address such as http://127.0.0.1:8000/v1",
                fix=f"set {URL_SETTING}",
            )
        self.config = config
        self.url = url.strip().rstrip("/")
        self.place = Place(self.url, config.key_variable, _key(config.key_variable), config.timeout)
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._made: list[AsyncOpenAI] = []

    @property
    def root(self) -> str:
        """The address above ``/v1``, where vLLM has what is its own."""
        return self.url.removesuffix("/v1")

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run ``work`` on the client's loop; from any other thread."""
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(self._loop,), name="openai-engine", daemon=True).start()
                weakref.finalize(self, _shut_down, self._loop, self._made)
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns the JSON object that answers a POST of ``body``, or a GET. Retries; raises ``ServerFault``."""
        return await self.retrying(lambda: self._ask_once(path, body))

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yields the JSON objects of one stream. It is not repeated: the reader knows whether it was whole.

        Raises ``ServerFault``.
        """
        from openai import AsyncStream

        events: AsyncStream[object] | None = None
        try:
            async with asyncio.timeout(self.config.timeout):
                events = await self._openai().post(
                    path, cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
                )
            while True:
                async with asyncio.timeout(self.config.timeout):  # also where only signs of life come
                    try:
                        event = await anext(events)
                    except StopAsyncIteration:
                        return
                yield self._object(event)
        except Exception as error:
            raise translate(error, self.place) from self.place.without_key(error)
        finally:
            if events is not None:
                await events.response.aclose()
                with contextlib.suppress(Exception):
                    async for _ in events:  # what reads the response ends here, not when it is collected
                        pass

    async def retrying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat ``attempt()`` while its faults are transient, after longer and longer waits; returns its result."""
        for repeated in range(self.config.retries + 1):
            try:
                return await attempt()
            except ServerFault as fault:
                if not fault.transient or repeated == self.config.retries:
                    raise
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2**repeated) * random.uniform(0.5, 1.0)
                await asyncio.sleep(max(wait, fault.wait or 0.0))
        raise AssertionError("unreachable")

    async def _ask_once(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        client = self._openai()
        try:
            async with asyncio.timeout(self.config.timeout):
                if body is None:
                    answer = await client.get(path, cast_to=object)
                else:
                    answer = await client.post(path, cast_to=object, body=body)
            return self._object(json.loads(answer) if isinstance(answer, str) else answer)
        except Exception as error:
            raise translate(error, self.place) from self.place.without_key(error)

    def _object(self, answer: object) -> dict[str, Any]:
        if not isinstance(answer, dict):
            raise self.place.bad_answer(f"{type(answer).__name__} where an object was expected")
        return answer

    def _openai(self) -> AsyncOpenAI:
        """The client, made on the loop that uses it."""
        if not self._made:
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient

            client = AsyncOpenAI(
                base_url=self.url,
                api_key=self.place.key or _NO_KEY,
                timeout=self.config.timeout,
                # :meth:`retrying` repeats requests: the client would know nothing of a stream that breaks off, would
                # set no limit to the time of a whole answer, and would repeat a refusal (409).
                max_retries=0,
                # Compressed, a small answer could be a huge one.
                default_headers={"Accept-Encoding": "identity"},
                http_client=DefaultAsyncHttpxClient(event_hooks={"response": [_bound]}),
            )
            self._made.append(client)
        return self._made[0]


def _key(variable: str) -> str | None:
    """The key in the environment; None where there is none. Raises ``EngineError`` for what cannot be sent as one."""
    key = os.environ.get(variable, "").strip()
    if not all("!" <= character <= "~" for character in key):
        raise EngineError(
            f"The environment variable {variable} holds characters that cannot stand in a key",
            expected="a key of the server, of plain letters, digits and signs",
            fix=f"set {variable} again, or unset it where the server wants no key",
        )
    return key or None


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until :func:`_shut_down` stops it."""
    try:
        loop.run_forever()
    finally:
        loop.close()


def _shut_down(loop: asyncio.AbstractEventLoop, made: list[AsyncOpenAI]) -> None:
    """Close the connections of a client that nobody has any more, and end its loop's thread."""

    async def close() -> None:
        for client in made:
            await client.close()
        loop.stop()

    asyncio.run_coroutine_threadsafe(close(), loop)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


async def read_all(events: AsyncIterator[dict[str, Any]], read: Callable[[dict[str, Any]], None]) -> None:
    """``read`` every event; the stream is closed at once where reading fails or is cancelled."""
    async with contextlib.aclosing(events) as open_events:  # type: ignore[type-var]
        async for event in open_events:
            read(event)


async def _bound(response: Any) -> None:
    """Limits how much of a response is read. A hook for httpx, or httpx2, whichever the client stands on."""
    response.stream = _bounded_class(type(response.stream))(response.stream)


def _bounded_class(kind: type) -> Any:
    base = next(base for base in kind.__mro__ if base.__name__ == "AsyncByteStream")
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
