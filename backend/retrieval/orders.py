"""The orders in which the same chosen items can enter a prompt (section 4.2.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backend.errors import UnknownNameError
from backend.retrieval.rerank import RankedItem

ORDERS = ("rank", "chronological", "relevance")


def orders_from(first: str) -> tuple[str, ...]:
    """Returns all orders, ``first`` before the others. M_G answers each; its answer to the first one is P_G."""
    return (first, *(order for order in ORDERS if order != first))


def order_items(
    chosen: Sequence[RankedItem], order: str, time_position: Mapping[int, int], similarity: Mapping[int, float]
) -> list[RankedItem]:
    """Sorts ``chosen`` by eq. 8's rank, oldest first (``time_position`` grows with time), or most similar first."""
    if order == "rank":
        return list(chosen)
    if order == "chronological":
        return sorted(chosen, key=lambda row: time_position[row.item])
    if order == "relevance":
        # Of equally similar items the newer comes first, as in the relevance channel.
        return sorted(chosen, key=lambda row: (-similarity[row.item], -time_position[row.item]))
    raise UnknownNameError("history order", order, ORDERS)
