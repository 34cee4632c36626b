"""A language model behind an OpenAI-compatible server: vLLM, llama.cpp, a hosted service.

Several requests are under way at once; each chain is a request of its own with a seed of its own. Importing this module
imports neither the ``openai`` client nor any model library.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event, RLock
from typing import Any

from backend.engines.base import Caller, EngineBase, OnAnswer, OnPiece, OnReading, OnTrace, parts, raise_if
from backend.engines.config import ServerConfig
from backend.engines.openai.chat_dialect import ChatDialect
from backend.engines.openai.client import ServerClient
from backend.engines.openai.dialect import Dialect, Draw
from backend.engines.openai.faults import ServerFault, unknown_model
from backend.engines.openai.tokens_dialect import Bridge, open_tokens
from backend.errors import EngineError, PartialError, RallrecError
from backend.seeding import derive_seed
from backend.types import Messages, ModelRef, Progress, Sampling, Stop

# What every server accepts as a seed; some keep it in 32 bits.
_SEEDS = 2**31
# Prompts per part of a long list: a part that is cut off is written again.
_PART = 64
# What servers without a list of models answer to the question for it.
_NO_LIST = (404, 405, 501)
# Seconds between two looks at ``stop`` while nothing comes from the server.
_LOOK = 0.05
# Seconds that cancelled requests are given to close their connections.
_PATIENCE = 1.0
_Heard = Callable[[], None]
# What a list of models says of where the weights are from.
_ORIGIN = ("root", "parent", "revision")
# on_contact(model, what the server says of it)
OnContact = Callable[[ModelRef, Mapping[str, str]], None]


class OpenAIEngine(EngineBase):
    """``model.name``: the name that the server at ``url`` serves the model under; ``model.adapter``: the adapter's name
    there, asked for instead. ``model.context`` limits the context below the server's.

    ``on_contact`` is told what the server says of a model (``root``, ``parent``, ``revision``) before that is first
    used, and may raise. The key comes from the environment (``config.key_variable``) and is kept nowhere else. One lock
    serialises calls.
    """

    name = "openai"

    def __init__(
        self,
        model: ModelRef,
        *,
        url: str,
        config: ServerConfig | None = None,
        on_contact: OnContact | None = None,
        **_unused: Any,
    ) -> None:
        self.model = model
        self._on_contact = on_contact
        self._connection = Connection(url, config or ServerConfig())

    def load(self, progress: Progress | None = None) -> None:
        """Reach the server, and learn how to speak with it. Raises ``EngineError``."""
        with self._connection.lock:
            self._open(Caller(progress, None))

    def _answer(self, prompts: Sequence[Messages], hear: OnAnswer, caller: Caller) -> None:
        def units(_calls: Calls) -> list[Unit]:
            ask = partial(self._connection.dialect.answer, self._served_name)
            return [Unit(number, partial(ask, prompt), partial(hear, number)) for number, prompt in enumerate(prompts)]

        self._run(prompts, units, caller)

    def _reason(
        self, prompts: Sequence[Messages], indices: Sequence[int], sampling: Sampling, hear: OnTrace, caller: Caller
    ) -> None:
        """Draw the chains, several at once; those of the first prompts are begun first."""

        def units(calls: Calls) -> list[Unit]:
            caller.tell("reasoning")
            chains = []
            for number, prompt in enumerate(prompts):
                draw_chain = self._connection.dialect.chains(prompt)
                for index in dict.fromkeys(indices):
                    draw = self._draw(sampling, prompt, index)
                    show = partial(_tell, calls, caller.on_piece, number, index) if caller.on_piece else None
                    chains.append(Unit(number, partial(draw_chain, draw, show), partial(hear, number)))
            return chains

        self._run(prompts, units, caller)

    def _read_chains(
        self, chains: Sequence[tuple[Messages, str]], sampling: Sampling, hear: OnReading, caller: Caller
    ) -> None:
        def units(_calls: Calls) -> list[Unit]:
            read = partial(self._connection.dialect.read_chain, self._served_name)
            return [
                Unit(number, partial(read, chain, sampling.max_tokens), partial(hear, number))
                for number, chain in enumerate(chains)
            ]

        self._run([prompt for prompt, _ in chains], units, caller)

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """Returns parts by position: the server itself groups what it runs."""
        return parts(len(prompts), _PART)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """Write the texts, several at once; returns them in the order of the prompts."""
        texts: dict[int, str] = {}

        def units(_calls: Calls) -> list[Unit]:
            dialect = self._connection.dialect
            draws = [self._draw(sampling, prompt) for prompt in prompts]
            return [
                Unit(number, partial(dialect.write, prompt, draw), partial(texts.__setitem__, number))
                for number, (prompt, draw) in enumerate(zip(prompts, draws, strict=True))
            ]

        self._run(prompts, units, Caller(None, stop))
        return [texts[number] for number in range(len(prompts))]

    def _draw(self, sampling: Sampling, prompt: Messages, *index: int) -> Draw:
        seed = derive_seed(sampling.seed, [message.content for message in prompt], *index) % _SEEDS
        return Draw(self._served_name, sampling, seed, *index)

    def _run(self, prompts: Sequence[Messages], units: Callable[[Calls], list[Unit]], caller: Caller) -> None:
        if not prompts:
            return
        with holding(self._connection.lock, caller.stop):
            caller.check()
            self._open(caller)
            calls = Calls(self._connection.client, len(prompts), caller.stop)
            calls.run(units(calls))

    def _open(self, caller: Caller) -> None:
        connection, name = self._connection, self._served_name
        if connection.is_open(name):
            return
        caller.tell(f"asking the server for {name}")
        told: list[dict[str, str]] = []
        opening = Unit(0, partial(connection.open, name, self.model.context), told.append)
        Calls(connection.client, 1, caller.stop).run([opening])
        if self._on_contact:
            self._on_contact(self.model, told[0])
        connection.use(name)

    @property
    def _served_name(self) -> str:
        return self.model.adapter or self.model.name


def _tell(calls: Calls, on_piece: OnPiece, number: int, index: int, text: str) -> None:
    calls.tell(partial(on_piece, number, index, text))


class Connection:
    """What the engines of one server share: the client, the ``lock`` (one call at a time), and how to speak with it."""

    def __init__(self, url: str, config: ServerConfig) -> None:
        self.client = ServerClient(url, config)
        self.lock = RLock()
        self._bridge = Bridge(self.client)
        self._served: set[str] = set()
        self._dialect: Dialect | None = None

    @property
    def dialect(self) -> Dialect:
        """How to speak with the server, which is known once :meth:`open` has run."""
        if self._dialect is None:
            raise RuntimeError("The connection was not opened")
        return self._dialect

    def is_open(self, model: str) -> bool:
        """Whether there is nothing left to ask the server before ``model`` is used."""
        return self._dialect is not None and model in self._served

    def use(self, model: str) -> None:
        """Take ``model`` as opened."""
        self._served.add(model)

    async def open(self, model: str, context: int | None) -> dict[str, str]:
        """Reach the server, check that it serves ``model``, and choose how to speak.

        Returns what it says of where the weights are from. Raises ``EngineError``.
        """
        listed = await self._models()
        if listed is not None and model not in listed:
            raise unknown_model(model, list(listed), self.client.place)
        if self._dialect is None:
            self._dialect = await open_tokens(self._bridge, model, context) or ChatDialect(self.client, context)
        return (listed or {}).get(model, {})

    async def _models(self) -> dict[str, dict[str, str]] | None:
        """Returns the names that the server lists, with what it says of each; None where it lists none."""
        try:
            told: Any = (await self.client.ask("/models")).get("data")
        except ServerFault as fault:
            if fault.status in _NO_LIST:
                return None
            raise
        if not isinstance(told, list):
            raise self.client.place.bad_answer("something else than a list of its models")
        return {
            entry["id"]: {name: entry[name] for name in _ORIGIN if isinstance(entry.get(name), str)}
            for entry in told
            if isinstance(entry, dict) and isinstance(entry.get("id"), str)
        }


@dataclass(frozen=True)
class Unit:
    """``run`` does the work on the client's loop; ``done`` hears its result in the caller's thread."""

    prompt: int
    run: Callable[[], Awaitable[Any]]
    done: Callable[[Any], None]


class Calls:
    """One call of an engine, with ``prompts`` prompts in all."""

    def __init__(self, client: ServerClient, prompts: int, stop: Stop | None) -> None:
        self._client, self._prompts, self._stop = client, prompts, stop
        self._events: queue.SimpleQueue[_Heard | None] = queue.SimpleQueue()
        self._failures = _Failures(limit=2 * client.config.concurrency)

    def tell(self, heard: _Heard) -> None:
        """Have the caller's thread run ``heard``, after all that was told before."""
        self._events.put(heard)

    def run(self, units: Sequence[Unit]) -> None:
        """Do every unit, begun in their order, several at once.

        Raises ``Stopped``, the one ``EngineError`` where all fail for the same reason, or ``PartialError``.
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
        self._failures.raise_any(self._prompts, {unit.prompt for unit in units})

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
    """Keeps what failed, by prompt. After ``limit`` failures in a row the server counts as gone."""

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

    def raise_any(self, prompts: int, tried: set[int]) -> None:
        """Raise what went wrong, if anything did. ``tried``: the prompts, of all, that something was asked for."""
        if not self.by_prompt:
            return
        reasons = {str(error): error for _, error in sorted(self.by_prompt.items())}
        first = next(iter(reasons.values()))
        if len(reasons) == 1 and set(self.by_prompt) == tried:
            raise first if isinstance(first, EngineError) else EngineError(str(first)) from first
        failures = {prompt: str(error) for prompt, error in self.by_prompt.items()}
        raise PartialError(failures, prompts, fix=first.fix if len(reasons) == 1 else None)


def _unforeseen(error: Exception) -> EngineError:
    wrapped = EngineError(
        f"What the server sent could not be used ({type(error).__name__}: {error})",
        fix="look at the server's log, and report this",
    )
    wrapped.__cause__ = error
    return wrapped


@contextlib.contextmanager
def holding(lock: RLock, stop: Stop | None) -> Iterator[None]:
    """Holds the lock, and waits for it no longer than until ``stop``."""
    while not lock.acquire(timeout=_LOOK):
        raise_if(stop)
    try:
        yield
    finally:
        lock.release()
