"""Training an ID-based system on the training part, and its P(yes) for the samples of validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.baselines.inputs import Inputs, predicted_rows
from backend.baselines.networks import NetworkConfig, network
from backend.datasets import Dataset
from backend.datasets.samples import Split
from backend.datasets.statistics import training_rows
from backend.errors import DataError
from backend.evaluation import metrics
from backend.evidence import EvidenceReader
from backend.representation.checkpoints import Point, Run, pick_device, run_key, seeded
from backend.types import Progress, Stop

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Samples scored at a time.
_BLOCK = 8192


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
    evidence: EvidenceReader,
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
    place, held_out = pick_device(device), np.sort(split.validation)
    rows = predicted_rows(split)
    asked = np.union1d(learned, rows)
    inputs = Inputs(dataset, learned, asked, evidence.statistics_of(asked, progress, stop), config.latest)
    labels = dataset.labels.astype(np.float32)
    with seeded(seed, "baselines", name):
        model = network(name, inputs.sizes, config).to(place)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.l2)
    learned_from = inputs.learned_from | {"labels": labels[learned]}
    key = run_key({"network": name, **config.model_dump(mode="json")}, seed, learned_from)
    run = Run(name, key, checkpoint, config.max_epochs, config.patience, progress, stop)

    def epoch(number: int) -> Point:
        with seeded(seed, "baselines", name, number):
            order = learned[torch.randperm(len(learned)).numpy()]
            loss = _one_epoch(model, optimizer, inputs, order, labels, config, run, place)
        scores = _scores(model, inputs, held_out, place)
        known = metrics.log_loss(dataset.labels[held_out], scores) if len(held_out) else None
        return {"loss": loss, "validation": known}

    def score(point: Point) -> float | None:
        return None if point["validation"] is None else -point["validation"]

    curve, best = run.fit(model, optimizer, epoch, score)
    return BaselineScores(rows, _scores(model, inputs, rows, place), curve, best)


def _one_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: Inputs,
    order: NDArray[np.int64],
    labels: NDArray[np.float32],
    config: NetworkConfig,
    run: Run,
    place: torch.device,
) -> float:
    """Makes a step per batch and returns the mean loss."""
    import torch
    from torch.nn.functional import binary_cross_entropy

    model.train()
    losses = []
    for some in np.array_split(order, range(config.batch_size, len(order), config.batch_size)):
        run.check_stop()
        if len(some) < 2:  # a norm over a batch of one is none
            continue
        loss = binary_cross_entropy(model(_tensors(inputs, some, place)), torch.from_numpy(labels[some]).to(place))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def _scores(model: nn.Module, inputs: Inputs, rows: NDArray[np.int64], place: torch.device) -> NDArray[np.float32]:
    import torch

    model.eval()
    with torch.no_grad():
        blocks = [
            model(_tensors(inputs, some, place)).cpu().numpy()
            for some in np.array_split(rows, range(_BLOCK, len(rows), _BLOCK))
        ]
    return np.concatenate([np.empty(0, dtype=np.float32), *blocks])


def _tensors(inputs: Inputs, rows: NDArray[np.int64], place: torch.device) -> dict[str, Tensor]:
    import torch

    given = inputs.of(rows)
    return {name: torch.from_numpy(np.ascontiguousarray(values)).to(place) for name, values in given.items()}
