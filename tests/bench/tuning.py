"""One step of tuning the stand-in reasoner, against doing it plainly. ``python -m tests.bench.tuning``

``ours``: several rationales behind one reading of their prompt, and only the weighted places through the last layer.
``naive``: the same rationales one by one, each with its whole prompt, all logits worked out, as a usual training loop
does. Same base, same adapter, same rationales; seconds are medians over ``--steps``. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend.datasets import build_samples, split
from backend.datasets.statistics import TrainingStatistics
from backend.engines import models
from backend.prompting import build_prompt
from backend.questions import Questions
from backend.settings import load_settings
from backend.training.config import ReasonerConfig
from backend.training.examples import Example, ExampleWriter, joined
from backend.training.rationales import compose
from storage.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("var"))
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    import torch

    from backend.training.lora import LoraTuner

    workspace = Workspace(load_settings(home=arguments.home))
    config = ReasonerConfig.model_validate(workspace.settings.reasoner)
    ref = models.resolve(workspace.settings.reasoning_model)
    tuner = LoraTuner(models.fetch(ref, arguments.home / "models"), ref.name, config, 0)
    alone = _examples(workspace, tuner, config)
    together = [joined(group) for group in alone]
    optimizer = torch.optim.AdamW([p for p in tuner._peft.parameters() if p.requires_grad], lr=1e-5)
    singles = [example for group in alone for example in group]
    ours = _seconds(lambda: tuner._step(together, optimizer), arguments.steps)
    naive = _seconds(lambda: _plain_step(tuner, singles, optimizer), arguments.steps)
    report = {
        "prompts": len(alone),
        "rationales": len(singles),
        "tokens": {"ours": sum(len(e.ids) for e in together), "naive": sum(len(e.ids) for e in singles)},
        "seconds": {"ours": round(ours, 2), "naive": round(naive, 2)},
        "times_as_fast": round(naive / ours, 2),
    }
    print(json.dumps(report, indent=2))


def _examples(workspace: Workspace, tuner: Any, config: ReasonerConfig) -> list[list[Example]]:
    data = workspace.dataset()
    parts = split(build_samples(data), data)
    asking = Questions(data, workspace.space(), TrainingStatistics(data, parts))
    writer, rng = ExampleWriter(tuner.chat, tuner.tokenizer), np.random.default_rng(0)
    groups = []
    for row in rng.permutation(parts.train)[: config.batch_size]:
        question = asking.ask(
            int(data.user_index[row]), int(data.item_index[row]), config.retrieval("rallrec"), config.template
        )
        prompt, label = build_prompt("reason", question.subject, question.lines), bool(question.label)
        texts = [compose(question.subject, question.lines, label, None, rng) for _ in range(config.rationales)]
        groups.append([
            writer.rationale(prompt, text.rpartition("</think>")[0], label, every_answer=True, end=tuner.end)
            for text in texts
        ])  # fmt: skip
    return groups


def _plain_step(tuner: Any, examples: list[Example], optimizer: Any) -> None:
    """All of every prompt, and the logits of every token, four at a time."""
    import torch

    optimizer.zero_grad()
    for start in range(0, len(examples), 4):
        part = examples[start : start + 4]
        width = max(len(example.ids) for example in part)
        ids = torch.tensor([[*example.ids, *[0] * (width - len(example.ids))] for example in part])
        weights = torch.tensor([[*example.weights, *[0.0] * (width - len(example.weights))] for example in part])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = tuner._peft(input_ids=ids, use_cache=False).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        (losses * weights[:, 1:].flatten()).sum().backward()
    optimizer.step()


def _seconds(step: Callable[[], Any], steps: int) -> float:
    step()  # warm
    taken = []
    for _ in range(steps):
        started = time.perf_counter()
        step()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
