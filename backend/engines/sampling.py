"""Drawing the next token of several chains, each from its own random stream. Importing it imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# The nucleus is looked for among this many most likely tokens first; sorting the whole vocabulary costs 10 times more.
_FIRST_LOOK = 256


def draw(logits: Tensor, temperature: float, top_p: float, generators: Sequence[torch.Generator]) -> list[int]:
    """One token id per row of ``logits`` ([rows, vocabulary], float32, on the CPU), by temperature and nucleus.

    The nucleus is the smallest set of most likely tokens whose probability reaches ``top_p``; row i uses one uniform
    number of ``generators[i]``, so what it draws does not depend on the other rows. Naive equivalent: sort, cumulate,
    cut, ``torch.multinomial`` row by row.
    """
    probabilities = torch.softmax(logits / temperature, dim=-1)
    top = torch.topk(probabilities, min(_FIRST_LOOK, probabilities.shape[-1]), dim=-1)
    values, ids = top.values, top.indices
    if float(values.sum(-1).min()) < top_p:  # a flat row: its nucleus is wider than the first look
        values, ids = torch.sort(probabilities, dim=-1, descending=True)
    mass = values.cumsum(-1)
    # A token is in the nucleus while the mass before it has not reached top_p.
    inside = (mass - values) < top_p
    total = torch.where(inside, values, 0.0).sum(-1)
    uniform = torch.stack([torch.rand((), generator=generator) for generator in generators])
    position = torch.searchsorted(mass, (uniform * total).unsqueeze(-1), right=True).squeeze(-1)
    last = inside.sum(-1) - 1
    return ids.gather(-1, torch.minimum(position, last).unsqueeze(-1)).squeeze(-1).tolist()
