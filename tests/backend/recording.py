"""A scripted engine that remembers what it ran, stops, fails at some prompts, or breaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.engines.base import OnAnswer, OnTrace, sample_indices
from backend.engines.chat import raise_failures
from backend.engines.scripted import ScriptedEngine
from backend.errors import EngineError
from backend.types import Answer, Messages, ModelRef, Sampling, Trace


class Recording(ScriptedEngine):
    """Lists every prompt and every (prompt, sample) that it ran, and the prompts of each call.

    Prompts that contain ``fails`` fail (all, for the empty text); a ``broken`` one fails as a whole; after
    ``stop_after`` results, a stop is asked for.
    """

    def __init__(self, name: str) -> None:
        super().__init__(ModelRef(name, "1"))
        self.answered: list[Messages] = []
        self.drawn: list[tuple[Messages, int]] = []
        self.asked: list[list[Messages]] = []
        self.loads = 0
        self.fails: str | None = None
        self.stop_after: int | None = None
        self.broken = False

    def load(self, progress: Any = None) -> None:
        self.loads += 1

    def stop(self) -> bool:
        return self.stop_after is not None and len(self.answered) + len(self.drawn) >= self.stop_after

    def answer(self, prompts: Sequence[Messages], *, on_answer: OnAnswer | None = None, **more: Any) -> list[Answer]:
        def hear(number: int, answer: Answer) -> None:
            self.answered.append(some[number])
            if on_answer:
                on_answer(places[number], answer)

        self.asked.append(list(prompts))
        places = self._well(prompts)
        some = [prompts[place] for place in places]
        answers = super().answer(some, on_answer=hear, **more)
        self._raise(prompts)
        return answers

    def reason(
        self,
        prompts: Sequence[Messages],
        samples: int | Sequence[int],
        sampling: Sampling,
        *,
        on_trace: OnTrace | None = None,
        **more: Any,
    ) -> list[list[Trace]]:
        def hear(number: int, trace: Trace) -> None:
            self.drawn.append((some[number], trace.index))
            if on_trace:
                on_trace(places[number], trace)

        self.asked.append(list(prompts))
        places = self._well(prompts)
        some = [prompts[place] for place in places]
        traces = super().reason(some, sample_indices(samples), sampling, on_trace=hear, **more)
        self._raise(prompts)
        return traces

    def _well(self, prompts: Sequence[Messages]) -> list[int]:
        return [
            place for place, prompt in enumerate(prompts) if self.fails is None or self.fails not in prompt[0].content
        ]

    def _raise(self, prompts: Sequence[Messages]) -> None:
        well = set(self._well(prompts))
        if self.broken:
            raise EngineError("the server is gone")
        raise_failures({n: EngineError("it broke") for n in range(len(prompts)) if n not in well}, len(prompts))
