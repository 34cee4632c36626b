"""Equations 5 and 6: what the projector learns from, what it gives to every item, and that it can be cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from backend.errors import DataError, Stopped, UsageError
from backend.representation import projector
from backend.representation.alignment import ssl_loss, ssl_loss_in_blocks
from backend.representation.projector import AlignConfig, Aligned, train_projector

Project = Callable[..., Aligned]
COLD = [0, 7, 299]


def _vectors(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Text that decides the collaborative vector, hidden in columns of other sizes and far from 0; three cold items."""
    random = np.random.default_rng(3)
    taste = random.standard_normal((count, 4))
    text = (taste @ random.standard_normal((4, 12))) * np.geomspace(0.01, 10, 12) + 50
    collaborative = np.tanh(taste @ random.standard_normal((4, 4)))
    collaborative[COLD] = 0
    return text.astype(np.float32), collaborative.astype(np.float32)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """project(text, collaborative, seed=..., any setting=...)"""

    def call(
        text: np.ndarray | None = None,
        collaborative: np.ndarray | None = None,
        *,
        seed: int = 1,
        checkpoint: Path = tmp_path / "state",
        progress: Any = None,
        stop: Any = None,
        **settings: Any,
    ) -> Aligned:
        vectors = _vectors()
        text = vectors[0] if text is None else text
        collaborative = vectors[1] if collaborative is None else collaborative
        config = AlignConfig(**{"hidden": 32, "learning_rate": 0.01, "max_epochs": 6, **settings})
        return train_projector(
            text, collaborative, config, seed, checkpoint=checkpoint, device="cpu", progress=progress, stop=stop
        )

    return call


@pytest.mark.parametrize(("full_limit", "epochs"), [(1000, 100), (100, 30)])
def test_held_out_items_come_near_their_own_vector_and_cold_ones_where_they_belong(
    project: Project, full_limit: int, epochs: int
) -> None:
    made = project(max_epochs=epochs, patience=epochs, full_limit=full_limit, batch_size=64)
    assert made.vectors.shape == (300, 4)
    assert made.vectors.dtype == np.float32
    assert made.held_out_pairs > 0.8
    assert abs(made.held_out_random) < 0.3
    losses = [point["held_out_loss"] for point in made.curve]
    assert losses[made.best_epoch - 1] == min(losses) < losses[0]
    # a cold item lies where one with nearly the same text lies
    text, collaborative = _vectors()
    text[COLD[0]] = text[1]
    again = project(text, collaborative, max_epochs=30)
    np.testing.assert_allclose(again.vectors[COLD[0]], again.vectors[1], rtol=1e-5)
    assert again.vectors[COLD].any(axis=1).all()


def test_nothing_is_learned_where_text_says_nothing(project: Project) -> None:
    text, collaborative = _vectors()
    made = project(np.random.default_rng(0).permutation(text), collaborative, max_epochs=30)
    assert made.held_out_pairs < made.held_out_random + 0.3


def test_the_measure_is_what_it_says(project: Project) -> None:
    _, collaborative = _vectors()
    made = project(held_out=0.2)
    known = np.flatnonzero(collaborative.any(axis=1))
    learning, aside = projector._parts(*_vectors(), AlignConfig(held_out=0.2), seed=1)
    assert sorted([*learning, *aside]) == known.tolist()
    assert len(aside) == int(0.2 * len(known))

    def cosine(i: int, j: int) -> float:
        a, b = made.vectors[i].astype(float), collaborative[j].astype(float)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert made.held_out_pairs == pytest.approx(np.mean([cosine(i, i) for i in aside]), abs=1e-6)
    assert made.held_out_random == pytest.approx(
        np.mean([cosine(i, j) for i in aside for j in aside if i != j]), abs=1e-6
    )


def test_held_out_and_cold_items_are_not_learned_from(project: Project, tmp_path: Path) -> None:
    text, collaborative = _vectors()
    learning, aside = projector._parts(text, collaborative, AlignConfig(), seed=1)
    first = project(max_epochs=1)
    others = np.concatenate([aside, COLD])
    text[others] = 9
    collaborative[aside] = collaborative[aside[::-1]]
    without_held_out = project(text, collaborative, max_epochs=1, checkpoint=tmp_path / "other")
    assert without_held_out.vectors[learning].tobytes() == first.vectors[learning].tobytes()
    assert without_held_out.curve[0]["held_out_loss"] != first.curve[0]["held_out_loss"]
    collaborative[learning[0]] *= -1
    assert project(text, collaborative, max_epochs=1).vectors[learning].tobytes() != first.vectors[learning].tobytes()


def test_the_sum_goes_over_all_items_or_over_batches_that_meet_each_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[np.ndarray] = []
    loss = projector.ssl_loss

    def watched(text: Any, collaborative_batch: Any, temperature: float) -> Any:
        seen.append(collaborative_batch.numpy())
        return loss(text, collaborative_batch, temperature)

    monkeypatch.setattr(projector, "ssl_loss", watched)
    project(max_epochs=1)
    assert [len(batch) for batch in seen] == [268, 29]
    full = np.sort(seen[0][:, 0])
    seen.clear()
    made = project(max_epochs=2, full_limit=50, batch_size=100, checkpoint=tmp_path / "batches")
    assert [len(batch) for batch in seen] == [90, 89, 89, 29] * 2
    assert np.array_equal(np.sort(np.concatenate(seen[:3])[:, 0]), full)
    assert not np.array_equal(seen[0], seen[4])
    assert made.curve[0]["held_out_loss"] is not None


def test_moved_and_scaled_columns_change_nothing_and_half_floats_will_do(project: Project, tmp_path: Path) -> None:
    text, _ = _vectors()
    first = project().vectors
    # powers of two, so that only the shift rounds; and a column that says nothing at all
    wide = np.column_stack([text * 2.0 ** np.arange(-6, 6) - 1, np.full(len(text), 1e4)])
    shifted = projector._scaling(wide, np.arange(300))(np.arange(300)).numpy()
    plain = projector._scaling(text, np.arange(300))(np.arange(300)).numpy()
    np.testing.assert_allclose(shifted[:, :-1], plain, atol=1e-4)
    assert not shifted[:, -1].any()
    np.testing.assert_allclose(plain.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(plain.std(axis=0), 1, atol=1e-4)
    np.save(tmp_path / "half.npy", text.astype(np.float16))
    half = project(np.load(tmp_path / "half.npy", mmap_mode="r"), checkpoint=tmp_path / "half")
    assert half.vectors.shape == first.shape


def _same(a: Aligned, b: Aligned) -> bool:
    return a.vectors.tobytes() == b.vectors.tobytes() and (a.curve, a.best_epoch) == (b.curve, b.best_epoch)


def test_the_same_call_gives_the_same_bytes_also_when_it_was_cut_off(project: Project, tmp_path: Path) -> None:
    settings = {"full_limit": 100, "batch_size": 64}
    whole = project(checkpoint=tmp_path / "whole", **settings)
    assert _same(project(checkpoint=tmp_path / "again", **settings), whole)
    assert not _same(project(seed=2, checkpoint=tmp_path / "other", **settings), whole)
    told: list[str] = []
    stop_calls = iter(range(1000))
    with pytest.raises(Stopped):
        # an epoch asks once before itself and once before each of five batches
        project(progress=lambda what, _: told.append(what), stop=lambda: next(stop_calls) >= 15, **settings)
    assert len(told) == 2
    assert _same(project(progress=lambda what, _: told.append(what), **settings), whole)
    assert len(told) == len(whole.curve)


def test_without_held_out_items_the_last_epoch_counts(project: Project) -> None:
    made = project(held_out=0, patience=1)
    assert made.best_epoch == 6
    assert np.isnan([made.held_out_pairs, made.held_out_random]).all()


def test_what_cannot_be_learned_from_is_refused(project: Project) -> None:
    text, collaborative = _vectors()
    with pytest.raises(UsageError, match=r"shapes \(300, 12\) and \(299, 4\)"):
        project(text, collaborative[1:])
    with pytest.raises(DataError, match="1 items have both"):
        project(text, np.eye(300, 4, dtype=np.float32) * (np.arange(300) == 1)[:, None])
    text[5] = np.nan
    with pytest.raises(DataError, match="not finite"):
        project(text, collaborative, held_out=0)
    for wrong in ({"hiden": 3}, {"temperature": 0}, {"held_out": 1}, {"batch_size": 1}):
        with pytest.raises(ValidationError):
            AlignConfig(**wrong)


@pytest.mark.parametrize("block", [1, 7, 20, 64])
def test_blocks_give_the_full_loss_and_its_gradient(block: int) -> None:
    import torch

    drawn = torch.Generator().manual_seed(0)
    text, items = (torch.randn(20, 5, generator=drawn, dtype=torch.float64) for _ in range(2))
    results = []
    for loss_of in (ssl_loss, lambda *given: ssl_loss_in_blocks(*given, block=block)):
        leaf = text.clone().requires_grad_()
        loss = loss_of(leaf, items, 0.5)
        loss.backward()
        assert leaf.grad is not None
        results.append((loss.item(), leaf.grad.numpy()))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-12)


def test_up_to_16384_items_the_sum_goes_over_all_of_them(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.arange(16_384)
    assert [len(part) for part in projector._batches(whole, AlignConfig())] == [16_384]
    assert max(len(part) for part in projector._batches(np.arange(16_385), AlignConfig())) <= AlignConfig().batch_size
    plain = project(max_epochs=3)
    monkeypatch.setattr(projector, "_AT_ONCE", 100)
    in_blocks = project(max_epochs=3, checkpoint=tmp_path / "blocks")
    np.testing.assert_allclose(in_blocks.vectors, plain.vectors, atol=1e-5)
