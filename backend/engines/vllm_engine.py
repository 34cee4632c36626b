"""A language model run in this process by vLLM: paged attention, one cache of prompts, many texts side by side.

Every sample is a request of its own with its own seed, so that none depends on what is drawn beside it; what requests
have in common (the prompt of K chains, a chain and the reading after it) is computed once, through vLLM's prefix cache.
vLLM is imported on first use; ``vllm_loading`` starts it, ``vllm_requests`` talks to it.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.engines.base import OnAnswer, OnPiece, OnTrace, parts, raise_if, sample_indices
from backend.engines.chat import FittedPrompt, FittedPrompts
from backend.engines.config import VllmConfig
from backend.engines.vllm_loading import LoadedVllm, check_adapter, load_vllm
from backend.seeding import derive_seed
from backend.types import Answer, Messages, ModelRef, Progress, Sampling, Stop, Trace

if TYPE_CHECKING:
    from backend.engines.vllm_requests import Request, RequestLoop, Text

# Prompts per call of ``write``: enough to fill a device, little enough to lose on a stop.
_PLANNED = 256


@dataclass
class _Shared:
    """What the engines of one base model have in common."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    loaded: LoadedVllm | None = None


class VllmEngine:
    """``model``: what to load; ``models_dir``: where embedded models are kept; ``config``: how vLLM runs it.

    One lock serialises calls, over all adapters of the base model: the caller's thread steps vLLM.
    """

    name = "vllm"

    def __init__(self, model: ModelRef, *, models_dir: Path, config: VllmConfig | None = None, **_unused: Any) -> None:
        self.model = model
        self._adapter_folder = model.adapter
        self._models_dir = Path(models_dir)
        self._config = config or VllmConfig()
        self._shared = _Shared()

    def load(self, progress: Progress | None = None) -> None:
        """Fetch the weights where they are missing, then load them, and the adapter. Raises ``EngineError``."""
        with self._shared.lock:
            self._load(progress)

    def adapted(self, adapter: str | None, folder: str | None = None) -> VllmEngine:
        """The same loaded model, and the same lock, with the adapter in that folder."""
        other = copy.copy(self)
        other.model = replace(self.model, adapter=adapter)
        other._adapter_folder = folder or adapter
        return other

    def answer(
        self,
        prompts: Sequence[Messages],
        *,
        on_answer: OnAnswer | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[Answer]:
        """P(yes) per prompt, all at once."""
        with self._shared.lock:
            loaded, loop = self._load(progress)
            from backend.engines.vllm_requests import Reading

            answers: dict[int, Answer] = {}
            fitted = FittedPrompts(prompts, loaded.chat.answer_prompt)

            def known(number: int, prompt: FittedPrompt, started: float, p_yes: float) -> None:
                answers[number] = Answer(p_yes, len(prompt.ids), time.perf_counter() - started, prompt.dropped)
                if on_answer:
                    on_answer(number, answers[number])
                if progress:
                    progress("answering", (len(answers) + len(fitted.failures)) / len(prompts))

            def requests() -> Iterator[Request]:
                for number, prompt in fitted:
                    hear = partial(known, number, prompt, time.perf_counter())
                    yield Reading(loaded.chat, hear).request(prompt.ids)

            loop.run(requests(), partial(raise_if, stop))
            fitted.raise_failures()
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
        """The chains of all prompts, side by side; each is read as soon as it ends."""
        indices = sample_indices(samples)
        with self._shared.lock:
            loaded, loop = self._load(progress)
            from backend.engines.vllm_requests import Chain

            if progress:
                progress("reasoning", None)
            traces: dict[tuple[int, int], Trace] = {}
            fitted = FittedPrompts(
                prompts if indices else [], lambda own: loaded.chat.reason_prompt(own, sampling.max_tokens)
            )

            def known(number: int, trace: Trace) -> None:
                traces[number, trace.index] = trace
                if on_trace:
                    on_trace(number, trace)

            def requests() -> Iterator[Request]:
                for number, prompt in fitted:
                    for index in indices:
                        yield Chain(
                            loaded.chat,
                            prompt,
                            sampling,
                            _seed(sampling, prompts[number], index),
                            index=index,
                            on_piece=partial(on_piece, number) if on_piece else None,
                            on_trace=partial(known, number),
                        ).request()

            loop.run(requests(), partial(raise_if, stop))
            fitted.raise_failures()
            return [[traces[number, index] for index in indices] for number in range(len(prompts))]

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """Parts of equal size by position: vLLM batches what it is given, whatever the lengths."""
        return parts(len(prompts), _PLANNED)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """The texts, all side by side."""
        with self._shared.lock:
            loaded, loop = self._load(None)
            from backend.engines.vllm_requests import Text

            texts: dict[int, Text] = {}
            fitted = FittedPrompts(prompts, lambda own: loaded.chat.write_prompt(own, sampling.max_tokens))

            def requests() -> Iterator[Request]:
                for number, prompt in fitted:
                    texts[number] = Text(loaded.chat, prompt, sampling, _seed(sampling, prompts[number]))
                    yield texts[number].request()

            loop.run(requests(), partial(raise_if, stop))
            fitted.raise_failures()
            return [loaded.chat.text(texts[number].tokens) for number in range(len(prompts))]

    def _load(self, progress: Progress | None) -> tuple[LoadedVllm, RequestLoop]:
        """The running vLLM, and a loop whose requests go through this engine's adapter."""
        if self._adapter_folder is not None:
            check_adapter(self._adapter_folder)  # before the base model's minutes
        if self._shared.loaded is None:
            base = replace(self.model, adapter=None)
            self._shared.loaded = load_vllm(base, self._models_dir, self._config, progress)
        from backend.engines.vllm_requests import RequestLoop

        loaded = self._shared.loaded
        return loaded, RequestLoop(loaded.engine, loaded.adapter(self._adapter_folder))


def _seed(sampling: Sampling, prompt: Messages, *index: int) -> int:
    """The seed of one sample, in [0, 2**63), as every engine derives it; vLLM takes all of these."""
    return derive_seed(sampling.seed, [message.content for message in prompt], *index)
