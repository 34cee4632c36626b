"""The contracts of engines, and the list of engines by lazy name.

An engine turns messages into P(yes) and into sampled reasoning chains; an encoder turns texts into vectors. What the
messages say is the business of ``backend.prompting``; keeping results is the business of
``storage.results.cached_engine``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from backend.errors import Stopped, UnknownNameError
from backend.types import Answer, Messages, ModelRef, Progress, Sampling, Stop, Trace

# on_piece(prompt index, sample index, newly written text)
OnPiece = Callable[[int, int, str], None]
# on_trace(prompt index, finished trace)
OnTrace = Callable[[int, Trace], None]
# on_answer(prompt index, answer)
OnAnswer = Callable[[int, Answer], None]

THINK_OPEN = "<think>\n"
THINK_CLOSE = "</think>"


@runtime_checkable
class Engine(Protocol):
    """Messages in, numbers and chains out. Every method may be called from any thread, one call at a time per engine.

    ``stop`` is polled between units of work; when it turns true the call raises :class:`backend.errors.Stopped`.
    Where some prompts fail and others do not, the call does the others and then raises
    :class:`backend.errors.PartialError`. What had finished by then has already been handed to ``on_answer`` or
    ``on_trace``, so a wrapper can keep it. A prompt that is longer than the context loses its oldest history lines
    first (``Message.droppable``); the results say how many.
    """

    name: str
    model: ModelRef

    def load(self, progress: Progress | None = None) -> None:
        """Fetch and load what the first call needs. Idempotent; the other methods call it themselves."""
        ...

    def adapted(self, adapter: str | None, folder: str | None = None) -> Engine:
        """The same base model with another LoRA adapter (None: with none); base weights are loaded once for all.

        ``adapter``: its name, under which results are kept; ``folder``: where its files are (default: the name is it).
        """
        ...

    def answer(
        self,
        prompts: Sequence[Messages],
        *,
        on_answer: OnAnswer | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[Answer]:
        """P(yes) of every prompt, in order (section 4.3.1, ``M_G(x)``); ``on_answer`` hears each as it is known."""
        ...

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
        """``samples`` chains per prompt: a count K (indices 0 .. K-1) or the sample indices themselves, in order.

        Sample ``i`` draws from a stream seeded by (``sampling.seed``, prompt, ``i``) alone, whatever else is drawn
        beside it (section 4.3.3). ``progress`` hears of loading; the chains themselves are heard through ``on_piece``.
        """
        ...

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """How to cut a long list into calls of :meth:`write`: each index once, by the prompts alone.

        A caller that keeps the results of each part can resume, and gets what an undisturbed run would have given.
        """
        ...

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """One text per prompt, at most ``sampling.max_tokens`` long, each drawn from its own stream (eq. 1)."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Texts in, vectors out."""

    name: str
    model: ModelRef

    def load(self, progress: Progress | None = None) -> None:
        """Fetch and load what the first call needs. Idempotent; ``embed`` calls it itself."""
        ...

    def embed(
        self,
        texts: Sequence[str],
        *,
        pooling: str = "mean",
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> np.ndarray:
        """Final hidden states, float32 of shape [len(texts), d], not normalised (eq. 2).

        ``pooling``: the ``mean`` over a text's tokens, or its ``last`` token. Raises ``UnknownNameError``.
        """
        ...


ENGINES: dict[str, str] = {
    "openai": "backend.engines.openai:OpenAIEngine",
    "scripted": "backend.engines.scripted:ScriptedEngine",
    "transformers": "backend.engines.transformers_engine:TransformersEngine",
    "vllm": "backend.engines.vllm_engine:VllmEngine",
}
ENCODERS: dict[str, str] = {
    "scripted": ENGINES["scripted"],
    "sentence": "backend.engines.sentence_engine:SentenceEncoder",
    "transformers": ENGINES["transformers"],
}


def create_engine(name: str, **options: Any) -> Engine:
    """The engine called ``name``; its module is imported only now. Raises ``UnknownNameError`` listing the known."""
    engine: Engine = _create("engine", ENGINES, name, options)
    return engine


def create_encoder(name: str, **options: Any) -> Encoder:
    """The encoder called ``name``, as :func:`create_engine`."""
    encoder: Encoder = _create("encoder", ENCODERS, name, options)
    return encoder


def _create(kind: str, known: dict[str, str], name: str, options: dict[str, Any]) -> Any:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)(**options)


POOLINGS = ("mean", "last")


def check_pooling(pooling: str) -> None:
    """Raise ``UnknownNameError`` for anything but :data:`POOLINGS`."""
    if pooling not in POOLINGS:
        raise UnknownNameError("pooling", pooling, POOLINGS)


def sample_indices(samples: int | Sequence[int]) -> list[int]:
    """The sample indices that ``reason`` is asked for: ``3`` means ``[0, 1, 2]``."""
    return list(range(samples)) if isinstance(samples, int) else list(samples)


def parts(count: int, size: int) -> list[list[int]]:
    """0 .. count-1 cut into runs of ``size``, the last one shorter."""
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def raise_if(stop: Stop | None) -> None:
    """Raise ``Stopped`` once ``stop()`` is true."""
    if stop and stop():
        raise Stopped
