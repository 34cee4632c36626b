"""Equation 4: item vectors from who has rated what (section 4.2.2), by LightGCN.

An interaction counts whatever its rating was, as in the paper's V. Only training interactions are learned from; the
validation part decides when to stop. What the vectors are compared with is left to ``mixture`` and ``projector``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from backend.datasets.samples import Split
from backend.datasets.schema import Dataset
from backend.datasets.statistics import training_rows
from backend.errors import DataError
from backend.representation.checkpoints import Point, Run, pick_device, run_key, seeded
from backend.seeding import derive_seed
from backend.types import Progress, Stop

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch_geometric.nn.models import LightGCN


class CollaborativeConfig(BaseModel):
    """LightGCN's size and its training.

    ``l2``: weight of the squared length of a batch's own embeddings, before propagation. ``batch_size``: pairs of a
    taken and a passed-over item per step. ``patience``: epochs without a better validation recall before the end; it
    must outlast the first epochs, in which the vectors know little but what is popular and recall stands still.
    ``recall_at``: the k of that recall. ``validation_users``: how many users it is measured on at most, drawn by seed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dimensions: int = Field(64, ge=1, le=4096)
    layers: int = Field(2, ge=1, le=8)
    learning_rate: float = Field(0.02, gt=0, le=1)
    l2: float = Field(1e-4, ge=0, le=1)
    batch_size: int = Field(8192, ge=1)
    max_epochs: int = Field(120, ge=1)
    patience: int = Field(20, ge=1)
    recall_at: int = Field(20, ge=1)
    validation_users: int = Field(1000, ge=1)


@dataclass(frozen=True, eq=False)
class Collaborative:
    """``items``: float32[n_items, dimensions], a zero row for an item with no training interaction.

    ``curve``: for each epoch its number from 1, ``loss`` (BPR with its L2 term, mean over the batches) and ``recall``
    (in [0, 1]; None where there is nothing to measure it on). ``best_epoch``: the one the vectors are of.
    """

    items: np.ndarray
    curve: list[Point]
    best_epoch: int


@dataclass(frozen=True, eq=False)
class _Graph:
    """Users and items that training interactions join, numbered from 0 each.

    ``edges``: int64[2, m], user and item, no pair twice. ``items``: int64[n_items of the dataset], an item's number by
    its code, -1 where it has no training interaction.
    """

    edges: np.ndarray
    items: np.ndarray
    n_users: int
    n_items: int


def train_collaborative(
    dataset: Dataset,
    split: Split,
    config: CollaborativeConfig,
    seed: int,
    *,
    checkpoint: Path,
    device: str = "auto",
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Collaborative:
    """Eq. 4. Train LightGCN with BPR on the training interactions, until validation recall rises no more.

    The state is kept at ``checkpoint`` after every epoch, for the caller to delete; a call with the same data, settings
    and seed goes on from there. On a CPU, with as many threads, the same call gives the same bytes, however often it
    was cut off.

    Validation recall: a user is the mean of the vectors of what they had rated before their first validation sample
    (most validation users are new, so there is no user vector to ask). All other items of the training graph are ranked
    by dot product; recall@k is the share of the user's validation items among the first k, of k at most, and its mean
    over users counts. Items that no training interaction reaches cannot be found and are not looked for.

    Raises ``DataError`` (nothing to learn from), ``UsageError`` (device), ``Stopped``, ``StorageError``.
    """
    import torch
    from torch_geometric.nn.models import LightGCN

    graph = _graph(dataset, training_rows(dataset, split))
    questions = _questions(dataset, split, graph, config, seed)
    place = pick_device(device)
    adjacency = _adjacency(graph).to(place)
    with seeded(seed, "collaborative", "start"):
        # the adjacency is normalised already, once instead of in every layer of every step
        model = LightGCN(graph.n_users + graph.n_items, config.dimensions, config.layers, normalize=False).to(place)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    learned_from = {"edges": graph.edges, "items": graph.items, "validation": split.validation}
    learned_from |= {"user_index": dataset.user_index, "item_index": dataset.item_index}
    key = run_key(config.model_dump(), seed, learned_from)
    run = Run("collaborative vectors", key, checkpoint, config.max_epochs, config.patience, progress, stop)

    def item_vectors() -> Tensor:
        with torch.no_grad():
            return model.get_embedding(adjacency)[graph.n_users :].cpu()

    def epoch(number: int) -> Point:
        with seeded(seed, "collaborative", number):
            triples = _triples(graph)
        loss = _one_epoch(model, optimizer, adjacency, triples.to(place), config, run)
        return {"loss": loss, "recall": _recall(item_vectors(), questions, config.recall_at)}

    curve, best = run.fit(model, optimizer, epoch, score=lambda point: point["recall"])
    items = np.zeros((dataset.n_items, config.dimensions), dtype=np.float32)
    items[graph.items >= 0] = item_vectors().numpy()
    return Collaborative(items, curve, best)


def _graph(dataset: Dataset, rows: np.ndarray) -> _Graph:
    pairs = np.unique(dataset.user_index[rows] * np.int64(dataset.n_items) + dataset.item_index[rows])
    if not pairs.size:
        raise DataError("There is no training interaction to learn collaborative vectors from")
    users, user_numbers = np.unique(pairs // dataset.n_items, return_inverse=True)
    items, item_numbers = np.unique(pairs % dataset.n_items, return_inverse=True)
    numbers = np.full(dataset.n_items, -1, dtype=np.int64)
    numbers[items] = np.arange(len(items))
    return _Graph(np.stack([user_numbers, item_numbers]), numbers, len(users), len(items))


def _adjacency(graph: _Graph) -> Tensor:
    """LightGCN's symmetric, degree-normalised adjacency: sparse rows (CSR), users first, then items.

    As sparse rows its product is summed in one order, whatever the threads; a list of edges is not.
    """
    import warnings

    import torch
    from torch_geometric.nn.conv.gcn_conv import gcn_norm

    size = graph.n_users + graph.n_items
    users, items = torch.from_numpy(graph.edges[0]), torch.from_numpy(graph.edges[1]) + graph.n_users
    both_ways = torch.stack([torch.cat([users, items]), torch.cat([items, users])])
    edges, weights = gcn_norm(both_ways, None, size, add_self_loops=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse", UserWarning)  # "in beta", and checks that nobody asked for
        return torch.sparse_coo_tensor(edges, weights, (size, size)).coalesce().to_sparse_csr()


def _triples(graph: _Graph) -> Tensor:
    """Every edge, in a random order, with an item that its user has no edge to: nodes, int64[3, m].

    A user who has taken every item is left out: there is nothing they passed over.
    """
    import torch
    from torch_geometric.utils import structured_negative_sampling

    choosy = np.bincount(graph.edges[0]) < graph.n_items
    edges = torch.from_numpy(graph.edges[:, choosy[graph.edges[0]]])
    # among the items alone, before they become nodes, so that no user can be drawn
    users, taken, passed = structured_negative_sampling(edges, num_nodes=graph.n_items)
    triples = torch.stack([users, taken + graph.n_users, passed + graph.n_users])
    return triples[:, torch.randperm(triples.shape[1])]


def _one_epoch(
    model: LightGCN,
    optimizer: torch.optim.Optimizer,
    adjacency: Tensor,
    triples: Tensor,
    config: CollaborativeConfig,
    run: Run,
) -> float:
    """A step per batch; the mean loss."""
    from torch.nn.functional import embedding

    losses = []
    for batch in triples.split(config.batch_size, dim=1):
        run.check_stop()
        vectors = model.get_embedding(adjacency)
        # looked up with ``embedding``: the gradient of plain indexing is summed in the order the threads come by
        user, taken, passed = (embedding(nodes, vectors) for nodes in batch)
        loss = model.recommendation_loss(
            (user * taken).sum(dim=1), (user * passed).sum(dim=1), node_id=batch.unique(), lambda_reg=config.l2
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def _questions(
    dataset: Dataset, split: Split, graph: _Graph, config: CollaborativeConfig, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each validation user the items rated before their first validation sample, and those to be found after it.

    Both are item numbers of the graph. Users without either are left out.
    """
    rows = np.sort(split.validation)  # user by user, oldest first
    starts = np.unique(dataset.user_index[rows], return_index=True)[1]
    drawn = np.random.default_rng(derive_seed(seed, "validation users")).permutation(len(starts))
    chosen = np.sort(drawn[: config.validation_users])
    blocks = np.split(rows, starts[1:]) if rows.size else []
    questions = []
    for block in (blocks[i] for i in chosen):
        known, later = (
            np.unique(numbers[numbers >= 0])
            for numbers in (graph.items[dataset.item_index[part]] for part in (dataset.history_before(block[0]), block))
        )
        later = np.setdiff1d(later, known)
        if known.size and later.size:
            questions.append((known, later))
    return questions


def _recall(items: Tensor, questions: list[tuple[np.ndarray, np.ndarray]], k: int) -> float | None:
    """Mean share of the wanted items among the k that best fit the mean of the known ones; None without a user."""
    shares = []
    for known, later in questions:
        scores = items @ items[known].mean(dim=0)
        scores[known] = -np.inf
        nearest = scores.topk(min(k, len(scores))).indices.numpy()
        shares.append(np.isin(nearest, later).sum() / min(k, len(later)))
    return float(np.mean(shares)) if shares else None
