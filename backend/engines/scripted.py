"""An engine without a model: deterministic answers and chains, in an instant or at a given pace.

It is the test double of the real engines, passes the same contract suite, and shows failures on demand: every fourth
chain is never closed (``no_answer``), every seventh text is a loop, and a prompt that contains ``[[engine-error]]``
fails. A word is a token to it. Nothing it says is a prediction, and its model's name says so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.engines.base import (
    SCRIPTED,
    THINK_CLOSE,
    Caller,
    EngineBase,
    OnAnswer,
    OnReading,
    OnTrace,
    check_pooling,
    parts,
    raise_if,
)
from backend.engines.chat import FittedPrompts, without_oldest
from backend.engines.clock import WorkClock
from backend.errors import EngineError
from backend.seeding import derive_seed
from backend.types import Answer, ChainReading, Messages, ModelRef, Progress, Sampling, Stop, Trace

FAIL_MARK = "[[engine-error]]"
_WIDTH = 32
_CONTEXT = 8192
# It says nothing but Yes and No.
_MASS = 1.0


class ScriptedEngine(EngineBase):
    """``delay``: seconds per written word. ``calls`` records (method, number of items) of every call."""

    name = SCRIPTED.name

    def __init__(self, model: ModelRef | None = None, *, delay: float = 0.0, **_unused: Any) -> None:
        self.model = model or SCRIPTED
        self.delay = delay
        self.calls: list[tuple[str, int]] = []

    def load(self, progress: Progress | None = None) -> None:
        """There is nothing to load."""

    def _answer(self, prompts: Sequence[Messages], hear: OnAnswer, caller: Caller) -> None:
        """Answer each prompt with a pseudo-random number that is fixed by its words."""
        self.calls.append(("answer", len(prompts)))
        fitting = FittedPrompts(prompts, lambda prompt: self._fitted(prompt, 1, caller.stop))
        for number, (prompt, dropped) in fitting:
            words = _text(prompt)
            p_yes = _unit("answer", *self._named(self.model.name), words)
            hear(number, Answer(p_yes, len(words.split()), 0.0, dropped, _MASS))
        fitting.raise_failures()

    def _reason(
        self, prompts: Sequence[Messages], indices: Sequence[int], sampling: Sampling, hear: OnTrace, caller: Caller
    ) -> None:
        """All chains of a prompt advance word by word, side by side, as sampled ones do."""
        self.calls.append(("reason", len(prompts) * len(indices)))
        caller.tell("reasoning")
        fitting = FittedPrompts(prompts, lambda prompt: self._fitted(prompt, sampling.max_tokens, caller.stop))
        for number, (prompt, dropped) in fitting:
            clock = WorkClock()
            shares = {index: clock.begin() for index in indices}
            words = {index: _script(prompt, index, sampling, self._named(index)) for index in indices}
            for position in range(max(map(len, words.values()), default=0)):
                caller.check()
                time.sleep(self.delay)
                for index, chain in words.items():
                    if position < len(chain) and caller.on_piece:
                        caller.on_piece(number, index, chain[position])
                    if position == len(chain) - 1:
                        text = "".join(chain)
                        p_yes = self._p_yes_behind(prompt, text)
                        finish = "length" if len(chain) == sampling.max_tokens else "stop"
                        seconds = shares[index].end()
                        hear(number, Trace(index, text, p_yes, len(chain), seconds, finish, dropped, _MASS))
        fitting.raise_failures()

    def _read_chains(
        self, chains: Sequence[tuple[Messages, str]], sampling: Sampling, hear: OnReading, caller: Caller
    ) -> None:
        self.calls.append(("read_chains", len(chains)))
        fitting = FittedPrompts(chains, lambda chain: self._fitted(chain[0], sampling.max_tokens, caller.stop))
        for number, (prompt, dropped) in fitting:
            text = chains[number][1]
            hear(number, ChainReading(self._p_yes_behind(prompt, text), len(text.split()), 0.0, dropped, _MASS))
        fitting.raise_failures()

    def embed(
        self, texts: Sequence[str], *, pooling: str = "mean", progress: Progress | None = None, stop: Stop | None = None
    ) -> np.ndarray:
        """Returns the mean of one fixed random vector per word, so that texts that share words are close."""
        check_pooling(pooling)
        self.calls.append(("embed", len(texts)))
        raise_if(stop)
        words = [[_word_vector(word) for word in text.lower().split()] or [np.zeros(_WIDTH)] for text in texts]
        rows = [vectors[-1] if pooling == "last" else np.mean(vectors, axis=0) for vectors in words]
        if progress:
            progress("embedding", 1.0)
        return np.asarray(rows, dtype=np.float32).reshape(len(texts), _WIDTH)

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """Returns parts of four prompts."""
        return parts(len(prompts), 4)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """Returns the last words of each prompt in a drawn order; every seventh text is one word over and over."""
        self.calls.append(("write", len(prompts)))
        texts = []
        for prompt in prompts:
            _check(prompt, stop)
            pick = derive_seed(sampling.seed, _text(prompt))
            words = _text(prompt).split()[-sampling.max_tokens :]
            np.random.default_rng(pick).shuffle(words)
            texts.append(" ".join(words[:1] * sampling.max_tokens if pick % 7 == 0 else words))
        return texts

    def _p_yes_behind(self, prompt: Messages, text: str) -> float:
        """Returns a pseudo-random number that is fixed by the words of the prompt and of the chain behind it."""
        return _unit("chain", _text(prompt), text, *self._named())

    def _named(self, *parts: Any) -> tuple[Any, ...]:
        """Returns what a result is drawn from: ``parts``, and the adapter where there is one."""
        return parts if self.model.adapter is None else (*parts, self.model.adapter)

    def _fitted(self, prompt: Messages, room: int, stop: Stop | None) -> tuple[Messages, int]:
        """Returns the prompt without as few of its oldest history lines as the context asks for, and how many went.

        Raises ``EngineError`` for a prompt that does not fit or is meant to fail, and ``Stopped``.
        """
        limit = (self.model.context or _CONTEXT) - room
        for count in range(sum(len(message.droppable) for message in prompt) + 1):
            shorter = without_oldest(prompt, count) if count else prompt
            if len(_text(shorter).split()) <= limit:
                _check(shorter, stop)
                return shorter, count
        raise EngineError(f"The prompt has more than {limit} words without any history", fix="ask a shorter one")


# A line of the history, as either template writes it.
_PAST_ITEM = r"^\d+\. (.+?)(?:: [\d.]+ of |(?: \[[^\]]*\])?\. Others: )"


def _script(prompt: Messages, index: int, sampling: Sampling, named: Sequence[Any]) -> list[str]:
    """Returns the words of one chain, each with its leading space, at most ``max_tokens`` of them."""
    text = _text(prompt)
    titles = re.findall(_PAST_ITEM, text, re.MULTILINE) or ["nothing"]
    pick = derive_seed(sampling.seed, sampling.temperature, text, *named)
    verdict = "Yes" if pick % 100 < 60 else "No"
    chain = (
        f"The user's past has {len(titles)} titles. One that bears on this is {titles[pick % len(titles)]}. "
        f"Taken together the ratings speak {'for' if verdict == 'Yes' else 'against'} it."
    )
    if index % 4 != 3:
        chain += f"\n{THINK_CLOSE}\n{verdict}."
    return re.findall(r"\s*\S+", chain)[: sampling.max_tokens]


def _text(prompt: Messages) -> str:
    return "\n".join(message.content for message in prompt)


def _check(prompt: Messages, stop: Stop | None) -> None:
    raise_if(stop)
    if FAIL_MARK in _text(prompt):
        raise EngineError(f"The prompt contains {FAIL_MARK}", fix="leave it out")


def _unit(*parts: Any) -> float:
    return derive_seed(0, *parts) / 2**63


def _word_vector(word: str) -> np.ndarray:
    return np.random.default_rng(derive_seed(0, word)).standard_normal(_WIDTH)
