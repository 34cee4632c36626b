"""What can be set about the reasoning chains."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.types import Sampling


class ReasoningConfig(BaseModel):
    """``traces``: K, the number of chains (0: the tuned model alone). The rest is how each is sampled (sec. 4.3.3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    traces: int = Field(6, ge=0, le=64)
    temperature: float = Field(0.6, gt=0, le=5)
    top_p: float = Field(0.95, gt=0, le=1)
    max_tokens: int = Field(128, ge=1, le=32_768)
    seed: int = Field(0, ge=0, lt=2**63)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.seed)


class VllmConfig(BaseModel):
    """How vLLM runs a model in this process. The model itself is a ``ModelRef``: its context and its quantization too.

    ``tensor_parallel``: the GPUs that share one copy of the weights. ``gpu_memory``: the share of each GPU's memory to
    take, weights and cache together. ``dtype``: ``auto`` is bfloat16, and float32 on a CPU.
    ``max_lora_rank``: the largest rank of an adapter; 0 for none, where a model takes no adapters. ``eager``: no
    compiled graphs (slower steps, faster start); None: on a CPU alone. ``max_sequences``: texts written side by side;
    None: what vLLM chooses, 48 on a CPU. ``cpu_cache_gib``: memory for the cache of prompts and chains, on a CPU alone.
    ``exact_head``: the last layer in float32, so that P(yes) is not rounded to the steps of a smaller type; a model
    whose last layer is quantized needs it off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tensor_parallel: int = Field(1, ge=1, le=64)
    gpu_memory: float = Field(0.9, gt=0, le=1)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_lora_rank: Literal[0, 8, 16, 32, 64, 128, 256] = 16
    eager: bool | None = None
    max_sequences: int | None = Field(None, ge=1, le=4096)
    cpu_cache_gib: int = Field(2, ge=1, le=1024)
    exact_head: bool = True


class ServerConfig(BaseModel):
    """How an OpenAI-compatible server is asked. Its address, and the model's name there, are the engine's own.

    ``concurrency``: requests under way at once. ``timeout``: seconds that a request may take, or that a stream may be
    silent. ``retries``: how often a request is repeated after what may pass (no connection, 429, 5xx, a broken stream).
    ``key_variable``: the environment variable that holds the key; the key is kept nowhere else.
    ``identity``: a name that stands for the address in what results are kept under, so that servers of the same weights
    share them; empty: host and port. ``revision``: which weights the server has under the model's name, where that
    changes; results of different revisions are kept apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: int = Field(8, ge=1, le=1024)
    timeout: float = Field(120, gt=0, le=86_400, allow_inf_nan=False)
    retries: int = Field(4, ge=0, le=20)
    identity: str = Field("", max_length=200)
    revision: str = Field("", max_length=200)
    key_variable: str = Field("OPENAI_API_KEY", min_length=1, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
