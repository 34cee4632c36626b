"""Free text from a causal language model, many prompts side by side (item descriptions, eq. 1).

Only prompts of exactly the same length share a batch: nothing is padded, and what the prompts have in common is
prefilled once. Importing this module imports torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from backend.engines.sampling import draw
from backend.seeding import derive_seed
from backend.types import Messages, Sampling

if TYPE_CHECKING:
    from backend.engines.causal_lm import CausalLM


def plan_batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Cut 0 .. n-1 into groups of equal ``lengths``, at most ``size`` each, by first appearance within a length."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        by_length[length].append(index)
    groups = [own[start : start + size] for own in by_length.values() for start in range(0, len(own), size)]
    return sorted(groups)


@torch.inference_mode()
def write_batch(
    lm: CausalLM, prompts: Sequence[Messages], ids: Sequence[list[int]], sampling: Sampling, stop: Callable[[], None]
) -> list[str]:
    """One text per prompt; ``ids`` are their tokens, all of the same length. ``stop`` raises when it is time to stop.

    Text i is drawn from the stream of (``sampling.seed``, prompt i).
    """
    cache, logits = lm.start_rows(ids, sampling.max_tokens)
    words = [[message.content for message in prompt] for prompt in prompts]
    generators = [torch.Generator().manual_seed(derive_seed(sampling.seed, own)) for own in words]
    written: list[list[int]] = [[] for _ in prompts]
    writing = list(range(len(prompts)))
    for step in range(sampling.max_tokens):
        stop()
        chosen = draw(logits, sampling.temperature, sampling.top_p, [generators[i] for i in writing])
        going = [row for row, token in enumerate(chosen) if token not in lm.ends]
        for row in going:
            written[writing[row]].append(chosen[row])
        if not going or step == sampling.max_tokens - 1:
            break
        if len(going) < len(writing):
            cache = cache.select(going)
            writing = [writing[row] for row in going]
        logits = lm.forward([[written[i][-1]] for i in writing], cache)
    return [lm.decode(tokens) for tokens in written]
