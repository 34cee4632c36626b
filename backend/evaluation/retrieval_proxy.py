"""Does similarity find past items that tell more about the target than the latest ones do? Asked without any model.

The score of a sample is a vote of the labels of the K past items that a strategy chooses. Better votes promise better
prompts, no more than that: an LLM reads titles too. How past items are chosen is left to ``backend.retrieval``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.datasets import Dataset
from backend.evaluation.metrics import auc, gauc
from backend.representation import VARIANTS, ItemSpace
from backend.retrieval import STRATEGIES, RetrievalConfig, retrieve_rows
from backend.types import Progress, Stop


@dataclass(frozen=True)
class ProxyRow:
    """One line of the table: what voted, over how many samples, per-user AUC and AUC (NaN where not defined).

    ``variant`` is None for the two that compare no vectors: ``last K`` (plain mean) and ``user mean``.
    """

    strategy: str
    variant: str | None
    samples: int
    gauc: float
    auc: float


def retrieval_proxy(
    space: ItemSpace,
    dataset: Dataset,
    rows: NDArray[np.integer],
    config: RetrievalConfig,
    progress: Progress | None = None,
    stop: Stop | None = None,
    known: Sequence[ProxyRow] = (),
    on_row: Callable[[ProxyRow], None] | None = None,
) -> list[ProxyRow]:
    """One row per strategy and variant, after the two that any of them should beat; ``config`` gives k, gamma, beta.

    ``rows``: int[s] interaction rows, such as the validation split's; only labels before each of them are used. All
    rows are scored. A strategy's vote is :func:`weighted_vote`; so ``recent`` differs from ``last K`` in the weights
    alone. ``known`` rows of an earlier call are not computed again; ``on_row`` hears of each new one. Raises
    ``Stopped``.
    """
    have = {(row.strategy, row.variant): row for row in known}
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    users, labels = dataset.user_index[rows], dataset.labels[rows]

    def line(strategy: str, variant: str | None, scores: NDArray[np.float64]) -> ProxyRow:
        return ProxyRow(strategy, variant, len(rows), gauc(users, labels, scores), auc(labels, scores))

    yes = np.r_[0, np.cumsum(dataset.labels)]
    starts = dataset.user_ptr[users]
    last = np.maximum(starts, rows - config.k)
    table = [
        line("user mean", None, (yes[rows] - yes[starts]) / np.maximum(rows - starts, 1)),
        line("last K", None, (yes[rows] - yes[last]) / np.maximum(rows - last, 1)),
    ]
    pairs = [(strategy, variant) for strategy in STRATEGIES for variant in VARIANTS]
    for done, (strategy, variant) in enumerate(pairs):
        if (strategy, variant) in have:
            table.append(have[strategy, variant])
            continue
        if progress:
            progress(f"{strategy} by {variant}", done / len(pairs))
        choice = config.model_copy(update={"strategy": strategy, "variant": variant})
        scores = np.concatenate(
            [np.empty(0)]
            + [
                weighted_vote(dataset.labels[block.past], block.similarity)
                for block in retrieve_rows(space, dataset, rows, choice, stop=stop)
            ]
        )
        table.append(line(strategy, variant, scores))
        if on_row:
            on_row(table[-1])
    return table


def weighted_vote(labels: NDArray[np.bool_], similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[m] in [0, 1]: each sample's mean label, weighted by e to the power of its standardised similarity.

    ``labels``, ``similarity``: [m, k], NaN similarity where there is no item. Text embeddings point mostly one way: all
    cosines are near 0.9, and as weights they would say nothing. So each sample's similarities are centred and divided
    by their standard deviation first. Every weight is positive, also a dissimilar item's; where all are the same (a
    target without a signal), this is the plain mean. A sample without past items scores 0.
    """
    there = ~np.isnan(similarity)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    mean = np.where(there, similarity, 0.0).sum(axis=1, keepdims=True) / count
    centred = np.where(there, similarity - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    # Below the decimals that similarities are rounded to, a spread is noise.
    weights = np.where(there, np.exp(centred / np.where(spread > 1e-6, spread, np.inf)), 0.0)
    votes = (weights * labels).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
    return np.round(votes, 9)  # unanimous samples are ties, whatever their weights
