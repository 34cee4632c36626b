"""Speaking in token ids with vLLM's server: the prompts are the very tokens that the in-process engines feed.

The chat format (``backend.engines.chat``) is an ordinary function that asks its vocabulary, and this vocabulary is a
server: :class:`Bridge` runs such functions beside the client's loop, and cancels them with it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypeVar, overload

from backend.engines.base import THINK_CLOSE, THINK_OPEN
from backend.engines.chat import Chance, Chat, FittedPrompt, PieceReader
from backend.engines.clock import WorkClock
from backend.engines.openai.client import ServerClient, read_all
from backend.engines.openai.dialect import Draw, DrawChain, Show, Shown
from backend.engines.openai.faults import ServerFault
from backend.engines.openai.reading import Unreadable, finish_reason, read_event, token_logprobs
from backend.errors import RallrecError
from backend.types import CHAIN_ENDS, Answer, ChainReading, Message, Messages, Trace, finish_of

T = TypeVar("T")
_PATH = "/completions"
_PROBE = (Message("system", "Answer Yes or No."), Message("user", "Is <b>this</b> a question?\n\n1. Yes\n2. No"))
# Nothing but temperature and top_p shapes what is drawn, whatever the server has as its defaults.
_PLAIN = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
# What commands to a model look like: <|im_end|>, <s>, <start_of_turn>, <｜User｜>, [INST].
_COMMAND = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]")
_USUAL = "<|endoftext|> <|im_start|> <|im_end|> <s> </s> <|eot_id|> <|begin_of_text|> <bos> <eos> [INST] [/INST]"
# Added tokens stand at a vocabulary's beginning, or next to each other at its end.
_FIRST = range(512)
_AROUND = 256


class TokensDialect:
    """Speaks in token ids. :func:`open_tokens` makes it where the server can."""

    name = "tokens"

    def __init__(self, bridge: Bridge, vocabulary: ServerVocabulary, chat: Chat) -> None:
        self._bridge, self._client = bridge, bridge.client
        self._vocabulary, self._chat = vocabulary, chat
        self._clock = WorkClock()

    async def answer(self, model: str, messages: Messages) -> Answer:
        fitted = await self._bridge.run(self._chat.answer_prompt, messages)
        with self._clock.begin() as share:
            chance = await self._read(model, fitted.ids)
        return Answer(chance.p_yes, len(fitted.ids), share.end(), fitted.dropped, chance.mass)

    def chains(self, messages: Messages) -> DrawChain:
        lock, fitted = asyncio.Lock(), list[FittedPrompt]()

        async def draw_chain(draw: Draw, show: Show | None) -> Trace:
            async with lock:  # the chains of one prompt share its tokens: they are asked for once
                if not fitted:
                    max_tokens = draw.sampling.max_tokens
                    fitted.append(await self._bridge.run(self._chat.reason_prompt, messages, max_tokens))
            return await self._reason(fitted[0], draw, show)

        return draw_chain

    async def read_chain(self, model: str, chain: tuple[Messages, str], max_tokens: int) -> ChainReading:
        fitted = await self._bridge.run(self._chat.read_prompt, chain, max_tokens)
        with self._clock.begin() as share:
            chance = await self._read(model, fitted.ids)
        return ChainReading(chance.p_yes, fitted.tokens, share.end(), fitted.dropped, chance.mass)

    async def write(self, messages: Messages, draw: Draw) -> str:
        fitted = await self._bridge.run(self._chat.write_prompt, messages, draw.sampling.max_tokens)
        spoken, _ = await self._speak(fitted, draw, None)
        return await self._bridge.run(self._vocabulary.decode, spoken)

    async def _read(self, model: str, ids: Sequence[int]) -> Chance:
        """Returns what is read after ``ids``, from the log probabilities of the answers' tokens."""
        answer_ids = self._chat.answer_ids
        request: dict[str, Any] = {"model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0}
        request |= {"logprobs": 1, "logprob_token_ids": answer_ids, "return_tokens_as_token_ids": True}
        given = token_logprobs(await self._client.ask(_PATH, request))
        if not set(answer_ids) <= set(given):
            raise Unreadable(
                f"The server {self._client.place.shown} did not tell the log probabilities of Yes and No",
                listed=bool(given),
                fix="update its vLLM to a version that knows logprob_token_ids",
            )
        return self._chat.chance(given)

    async def _speak(self, fitted: FittedPrompt, draw: Draw, show: Show | None) -> tuple[Spoken, str]:
        """Returns the tokens drawn, without the one that ended them, and why they ended (:func:`finish_reason`)."""
        shown = Shown(show)
        return await self._client.retrying(lambda: self._speak_once(fitted, draw, shown))

    async def _speak_once(self, fitted: FittedPrompt, draw: Draw, shown: Shown) -> tuple[Spoken, str]:
        sampling = draw.sampling
        request: dict[str, Any] = {"model": draw.model, "prompt": fitted.ids, "max_tokens": sampling.max_tokens}
        request |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": draw.seed, "stream": True}
        request |= {"return_token_ids": True, "skip_special_tokens": False, "spaces_between_special_tokens": False}
        spoken, reader, text, finish = Spoken(), PieceReader(self._chat), "", ""

        def read(answer: dict[str, Any]) -> None:
            nonlocal text, finish
            event = read_event(answer)
            if event.tokens is None and (event.content or event.finish):
                raise self._client.place.bad_answer("a text without its token ids")
            finish = event.finish or finish
            tokens = event.tokens or []
            if event.finish == "stop":
                tokens = tokens[:-1]  # what ended the text is none of it
            spoken.add(tokens, self._vocabulary.without_controls(tokens, event.content))
            text += reader.read(spoken)
            shown.grow(text)

        await read_all(self._client.stream(_PATH, request | _PLAIN), read)
        if not finish:
            raise self._client.place.cut()
        if len(spoken) > sampling.max_tokens:
            raise self._client.place.bad_answer("more tokens than were asked for")
        shown.grow(text + reader.read(spoken, last=True), last=True)
        return spoken, finish_reason(finish)

    async def _reason(self, fitted: FittedPrompt, draw: Draw, show: Show | None) -> Trace:
        """Draw one chain after a prompt with the thinking opened, and read P(yes) after it (section 4.3.3)."""
        p_yes, mass = None, None
        with self._clock.begin() as share:
            spoken, reason = await self._speak(fitted, draw, show)
            text = await self._bridge.run(self._chat.text, spoken)
            finish = finish_of(reason, text)
            if finish in CHAIN_ENDS:
                kept, closing = await self._bridge.run(self._chat.before_reading, spoken)
                p_yes, mass = await self._read(draw.model, [*fitted.ids, *list(spoken)[:kept], *closing])
        return Trace(draw.index, text, p_yes, len(spoken), share.end(), finish, fitted.dropped, mass)

    async def probe(self, model: str) -> None:
        """Read one answer. Raises ``EngineError`` where the server cannot."""
        await self.answer(model, _PROBE)


async def open_tokens(bridge: Bridge, model: str, limit: int | None) -> TokensDialect | None:
    """Returns the dialect, or None where the server does not speak it. ``limit``: of the context, below the server's.

    Raises ``EngineError`` where the server cannot be asked, or where its tokenizer does not suit.
    """
    client = bridge.client
    try:
        told = await client.ask(
            client.root + "/tokenize", {"model": model, "prompt": "Yes", "add_special_tokens": False}
        )
    except ServerFault as fault:
        if fault.transient:
            raise
        return None
    longest = told.get("max_model_len")
    if type(longest) is not int or longest < 2 or not isinstance(told.get("tokens"), list) or not told["tokens"]:
        return None  # llama.cpp's server has a /tokenize of its own
    vocabulary = ServerVocabulary(bridge, model)
    try:
        await bridge.run(vocabulary.find_control_tokens)
        if not await bridge.run(_comes_back, vocabulary):
            return None
        chat = await bridge.run(Chat, vocabulary, min(longest, limit or longest))
        dialect = TokensDialect(bridge, vocabulary, chat)
        await dialect.probe(model)
    except ServerFault as fault:
        if fault.transient or fault.status is None:
            raise
        return None
    except Unreadable:
        return None
    return dialect


def _comes_back(vocabulary: ServerVocabulary) -> bool:
    """Returns whether a rendered chat is the same tokens after it was turned to text and back."""
    ids = vocabulary.chat_ids(
        [{"role": message.role, "content": message.content} for message in _PROBE[1:]], thinking=False
    )
    return vocabulary.encode(vocabulary.render([{"role": "user", "content": _PROBE[1].content}], thinking=False)) == ids


class ServerVocabulary:
    """The tokenizer of ``model`` behind a server. :meth:`find_control_tokens` must run before it is used."""

    control_tokens: Sequence[str] = ()

    def __init__(self, bridge: Bridge, model: str) -> None:
        self._bridge, self._model = bridge, model
        self._control_ids: frozenset[int] = frozenset()

    def encode(self, text: str) -> list[int]:
        return self._tokenize({"prompt": text, "add_special_tokens": False})[0]

    def decode(self, tokens: Sequence[int]) -> str:
        text, rest = tokens.known() if isinstance(tokens, Spoken) else ("", tuple(tokens))
        said = [token for token in rest if token not in self._control_ids]
        return text + (self._detokenize(said) if said else "")

    def render(self, chat: list[dict[str, str]], *, thinking: bool) -> str:
        return self._detokenize(self.chat_ids(chat, thinking=thinking))

    def chat_ids(self, chat: list[dict[str, str]], *, thinking: bool) -> list[int]:
        """Returns the token ids of a rendered chat. Raises ``EngineError`` where the template refuses it."""
        kwargs = {"enable_thinking": thinking}
        return self._tokenize({"messages": chat, "add_generation_prompt": True, "chat_template_kwargs": kwargs})[0]

    def without_controls(self, tokens: Sequence[int], text: str) -> str:
        """Returns what tokens say, from their ``text``, in which control tokens are spelt out."""
        if not self._control_ids.isdisjoint(tokens):
            for spelling in self.control_tokens:
                text = text.replace(spelling, "")
        return text

    def find_control_tokens(self) -> None:
        """Find out which of the spellings that look like commands this tokenizer reads as one token each."""
        rendered = self.chat_ids([{"role": "user", "content": "?"}], thinking=False)
        seen = self._detokenize(rendered)
        highest = max(rendered)
        places = [*_FIRST, *range(max(_FIRST.stop, highest - _AROUND), highest + _AROUND)]
        candidates = _COMMAND.findall(f"{seen} {_USUAL} {self._detokenize(places)}")
        marks = (THINK_OPEN.strip(), THINK_CLOSE)
        candidates = [spelling for spelling in dict.fromkeys(candidates) if spelling not in marks]
        ids, spellings = self._tokenize(
            {"prompt": "\n".join(candidates), "add_special_tokens": False, "return_token_strs": True}
        )
        controls = {spelling: token for token, spelling in zip(ids, spellings, strict=False) if spelling in candidates}
        self.control_tokens = tuple(controls)
        self._control_ids = frozenset(controls.values())

    def _tokenize(self, request: dict[str, Any]) -> tuple[list[int], list[str]]:
        answer = self._post("/tokenize", request)
        return token_ids(answer.get("tokens"), self._bridge), texts(answer.get("token_strs"))

    def _detokenize(self, tokens: Sequence[int]) -> str:
        text = self._post("/detokenize", {"tokens": list(tokens)}).get("prompt")
        if not isinstance(text, str):
            raise self._bridge.client.place.bad_answer("no text for tokens")
        return text

    def _post(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        client = self._bridge.client
        return self._bridge.wait(client.ask(client.root + path, {"model": self._model, **request}))


def token_ids(given: object, bridge: Bridge) -> list[int]:
    """Returns the token ids of an answer. Raises ``EngineError`` where they are none."""
    if not isinstance(given, list) or any(type(token) is not int or token < 0 for token in given):
        raise bridge.client.place.bad_answer("no token ids")
    return given


def texts(given: object) -> list[str]:
    """Returns the texts of an answer; what is no text becomes empty."""
    return [text if isinstance(text, str) else "" for text in given] if isinstance(given, list) else []


class Spoken(list[int]):
    """A chain's token ids with the text that the server sent beside them, so that they need not be sent back to be
    decoded. Its beginnings (``spoken[:n]``) know their text too.
    """

    def __init__(self, tokens: Sequence[int] = (), text: str = "", ends: Sequence[tuple[int, int]] = ((0, 0),)) -> None:
        """``ends``: after how many tokens, and how many characters, the parts end that the tokens came in."""
        super().__init__(tokens)
        self._text, self._ends = text, list(ends)

    def add(self, tokens: Sequence[int], text: str) -> None:
        """Add the part that came next."""
        self.extend(tokens)
        self._text += text
        self._ends.append((len(self), len(self._text)))

    def known(self) -> tuple[str, tuple[int, ...]]:
        """Returns the text as far as it is known, and the tokens after it (of a part that was cut) without a text."""
        tokens, characters = self._ends[-1]
        return self._text[:characters], tuple(self)[tokens:]

    @overload
    def __getitem__(self, place: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> list[int]: ...
    def __getitem__(self, place: SupportsIndex | slice) -> int | list[int]:
        if not isinstance(place, slice) or place.start or place.step is not None:
            return super().__getitem__(place)
        tokens = super().__getitem__(place)
        return Spoken(tokens, self._text, [end for end in self._ends if end[0] <= len(tokens)])


class _Interrupted(BaseException):
    """Ends a function under :meth:`Bridge.run`.

    It is no ``Exception``, so that the function cannot take a lost connection for an answer.
    """

    def __init__(self, error: RallrecError | None) -> None:
        super().__init__(error)
        self.error = error


@dataclass
class _Call:
    """A function that runs beside the loop: the request that it waits for, and whether its caller has given it up."""

    request: Future[Any] | None = None
    given_up: bool = False


_call: ContextVar[_Call] = ContextVar("call")


class Bridge:
    """Runs such functions in threads, as many as the client has requests under way."""

    def __init__(self, client: ServerClient) -> None:
        self.client = client
        self._threads = ThreadPoolExecutor(client.config.concurrency, thread_name_prefix="openai-chat")

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """``function(*arguments)`` in a thread; within it :meth:`wait` works. Raises what it raises."""
        call, context = _Call(), copy_context()
        context.run(_call.set, call)

        def work() -> tuple[T | None, _Interrupted | None]:
            try:
                return context.run(function, *arguments), None
            except _Interrupted as interrupted:
                return None, interrupted

        try:
            result, interrupted = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            call.given_up = True
            if call.request:
                call.request.cancel()
        if interrupted is not None:
            raise interrupted.error or RallrecError("Interrupted") from interrupted
        return result  # type: ignore[return-value]

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work`` on the client's loop, within a function under :meth:`run`.

        What the server rejects (a template that refuses a chat, say) is for that function to judge; any other error
        ends it.
        """
        call = _call.get()
        call.request = request = self.client.submit(work)
        if call.given_up:  # looked at after the request was noted, as :meth:`run` does it the other way round
            request.cancel()
        try:
            return request.result()
        except CancelledError as error:
            raise _Interrupted(None) from error
        except RallrecError as error:
            if isinstance(error, ServerFault) and error.rejected:
                raise
            raise _Interrupted(error) from error
