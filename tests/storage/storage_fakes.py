"""A counting engine: deterministic, quick, and it remembers what it was asked to run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backend.engines.base import OnAnswer, OnPiece, OnTrace, sample_indices
from backend.errors import PartialError, Stopped
from backend.seeding import derive_seed
from backend.types import Answer, ChainReading, Message, Messages, ModelRef, Progress, Sampling, Stop, Trace


def ask(text: str) -> Messages:
    return (Message("system", "You are a recommender."), Message("user", text))


def together(code: str, count: int = 3) -> list[str]:
    """Run ``code`` in so many processes: each says "ready" and reads a line; then all go on at once. What they said."""
    pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) for _ in range(count)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, said
    return [out for out, _ in said]


class CountingEngine:
    """``answered`` and ``drawn`` list every prompt and every (prompt, sample) that was run.

    Stops after so many; prompts that end in one of ``fails`` fail; ``dropped`` is what its results say of lines.
    """

    name = "counting"

    def __init__(
        self,
        model: ModelRef | None = None,
        stop_after: int | None = None,
        fails: Sequence[str] = (),
        dropped: int = 0,
    ) -> None:
        self.model = model or ModelRef("tiny", "r1")
        self.stop_after = stop_after
        self.fails = tuple(fails)
        self.dropped = dropped
        self.loads = 0
        self.answered: list[Messages] = []
        self.answer_calls: list[list[Messages]] = []
        self.reason_calls: list[tuple[list[Messages], list[int]]] = []
        self.drawn: list[tuple[Messages, int]] = []

    def load(self, progress: Progress | None = None) -> None:
        self.loads += 1

    def adapted(self, adapter: str | None, folder: str | None = None) -> CountingEngine:
        return type(self)(replace(self.model, adapter=adapter))

    def answer(
        self,
        prompts: Sequence[Messages],
        *,
        on_answer: OnAnswer | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[Answer]:
        self.load()
        self.answer_calls.append(list(prompts))
        answers = []
        for number, prompt in enumerate(prompts):
            if (stop is not None and stop()) or len(self.answered) == self.stop_after:
                raise Stopped
            if prompt[-1].content.endswith(self.fails):
                continue
            self.answered.append(prompt)
            answers.append(Answer(self.p_yes(prompt), 7, 0.25, self.dropped))
            if on_answer is not None:
                on_answer(number, answers[-1])
        if progress is not None:
            progress("counting", 0.5)
        self._raise_if_failed(prompts)
        return answers

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
            if prompt[-1].content.endswith(self.fails):
                continue
            traces = []
            for index in indices:
                if (stop is not None and stop()) or len(self.drawn) == self.stop_after:
                    raise Stopped
                self.drawn.append((prompt, index))
                p_yes = self.p_yes(prompt, sampling.seed, index)
                trace = Trace(index, f"chain {index} ✓\n</think>\nYes", p_yes, 5, 0.5, "stop", self.dropped)
                if on_piece is not None:
                    on_piece(number, index, trace.text)
                if on_trace is not None:
                    on_trace(number, trace)
                traces.append(trace)
            result.append(traces)
        self._raise_if_failed(prompts)
        return result

    def read_chains(
        self,
        prompts: Sequence[Messages],
        texts: Sequence[str],
        sampling: Sampling,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[ChainReading]:
        return [ChainReading(0.5, len(text), 0.25) for text in texts]

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        return [list(range(len(prompts)))]

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        return [f"about {prompt[-1].content}" for prompt in prompts]

    def _raise_if_failed(self, prompts: Sequence[Messages]) -> None:
        contents = [prompt[-1].content for prompt in prompts]
        failures = {n: f"no {content}" for n, content in enumerate(contents) if content.endswith(self.fails)}
        if failures:
            raise PartialError(failures, len(prompts), fix="wait")

    @staticmethod
    def p_yes(prompt: Messages, *parts: int) -> float:
        return derive_seed(0, [message.content for message in prompt], *parts) / 2**63
