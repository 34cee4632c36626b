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
    _check(projected_text, collaborative, temperature)
    import torch
    from torch.nn import functional

    text, items = functional.normalize(projected_text, dim=1), functional.normalize(collaborative, dim=1)
    similarity = text @ items.T / temperature
    same_row = torch.arange(len(similarity), device=similarity.device)
    return functional.cross_entropy(similarity, same_row) + functional.cross_entropy(similarity.T, same_row)


def ssl_loss_in_blocks(
    projected_text: Tensor, collaborative: Tensor, temperature: float = 1.0, block: int = 2048
) -> Tensor:
    """The naive equivalent is :func:`ssl_loss`, but for the order of sums: the same loss and gradient, with memory for
    ``block`` rows of the similarities instead of all n of them. A block's are computed once more on the way back.
    """
    _check(projected_text, collaborative, temperature)
    import torch
    from torch.nn import functional
    from torch.utils.checkpoint import checkpoint

    text, items = functional.normalize(projected_text, dim=1), functional.normalize(collaborative, dim=1)

    def one_way(rows: Tensor, others: Tensor, start: int) -> Tensor:
        similarity = rows[start : start + block] @ others.T / temperature
        same_row = torch.arange(start, start + len(similarity), device=similarity.device)
        return functional.cross_entropy(similarity, same_row, reduction="sum")

    total = projected_text.new_zeros(())
    for start in range(0, len(text), block):
        for rows, others in ((text, items), (items, text)):
            total = total + checkpoint(one_way, rows, others, start, use_reentrant=False)
    return total / len(text)


def _check(projected_text: Tensor, collaborative: Tensor, temperature: float) -> None:
    if projected_text.ndim != 2 or projected_text.shape != collaborative.shape:
        raise UsageError(
            f"ssl_loss was given shapes {tuple(projected_text.shape)} and {tuple(collaborative.shape)}",
            expected="two [n, d] tensors of the same shape",
        )
    if not temperature > 0:
        raise UsageError(f"temperature is {temperature}", expected="a number above 0")
