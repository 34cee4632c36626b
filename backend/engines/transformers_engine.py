"""A language model run in this process by transformers: CPU or CUDA, no server.

What prompts have in common is read once, rows of many prompts are written side by side (``decoding``), each from its
own random stream. torch and transformers are imported on first use.
"""

from __future__ import annotations

import copy
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.engines import models
from backend.engines.base import OnAnswer, OnPiece, OnTrace, check_pooling, parts, raise_if, sample_indices
from backend.engines.chat import FittedPrompts
from backend.errors import EngineError
from backend.types import Answer, Messages, ModelRef, Progress, Sampling, Stop, Trace

if TYPE_CHECKING:
    from backend.engines.causal_lm import CausalLM


class _Base:
    """A base model that engines with different adapters share: its weights, once loaded, and the lock around them."""

    def __init__(self, models_dir: Path, device: str, dtype: str) -> None:
        self.models_dir, self.device, self.dtype = models_dir, device, dtype
        self.lock = threading.RLock()
        self.loaded: CausalLM | None = None


class TransformersEngine:
    """``model``: what to load; ``models_dir``: where embedded models are kept; ``device``: ``auto``, ``cpu``, ``cuda``;
    ``dtype``: how numbers are held, ``auto``, ``float32`` or ``bfloat16``. What is answered differs by about 0.01
    between the two, as it does between machines, so results go by the same name.

    One lock serialises calls: two at once would only slow each other down on one device.
    """

    name = "transformers"

    def __init__(
        self, model: ModelRef, *, models_dir: Path, device: str = "auto", dtype: str = "auto", **_unused: Any
    ) -> None:
        self.model = model
        self._adapter_folder = model.adapter
        self._base = _Base(Path(models_dir), device, dtype)

    def load(self, progress: Progress | None = None) -> None:
        """Fetch the weights where they are missing, then load them. Raises ``EngineError``."""
        self._lm(progress)

    def adapted(self, adapter: str | None, folder: str | None = None) -> TransformersEngine:
        """The same loaded base with another adapter."""
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
        """P(yes) per prompt; prompts that begin alike share what they have in common."""
        with self._base.lock:
            lm = self._lm(progress)
            from backend.engines.causal_lm import answer_batch, plan_batches

            asked = FittedPrompts(prompts, lm.chat.answer_prompt)
            fitted = list(asked)
            answers: dict[int, Answer] = {}
            for batch in plan_batches([prompt.ids for _, prompt in fitted], lm.tokens):
                raise_if(stop)
                started = time.perf_counter()
                found = answer_batch(lm, [fitted[place][1].ids for place in batch])
                seconds = (time.perf_counter() - started) / len(batch)
                for place, p_yes in zip(batch, found, strict=True):
                    number, prompt = fitted[place]
                    answers[number] = Answer(p_yes, len(prompt.ids), seconds, prompt.dropped)
                    if on_answer:
                        on_answer(number, answers[number])
                if progress:
                    progress("answering", len(answers) / len(fitted))
            asked.raise_failures()
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
        """The chains of many prompts, side by side."""
        indices = sample_indices(samples)
        with self._base.lock:
            lm = self._lm(progress)
            if progress:
                progress("reasoning", None)
            from backend.engines.decoding import Decoder, RowGroup

            asked = FittedPrompts(prompts, lambda prompt: lm.chat.reason_prompt(prompt, sampling.max_tokens))
            traces: dict[tuple[int, int], Trace] = {}

            def keep(number: int, trace: Trace) -> None:
                traces[number, trace.index] = trace
                if on_trace:
                    on_trace(number, trace)

            groups = [RowGroup(number, prompts[number], fitted, tuple(indices)) for number, fitted in asked]
            Decoder(lm, sampling, lambda: raise_if(stop)).run(groups, on_piece=on_piece, on_trace=keep)
            asked.raise_failures()
            return [[traces[number, index] for index in indices] for number in range(len(prompts))]

    def embed(
        self,
        texts: Sequence[str],
        *,
        pooling: str = "mean",
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> np.ndarray:
        """The final hidden state, mean over each text's tokens or of the last one, [len(texts), d], float32."""
        check_pooling(pooling)
        with self._base.lock:
            lm = self._lm(progress)
            return lm.embed(texts, pooling, progress, lambda: raise_if(stop))

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """As many neighbours as are worth writing side by side."""
        with self._base.lock:
            size = self._lm(None).batch_size
            return parts(len(prompts), size)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """The texts, written side by side."""
        with self._base.lock:
            lm = self._lm(None)
            from backend.engines.decoding import Decoder, RowGroup

            asked = FittedPrompts(prompts, lambda prompt: lm.chat.write_prompt(prompt, sampling.max_tokens))
            groups = [RowGroup(number, prompts[number], fitted, (None,)) for number, fitted in asked]
            asked.raise_failures()
            texts = [""] * len(prompts)
            Decoder(lm, sampling, lambda: raise_if(stop)).run(groups, on_text=texts.__setitem__)
            return texts

    def _lm(self, progress: Progress | None) -> CausalLM:
        """The loaded base, with this engine's adapter."""
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
                    base.loaded = CausalLM.load(source, self.model, base.device, base.dtype)
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
