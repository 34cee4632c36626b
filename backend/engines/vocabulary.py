"""A Hugging Face tokenizer as the :class:`~backend.engines.chat.Vocabulary` of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.engines.base import THINK_CLOSE, THINK_OPEN


class TokenizerVocabulary:
    """``tokenizer``: a ``PreTrainedTokenizer``, as transformers loads it and as vLLM hands it out."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        special = {int(number): str(token) for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self.control_tokens = tuple(special.values())
        # Some tokenizers count the marks of thinking among the control tokens; in a chain they are what it says.
        marks = (THINK_OPEN.strip(), THINK_CLOSE)
        self._unsaid = {number for number, token in special.items() if token not in marks}

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode([token for token in tokens if token not in self._unsaid]))

    def render(self, chat: list[dict[str, str]], *, thinking: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, tokenize=False, enable_thinking=thinking
            )
        )
