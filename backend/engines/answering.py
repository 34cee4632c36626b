"""P(yes) of many prompts, prompts that begin alike side by side. Importing it imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from backend.engines.chat import common_length

if TYPE_CHECKING:
    from backend.engines.causal_lm import CausalLM


def plan_batches(prompts: Sequence[list[int]], tokens: int) -> list[list[int]]:
    """Cut prompts (token ids) into batches: neighbours in dictionary order, so that they begin alike.

    What a batch does not share is fed padded to its longest: at most ``tokens`` in all, and not a quarter of it
    padding. A longer prompt is a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(prompts)), key=prompts.__getitem__):
        if batches:
            grown = [prompts[i] for i in (*batches[-1], index)]
            shared = shared_length(grown)
            fed = [len(prompt) - shared for prompt in grown]
            padded = max(fed) * len(fed)
            if padded <= tokens and 4 * (padded - sum(fed)) <= padded:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches


def shared_length(prompts: Sequence[list[int]]) -> int:
    """How many tokens prompts in dictionary order begin with in common; each is left one that is its own to feed."""
    return min(common_length(prompts[0], prompts[-1]), min(map(len, prompts)) - 1)


@torch.inference_mode()
def answer_batch(lm: CausalLM, prompts: Sequence[list[int]]) -> list[float]:
    """P(yes) of prompts (token ids) in dictionary order. The naive equivalent is one forward pass over each."""
    if len(prompts) == 1 or not lm.shares_prefix:
        return [lm.p_yes(lm.read(prompt)[1]) for prompt in prompts]
    shared = shared_length(prompts)
    rows = lm.new_rows()
    rows.add(lm.read_prefix(prompts[0][:shared]), len(prompts))
    logits = lm.feed([prompt[shared:] for prompt in prompts], rows)
    return [lm.p_yes(row) for row in logits]
