"""A language model behind an OpenAI-compatible server: vLLM, llama.cpp, a hosted service.

Several requests are under way at once; each chain is a request of its own with a seed of its own. Importing this module
imports neither the ``openai`` client nor any model library.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from backend.engines.base import OnAnswer, OnPiece, OnTrace, parts, raise_if, sample_indices
from backend.engines.config import ServerConfig
from backend.engines.openai.calls import Calls, Unit, holding
from backend.engines.openai.connection import Connection
from backend.engines.openai.dialect import Chains, Draw
from backend.seeding import derive_seed
from backend.types import Answer, Messages, ModelRef, Progress, Sampling, Stop, Trace

# What every server accepts as a seed; some keep it in 32 bits.
_SEEDS = 2**31
# Prompts per part of a long list: a part that is cut off is written again.
_PART = 64


class OpenAIEngine:
    """``model.name``: the name that the server at ``url`` serves the model under; ``model.adapter``: the adapter's name
    there, asked for instead. ``model.context`` limits the context below the server's.

    The key comes from the environment (``config.key_variable``) and is kept nowhere else. One lock serialises calls.
    """

    name = "openai"

    def __init__(self, model: ModelRef, *, url: str, config: ServerConfig | None = None, **_unused: Any) -> None:
        self.model = model
        self._connection = Connection(url, config or ServerConfig())

    def load(self, progress: Progress | None = None) -> None:
        """Reach the server, and learn how to speak with it. Raises ``EngineError``."""
        with self._connection.lock:
            self._open(progress, None)

    def adapted(self, adapter: str | None, folder: str | None = None) -> OpenAIEngine:  # noqa: ARG002
        """The same server asked for another of its names."""
        other = copy.copy(self)
        other.model = replace(self.model, adapter=adapter)
        return other

    def answer(
        self,
        prompts: Sequence[Messages],
        *,
        on_answer: OnAnswer | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[Answer]:
        """P(yes) per prompt, several at once."""
        answers: dict[int, Answer] = {}

        def hear(number: int, answer: Answer) -> None:
            answers[number] = answer
            if on_answer:
                on_answer(number, answer)
            if progress:
                progress("answering", len(answers) / len(prompts))

        self._run(prompts, lambda _calls: self._answers(prompts, hear), progress, stop)
        return [answers[number] for number in range(len(prompts))]

    def reason(
        self,
        prompts: Sequence[Messages],
        samples: int | Sequence[int],
        sampling: Sampling,
        *,
        on_piece: OnPiece | None = None,
        on_trace: OnTrace | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[list[Trace]]:
        """The chains of each prompt: those of the first prompts are begun first."""
        indices = sample_indices(samples)
        traces: dict[tuple[int, int], Trace] = {}

        def hear(number: int, trace: Trace) -> None:
            traces[number, trace.index] = trace
            if on_trace:
                on_trace(number, trace)

        def units(calls: Calls) -> list[Unit]:
            if progress:
                progress("reasoning", None)
            return self._chains(prompts, indices, sampling, calls, on_piece, hear)

        self._run(prompts if indices else [], units, progress, stop)
        return [[traces[number, index] for index in indices] for number in range(len(prompts))]

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """By position: the server itself groups what it runs."""
        return parts(len(prompts), _PART)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """The texts, several at once."""
        texts: dict[int, str] = {}

        def units(_calls: Calls) -> list[Unit]:
            dialect = self._connection.dialect
            draws = [self._draw(sampling, prompt) for prompt in prompts]
            return [
                Unit(number, partial(dialect.write, prompt, draw), partial(texts.__setitem__, number))
                for number, (prompt, draw) in enumerate(zip(prompts, draws, strict=True))
            ]

        self._run(prompts, units, None, stop)
        return [texts[number] for number in range(len(prompts))]

    def _answers(self, prompts: Sequence[Messages], hear: OnAnswer) -> list[Unit]:
        ask = partial(self._connection.dialect.answer, self._served_name)
        return [Unit(number, partial(ask, prompt), partial(hear, number)) for number, prompt in enumerate(prompts)]

    def _chains(
        self,
        prompts: Sequence[Messages],
        indices: Sequence[int],
        sampling: Sampling,
        calls: Calls,
        on_piece: OnPiece | None,
        hear: OnTrace,
    ) -> list[Unit]:
        units = []
        for number, prompt in enumerate(prompts):
            chains: Chains = self._connection.dialect.chains(prompt)
            for index in dict.fromkeys(indices):
                draw = self._draw(sampling, prompt, index)
                show = partial(_tell, calls, on_piece, number, index) if on_piece else None
                units.append(Unit(number, partial(chains.draw, draw, show), partial(hear, number)))
        return units

    def _draw(self, sampling: Sampling, prompt: Messages, *index: int) -> Draw:
        seed = derive_seed(sampling.seed, [message.content for message in prompt], *index) % _SEEDS
        return Draw(self._served_name, sampling, seed, *index)

    def _run(
        self,
        prompts: Sequence[Messages],
        units: Callable[[Calls], list[Unit]],
        progress: Progress | None,
        stop: Stop | None,
    ) -> None:
        if not prompts:
            return
        with holding(self._connection.lock, stop):
            raise_if(stop)
            self._open(progress, stop)
            calls = Calls(self._connection.client, len(prompts), stop)
            calls.run(units(calls))

    def _open(self, progress: Progress | None, stop: Stop | None) -> None:
        connection, name = self._connection, self._served_name
        if connection.is_open(name):
            return
        if progress:
            progress(f"asking the server for {name}", None)
        opening = Unit(0, partial(connection.open, name, self.model.context), lambda _nothing: None)
        Calls(connection.client, 1, stop).run([opening])

    @property
    def _served_name(self) -> str:
        return self.model.adapter or self.model.name


def _tell(calls: Calls, on_piece: OnPiece, number: int, index: int, text: str) -> None:
    calls.tell(partial(on_piece, number, index, text))
