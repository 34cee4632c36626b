"""A language model run in this process by transformers: CPU or CUDA, no server.

Each prompt is prefilled once; its K chains share that cache (``shared_prefix``) and are sampled side by side, each from
its own random stream. torch and transformers are imported on first use.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.engines import models
from backend.engines.base import OnPiece, OnTrace, check_pooling, sample_indices
from backend.errors import EngineError, Stopped
from backend.types import Answer, Messages, ModelRef, Progress, Sampling, Stop, Trace

if TYPE_CHECKING:
    from backend.engines.causal_lm import CausalLM


class TransformersEngine:
    """``model``: what to load; ``models_dir``: where embedded models are kept; ``device``: ``auto``, ``cpu``, ``cuda``.

    One lock serialises calls: two at once would only slow each other down on one device.
    """

    name = "transformers"

    def __init__(self, model: ModelRef, *, models_dir: Path, device: str = "auto", **_unused: Any) -> None:
        self.model = model
        self._models_dir = Path(models_dir)
        self._device = device
        self._lock = threading.RLock()
        self._loaded: CausalLM | None = None

    def load(self, progress: Progress | None = None) -> None:
        """Fetch the weights where they are missing, then load them. Raises ``EngineError``."""
        self._lm(progress)

    def answer(
        self, prompts: Sequence[Messages], *, progress: Progress | None = None, stop: Stop | None = None
    ) -> list[Answer]:
        """P(yes) per prompt, one forward pass each: batching gains nothing on a CPU and padding would move results."""
        with self._lock:
            lm = self._lm(progress)
            answers = []
            for done, prompt in enumerate(prompts, start=1):
                _raise_if(stop)
                started = time.perf_counter()
                ids = lm.chat_ids(prompt)
                p_yes = lm.p_yes(lm.prefill(ids)[1])
                answers.append(Answer(p_yes, len(ids), time.perf_counter() - started))
                if progress:
                    progress("answering", done / len(prompts))
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
        """The chains of each prompt, sampled together from one prefilled cache."""
        indices = sample_indices(samples)
        with self._lock:
            lm = self._lm(progress)
            if progress:
                progress("reasoning", None)
            return [
                lm.sample_chains(
                    prompt,
                    indices,
                    sampling,
                    on_piece=partial(on_piece, number) if on_piece else None,
                    on_trace=partial(on_trace, number) if on_trace else None,
                    stop=lambda: _raise_if(stop),
                )
                for number, prompt in enumerate(prompts)
            ]

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
        with self._lock:
            lm = self._lm(progress)
            return lm.embed(texts, pooling, progress, lambda: _raise_if(stop))

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """Prompts of equal length in tokens go together."""
        with self._lock:
            lm = self._lm(None)
            return _plan(lm, [lm.chat_ids(prompt) for prompt in prompts])

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """The texts, prompts of equal length side by side."""
        with self._lock:
            from backend.engines.writing import write_batch

            lm = self._lm(None)
            ids = [lm.chat_ids(prompt) for prompt in prompts]
            texts = [""] * len(prompts)
            for batch in _plan(lm, ids):
                own = [prompts[i] for i in batch], [ids[i] for i in batch]
                for i, text in zip(batch, write_batch(lm, *own, sampling, lambda: _raise_if(stop)), strict=True):
                    texts[i] = text
            return texts

    def _lm(self, progress: Progress | None) -> CausalLM:
        with self._lock:
            if self._loaded is None:
                os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
                # Read when torch is imported. By default its threads wait by spinning: with anything else running (a
                # browser on the same two cores), a chain takes two to four times as long. Idle, it makes no difference.
                os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
                if progress:
                    progress("starting torch", None)
                from backend.engines.causal_lm import CausalLM

                source = models.fetch(self.model, self._models_dir, progress)
                if progress:
                    progress(f"loading {models.display_name(self.model)}", None)
                try:
                    self._loaded = CausalLM.load(source, self.model, self._device)
                except EngineError:
                    raise
                except Exception as error:
                    raise EngineError(
                        f"The model {self.model.name!r} could not be loaded: {error}",
                        expected=f"an embedded model ({', '.join(models.EMBEDDED)}), a folder, or a hub id",
                        fix="rallrec doctor shows what this machine has",
                    ) from error
            return self._loaded


def _plan(lm: CausalLM, ids: Sequence[list[int]]) -> list[list[int]]:
    from backend.engines.writing import plan_batches

    return plan_batches([len(own) for own in ids], lm.batch_size)


def _raise_if(stop: Stop | None) -> None:
    if stop and stop():
        raise Stopped
