"""A counting engine: deterministic, quick, and it remembers what it was asked to run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.engines.base import OnPiece, OnTrace, sample_indices
from backend.errors import Stopped
from backend.seeding import derive_seed
from backend.types import Answer, Message, Messages, ModelRef, Progress, Sampling, Stop, Trace


def ask(text: str) -> Messages:
    return (Message("system", "You are a recommender."), Message("user", text))


class CountingEngine:
    """``answered`` and ``drawn`` list every prompt and every (prompt, sample) that was run."""

    name = "counting"

    def __init__(self, model: ModelRef | None = None, stop_after: int | None = None) -> None:
        self.model = model or ModelRef("tiny", "r1")
        self.stop_after = stop_after
        self.loads = 0
        self.answer_calls: list[list[Messages]] = []
        self.reason_calls: list[tuple[list[Messages], list[int]]] = []
        self.drawn: list[tuple[Messages, int]] = []

    @property
    def answered(self) -> list[Messages]:
        return [prompt for call in self.answer_calls for prompt in call]

    def load(self, progress: Progress | None = None) -> None:
        self.loads += 1

    def answer(
        self, prompts: Sequence[Messages], *, progress: Progress | None = None, stop: Stop | None = None
    ) -> list[Answer]:
        self.load()
        self.answer_calls.append(list(prompts))
        if self.stop_after is not None and len(self.answered) > self.stop_after:
            raise Stopped
        if progress is not None:
            progress("counting", 0.5)
        return [Answer(self.p_yes(prompt), 7, 0.25) for prompt in prompts]

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
        self.load()
        indices = sample_indices(samples)
        self.reason_calls.append((list(prompts), indices))
        result = []
        for number, prompt in enumerate(prompts):
            traces = []
            for index in indices:
                if (stop is not None and stop()) or len(self.drawn) == self.stop_after:
                    raise Stopped
                self.drawn.append((prompt, index))
                p_yes = self.p_yes(prompt, sampling.seed, index)
                trace = Trace(index, f"chain {index} ✓\n</think>\nYes", p_yes, 5, 0.5, "stop")
                if on_piece is not None:
                    on_piece(number, index, trace.text)
                if on_trace is not None:
                    on_trace(number, trace)
                traces.append(trace)
            result.append(traces)
        return result

    def embed(
        self,
        texts: Sequence[str],
        *,
        pooling: str = "mean",
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> np.ndarray:
        return np.full((len(texts), 3), 1 if pooling == "mean" else 2, dtype=np.float32)

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        return [list(range(len(prompts)))]

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        return [f"about {prompt[-1].content}" for prompt in prompts]

    @staticmethod
    def p_yes(prompt: Messages, *parts: int) -> float:
        return derive_seed(0, [message.content for message in prompt], *parts) / 2**63
