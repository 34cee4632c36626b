"""Tokens per second of reasoning chains: this project's transformers engine, vLLM, and the plain way; one JSON object.

    python -m tests.bench.engines [--home var] [--vllm .venv-vllm/bin/python] [--prompts 16] [--tokens 128]

The same 16 prompts x 6 chains x 128 tokens (no chain may end earlier) through ``ours`` (reading P(yes) after each chain
included), the same with the weights as bfloat16, ``naive`` (``generate(num_return_sequences=6)`` prompt by prompt) and
vLLM's engine of this project in its own environment, one after the other in this run. ``p_yes``: how far the answers to
the prompts are from those of ``ours``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from backend.datasets import build_samples, split
from backend.engines import create_engine, models
from backend.engines.config import VllmConfig
from backend.pipeline import Pipeline
from backend.settings import Settings
from backend.types import Messages, Sampling
from storage.workspace import Workspace

CHAINS = 6
MODEL = "smollm2-135m-instruct"
WAYS = ("ours", "ours_bfloat16", "naive", "vllm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("var"))
    parser.add_argument("--vllm", type=Path, default=Path(".venv-vllm/bin/python"))
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--sequences", type=int, help="texts that vLLM runs side by side (default: the engine's own)")
    parser.add_argument("--way", choices=WAYS, help="one of them, in this process (the others are run by themselves)")
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(_measure(arguments.way, arguments)))
        return
    measured: dict[str, Any] = {}
    for way in WAYS:
        python = arguments.vllm.absolute() if way == "vllm" else sys.executable
        if not Path(python).exists():
            measured[way] = {"skipped": f"no {python}: make test-vllm builds it"}
            continue
        command = [str(python), "-m", "tests.bench.engines", "--way", way, "--home", str(arguments.home)]
        command += ["--prompts", str(arguments.prompts), "--tokens", str(arguments.tokens)]
        command += ["--sequences", str(arguments.sequences)] if arguments.sequences else []
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        measured[way] = json.loads(ran.stdout.splitlines()[-1])
    answers = {way: measures.pop("p_yes") for way, measures in measured.items() if "p_yes" in measures}
    report = {
        "work": {"prompts": arguments.prompts, "chains": CHAINS, "tokens": arguments.tokens},
        "ways": measured,
        "ours_over": {
            way: round(measured["ours"]["tokens_per_second"] / measures["tokens_per_second"], 2)
            for way, measures in measured.items()
            if way != "ours" and "tokens_per_second" in measures
        },
        "p_yes_mean_shift": {
            way: round(sum(abs(a - b) for a, b in zip(p_yes, answers["ours"], strict=True)) / len(p_yes), 5)
            for way, p_yes in answers.items()
            if way != "ours"
        },
    }
    print(json.dumps(report, indent=2))


def _measure(way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One way, model loaded and warm: seconds, tokens per second, and its answers to the prompts."""
    prompts = _prompts(arguments.home, arguments.prompts)
    sampling = Sampling(max_tokens=arguments.tokens)
    ref = models.resolve(MODEL)
    engine: Any = create_engine(
        "vllm" if way == "vllm" else "transformers",
        model=dataclasses.replace(ref, precision="bfloat16") if way == "ours_bfloat16" else ref,
        models_dir=arguments.home / "models",
        config=VllmConfig(max_sequences=arguments.sequences),
    )
    started = time.perf_counter()
    engine.load()
    load = time.perf_counter() - started
    started = time.perf_counter()
    answers = [] if way == "naive" else [answer.p_yes for answer in engine.answer(prompts)]
    answering = time.perf_counter() - started
    if way == "naive":
        draw = _plain_loop(engine, prompts, sampling)
    else:
        _never_end(engine, way)
        engine.reason(prompts[:1], 1, Sampling(max_tokens=2))  # warm

        def draw() -> int:
            return sum(chain.tokens for traces in engine.reason(prompts, CHAINS, sampling) for chain in traces)

    started = time.perf_counter()
    tokens = draw()
    seconds = time.perf_counter() - started
    assert tokens == arguments.prompts * CHAINS * arguments.tokens, tokens
    result = {
        "load_seconds": round(load, 1),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(tokens / seconds, 1),
    }
    return result if way == "naive" else result | {"answers_seconds": round(answering, 1), "p_yes": answers}


def _prompts(home: Path, count: int) -> list[Messages]:
    """Real prompts of the test part, one of every few hundred samples."""
    workspace = Workspace(Settings(home=home))
    nobody, data = create_engine("scripted"), workspace.dataset()
    pipeline, recipe = Pipeline(data, workspace.space(), nobody, nobody), workspace.recipe()
    rows = split(build_samples(data), data).test[:: 9_000 // count][:count]
    questions = [pipeline.question(int(data.user_index[row]), int(data.item_index[row]), recipe) for row in rows]
    return [question.prompts[0].messages for question in questions]


def _never_end(engine: Any, way: str) -> None:
    """No token ends a chain, so that all ways write equally many."""
    if way != "vllm":
        engine._base.loaded.ends = set()
        return
    from backend.engines import vllm_requests

    usual = vllm_requests.sampled

    def endless(sampling: Sampling, seed: int) -> Any:
        params = usual(sampling, seed)
        params.ignore_eos = True
        return params

    vllm_requests.sampled = endless


def _plain_loop(engine: Any, prompts: list[Messages], sampling: Sampling) -> Any:
    """What one would write first: transformers' own generate, prompt by prompt, its own cache and attention."""
    import torch

    lm = engine._base.loaded
    lm.model.set_attn_implementation("sdpa")

    @torch.inference_mode()
    def draw() -> int:
        tokens = 0
        for prompt in prompts:
            ids = torch.tensor([lm.chat.reason_prompt(prompt, sampling.max_tokens).ids])
            out = lm.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=sampling.temperature,
                top_p=sampling.top_p, num_return_sequences=CHAINS, min_new_tokens=sampling.max_tokens,
                max_new_tokens=sampling.max_tokens, pad_token_id=lm.tokenizer.pad_token_id,
            )  # fmt: skip
            tokens += CHAINS * (out.shape[1] - ids.shape[1])
        return tokens

    return draw


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
