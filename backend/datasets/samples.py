"""From interactions to samples (notes, Data: sample), and from samples to train, validation and test.

A sample is the row of its target interaction; its history is the stretch of the same user's block before that row, so
nothing is copied. Which past items enter a prompt is left to ``backend.retrieval``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from backend.datasets.schema import Dataset
from backend.errors import UnknownNameError, UsageError

How = Literal["chronological", "per-user"]
PARTS = ("train", "validation", "test")


# How many earlier interactions of its user a sample has at least (notes, Data).
MIN_HISTORY = 5


@dataclass(frozen=True, eq=False)
class Samples:
    """m samples in (timestamp, user, item) order.

    ``rows``: int64[m], the target's interaction row. ``starts``: int64[m], where the user's block begins: the history
    of sample i is the rows ``starts[i]:rows[i]``, oldest first.
    """

    rows: np.ndarray
    starts: np.ndarray
    min_history: int

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Split:
    """Interaction rows (int64) of each part, in (timestamp, user, item) order; disjoint, together all samples."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def part(self, name: str) -> np.ndarray:
        """The rows of ``train``, ``validation`` or ``test``. Raises ``UnknownNameError`` for another name."""
        if name not in PARTS:
            raise UnknownNameError("part of the split", name, PARTS)
        rows: np.ndarray = getattr(self, name)
        return rows

    def name_of(self, row: int) -> str | None:
        """The part that an interaction row is in; None where it is no sample. O(1)."""
        if not 0 <= row < len(self._part_of):
            return None
        part = int(self._part_of[row])
        return PARTS[part] if part >= 0 else None

    @cached_property
    def _part_of(self) -> np.ndarray:
        parts = [self.part(name) for name in PARTS]
        part_of = np.full(max((int(rows.max()) + 1 for rows in parts if rows.size), default=0), -1, dtype=np.int8)
        for code, rows in enumerate(parts):
            part_of[rows] = code
        return part_of


def build_samples(dataset: Dataset, min_history: int = MIN_HISTORY) -> Samples:
    """One sample for each interaction that has at least ``min_history`` earlier ones of the same user.

    The naive equivalent walks each user's history and keeps every row but the first ``min_history``. Raises
    ``UsageError`` for a negative ``min_history``.
    """
    if min_history < 0:
        raise UsageError(f"min_history is {min_history}", expected="0 or more")
    starts = dataset.user_ptr[dataset.user_index]
    rows = np.flatnonzero(np.arange(dataset.n_interactions) - starts >= min_history)
    # rows already are in (user, timestamp, item) order: a stable sort by time leaves (timestamp, user, item)
    rows = rows[np.argsort(dataset.timestamp[rows], kind="stable")]
    return Samples(rows=rows, starts=starts[rows], min_history=min_history)


def split(samples: Samples, dataset: Dataset, how: How = "chronological") -> Split:
    """Train, validation and test.

    ``chronological`` (the default): the first 80 %, the next 10 % and the rest by position in time order; shares are
    rounded down, so the rest falls to test. ``per-user``: of each user's c samples the last max(1, c // 10) are test
    and as many before them validation; with fewer than three samples there is no validation, with one no train.
    Raises ``UnknownNameError`` for another ``how``.
    """
    rows, n = samples.rows, len(samples)
    if how == "chronological":
        first, second = n * 8 // 10, n * 8 // 10 + n // 10
        return Split(rows[:first], rows[first:second], rows[second:])
    if how != "per-user":
        raise UnknownNameError("split", how, get_args(How))
    users = dataset.user_index[rows]
    counts = np.bincount(users, minlength=dataset.n_users)
    order = np.argsort(rows)  # user by user, oldest first
    from_end = np.empty(n, dtype=np.int64)  # how many samples of the same user come later
    from_end[order] = np.cumsum(counts)[users[order]] - 1 - np.arange(n)
    n_test = np.maximum(1, counts // 10)
    n_held_out = np.where(counts >= 3, 2 * n_test, n_test)
    is_test, is_held_out = from_end < n_test[users], from_end < n_held_out[users]
    return Split(rows[~is_held_out], rows[is_held_out & ~is_test], rows[is_test])
