"""Speaking in chat messages: what every OpenAI-compatible server understands.

The server renders the prompt, so whether the model thinks is the server's matter, and P(yes) is read from the likeliest
tokens that it lists. What a server turns out not to know is remembered and left out of further requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar

from backend.control_words import without_control_words
from backend.engines.base import THINK_CLOSE, THINK_OPEN
from backend.engines.chat import Chance, without_oldest
from backend.engines.clock import WorkClock
from backend.engines.openai.client import ServerClient, read_all
from backend.engines.openai.dialect import Draw, DrawChain, Show, Shown
from backend.engines.openai.faults import ServerFault, TooLong
from backend.engines.openai.reading import Unreadable, chance, finish_reason, listed_logprobs, read_event, usage
from backend.errors import EngineError
from backend.types import CHAIN_ENDS, Answer, ChainReading, Messages, Trace, finish_of

T = TypeVar("T")
_log = logging.getLogger(__name__)
_PATH = "/chat/completions"
_OPEN = THINK_OPEN.strip()
# What asks a server to go on in the assistant's turn.
_CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}
_FOLLOW_UP = "So, is the answer Yes or No? Answer with one word."
_LISTED, _FEWER_LISTED = 20, 5
# Tokens that lead from a chain to the answer, where the context is limited by the model's reference.
_CLOSING = 8
# A turn of the assistant for which a server is asked how long it is, once and twice as long: each of its words is one
# token, wherever it stands.
_COUNTED = "the the the"
# How often the server's own numbers are believed before half of what is left goes each time.
_BELIEVED = 2
# The context is not filled to the last token: lines differ in tokens per character.
_FILLED = 0.95


@dataclass
class _Learnt:
    """What a server turned out to want, or not to know."""

    limit_name: str = "max_tokens"
    listed: int = _LISTED
    tells_usage: bool = True
    continues: bool = True
    continuing_was_tried: bool = False
    gave_logprobs: bool = False


@dataclass(frozen=True)
class _ChatText:
    text: str
    tokens: int
    finish: str


class ChatDialect:
    """``context``: a limit of tokens below the server's own; kept by what the server says a prompt has."""

    name = "chat"

    def __init__(self, client: ServerClient, context: int | None) -> None:
        self._client, self._context = client, context
        self._learnt = _Learnt()
        self._clock = WorkClock()
        self._trying = asyncio.Lock()

    async def answer(self, model: str, messages: Messages) -> Answer:
        async def ask(some: Messages) -> tuple[Chance, dict[str, Any], float]:
            with self._clock.begin() as share:
                read, told = await self._read(model, _as_chat(some), {})
                self._check_context(usage(told).get("prompt_tokens", 0), 1)
            return read, told, share.end()

        (read, told, seconds), dropped = await fitted(messages, ask)
        return Answer(read.p_yes, usage(told).get("prompt_tokens", 0), seconds, dropped, read.mass)

    def chains(self, messages: Messages) -> DrawChain:
        return partial(self._reason, messages)

    async def read_chain(self, model: str, chain: tuple[Messages, str], max_tokens: int) -> ChainReading:  # noqa: ARG002
        raise EngineError(
            f"The server {self._client.place.shown} takes chat messages alone, so chains cannot be read anew there",
            expected="an engine that holds the model's weights, or a server that takes token ids (vLLM)",
            fix="set RALLREC_ENGINE=transformers",
        )

    async def write(self, messages: Messages, draw: Draw) -> str:
        async def ask(some: Messages) -> _ChatText:
            await self._count(draw.model, some, draw.sampling.max_tokens)
            return await self._speak(some, draw, None)

        said, _ = await fitted(messages, ask)
        return said.text

    async def _reason(self, messages: Messages, draw: Draw, show: Show | None) -> Trace:
        """One chain, and P(yes) read after it with its thinking closed (section 4.3.3)."""

        async def ask(some: Messages) -> tuple[_ChatText, Messages]:
            await self._count(draw.model, some, draw.sampling.max_tokens + _CLOSING)
            return await self._speak(some, draw, show), some

        p_yes, mass = None, None
        with self._clock.begin() as share:
            (said, kept), dropped = await fitted(messages, ask)
            if said.finish in CHAIN_ENDS:
                p_yes, mass = await self._read_after(draw.model, kept, said.text)
        return Trace(draw.index, said.text, p_yes, said.tokens, share.end(), said.finish, dropped, mass)

    async def _read_after(self, model: str, messages: Messages, text: str) -> Chance:
        """Read P(yes) after a chain: the assistant's turn is continued behind it, closed, or else the user asks."""
        reasoning, rejected = reasoning_of(text), False
        if await self._continues(model):
            turn = f"{THINK_OPEN}{reasoning}\n{THINK_CLOSE}\n\n"
            try:
                return (await self._read(model, [*_as_chat(messages), _turn("assistant", turn)], _CONTINUE))[0]
            except ServerFault as fault:
                if not fault.rejected or isinstance(fault, TooLong):
                    raise
                rejected = True
            except Unreadable as error:
                if not error.listed:
                    raise
        turns = [_turn("assistant", reasoning.strip() or "..."), _turn("user", _FOLLOW_UP)]
        read, _ = await self._read(model, [*_as_chat(messages), *turns], {})
        if rejected:
            self._learnt.continues = False
        return read

    async def _continues(self, model: str) -> bool:
        """Whether the server goes on in the assistant's turn when it is asked to, as far as is known.

        One that knows nothing of it closes the turn without a word, and P(yes) would be read behind it. Its numbers of
        tokens tell: behind a question, a turn that is continued adds its own tokens and no others.
        """
        async with self._trying:
            if self._learnt.continues and not self._learnt.continuing_was_tried:
                question = _turn("user", "?")
                try:
                    once = await self._length(model, [question, _turn("assistant", _COUNTED)], _CONTINUE)
                    twice = await self._length(
                        model, [question, _turn("assistant", f"{_COUNTED} {_COUNTED}")], _CONTINUE
                    )
                except ServerFault as fault:
                    if not fault.rejected:
                        raise
                    self._learnt.continues = False
                    return False
                alone = await self._length(model, [question], {})
                self._learnt.continuing_was_tried = True
                if once and twice and alone and 2 * once - twice > alone:
                    self._learnt.continues = False
                    _log.warning(
                        "The server %s closes the assistant's turn although it is asked to continue it: P(yes) after a "
                        "chain is read from its answer to a further question",
                        self._client.place.shown,
                    )
        return self._learnt.continues

    async def _length(self, model: str, chat: list[dict[str, str]], extra: dict[str, Any]) -> int:
        """Returns how many tokens a prompt has for the server; 0 where it does not tell."""
        told = await self._adjusted(
            lambda: {"model": model, "messages": chat, self._learnt.limit_name: 1} | extra,
            lambda body: self._client.ask(_PATH, body),
        )
        return usage(told).get("prompt_tokens", 0)

    async def _read(
        self, model: str, chat: list[dict[str, str]], extra: dict[str, Any]
    ) -> tuple[Chance, dict[str, Any]]:
        """Returns what is read as the next word of ``chat``, and the server's whole answer."""

        def request() -> dict[str, Any]:
            body = {"model": model, "messages": chat, self._learnt.limit_name: 1, "temperature": 0.0, "logprobs": True}
            return body | {"top_logprobs": self._learnt.listed} | extra

        try:
            told = await self._adjusted(request, lambda body: self._client.ask(_PATH, body))
            read = chance(listed_logprobs(told))
        except ServerFault as fault:
            if fault.rejected and "logprobs" in str(fault) and not self._learnt.gave_logprobs:
                raise self._no_logprobs(model) from fault
            raise
        except Unreadable as error:
            if error.listed or self._learnt.gave_logprobs:
                raise
            raise self._no_logprobs(model) from error
        self._learnt.gave_logprobs = True
        return read, told

    async def _speak(self, messages: Messages, draw: Draw, show: Show | None) -> _ChatText:
        shown = Shown(show)
        return await self._client.retrying(
            lambda: self._adjusted(
                lambda: self._speech(messages, draw), lambda body: self._hear(body, draw.sampling.max_tokens, shown)
            )
        )

    def _speech(self, messages: Messages, draw: Draw) -> dict[str, Any]:
        request: dict[str, Any] = {"model": draw.model, "messages": _as_chat(messages), "stream": True}
        request |= {"temperature": draw.sampling.temperature, "top_p": draw.sampling.top_p, "seed": draw.seed}
        request[self._learnt.limit_name] = draw.sampling.max_tokens
        return request | ({"stream_options": {"include_usage": True}} if self._learnt.tells_usage else {})

    async def _hear(self, request: dict[str, Any], limit: int, shown: Shown) -> _ChatText:
        """Read one stream to its end."""
        written, parts, tokens, finish = ThinkingText(), 0, None, ""

        def read(answer: dict[str, Any]) -> None:
            nonlocal parts, tokens, finish
            event = read_event(answer)
            finish = event.finish or finish
            parts += bool(event.content or event.reasoning)
            tokens = (event.usage or {}).get("completion_tokens", tokens)
            written.add(event.reasoning, event.content)
            shown.grow(written.text())

        await read_all(self._client.stream(_PATH, request), read)
        if not finish:
            raise self._client.place.cut()
        text = written.text(last=True)
        shown.grow(text, last=True)
        ended = finish_of(finish_reason(finish), text)
        return _ChatText(text, min(parts if tokens is None else tokens, limit), ended)

    async def _adjusted(
        self, request: Callable[[], dict[str, Any]], send: Callable[[dict[str, Any]], Awaitable[Any]]
    ) -> Any:
        """Send the request, again in other words where the server refuses something that can be said otherwise."""
        while True:
            body = request()
            try:
                return await send(body)
            except ServerFault as fault:
                self._learn(fault, body)
                if request() == body:
                    raise

    def _learn(self, fault: ServerFault, body: dict[str, Any]) -> None:
        said = str(fault)
        if not fault.rejected or isinstance(fault, TooLong):
            return
        if "max_completion_tokens" in said and "max_tokens" in body:
            self._learnt.limit_name = "max_completion_tokens"
        if "top_logprobs" in said and body.get("top_logprobs", 0) > _FEWER_LISTED:
            self._learnt.listed = _FEWER_LISTED
        if "stream_options" in said:
            self._learnt.tells_usage = False

    async def _count(self, model: str, messages: Messages, room: int) -> None:
        """Ask how long the prompt is, by one token after it, where the context is limited below the server's."""
        if self._context is not None:
            self._check_context(await self._length(model, _as_chat(messages), {}), room)

    def _check_context(self, length: int, room: int) -> None:
        needed = length + room
        if self._context is not None and needed > self._context:
            raise TooLong(f"The prompt needs {needed} tokens, its context is {self._context}", needed, self._context)

    def _no_logprobs(self, model: str) -> EngineError:
        return ServerFault(
            f"The server {self._client.place.shown} gives no log probabilities for the model {model!r}",
            expected="logprobs with the answer: P(yes) is read from them",
            fix="choose a model or a server that gives them (vLLM, llama.cpp)",
            everywhere=True,
        )


def _as_chat(messages: Messages) -> list[dict[str, str]]:
    # Which commands the model knows, the server does not tell: nothing that looks like one is sent.
    marks = (_OPEN, THINK_CLOSE)
    return [_turn(message.role, without_control_words(message.content, but=marks)) for message in messages]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


class ThinkingText:
    """Collects what comes after ``<think>``, whether the server leaves the thinking in the text or takes it out."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._kind = ""

    def add(self, reasoning: str, content: str) -> None:
        """Add what came next, of either kind."""
        for kind, text in (("reasoning", reasoning), ("content", content)):
            if not text:
                continue
            if kind == "content" and self._kind == "reasoning":
                self._parts.append(f"\n{THINK_CLOSE}\n\n")
            self._kind = kind
            self._parts.append(text)

    def text(self, *, last: bool = False) -> str:
        """Returns the chain so far, and nothing while it may still begin with ``<think>``."""
        text = "".join(self._parts)
        self._parts = [text]
        start = text.lstrip()
        if not last and len(start) <= len(_OPEN) and _OPEN.startswith(start):
            return ""
        return start.removeprefix(_OPEN).removeprefix("\n") if start.startswith(_OPEN) else text


def reasoning_of(text: str) -> str:
    """Returns a chain up to its last ``</think>``, which is left out, or all of it where it was never closed."""
    head, closed, _ = text.rpartition(THINK_CLOSE)
    return head.rstrip("\n") if closed else text


async def fitted(messages: Messages, ask: Callable[[Messages], Awaitable[T]]) -> tuple[T, int]:
    """Returns the result of ``ask``, and how many of the oldest history lines had to go until it was not ``TooLong``.

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
    """Returns how many of ``lines`` hold the tokens that are too many; None where the server told no numbers.

    ``lines`` and ``length``, that of the whole prompt, are in characters.
    """
    if fault.needed is None or fault.limit is None or fault.needed <= fault.limit:
        return None
    surplus = length - _FILLED * fault.limit * length / fault.needed
    fewest = (count for count, gone in enumerate(accumulate(lines), start=1) if gone >= surplus)
    return next(fewest, len(lines))
