"""Starting vLLM in this process: its environment, its options, its errors in plain words. Imports it when asked."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.engines import models
from backend.engines.chat import Chat
from backend.engines.config import VllmConfig
from backend.engines.vocabulary import TokenizerVocabulary
from backend.errors import EngineError
from backend.types import ModelRef, Progress

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
        vocabulary = TokenizerVocabulary(llm.get_tokenizer())
        chat = Chat(vocabulary, llm.llm_engine.model_config.max_model_len)
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
    found = getattr(error, "errors", None)
    if callable(found):  # pydantic: what the field's check said, without the field's whole surroundings
        return "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in found())
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
    dtype = "float32" if on_cpu and config.dtype == "auto" else config.dtype
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
    # A folder has no revisions; a hub's model is asked for by its name.
    if source == model.name and not Path(source).is_dir():
        options |= {"revision": model.revision, "tokenizer_revision": model.revision}
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
