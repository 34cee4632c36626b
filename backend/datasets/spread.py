"""A draw of samples that is spread evenly over some users, where a whole part would cost too much."""

from __future__ import annotations

import numpy as np

from backend.datasets.schema import Dataset
from backend.errors import UsageError


def spread_sample(
    dataset: Dataset, rows: np.ndarray, users: int, limit: int | None = None, seed: int = 0
) -> np.ndarray:
    """At most ``limit`` (None: all) of the interaction ``rows`` (int64[n], distinct) of ``users`` users, sorted.

    Users come in a drawn order, those with both labels among their rows before the others; the first ``users`` take
    part. They then give one row each, round after round in the same order, each row drawn among those that the user
    has left, until there are ``limit`` or nobody has any. So two users' counts differ by more than one only where one
    had no more to give. The same arguments give the same rows. Raises ``UsageError`` where fewer users have rows.
    """
    owners = dataset.user_index[rows]
    present, inverse = np.unique(owners, return_inverse=True)
    if not 1 <= users <= len(present):
        raise UsageError(f"{users} users were asked for", expected=f"1 to {len(present)}: those who have samples")
    if limit is not None and limit < 1:
        raise UsageError(f"{limit} samples were asked for", expected="1 or more")
    rng = np.random.default_rng(seed)
    liked = np.bincount(inverse, weights=dataset.labels[rows], minlength=len(present))
    one_sided = (liked == 0) | (liked == np.bincount(inverse, minlength=len(present)))
    order = np.lexsort((rng.permutation(len(present)), one_sided))
    turn = np.empty(len(present), dtype=np.int64)
    turn[order] = np.arange(len(present))
    # By the user's turn, and in a drawn order within each user: the place within the user is the round.
    turns = turn[inverse]
    drawn = np.lexsort((rng.permutation(len(rows)), turns))
    drawn = drawn[turns[drawn] < users]
    starts = np.searchsorted(turns[drawn], np.arange(users))
    rounds = np.arange(len(drawn)) - starts[turns[drawn]]
    taken = drawn[np.lexsort((turns[drawn], rounds))][:limit]
    return np.sort(rows[taken])
