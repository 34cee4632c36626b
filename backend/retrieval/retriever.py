"""Past items for one target: channels, and what the recipe's strategy chooses from them.

For many samples at once see ``backend.retrieval.batch``, which chooses the same lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.representation import PARTS, ItemSpace
from backend.retrieval.channels import ChannelRanks, Channels, newest_until
from backend.retrieval.config import RetrievalConfig
from backend.retrieval.rerank import RankedItem, rerank
from backend.retrieval.similarity import SIMILARITY_DECIMALS, Comparison, Ints, exact_similarity


@dataclass(frozen=True)
class Retrieval:
    """Both channels, and the at most k items chosen from them, best first by eq. 8."""

    channels: Channels
    chosen: tuple[RankedItem, ...]


class Retriever:
    """Compares items by their rows in ``space``."""

    def __init__(self, space: ItemSpace) -> None:
        self.space = space

    def retrieve(self, history: Ints, target: int, config: RetrievalConfig) -> Retrieval:
        """Choose from ``history`` (int[n] item codes, oldest first, n >= 0) for the item code ``target``.

        Equally similar items: the newer first. An item rated twice counts once, as new. Raises ``DataError`` where a
        code has no vector.
        """
        history = np.asarray(history)
        allowed = newest_until(history, np.array([len(history)]))
        ranks = ChannelRanks(self.space, history, np.array([target]), allowed, config)
        first, second = ranks.first[0][ranks.first[0] >= 0], ranks.second[0][ranks.second[0] >= 0]
        how, shown = ranks.plan, np.union1d(first, second)
        similarity = {name: _similarities(comparison, history, shown) for name, comparison in ranks.compared.items()}
        channels = Channels(
            relevant=history[first].tolist(),
            recent=history[second].tolist(),
            similarity=similarity[config.variant],
            names=how.names,
            ranked_by=(similarity[how.first], similarity[how.second] if how.second else None),
        )
        chosen = rerank(channels.relevant, channels.recent, config.k, how.gamma, how.beta, how.combine)
        return Retrieval(channels, tuple(chosen))

    def part_similarities(self, items: Sequence[int], target: int) -> dict[str, NDArray[np.float64]]:
        """Returns each part's cosine of ``target`` and each of ``items``, float64[n]; 0 where one has no signal.

        A variant's similarity is the sum over its parts (eq. 7).
        """
        codes = np.asarray(items, dtype=np.int64)
        return {
            part: exact_similarity(self.space.rows[:, self.space.columns(part)], np.full_like(codes, target), codes)
            for part in PARTS
        }


def _similarities(comparison: Comparison, items: Ints, shown: Ints) -> dict[int, float]:
    values = np.round(comparison.scores[0].astype(np.float64), SIMILARITY_DECIMALS)
    values[shown] = comparison.exact(np.zeros_like(shown), shown)
    # Where an item is there twice, its later value stays: that is the one shown.
    return dict(zip(items.tolist(), values.tolist(), strict=True))
