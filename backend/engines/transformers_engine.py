"""A language model run in this process by transformers: CPU or CUDA, no server.

What prompts have in common is read once, rows of many prompts are written side by side (``decoding``), each from its
own random stream. torch and transformers are imported on first use.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from backend.engines import models
from backend.engines.base import Caller, EngineBase, OnAnswer, OnReading, OnTrace, check_pooling, parts, raise_if
from backend.engines.chat import Chance, FittedPrompt, FittedPrompts
from backend.errors import EngineError
from backend.types import Answer, ChainReading, Messages, ModelRef, Progress, Sampling, Stop

if TYPE_CHECKING:
    from backend.engines.causal_lm import CausalLM

FittedT = TypeVar("FittedT", bound=FittedPrompt)


class _Base:
    """A base model that engines with different adapters share: its weights, once loaded, and the lock around them."""

    def __init__(self, models_dir: Path, device: str) -> None:
        self.models_dir, self.device = models_dir, device
        self.lock = threading.RLock()
        self.loaded: CausalLM | None = None


class TransformersEngine(EngineBase):
    """``model``: what to load, in its precision; ``models_dir``: where embedded models are kept; ``device``: ``auto``,
    ``cpu`` or ``cuda``.

    One lock serialises calls: two at once would only slow each other down on one device.
    """

    name = "transformers"

    def __init__(self, model: ModelRef, *, models_dir: Path, device: str = "auto", **_unused: Any) -> None:
        self.model = model
        self._adapter_folder = model.adapter
        self._base = _Base(Path(models_dir), device)

    def load(self, progress: Progress | None = None) -> None:
        """Fetch the weights where they are missing, then load them. Raises ``EngineError``."""
        self._lm(progress)

    def _answer(self, prompts: Sequence[Messages], hear: OnAnswer, caller: Caller) -> None:
        with self._base.lock:
            lm = self._lm(caller.progress)
            fitting = FittedPrompts(prompts, lm.chat.answer_prompt)
            for number, prompt, chance, seconds in _answered(lm, list(fitting), caller):
                hear(number, Answer(chance.p_yes, len(prompt.ids), seconds, prompt.dropped, chance.mass))
            fitting.raise_failures()

    def _read_chains(
        self, chains: Sequence[tuple[Messages, str]], sampling: Sampling, hear: OnReading, caller: Caller
    ) -> None:
        with self._base.lock:
            lm = self._lm(caller.progress)
            fitting = FittedPrompts(chains, lambda chain: lm.chat.read_prompt(chain, sampling.max_tokens))
            for number, chain, chance, seconds in _answered(lm, list(fitting), caller):
                hear(number, ChainReading(chance.p_yes, chain.tokens, seconds, chain.dropped, chance.mass))
            fitting.raise_failures()

    def _reason(
        self, prompts: Sequence[Messages], indices: Sequence[int], sampling: Sampling, hear: OnTrace, caller: Caller
    ) -> None:
        """Draw the chains of many prompts side by side."""
        with self._base.lock:
            lm = self._lm(caller.progress)
            caller.tell("reasoning")
            from backend.engines.decoding import Decoder, RowGroup

            fitting = FittedPrompts(prompts, lambda prompt: lm.chat.reason_prompt(prompt, sampling.max_tokens))
            groups = [RowGroup(number, prompts[number], fitted, tuple(indices)) for number, fitted in fitting]
            Decoder(lm, sampling, caller.check).run(groups, on_piece=caller.on_piece, on_trace=hear)
            fitting.raise_failures()

    def embed(
        self, texts: Sequence[str], *, pooling: str = "mean", progress: Progress | None = None, stop: Stop | None = None
    ) -> np.ndarray:
        """Returns final hidden states, the mean over each text's tokens or the last one: [len(texts), d], float32."""
        check_pooling(pooling)
        with self._base.lock:
            lm = self._lm(progress)
            return lm.embed(texts, pooling, progress, lambda: raise_if(stop))

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """Returns parts of as many prompts as are worth writing side by side."""
        with self._base.lock:
            size = self._lm(None).batch_size
            return parts(len(prompts), size)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """Write the texts side by side; returns them in the order of the prompts."""
        with self._base.lock:
            lm = self._lm(None)
            from backend.engines.decoding import Decoder, RowGroup

            fitting = FittedPrompts(prompts, lambda prompt: lm.chat.write_prompt(prompt, sampling.max_tokens))
            groups = [RowGroup(number, prompts[number], fitted, (None,)) for number, fitted in fitting]
            fitting.raise_failures()
            texts = [""] * len(prompts)
            Decoder(lm, sampling, lambda: raise_if(stop)).run(groups, on_text=texts.__setitem__)
            return texts

    def _lm(self, progress: Progress | None) -> CausalLM:
        """Load the base on first use, and put this engine's adapter in force. Raises ``EngineError``."""
        base = self._base
        with base.lock:
            if base.loaded is None:
                os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
                # Read when torch is imported. By default its threads wait by spinning: with anything else running (a
                # browser on the same two cores), a chain takes two to four times as long. Idle, it makes no difference.
                os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
                if progress:
                    progress("starting torch", None)
                from backend.engines.causal_lm import CausalLM

                source = models.fetch(self.model, base.models_dir, progress)
                if progress:
                    progress(f"loading {models.display_name(self.model)}", None)
                try:
                    base.loaded = CausalLM.load(source, self.model, base.device)
                except EngineError:
                    raise
                except Exception as error:
                    raise EngineError(
                        f"The model {self.model.name!r} could not be loaded: {error}",
                        expected=f"an embedded model ({', '.join(models.EMBEDDED)}), a folder, or a hub id",
                        fix="rallrec doctor shows what this machine has",
                    ) from error
            base.loaded.use(self._adapter_folder)
            return base.loaded


def _answered(
    lm: CausalLM, fitted: Sequence[tuple[int, FittedT]], caller: Caller
) -> Iterator[tuple[int, FittedT, Chance, float]]:
    """Yields each numbered prompt with what is read behind it, and its share of the seconds that its batch took.

    Prompts that begin alike are read side by side, so that what they have in common is read once.
    """
    from backend.engines.causal_lm import answer_batch, plan_batches

    for batch in plan_batches([prompt.ids for _, prompt in fitted], lm.tokens):
        caller.check()
        started = time.perf_counter()
        chances = answer_batch(lm, [fitted[place][1].ids for place in batch])
        seconds = (time.perf_counter() - started) / len(batch)
        for place, chance in zip(batch, chances, strict=True):
            yield *fitted[place], chance, seconds
