"""Drawing the next token: the nucleus, its edges, and the distribution, against the naive way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.engines.decoding import draw


def _generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + i) for i in range(count)]


def _naive_nucleus(logits: Tensor, temperature: float, top_p: float) -> dict[int, float]:
    """Token -> probability: walk from the most likely token down until ``top_p`` is reached, then rescale."""
    probabilities = torch.softmax(logits.double() / temperature, dim=-1)
    kept: dict[int, float] = {}
    for token in torch.argsort(probabilities, descending=True).tolist():
        if sum(kept.values()) >= top_p:
            break
        kept[token] = float(probabilities[token])
    return {token: p / sum(kept.values()) for token, p in kept.items()}


def _logits(width: int, spread: float, seed: int = 5) -> Tensor:
    return torch.randn(width, generator=torch.Generator().manual_seed(seed)) * spread


# The last two are wider than the first look of 256 tokens.
@pytest.mark.parametrize(
    ("width", "spread", "top_p"), [(12, 2.0, 0.8), (40, 1.0, 0.5), (2000, 0.1, 0.3), (3000, 2.0, 0.9)]
)
def test_every_token_of_the_nucleus_can_be_drawn_and_no_other(width: int, spread: float, top_p: float) -> None:
    logits = _logits(width, spread)
    nucleus = _naive_nucleus(logits, 0.7, top_p)
    drawn = set()
    for repeat in range(8):
        rows = logits.expand(2500, -1)
        drawn |= set(draw(rows, 0.7, top_p, _generators(2500, repeat * 2500)))
    assert drawn <= set(nucleus)
    likely = {token for token, p in nucleus.items() if p > 1e-3}
    assert likely <= drawn


@pytest.mark.parametrize("top_p", [0.6, 0.9, 1.0])
def test_tokens_are_drawn_as_often_as_the_naive_nucleus_says(top_p: float) -> None:
    from scipy.stats import chisquare

    logits, draws = _logits(10, 0.7), 20_000
    nucleus = _naive_nucleus(logits, 0.6, top_p)
    counts = torch.bincount(torch.tensor(draw(logits.expand(draws, -1), 0.6, top_p, _generators(draws))), minlength=10)
    assert chisquare([int(counts[t]) for t in nucleus], [p * draws for p in nucleus.values()]).pvalue > 1e-3


def test_a_row_draws_the_same_alone_as_beside_others() -> None:
    rows = torch.stack([_logits(500, 3.0, seed) for seed in range(6)])
    together = draw(rows, 0.9, 0.95, _generators(6))
    assert together == [draw(rows[i : i + 1], 0.9, 0.95, [_generators(6)[i]])[0] for i in range(6)]


def test_a_flat_neighbour_that_needs_the_whole_vocabulary_does_not_change_what_a_row_draws() -> None:
    peaked, flat = _logits(4000, 4.0), torch.zeros(4000)
    alone = [draw(peaked[None], 0.6, 0.95, _generators(1, seed))[0] for seed in range(50)]
    beside = [draw(torch.stack([peaked, flat]), 0.6, 0.95, _generators(2, seed))[0] for seed in range(50)]
    assert alone == beside


def test_one_number_of_its_generator_is_used_per_row() -> None:
    [generator], [reference] = _generators(1), _generators(1)
    draw(_logits(300, 1.0)[None], 0.6, 0.95, [generator])
    torch.rand((), generator=reference)
    assert torch.equal(generator.get_state(), reference.get_state())


@pytest.mark.parametrize(("temperature", "top_p"), [(1e-3, 1.0), (1e-30, 0.95), (5.0, 1e-9)])
def test_a_tiny_temperature_or_nucleus_takes_the_most_likely_token(temperature: float, top_p: float) -> None:
    rows = torch.stack([_logits(1000, 2.0, seed) for seed in range(20)])
    assert draw(rows, temperature, top_p, _generators(20)) == rows.argmax(-1).tolist()


@pytest.mark.parametrize(("tokens", "top_p", "nucleus"), [(600, 1.0, 600), (4, 0.5, 2)])
def test_equally_likely_tokens_are_cut_at_exactly_top_p(tokens: int, top_p: float, nucleus: int) -> None:
    assert len(set(draw(torch.zeros(tokens).expand(20_000, -1), 1.0, top_p, _generators(20_000)))) == nucleus
