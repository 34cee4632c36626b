"""Equations 5 and 6: a two-layer MLP takes an item's text vector to its collaborative vector (section 4.2.3).

It learns from the items that have both and gives every item a vector, so those that nobody has rated have one too.
Where the two kinds of vectors come from, and their mixture, is left to other modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from backend.errors import DataError, UsageError
from backend.representation.alignment import ssl_loss, ssl_loss_in_blocks
from backend.representation.checkpoints import Point, Run, pick_device, run_key, seeded
from backend.seeding import derive_seed
from backend.types import Progress, Stop

if TYPE_CHECKING:
    from torch import Tensor

# Up to so many items eq. 5's similarities (64 MB, and as much again on the way back) are held at once.
_AT_ONCE = 4096
_CHUNK = 8192  # rows that are moved to the device at once where no gradient is needed


class AlignConfig(BaseModel):
    """The projector's size and its training.

    ``hidden``: width of the middle layer. ``temperature``: eq. 5's cosines are divided by it (1: as in the paper).
    ``held_out``: share of the items kept aside, which decide when to stop. ``full_limit``: up to how many items eq.
    5's sum goes over all of them, as the paper's does, one step an epoch; time grows with the square. Above, it goes
    over the items of the batch, ``batch_size`` of them. ``patience``: epochs without a lower held-out loss before the
    training ends.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: int = Field(256, ge=1, le=16384)
    temperature: float = Field(1.0, gt=0)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(1e-2, ge=0, le=1)
    held_out: float = Field(0.1, ge=0, lt=1)
    full_limit: int = Field(16_384, ge=2)
    batch_size: int = Field(1024, ge=2)
    max_epochs: int = Field(100, ge=1)
    patience: int = Field(10, ge=1)


@dataclass(frozen=True, eq=False)
class Aligned:
    """``vectors``: float32[n, d_c], e_ssl = MLP(e_text) of every item (eq. 6), not scaled to unit length.

    ``curve``: for each epoch its number from 1, ``loss`` and ``held_out_loss`` (eq. 5; None where nothing is held out).
    ``best_epoch``: the one whose projector was kept. ``held_out_pairs``: mean cosine between a held-out item's vector
    and its own collaborative vector; ``held_out_random``: that of another held-out item. NaN with fewer than two.
    """

    vectors: np.ndarray
    curve: list[Point]
    best_epoch: int
    held_out_pairs: float
    held_out_random: float


def train_projector(
    text: np.ndarray,
    collaborative: np.ndarray,
    config: AlignConfig,
    seed: int,
    *,
    checkpoint: Path,
    device: str = "auto",
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Aligned:
    """Eqs. 5 and 6. Train the projector, then project every item.

    ``text``: [n, d_t], any float type, may be a memory map; ``collaborative``: [n, d_c], a zero row for an item without
    one: such items are projected but not learned from. Text columns are first moved and scaled to mean 0 and variance 1
    over the training items, as a fixed part of the first layer: mean-pooled states of an LLM all point almost the same
    way, a few columns far longer than the rest.

    The state is kept at ``checkpoint`` after every epoch, for the caller to delete; a call with the same data, settings
    and seed goes on from there. On a CPU, with as many threads, the same call gives the same bytes, however often it
    was cut off.

    Raises ``UsageError`` (shapes, device), ``DataError`` (too few items, a number that is not finite), ``Stopped``,
    ``StorageError``.
    """
    import torch
    from torch import nn

    learning, aside = _parts(text, collaborative, config, seed)
    scaled = _scaling(text, learning)
    place = pick_device(device)
    with seeded(seed, "projector", "start"):
        model = nn.Sequential(
            nn.Linear(text.shape[1], config.hidden), nn.GELU(), nn.Linear(config.hidden, collaborative.shape[1])
        ).to(place)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    key = run_key(config.model_dump(), seed, {"text": text, "collaborative": collaborative})
    run = Run("aligned vectors", key, checkpoint, config.max_epochs, config.patience, progress, stop)

    def loss_of(rows: np.ndarray) -> Tensor:
        target = torch.from_numpy(np.asarray(collaborative[rows], dtype=np.float32))
        loss = ssl_loss if len(rows) <= _AT_ONCE else ssl_loss_in_blocks
        return loss(model(scaled(rows).to(place)), target.to(place), config.temperature)

    def epoch(number: int) -> Point:
        order = np.random.default_rng(derive_seed(seed, "projector", number)).permutation(learning)
        losses = []
        for rows in _batches(order, config):
            run.check_stop()
            loss = loss_of(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            held_out = [loss_of(rows).item() for rows in _batches(aside, config)]
        return {"loss": float(np.mean(losses)), "held_out_loss": float(np.mean(held_out)) if held_out else None}

    curve, best = run.fit(model, optimizer, epoch, score=lambda point: _negative(point["held_out_loss"]))
    everything = np.arange(len(text))
    with torch.no_grad():
        chunks = [model(scaled(everything[i : i + _CHUNK]).to(place)).cpu() for i in range(0, len(text), _CHUNK)]
    vectors = torch.cat(chunks).numpy()
    return Aligned(vectors, curve, best, *_closeness(vectors[aside], collaborative[aside]))


def _parts(
    text: np.ndarray, collaborative: np.ndarray, config: AlignConfig, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The items to learn from and those held out, int64 each; only items with a collaborative vector."""
    if text.ndim != 2 or collaborative.ndim != 2 or len(text) != len(collaborative):
        raise UsageError(
            f"Text and collaborative vectors have shapes {text.shape} and {collaborative.shape}",
            expected="[n, d_t] and [n, d_c], a row for each item",
        )
    known = np.flatnonzero(np.any(collaborative, axis=1))
    known = np.random.default_rng(derive_seed(seed, "projector", "held out")).permutation(known)
    aside = int(len(known) * config.held_out)
    if len(known) - aside < 2:
        raise DataError(
            f"{len(known) - aside} items have both a text vector and a collaborative one to learn from",
            expected="two at least, since eq. 5 tells an item from others",
        )
    return known[aside:], known[:aside]


def _scaling(text: np.ndarray, rows: np.ndarray) -> Callable[[np.ndarray], Tensor]:
    """What turns items into the MLP's input: float32[items, d_t], columns of mean 0 and variance 1 over ``rows``."""
    import torch

    total, squares = np.zeros(text.shape[1]), np.zeros(text.shape[1])
    for start in range(0, len(rows), _CHUNK):
        some = np.asarray(text[rows[start : start + _CHUNK]], dtype=np.float64)
        total, squares = total + some.sum(axis=0), squares + (some**2).sum(axis=0)
    mean = total / len(rows)
    if not np.isfinite(squares).all():
        raise DataError("A text vector holds a number that is not finite", fix="embed the items again")
    variance = squares / len(rows) - mean**2
    # A column that never changes (but for rounding) says nothing and must not be blown up.
    width = np.sqrt(np.where(variance > 1e-10 * mean**2, variance, np.inf))

    def scaled(items: np.ndarray) -> Tensor:
        return torch.from_numpy(((np.asarray(text[items], dtype=np.float64) - mean) / width).astype(np.float32))

    return scaled


def _batches(rows: np.ndarray, config: AlignConfig) -> Iterator[np.ndarray]:
    """All at once where eq. 5's full sum fits, else parts of nearly equal size."""
    count = 1 if len(rows) <= config.full_limit else -(-len(rows) // config.batch_size)
    return (part for part in np.array_split(rows, count) if part.size)


def _negative(loss: float | None) -> float | None:
    return None if loss is None else -loss


def _closeness(vectors: np.ndarray, collaborative: np.ndarray) -> tuple[float, float]:
    """Mean cosine of row i of both, and of rows i and j of every two items; NaN with fewer than two items."""
    n = len(vectors)
    if n < 2:
        return float("nan"), float("nan")
    ours, theirs = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (vectors, collaborative))
    pairs = float(np.sum(ours * theirs))
    # The sum over all pairs is the product of the sums; the pairs of an item with itself are taken out again.
    return pairs / n, float(ours.sum(axis=0) @ theirs.sum(axis=0) - pairs) / (n * (n - 1))
