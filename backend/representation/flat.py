"""A flat map of the item space: two numbers per item, for a picture. Distances on it are a hint, not a measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class FlatConfig(BaseModel):
    """``limit``: up to so many items t-SNE is used; beyond it only the two main axes, which take seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(20_000, ge=0)
    perplexity: float = Field(30.0, gt=1)


def flatten(vectors: NDArray[np.float32], config: FlatConfig, seed: int) -> NDArray[np.float32]:
    """[items, 2] float32 within [-1, 1], the same for the same input and seed; items with a zero row lie at (0, 0)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    flat = np.zeros((len(vectors), 2), dtype=np.float32)
    known = np.flatnonzero(np.any(vectors != 0, axis=1))
    if len(known) < 4:
        return flat
    rows = np.asarray(vectors[known], dtype=np.float32)
    with threadpool_limits(1):  # sums over threads come out in another order each time
        main = PCA(min(50, *rows.shape), svd_solver="covariance_eigh").fit_transform(rows)
        if len(rows) <= config.limit:
            perplexity = min(config.perplexity, (len(rows) - 1) / 3)
            placed = TSNE(2, perplexity=perplexity, init="pca", random_state=seed % 2**32).fit_transform(main)
        else:
            placed = main[:, :2]
    placed = placed - (placed.max(axis=0) + placed.min(axis=0)) / 2
    flat[known] = placed / max(float(np.abs(placed).max()), 1e-12)
    return flat
