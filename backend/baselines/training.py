"""Training an ID-based system on the training part, and its P(yes) for the samples of validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.baselines.fields import Fields
from backend.baselines.networks import NetworkConfig, network
from backend.datasets import Dataset
from backend.datasets.samples import Split
from backend.datasets.statistics import training_rows
from backend.errors import DataError
from backend.evaluation import metrics
from backend.representation.checkpoints import Point, Run, pick_device, run_key, seeded
from backend.types import Progress, Stop

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Samples scored at a time.
_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class BaselineScores:
    """``rows``: int64[s], ascending, the samples of validation and test; ``scores``: float32[s], P(yes) of each.

    ``curve``: for each epoch its number from 1, ``loss`` (mean over the batches) and ``validation`` (log loss, None
    without a validation sample). ``best_epoch``: the one the scores are of.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    curve: list[Point]
    best_epoch: int


def train_network(
    name: str,
    dataset: Dataset,
    split: Split,
    config: NetworkConfig,
    seed: int,
    *,
    checkpoint: Path,
    device: str = "auto",
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> BaselineScores:
    """Train one of :data:`~backend.baselines.networks.NETWORKS` until the validation log loss falls no more.

    The state is kept at ``checkpoint`` after every epoch, for the caller to delete; a call with the same data, settings
    and seed goes on from there. Raises ``UnknownNameError``, ``DataError`` (nothing to learn from), ``UsageError``
    (device), ``Stopped``, ``StorageError``.
    """
    import torch

    learned = training_rows(dataset, split)
    if not len(learned):
        raise DataError("There is no training interaction to learn from", fix="give a larger dataset")
    fields, place = Fields(dataset, learned), pick_device(device)
    codes, labels = (
        torch.from_numpy(fields.codes(learned)),
        torch.from_numpy(dataset.labels[learned].astype(np.float32)),
    )
    held_out = np.sort(split.validation)
    held_out_codes = torch.from_numpy(fields.codes(held_out))
    with seeded(seed, "baselines", name):
        model = network(name, fields.sizes, config).to(place)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.l2)
    key = run_key(
        {"network": name, **config.model_dump(mode="json")}, seed, {"codes": codes.numpy(), "labels": labels.numpy()}
    )
    run = Run(name, key, checkpoint, config.max_epochs, config.patience, progress, stop)

    def epoch(number: int) -> Point:
        with seeded(seed, "baselines", name, number):
            order = torch.randperm(len(codes))
            loss = _one_epoch(model, optimizer, list(fields.sizes), codes[order], labels[order], config, run, place)
        scores = _scores(model, list(fields.sizes), held_out_codes, place)
        known = metrics.log_loss(dataset.labels[held_out], scores) if len(held_out) else None
        return {"loss": loss, "validation": known}

    def score(point: Point) -> float | None:
        return None if point["validation"] is None else -point["validation"]

    curve, best = run.fit(model, optimizer, epoch, score)
    rows = np.sort(np.concatenate([split.validation, split.test])).astype(np.int64)
    scores = _scores(model, list(fields.sizes), torch.from_numpy(fields.codes(rows)), place)
    return BaselineScores(rows, scores, curve, best)


def _one_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    names: list[str],
    codes: Tensor,
    labels: Tensor,
    config: NetworkConfig,
    run: Run,
    place: torch.device,
) -> float:
    """Makes a step per batch and returns the mean loss."""
    from torch.nn.functional import binary_cross_entropy

    model.train()
    losses = []
    for some, liked in zip(codes.split(config.batch_size), labels.split(config.batch_size), strict=True):
        run.check_stop()
        if len(some) < 2:  # a norm over a batch of one is none
            continue
        loss = binary_cross_entropy(model(_named(names, some.to(place))), liked.to(place))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def _scores(model: nn.Module, names: list[str], codes: Tensor, place: torch.device) -> NDArray[np.float32]:
    import torch

    model.eval()
    with torch.no_grad():
        blocks = [model(_named(names, block.to(place))).cpu().numpy() for block in codes.split(_BLOCK)]
    return np.concatenate([np.empty(0, dtype=np.float32), *blocks])


def _named(names: list[str], codes: Tensor) -> Mapping[str, Any]:
    return dict(zip(names, codes.unbind(dim=1), strict=True))
