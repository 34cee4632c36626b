"""Ordinary functions that ask the server in the middle of their work, run beside the loop and cancelled with it.

The chat format (``backend.engines.chat``) is such code: it asks its vocabulary, and this vocabulary is a server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from threading import Lock
from typing import Any, TypeVar

from backend.engines.openai.client import ServerClient
from backend.errors import RallrecError

T = TypeVar("T")


class _Interrupted(BaseException):
    """Not an ``Exception``: the function in between must not take a lost connection for an answer."""

    def __init__(self, error: RallrecError | None) -> None:
        super().__init__(error)
        self.error = error


class _Held:
    """The requests that one function waits for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._closed = False
        self._requests: set[Future[Any]] = set()

    def add(self, request: Future[Any]) -> None:
        with self._lock:
            self._requests.add(request)
            if self._closed:
                request.cancel()

    def remove(self, request: Future[Any]) -> None:
        with self._lock:
            self._requests.discard(request)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for request in list(self._requests):
                request.cancel()


_held: ContextVar[_Held] = ContextVar("held")


class Bridge:
    """Threads for such functions, as many as the client has requests under way."""

    def __init__(self, client: ServerClient) -> None:
        self.client = client
        self._threads = ThreadPoolExecutor(client.config.concurrency, thread_name_prefix="openai-chat")

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """``function(*arguments)`` in a thread; within it :meth:`wait` works. Raises what it raises."""
        held = _Held()
        context = copy_context()
        context.run(_held.set, held)

        def work() -> tuple[T | None, _Interrupted | None]:
            try:
                return context.run(function, *arguments), None
            except _Interrupted as interrupted:
                return None, interrupted

        try:
            result, interrupted = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            held.close()
        if interrupted is not None:
            raise interrupted.error or RallrecError("Interrupted") from interrupted
        return result  # type: ignore[return-value]

    def wait(self, work: Coroutine[Any, Any, T], passes: Callable[[RallrecError], bool] = lambda _error: False) -> T:
        """The result of ``work`` on the client's loop, within a function under :meth:`run`.

        Errors that ``passes`` accepts are for that function to judge; any other ends it.
        """
        held = _held.get()
        request = self.client.submit(work)
        held.add(request)
        try:
            return request.result()
        except CancelledError as error:
            raise _Interrupted(None) from error
        except RallrecError as error:
            if passes(error):
                raise
            raise _Interrupted(error) from error
        finally:
            held.remove(request)
