"""The k-core of interactions: what is left when users and items with few of them are dropped, to a fixed point."""

from __future__ import annotations

import numpy as np


def k_core(user_index: np.ndarray, item_index: np.ndarray, k: int) -> np.ndarray:
    """bool[n]: the largest set of interactions in which every user and every item that occurs has at least ``k``.

    ``user_index``, ``item_index``: int[n], codes from 0. The naive equivalent drops one short user or item at a time
    until there is none; the order does not matter.
    """
    kept = np.arange(len(user_index))
    users, items = user_index, item_index
    while len(kept):
        stays = (np.bincount(users)[users] >= k) & (np.bincount(items)[items] >= k)
        if stays.all():
            break
        kept, users, items = kept[stays], users[stays], items[stays]
    in_core = np.zeros(len(user_index), dtype=bool)
    in_core[kept] = True
    return in_core
