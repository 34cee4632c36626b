"""One prediction by the real model on this machine's CPU; prints one JSON object.

    python -m tests.bench.prediction [--home var] [--samples 3]

``usual``: predictions of test samples, each with its time to the first token of a chain and to the end, model loaded.
``full_length``: the worst case, every chain kept from ending before its 128th token. ``naive``: the same prompt and
number of tokens through ``generate(num_return_sequences=6)``, in the same run. ``cached``: the prediction again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from backend.datasets import build_samples, split
from backend.pipeline import Listener, Pipeline, Recipe
from backend.questions import Question
from backend.settings import Settings
from storage.results.lookup import look_up
from storage.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("var"))
    parser.add_argument("--samples", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(Settings(home=arguments.home, database_url=f"sqlite:///{scratch}/bench.db"))
        pipeline, recipe = workspace.pipeline(), workspace.recipe()
        started = time.perf_counter()
        pipeline.tuned.load()
        load = time.perf_counter() - started
        rows = split(build_samples(pipeline.dataset), pipeline.dataset).test[::997][: arguments.samples]
        questions = [
            pipeline.question(int(pipeline.dataset.user_index[row]), int(pipeline.dataset.item_index[row]), recipe)
            for row in rows
        ]
        usual = [_predict(pipeline, question, recipe) for question in questions]
        report = {
            "load_seconds": round(load, 2),
            "usual": usual,
            "cached_ms": _cached(pipeline, questions[0], recipe),
            **_full_length(workspace, questions[0], recipe),
        }
        workspace.close()
    print(json.dumps(report, indent=2))


def _predict(pipeline: Pipeline, question: Question, recipe: Recipe) -> dict[str, Any]:
    started = time.perf_counter()
    first: list[float] = []

    def piece(_index: int, _text: str) -> None:
        if not first:
            first.append(time.perf_counter() - started)

    done = pipeline.predict(question, recipe, Listener(piece=piece))
    seconds = time.perf_counter() - started
    tokens = [trace.tokens for trace in done.traces if trace]
    return {
        "first_token_seconds": round(first[0], 2) if first else None,
        "seconds": round(seconds, 2),
        "prompt_tokens": [answer.prompt_tokens for answer in done.answers if answer],
        "chain_tokens": tokens,
    }


def _cached(pipeline: Pipeline, question: Question, recipe: Recipe) -> dict[str, float]:
    times = []
    for _ in range(40):
        started = time.perf_counter()
        again = pipeline.question(question.user, question.item, recipe)
        assert look_up(pipeline, again, recipe).complete
        times.append(1000 * (time.perf_counter() - started))
    return {"median": round(statistics.median(times), 1), "max": round(max(times), 1)}


def _full_length(workspace: Workspace, question: Question, recipe: Recipe) -> dict[str, Any]:
    import torch

    engine: Any = workspace.engine("reasoning")
    lm = engine._base.loaded
    uncached = Pipeline(workspace.dataset(), workspace.pipeline().retriever.space, engine, engine)
    ends, lm.ends = lm.ends, set()
    ours = _predict(uncached, question, recipe)
    lm.ends = ends
    sampling = recipe.reasoning.sampling
    ids = torch.tensor([lm.chat.reason_prompt(question.prompts[0].messages, sampling.max_tokens).ids])
    started = time.perf_counter()
    out = lm.model.generate(
        ids, do_sample=True, temperature=sampling.temperature, top_p=sampling.top_p, num_return_sequences=6,
        min_new_tokens=sampling.max_tokens, max_new_tokens=sampling.max_tokens, pad_token_id=lm.tokenizer.pad_token_id,
    )  # fmt: skip
    naive = time.perf_counter() - started
    started = time.perf_counter()
    lm.ends = set()
    engine.reason([question.prompts[0].messages], 6, sampling)
    lm.ends = ends
    chains = time.perf_counter() - started
    return {
        "full_length": ours,
        "chains_only": {
            "ours_seconds": round(chains, 2),
            "naive_seconds": round(naive, 2),
            "naive_tokens": int(out.shape[1] - ids.shape[1]),
            "naive_over_ours": round(naive / chains, 2),
        },
    }


if __name__ == "__main__":
    main()
