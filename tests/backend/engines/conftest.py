"""Every engine there is, for the one contract suite; a real model is loaded once per engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from backend.engines import Engine, create_engine, models
from backend.engines.causal_lm import CausalLM
from backend.types import Message, Messages, ModelRef
from storage import CachedEngine, open_database

ENGINES = ("scripted", "cached", "transformers", "vllm", "openai")
REAL = ("transformers", "vllm", "openai")
# Room for the suite's prompts, and little enough that too long a prompt is quickly made.
CONTEXT = 1024


@dataclass(frozen=True)
class VllmServer:
    """A real server of the small model: its address, and the names it serves the model and its adapters under."""

    url: str
    model: str


def ask(text: str) -> Messages:
    return (Message("user", text),)


@pytest.fixture(scope="session")
def adapters(models_dir: Path, model_ref: ModelRef, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two LoRA adapters of the small model, of random weights large enough to be felt."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folders = []
    for seed in (1, 2):
        base = AutoModelForCausalLM.from_pretrained(models.fetch(model_ref, models_dir))
        torch.manual_seed(seed)  # not before: loading draws numbers too, sometimes more
        config = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        folder = tmp_path_factory.mktemp(f"adapter-{seed}")
        get_peft_model(base, config).save_pretrained(folder)
        folders.append(str(folder))
    return folders[0], folders[1]


@pytest.fixture(scope="session")
def real_engine(model_ref: ModelRef, models_dir: Path) -> Engine:
    ref = ModelRef(model_ref.name, model_ref.revision, context=CONTEXT)
    engine = create_engine("transformers", model=ref, models_dir=models_dir, device="cpu")
    engine.load()
    return engine


@pytest.fixture(scope="session")
def vllm_engine(model_ref: ModelRef, models_dir: Path) -> Engine:
    pytest.importorskip("vllm", reason="vLLM is not installed here: make test-vllm")
    ref = ModelRef(model_ref.name, model_ref.revision, context=CONTEXT)
    engine = create_engine("vllm", model=ref, models_dir=models_dir)
    engine.load()
    return engine


@pytest.fixture(scope="session")
def server(
    model_ref: ModelRef, models_dir: Path, adapters: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    """vLLM's own OpenAI-compatible server, started for the session."""
    pytest.importorskip("vllm", reason="vLLM is not installed here: make test-vllm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("server") / "log").open("w+")
    command = [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        models.fetch(model_ref, models_dir),
    ]
    command += ["--served-model-name", "small", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    command += ["--max-model-len", str(CONTEXT), "--enforce-eager", "--enable-lora", "--max-loras", "2"]
    command += ["--lora-modules", *(f"{folder}={folder}" for folder in adapters)]
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    environment |= {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(240):
            if process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                    break
            except OSError:
                time.sleep(1)
        if process.poll() is not None:
            log.seek(0)
            pytest.fail(f"vLLM's server did not start:\n{log.read()[-3000:]}")
        yield VllmServer(f"http://127.0.0.1:{port}/v1", "small")
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture(scope="session")
def openai_engine(server: VllmServer) -> Engine:
    return create_engine("openai", model=ModelRef(server.model), url=server.url)


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.model] if name in REAL else []) for name in ENGINES])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """``cached`` is the scripted engine behind a fresh, empty cache."""
    if request.param in REAL:
        name = "real" if request.param == "transformers" else request.param
        yield request.getfixturevalue(f"{name}_engine")
        return
    scripted = create_engine("scripted", model=ModelRef("scripted", "1", context=CONTEXT))
    if request.param == "scripted":
        yield scripted
    else:
        database = open_database(f"sqlite:///{tmp_path / 'cache.db'}")
        yield CachedEngine(scripted, database)
        database.close()


@pytest.fixture(scope="session")
def lm(real_engine: Engine) -> CausalLM:
    """The real model beneath the real engine."""
    return real_engine._lm(None)  # type: ignore[attr-defined,no-any-return]
