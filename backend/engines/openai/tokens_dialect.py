"""Speaking in token ids with vLLM's server: the prompts are the very tokens that the in-process engines feed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from backend.engines.chat import Chat, FittedPrompt, PieceReader
from backend.engines.openai.bridge import Bridge
from backend.engines.openai.client import read_all
from backend.engines.openai.dialect import Clock, Draw
from backend.engines.openai.faults import ServerFault
from backend.engines.openai.pieces import Show, Shown
from backend.engines.openai.reading import Unreadable, read_event, token_logprobs
from backend.engines.openai.spoken import Spoken
from backend.engines.openai.vocabulary import ServerVocabulary
from backend.types import Answer, Message, Messages, Trace

_PATH = "/completions"
_PROBE = (Message("system", "Answer Yes or No."), Message("user", "Is <b>this</b> a question?\n\n1. Yes\n2. No"))
# Nothing but temperature and top_p shapes what is drawn, whatever the server has as its defaults.
_PLAIN = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}


class TokensDialect:
    """Built by :func:`open_tokens`."""

    name = "tokens"

    def __init__(self, bridge: Bridge, vocabulary: ServerVocabulary, chat: Chat) -> None:
        self._bridge, self._client = bridge, bridge.client
        self._vocabulary, self._chat = vocabulary, chat

    async def answer(self, model: str, messages: Messages) -> Answer:
        fitted = await self._bridge.run(self._chat.answer_prompt, messages)
        clock = Clock()
        p_yes = await self._read(model, fitted.ids)
        return Answer(p_yes, len(fitted.ids), clock.seconds, fitted.dropped)

    def chains(self, messages: Messages) -> _Chains:
        return _Chains(self, messages)

    async def write(self, messages: Messages, draw: Draw) -> str:
        fitted = await self._bridge.run(self._chat.write_prompt, messages, draw.sampling.max_tokens)
        spoken, _ = await self._speak(fitted, draw, None)
        return await self._bridge.run(self._vocabulary.decode, spoken)

    async def _read(self, model: str, ids: Sequence[int]) -> float:
        """P(yes) after ``ids``, from the log probabilities of the answers' tokens."""
        wanted = self._chat.answer_ids
        request: dict[str, Any] = {"model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0}
        request |= {"logprobs": 1, "logprob_token_ids": wanted, "return_tokens_as_token_ids": True}
        given = token_logprobs(await self._client.ask(_PATH, request))
        if not set(wanted) <= set(given):
            raise Unreadable(
                f"The server {self._client.place.shown} did not tell the log probabilities of Yes and No",
                listed=bool(given),
                fix="update its vLLM to a version that knows logprob_token_ids",
            )
        return self._chat.p_yes(given)

    async def _speak(self, fitted: FittedPrompt, draw: Draw, show: Show | None) -> tuple[Spoken, str]:
        """The tokens drawn, the one that ended them left out, and why they ended: ``stop`` or ``length``."""
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
        return spoken, "length" if finish == "length" else "stop"

    async def reason(self, fitted: FittedPrompt, draw: Draw, show: Show | None) -> Trace:
        """One chain after a prompt with the thinking opened, and P(yes) read after it (section 4.3.3)."""
        clock = Clock()
        spoken, finish = await self._speak(fitted, draw, show)
        kept, closing = await self._bridge.run(self._chat.before_reading, spoken)
        p_yes = await self._read(draw.model, [*fitted.ids, *list(spoken)[:kept], *closing])
        text = await self._bridge.run(self._chat.text, spoken)
        return Trace(draw.index, text, p_yes, len(spoken), clock.seconds, finish, fitted.dropped)

    async def fit(self, messages: Messages, max_tokens: int) -> FittedPrompt:
        """The prompt of a chain."""
        return await self._bridge.run(self._chat.reason_prompt, messages, max_tokens)

    async def probe(self, model: str) -> None:
        """Read one answer. Raises ``EngineError`` where the server cannot."""
        await self.answer(model, _PROBE)


class _Chains:
    """The chains of one prompt share its tokens: they are asked for once."""

    def __init__(self, dialect: TokensDialect, messages: Messages) -> None:
        self._dialect, self._messages = dialect, messages
        self._lock = asyncio.Lock()
        self._fitted: FittedPrompt | None = None

    async def draw(self, draw: Draw, show: Show | None) -> Trace:
        async with self._lock:
            if self._fitted is None:
                self._fitted = await self._dialect.fit(self._messages, draw.sampling.max_tokens)
        return await self._dialect.reason(self._fitted, draw, show)


async def open_tokens(bridge: Bridge, model: str, limit: int | None) -> TokensDialect | None:
    """The dialect, or None where the server does not speak it. ``limit``: of the context, below the server's.

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
    """Whether a rendered chat, turned to text and back, is the same tokens."""
    ids = vocabulary.chat_ids(
        [{"role": message.role, "content": message.content} for message in _PROBE[1:]], thinking=False
    )
    return vocabulary.encode(vocabulary.render([{"role": "user", "content": _PROBE[1].content}], thinking=False)) == ids
