"""vLLM's server as the :class:`~backend.engines.chat.Vocabulary` of a chat: its ``/tokenize`` and ``/detokenize``.

Its methods ask the server and wait: they are called under :meth:`~backend.engines.openai.bridge.Bridge.run`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from backend.engines.base import THINK_CLOSE, THINK_OPEN
from backend.engines.openai.bridge import Bridge
from backend.engines.openai.faults import ServerFault
from backend.engines.openai.spoken import Spoken
from backend.errors import RallrecError

# What commands to a model look like: <|im_end|>, <s>, <start_of_turn>, <｜User｜>, [INST].
_COMMAND = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]")
_USUAL = "<|endoftext|> <|im_start|> <|im_end|> <s> </s> <|eot_id|> <|begin_of_text|> <bos> <eos> [INST] [/INST]"
# Added tokens stand at a vocabulary's beginning, or next to each other at its end.
_FIRST = range(512)
_AROUND = 256


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
        """The token ids of a rendered chat. Raises ``EngineError`` where the template refuses it."""
        kwargs = {"enable_thinking": thinking}
        return self._tokenize({"messages": chat, "add_generation_prompt": True, "chat_template_kwargs": kwargs})[0]

    def without_controls(self, tokens: Sequence[int], text: str) -> str:
        """What tokens say, from their ``text`` with control tokens spelt out."""
        if not self._control_ids.isdisjoint(tokens):
            for spelling in self.control_tokens:
                text = text.replace(spelling, "")
        return text

    def find_control_tokens(self) -> None:
        """Which spellings this tokenizer reads as one token each, of those that look like commands."""
        rendered = self.chat_ids([{"role": "user", "content": "?"}], thinking=False)
        seen = self._detokenize(rendered)
        highest = max(rendered)
        places = [*_FIRST, *range(max(_FIRST.stop, highest - _AROUND), highest + _AROUND)]
        candidates = _COMMAND.findall(f"{seen} {_USUAL} {self._detokenize(places)}")
        candidates = [own for own in dict.fromkeys(candidates) if own not in (THINK_OPEN.strip(), THINK_CLOSE)]
        ids, spellings = self._tokenize(
            {"prompt": "\n".join(candidates), "add_special_tokens": False, "return_token_strs": True}
        )
        found = {spelling: token for token, spelling in zip(ids, spellings, strict=False) if spelling in candidates}
        self.control_tokens = tuple(found)
        self._control_ids = frozenset(found.values())

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
        return self._bridge.wait(client.ask(client.root + path, {"model": self._model, **request}), _is_judgement)


def token_ids(given: object, bridge: Bridge) -> list[int]:
    """Token ids out of an answer. Raises ``EngineError`` where they are none."""
    if not isinstance(given, list) or any(type(token) is not int or token < 0 for token in given):
        raise bridge.client.place.bad_answer("no token ids")
    return given


def texts(given: object) -> list[str]:
    """Texts out of an answer; what is none becomes empty."""
    return [own if isinstance(own, str) else "" for own in given] if isinstance(given, list) else []


def _is_judgement(error: RallrecError) -> bool:  # a template that refuses a chat, say
    return isinstance(error, ServerFault) and error.rejected
