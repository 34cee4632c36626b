"""Equation 5: the two-way contrastive loss between projected text and collaborative embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def ssl_loss(projected_text: Tensor, collaborative: Tensor, temperature: float = 1.0) -> Tensor:
    """Eq. 5 with the full denominator, mean over items; a scalar of the inputs' dtype, differentiable.

    ``projected_text`` (``MLP(e_text)``) and ``collaborative``: [n, d] each, row i of both being item i; similarity is
    the cosine divided by ``temperature`` (> 0). Raises ``UsageError`` for other shapes or temperatures.
    """
    if projected_text.ndim != 2 or projected_text.shape != collaborative.shape:
        raise UsageError(
            f"ssl_loss was given shapes {tuple(projected_text.shape)} and {tuple(collaborative.shape)}",
            expected="two [n, d] tensors of the same shape",
        )
    if not temperature > 0:
        raise UsageError(f"temperature is {temperature}", expected="a number above 0")
    import torch
    from torch.nn import functional

    text, items = functional.normalize(projected_text, dim=1), functional.normalize(collaborative, dim=1)
    similarity = text @ items.T / temperature
    same_row = torch.arange(len(similarity), device=similarity.device)
    return functional.cross_entropy(similarity, same_row) + functional.cross_entropy(similarity.T, same_row)
