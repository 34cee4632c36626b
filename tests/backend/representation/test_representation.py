"""Item vectors: the mixture, the alignment loss, and the sentence that is embedded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import UsageError
from backend.representation import mix, ssl_loss, title_texts
from tests.conftest import meta_of


@given(st.integers(1, 6), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 99))
def test_mixing_joins_unit_rows_so_that_similarity_is_the_sum_of_cosines(
    rows: int, widths: list[int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    parts = [random.standard_normal((rows, width)) * 10 for width in widths]
    mixed = mix(parts)
    assert mixed.shape == (rows, sum(widths))
    cosines = sum((p / np.linalg.norm(p, axis=1)[:, None]) @ (p / np.linalg.norm(p, axis=1)[:, None]).T for p in parts)
    np.testing.assert_allclose(mixed @ mixed.T, cosines, atol=1e-12)


def test_a_zero_row_stays_zero_and_scale_does_not_matter() -> None:
    parts = [[[0, 0], [3, 4]], [[2.0], [0.0]]]
    assert mix(parts).tolist() == [[0, 0, 1], [0.6, 0.8, 0]]
    assert mix([np.array(parts[0], dtype=np.float16) * 100, parts[1]]).tolist() == [[0, 0, 1], [0.6, 0.8, 0]]


@pytest.mark.parametrize("parts", [[], [[1.0, 2.0]], [[[1.0]], [[1.0], [2.0]]]])
def test_parts_that_do_not_fit_are_refused(parts: list[list[float]]) -> None:
    with pytest.raises(UsageError, match="mix was given parts of shapes"):
        mix(parts)


def _naive_ssl(text: torch.Tensor, collaborative: torch.Tensor, temperature: float) -> float:
    """Eq. 5 as it is written: for every item, both directions, over all items."""
    n = len(text)
    cosine = [
        [float(text[i] @ collaborative[j] / text[i].norm() / collaborative[j].norm()) / temperature for j in range(n)]
        for i in range(n)
    ]
    total = 0.0
    for i in range(n):
        total -= np.log(np.exp(cosine[i][i]) / sum(np.exp(cosine[i][j]) for j in range(n)))
        total -= np.log(np.exp(cosine[i][i]) / sum(np.exp(cosine[j][i]) for j in range(n)))
    return total / n


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
def test_the_loss_equals_the_literal_equation_and_has_a_gradient(temperature: float) -> None:
    generator = torch.Generator().manual_seed(1)
    text = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    collaborative = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    loss = ssl_loss(text, collaborative, temperature)
    assert loss.item() == pytest.approx(_naive_ssl(text.detach(), collaborative, temperature), abs=1e-9)
    loss.backward()
    assert text.grad is not None
    assert text.grad.abs().sum() > 0


def test_aligned_items_lose_less_than_mixed_up_ones() -> None:
    vectors = torch.eye(4)
    assert ssl_loss(vectors, vectors) < ssl_loss(vectors, vectors.roll(1, 0))


@pytest.mark.parametrize(
    ("shapes", "temperature", "named"),
    [
        (((2, 3), (3, 3)), 1.0, r"\(2, 3\) and \(3, 3\)"),
        (((2,), (2,)), 1.0, r"\(2,\)"),
        (((2, 2), (2, 2)), 0.0, "is 0"),
    ],
)
def test_other_shapes_and_temperatures_are_refused(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], temperature: float, named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        ssl_loss(torch.ones(shapes[0]), torch.ones(shapes[1]), temperature)


def test_a_title_text_names_noun_title_and_genres_and_survives_braces() -> None:
    texts = title_texts(meta_of(), ["Heat (1995)", "{0} {label}"], [("Action", "Crime"), ()])
    assert texts == [
        "The movie is called Heat (1995). Its genres are Action, Crime.",
        "The movie is called {0} {label}. Its genres are unknown.",
    ]
    books = meta_of(domain="books", item_noun="book")
    assert title_texts(books, ["Emma"], [("Jane Austen",)]) == [
        "The book is called Emma. It was written by Jane Austen."
    ]
    templated = meta_of(templates={"title": "{label}, of the kind {categories}"})
    assert title_texts(templated, ["Emma {noun}"], [("a",)]) == ["Emma {noun}, of the kind a"]
