"""A language model run in this process by vLLM: paged attention, one cache of prompts, many texts side by side.

Every sample is a request of its own with its own seed, so that none depends on what is drawn beside it; what requests
have in common (the prompt of K chains, a chain and the reading after it) is computed once, through vLLM's prefix cache.
vLLM is imported on first use: it is started here, with its environment, its options and its errors in plain words;
``vllm_requests`` talks to it.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.engines import models
from backend.engines.base import Caller, EngineBase, OnAnswer, OnReading, OnTrace, parts, raise_if
from backend.engines.chat import Chance, Chat, FittedChain, FittedPrompt, FittedPrompts, TokenizerVocabulary
from backend.engines.clock import WorkClock, WorkShare
from backend.engines.config import VllmConfig
from backend.engines.tokenizers import as_saved
from backend.errors import EngineError
from backend.seeding import derive_seed
from backend.types import Answer, ChainReading, Messages, ModelRef, Progress, Sampling, Stop

if TYPE_CHECKING:
    from backend.engines.vllm_requests import Request, RequestLoop, Text

# Prompts per call of ``write``: enough to fill a device, little enough to lose on a stop.
_PLANNED = 256
# Adapters whose weights vLLM keeps: on the device, so that the two models of a prediction do not push each other out,
# and in memory.
_ADAPTERS_READY, _ADAPTERS_KEPT = 2, 8
# Tokens per piece of the cache, where the default of a CPU (128) would leave most of a short chain out of it.
_CPU_BLOCK = 32
# Texts side by side, where more would only make each slower.
_CPU_SEQUENCES = 48
_EVERYWHERE = {
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # Read when torch is imported; see transformers_engine.
    "OMP_WAIT_POLICY": "PASSIVE",
}
# One process, whose threads the system places: pinned ones would fight with whatever else runs.
_ON_CPU = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


@dataclass
class LoadedVllm:
    """A running vLLM ``engine`` (its ``LLMEngine``), the model's ``chat``, and the adapters it has taken."""

    engine: Any
    chat: Chat
    max_lora_rank: int
    _adapters: dict[str, Any] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def adapter(self, folder: str | None) -> Any:
        """The ``LoRARequest`` of an adapter's folder, loaded on first use; None for None. Raises ``EngineError``."""
        if folder is None:
            return None
        where = check_adapter(folder)
        if where not in self._adapters:
            if not self.max_lora_rank:
                raise EngineError(
                    f"The adapter {folder!r} cannot be used: max_lora_rank is 0", fix="set it to the adapter's rank"
                )
            from vllm.lora.request import LoRARequest

            request = LoRARequest(where, next(self._numbers), where)
            try:
                # Here, because an adapter that turns out to be broken in the middle of a step takes vLLM down.
                self.engine.add_lora(request)
            except Exception as error:
                raise EngineError(
                    f"The adapter {folder!r} could not be loaded: {last_words(error)}",
                    expected=f"a LoRA adapter of this model, of rank at most {self.max_lora_rank}",
                    fix="choose another adapter, or a larger max_lora_rank",
                ) from error
            self._adapters[where] = request
        return self._adapters[where]


@dataclass
class _Shared:
    """What the engines of one base model have in common."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    loaded: LoadedVllm | None = None


class VllmEngine(EngineBase):
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

    def _answer(self, prompts: Sequence[Messages], hear: OnAnswer, caller: Caller) -> None:
        """All prompts at once."""
        with self._shared.lock:
            loaded, loop = self._load(caller.progress)
            from backend.engines.vllm_requests import AnswerReading

            clock = WorkClock()
            fitting = FittedPrompts(prompts, loaded.chat.answer_prompt)

            def known(number: int, prompt: FittedPrompt, share: WorkShare, chance: Chance) -> None:
                seconds = share.end()
                hear(number, Answer(chance.p_yes, len(prompt.ids), seconds, prompt.dropped, chance.mass))

            def requests() -> Iterator[Request]:
                for number, prompt in fitting:
                    reading = AnswerReading(loaded.chat, partial(known, number, prompt, clock.begin()))
                    yield reading.request(prompt.ids)

            loop.run(requests(), caller.check)
            fitting.raise_failures()

    def _reason(
        self, prompts: Sequence[Messages], indices: Sequence[int], sampling: Sampling, hear: OnTrace, caller: Caller
    ) -> None:
        """The chains of all prompts, side by side; each is read as soon as it ends."""
        with self._shared.lock:
            loaded, loop = self._load(caller.progress)
            from backend.engines.vllm_requests import ChainRequest

            caller.tell("reasoning")
            clock = WorkClock()
            fitting = FittedPrompts(prompts, lambda prompt: loaded.chat.reason_prompt(prompt, sampling.max_tokens))

            def requests() -> Iterator[Request]:
                for number, prompt in fitting:
                    on_piece = partial(caller.on_piece, number) if caller.on_piece else None
                    for index in indices:
                        seed, on_trace = _seed(sampling, prompts[number], index), partial(hear, number)
                        yield ChainRequest(
                            loaded.chat,
                            prompt,
                            sampling,
                            seed,
                            index=index,
                            on_piece=on_piece,
                            on_trace=on_trace,
                            share=clock.begin(),
                        ).request()

            loop.run(requests(), caller.check)
            fitting.raise_failures()

    def _read_chains(
        self, chains: Sequence[tuple[Messages, str]], sampling: Sampling, hear: OnReading, caller: Caller
    ) -> None:
        """All chains at once."""
        with self._shared.lock:
            loaded, loop = self._load(caller.progress)
            from backend.engines.vllm_requests import AnswerReading

            clock = WorkClock()
            fitting = FittedPrompts(chains, lambda chain: loaded.chat.read_prompt(chain, sampling.max_tokens))

            def known(number: int, chain: FittedChain, share: WorkShare, chance: Chance) -> None:
                seconds = share.end()
                hear(number, ChainReading(chance.p_yes, chain.tokens, seconds, chain.dropped, chance.mass))

            def requests() -> Iterator[Request]:
                for number, chain in fitting:
                    reading = AnswerReading(loaded.chat, partial(known, number, chain, clock.begin()))
                    yield reading.request(chain.ids)

            loop.run(requests(), caller.check)
            fitting.raise_failures()

    def plan(self, prompts: Sequence[Messages]) -> list[list[int]]:
        """Parts of equal size by position: vLLM batches what it is given, whatever the lengths."""
        return parts(len(prompts), _PLANNED)

    def write(self, prompts: Sequence[Messages], sampling: Sampling, *, stop: Stop | None = None) -> list[str]:
        """The texts, all side by side."""
        with self._shared.lock:
            loaded, loop = self._load(None)
            from backend.engines.vllm_requests import Text

            texts: dict[int, Text] = {}
            fitting = FittedPrompts(prompts, lambda prompt: loaded.chat.write_prompt(prompt, sampling.max_tokens))

            def requests() -> Iterator[Request]:
                for number, prompt in fitting:
                    texts[number] = Text(loaded.chat, prompt, sampling, _seed(sampling, prompts[number]))
                    yield texts[number].request()

            loop.run(requests(), partial(raise_if, stop))
            fitting.raise_failures()
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


def check_adapter(folder: str) -> str:
    """The absolute path of an adapter's folder. Raises ``EngineError`` where it is none."""
    where = Path(folder).expanduser().resolve()
    if not (where / "adapter_config.json").is_file():
        raise EngineError(
            f"There is no adapter in {folder!r}",
            expected="a folder with adapter_config.json and the adapter's weights, as peft saves them",
            fix="check the path, or train the adapter first",
        )
    return str(where)


def load_vllm(model: ModelRef, models_dir: Path, config: VllmConfig, progress: Progress | None) -> LoadedVllm:
    """Fetch the weights where they are missing, then load them. Raises ``EngineError``."""
    tell = progress or (lambda _what, _fraction: None)
    tell("starting vLLM", None)
    on_cpu = _import_vllm()
    source = models.fetch(model, models_dir, progress)
    tell(f"loading {models.display_name(model)}", None)
    try:
        from vllm import LLM

        llm = LLM(**_options(model, source, config, on_cpu))
        tokenizer = as_saved(llm.get_tokenizer(), source, model.name, **models.revision_of(model, source))
        chat = Chat(TokenizerVocabulary(tokenizer), llm.llm_engine.model_config.max_model_len)
        models.check_precision(model, {str(llm.llm_engine.model_config.dtype).removeprefix("torch.")})
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(
            f"The model {model.name!r} could not be loaded by vLLM: {last_words(error)}",
            expected=f"an embedded model ({', '.join(models.EMBEDDED)}), a folder, or a hub id, that fits in memory",
            fix="where memory ran out: a shorter context, or quantized weights; otherwise, vLLM's log is on stderr",
        ) from error
    return LoadedVllm(llm.llm_engine, chat, config.max_lora_rank)


def last_words(error: Exception) -> str:
    """The line of a vLLM error that says what is wrong."""
    errors = getattr(error, "errors", None)
    if callable(errors):  # pydantic: what the field's check said, without the field's whole surroundings
        return "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in errors())
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)


def _import_vllm() -> bool:
    """Import vLLM, quiet and in the right environment; whether it runs on a CPU. Raises ``EngineError``."""
    for name, value in _EVERYWHERE.items():
        os.environ.setdefault(name, value)
    try:
        from vllm.platforms import current_platform
    except ImportError as error:
        raise EngineError(
            "vLLM is not installed" if (error.name or "").startswith("vllm") else f"vLLM cannot be used here: {error}",
            fix="pip install 'rallrec-plus[gpu]' on a GPU host, or RALLREC_ENGINE=transformers",
        ) from error
    on_cpu = bool(current_platform.is_cpu())
    if on_cpu:
        for name, value in _ON_CPU.items():
            os.environ.setdefault(name, value)
    return on_cpu


def _options(model: ModelRef, source: str, config: VllmConfig, on_cpu: bool) -> dict[str, Any]:
    """The options of ``vllm.LLM``."""
    dtype = model.precision or ("float32" if on_cpu and config.dtype == "auto" else config.dtype)
    options: dict[str, Any] = {
        "model": source,
        "dtype": dtype,
        "quantization": model.quantized,
        # -1: the model's own, or as much of it as the memory holds.
        "max_model_len": model.context or -1,
        "tensor_parallel_size": config.tensor_parallel,
        "enforce_eager": on_cpu if config.eager is None else config.eager,
        "enable_prefix_caching": True,
        "use_tqdm_on_load": False,
    }
    if revision := models.revision_of(model, source):
        options |= revision | {"tokenizer_revision": model.revision}
    if config.max_lora_rank:
        options |= {"enable_lora": True, "max_lora_rank": config.max_lora_rank}
        options |= {"max_loras": _ADAPTERS_READY, "max_cpu_loras": _ADAPTERS_KEPT}
    sequences = config.max_sequences or (_CPU_SEQUENCES if on_cpu else None)
    if sequences:
        options["max_num_seqs"] = sequences
    if config.exact_head and not on_cpu and dtype != "float32":
        options["hf_overrides"] = {"head_dtype": "float32"}
    if on_cpu:
        return options | {"block_size": _CPU_BLOCK, "kv_cache_memory_bytes": config.cpu_cache_gib * 2**30}
    return options | {"gpu_memory_utilization": config.gpu_memory}
