"""The contracts of engines, and one record per engine: the only place that knows an engine by its name.

An engine turns messages into P(yes) and into sampled reasoning chains; an encoder turns texts into vectors. What the
messages say is the business of ``backend.prompting``; keeping results is the business of
``storage.results.cached_engine``.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from pydantic import BaseModel

from backend.engines.config import ServerConfig, VllmConfig
from backend.errors import Stopped, UnknownNameError, UsageError
from backend.types import Answer, ChainReading, Messages, ModelRef, Progress, Sampling, Stop, Trace

# on_piece(prompt index, sample index, newly written text)
OnPiece = Callable[[int, int, str], None]
# on_trace(prompt index, finished trace)
OnTrace = Callable[[int, Trace], None]
# on_answer(prompt index, answer)
OnAnswer = Callable[[int, Answer], None]
# on_reading(place in the call, reading)
OnReading = Callable[[int, ChainReading], None]

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
        """Returns P(yes) of every prompt, in order (section 4.3.1, ``M_G(x)``). ``on_answer`` hears each at once."""
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

    def read_chains(
        self,
        prompts: Sequence[Messages],
        texts: Sequence[str],
        sampling: Sampling,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[ChainReading]:
        """Returns P(yes) behind each chain's text, in order, read where :meth:`reason` reads it; draws nothing.

        ``texts``: one chain of each prompt, as :class:`Trace` has it (a prompt with several chains is given as often);
        ``sampling``: how they were drawn, because a prompt leaves room for ``max_tokens``. Raises as :meth:`answer`.
        """
        ...

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """Returns how to cut a long list into calls of :meth:`write`: each index once, by the prompts alone.

        A caller that keeps the results of each part can resume, and gets what an undisturbed run would have given.
        """
        ...

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """Returns one text per prompt, at most ``sampling.max_tokens`` long, each drawn from its own stream (eq. 1)."""
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
        self, texts: Sequence[str], *, pooling: str = "mean", progress: Progress | None = None, stop: Stop | None = None
    ) -> np.ndarray:
        """Final hidden states, float32 of shape [len(texts), d], not normalised (eq. 2).

        ``pooling``: the ``mean`` over a text's tokens, or its ``last`` token. Raises ``UnknownNameError``.
        """
        ...


@dataclass(frozen=True)
class Caller:
    """Who asked an engine: what of the work is told, and whether it is to go on."""

    progress: Progress | None
    stop: Stop | None
    on_piece: OnPiece | None = None

    def tell(self, what: str) -> None:
        """Tell what is being done, however long it takes."""
        if self.progress:
            self.progress(what, None)

    def check(self) -> None:
        """Raise ``Stopped`` once a stop is asked for."""
        raise_if(self.stop)


class EngineBase:
    """What the engines have in common: results are heard in any order, and returned in the order of the prompts.

    A subclass runs the model, in :meth:`_answer` and :meth:`_reason`, which tell ``hear`` each result as it is known.
    """

    model: ModelRef
    _adapter_folder: str | None = None

    def adapted(self, adapter: str | None, folder: str | None = None) -> Self:
        """The same base, its weights and its lock, with the adapter in that folder (see :class:`Engine`)."""
        adapted = copy.copy(self)
        adapted.model = replace(self.model, adapter=adapter)
        adapted._adapter_folder = folder or adapter
        return adapted

    def answer(
        self,
        prompts: Sequence[Messages],
        *,
        on_answer: OnAnswer | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[Answer]:
        """P(yes) per prompt; see :class:`Engine`."""
        answers: dict[int, Answer] = {}

        def hear(number: int, answer: Answer) -> None:
            answers[number] = answer
            if on_answer:
                on_answer(number, answer)
            if progress:
                progress("answering", len(answers) / len(prompts))

        if prompts:
            self._answer(prompts, hear, Caller(progress, stop))
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
        """The chains of each prompt; see :class:`Engine`."""
        indices = sample_indices(samples)
        traces: dict[tuple[int, int], Trace] = {}

        def hear(number: int, trace: Trace) -> None:
            traces[number, trace.index] = trace
            if on_trace:
                on_trace(number, trace)

        if prompts and indices:
            self._reason(prompts, indices, sampling, hear, Caller(progress, stop, on_piece))
        return [[traces[number, index] for index in indices] for number in range(len(prompts))]

    def read_chains(
        self,
        prompts: Sequence[Messages],
        texts: Sequence[str],
        sampling: Sampling,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[ChainReading]:
        """P(yes) behind each chain's text; see :class:`Engine`."""
        if len(prompts) != len(texts):
            raise UsageError(f"{len(texts)} chains of {len(prompts)} prompts", expected="one chain for each prompt")
        readings: dict[int, ChainReading] = {}

        def hear(number: int, reading: ChainReading) -> None:
            readings[number] = reading
            if progress:
                progress("reading chains", len(readings) / len(prompts))

        if prompts:
            self._read_chains(list(zip(prompts, texts, strict=True)), sampling, hear, Caller(progress, stop))
        return [readings[number] for number in range(len(prompts))]

    def _answer(self, prompts: Sequence[Messages], hear: OnAnswer, caller: Caller) -> None:
        raise NotImplementedError

    def _reason(
        self, prompts: Sequence[Messages], indices: Sequence[int], sampling: Sampling, hear: OnTrace, caller: Caller
    ) -> None:
        raise NotImplementedError

    def _read_chains(
        self, chains: Sequence[tuple[Messages, str]], sampling: Sampling, hear: OnReading, caller: Caller
    ) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Package:
    """A Python package that an engine needs: for everything, or ``only_for`` an ``adapter`` or a form of rounding.

    ``install``: the command that installs it, where the other engines do without it; empty: ``make setup`` does.
    """

    name: str
    install: str = ""
    only_for: str = ""


@dataclass(frozen=True)
class EngineRecord:
    """All that the rest of the program knows of an engine; nothing else asks for an engine's name.

    ``path``: its class as ``module:Class``, which is imported on first use.
    ``weights``: ``here``, where this process loads them, can round them, and can put an adapter that was tuned here on
    them; at a ``server``, which is asked for a name; or ``none``, where it makes up what it says.
    ``options``: what its class takes beside the model, as argument -> setting.
    ``config``: the model of the options that are its own; they are the entries of the setting ``table``, and the class
    takes them as ``config``. That of a server has a ``key_variable``, an ``identity`` and a ``revision``; that of
    weights that are loaded here may have a ``dtype``, how they are held.
    ``takes_dtype``: whether it obeys the setting ``dtype``.
    ``encodes``: the ``encoder_kind`` that it plays; empty where it is no encoder.
    ``shares_processor``: whether two calls at once on this machine only slow each other down.
    ``packages``: what it needs to be installed.
    ``gpu_if``: values of settings with which it needs an NVIDIA GPU, whatever the profile says.
    """

    path: str
    weights: Literal["here", "server", "none"]
    options: Mapping[str, str] = field(default_factory=dict)
    config: type[BaseModel] | None = None
    table: str = ""
    takes_dtype: bool = False
    encodes: str = ""
    shares_processor: bool = False
    packages: tuple[Package, ...] = ()
    gpu_if: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_remote(self) -> bool:
        return self.weights == "server"

    @property
    def loads_weights(self) -> bool:
        return self.weights == "here"

    @property
    def makes_up_answers(self) -> bool:
        return self.weights == "none"


# The only model of the engine without weights, which goes by the same name.
SCRIPTED = ModelRef("scripted", "1")
ENGINES: dict[str, EngineRecord] = {
    "openai": EngineRecord(
        "backend.engines.openai:OpenAIEngine",
        "server",
        config=ServerConfig,
        table="server",
        packages=(Package("openai"),),
    ),
    SCRIPTED.name: EngineRecord(
        "backend.engines.scripted:ScriptedEngine",
        "none",
        options={"delay": "scripted_delay"},
        encodes=SCRIPTED.name,
        shares_processor=True,
    ),
    "transformers": EngineRecord(
        "backend.engines.transformers_engine:TransformersEngine",
        "here",
        options={"models_dir": "models_dir", "device": "device"},
        takes_dtype=True,
        encodes="llm",
        shares_processor=True,
        packages=(
            Package("torch"),
            Package("transformers"),
            Package("peft", only_for="adapter"),
            Package("bitsandbytes", "pip install bitsandbytes, for 8-bit weights on a GPU", only_for="8bit"),
        ),
        gpu_if={"device": "cuda", "quantized": "8bit"},
    ),
    "vllm": EngineRecord(
        "backend.engines.vllm_engine:VllmEngine",
        "here",
        options={"models_dir": "models_dir"},
        config=VllmConfig,
        table="vllm",
        packages=(Package("vllm", "pip install 'rallrec-plus[gpu]' on a GPU host"),),
    ),
}
# What turns texts into vectors; it always runs in this process.
ENCODERS: dict[str, EngineRecord] = {
    "sentence": EngineRecord(
        "backend.engines.sentence_engine:SentenceEncoder", "here", options={"device": "device"}, encodes="sentence"
    )
} | {name: record for name, record in ENGINES.items() if record.encodes}


def record_of(engine: str) -> EngineRecord:
    """Returns the record of an engine or encoder.

    A name that is unknown counts as an engine that loads weights here, so that what only looks at the settings can go
    on; :func:`create_engine` refuses it.
    """
    return ENGINES.get(engine) or ENCODERS.get(engine) or EngineRecord("", "here")


def makes_up_answers(model: str) -> bool:
    """Whether a model of this name has no weights, so that what it says is made up."""
    return model == SCRIPTED.name


def create_engine(name: str, **options: Any) -> Engine:
    """Returns the engine called ``name``; imports its module. Raises ``UnknownNameError``, which lists the known."""
    engine: Engine = _create("engine", ENGINES, name, options)
    return engine


def create_encoder(name: str, **options: Any) -> Encoder:
    """Returns the encoder called ``name``, as :func:`create_engine` does engines."""
    encoder: Encoder = _create("encoder", ENCODERS, name, options)
    return encoder


def _create(kind: str, known: Mapping[str, EngineRecord], name: str, options: dict[str, Any]) -> Any:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    module, _, attribute = known[name].path.partition(":")
    return getattr(importlib.import_module(module), attribute)(**options)


POOLINGS = ("mean", "last")


def check_pooling(pooling: str) -> None:
    """Raise ``UnknownNameError`` for anything but :data:`POOLINGS`."""
    if pooling not in POOLINGS:
        raise UnknownNameError("pooling", pooling, POOLINGS)


def sample_indices(samples: int | Sequence[int]) -> list[int]:
    """Returns the sample indices that ``reason`` is asked for: ``3`` means ``[0, 1, 2]``."""
    return list(range(samples)) if isinstance(samples, int) else list(samples)


def parts(count: int, size: int) -> list[list[int]]:
    """Returns 0 .. count-1 cut into runs of ``size``; the last one may be shorter."""
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def raise_if(stop: Stop | None) -> None:
    """Raise ``Stopped`` once ``stop()`` is true."""
    if stop and stop():
        raise Stopped
