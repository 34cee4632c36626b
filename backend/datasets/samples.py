"""From interactions to samples (notes, Data: sample), and from samples to train, validation and test.

A sample is the row of its target interaction; its history is the stretch of the same user's block before that row, so
nothing is copied. Which past items enter a prompt is left to ``backend.retrieval``.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np

from backend.datasets.rules import SPLITS, Rules
from backend.datasets.schema import Dataset
from backend.errors import UnknownNameError, UsageError

PARTS = ("train", "validation", "test")


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


def build_samples(dataset: Dataset, min_history: int | None = None) -> Samples:
    """One sample for each interaction that has at least ``min_history`` (None: by the dataset's rules) earlier ones of
    the same user; by the rule ``last``, only the last one of each user.

    The naive equivalent walks each user's history and keeps every row but the first ``min_history``. Raises
    ``UsageError`` for a negative ``min_history``.
    """
    rules = dataset.meta.rules
    min_history = rules.min_history if min_history is None else min_history
    if min_history < 0:
        raise UsageError(f"min_history is {min_history}", expected="0 or more")
    places = np.arange(dataset.n_interactions)
    starts = dataset.user_ptr[dataset.user_index]
    is_sample = places - starts >= min_history
    if rules.samples == "last":
        is_sample &= places == dataset.user_ptr[dataset.user_index + 1] - 1
    rows = np.flatnonzero(is_sample)
    # rows already are in (user, timestamp, item) order: a stable sort by time leaves (timestamp, user, item)
    rows = rows[np.argsort(dataset.timestamp[rows], kind="stable")]
    return Samples(rows=rows, starts=starts[rows], min_history=min_history)


def split(samples: Samples, dataset: Dataset, how: str = "") -> Split:
    """Train, validation and test, with the shares of the dataset's rules (80, 10 and 10 % unless they say otherwise).

    ``chronological``: by position in time order; shares are rounded down, so the rest falls to test. ``per-user``: of
    each user's c samples the last max(1, test share of c) are test, and before them max(1, validation share of c)
    validation; with fewer than three samples there is no validation, with one no train. ``users``: by whole users, in
    a shuffled order (the rules' seed). Empty: as the rules say. Raises ``UnknownNameError`` for another ``how``.
    """
    how = how or dataset.meta.rules.split
    if how not in SPLITS:
        raise UnknownNameError("split", how, SPLITS)
    parts = {"chronological": _by_position, "per-user": _per_user, "users": _by_user}
    return parts[how](samples.rows, dataset, dataset.meta.rules)


def share_of(count: int, share: float | Decimal) -> int:
    """A share of ``count``, rounded down as if in decimals (in binary, 0.29 of 100 is 28.99...)."""
    return int(Decimal(str(share)) * count)


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
    # Sorted by the user's turn, then in a drawn order; a row's place within its user is the round that it is drawn in.
    turns = turn[inverse]
    drawn = np.lexsort((rng.permutation(len(rows)), turns))
    drawn = drawn[turns[drawn] < users]
    starts = np.searchsorted(turns[drawn], np.arange(users))
    rounds = np.arange(len(drawn)) - starts[turns[drawn]]
    taken = drawn[np.lexsort((turns[drawn], rounds))][:limit]
    return np.sort(rows[taken])


def _by_position(rows: np.ndarray, _dataset: Dataset, rules: Rules) -> Split:
    first = share_of(len(rows), rules.train)
    second = first + share_of(len(rows), rules.validation)
    return Split(rows[:first], rows[first:second], rows[second:])


def _by_user(rows: np.ndarray, dataset: Dataset, rules: Rules) -> Split:
    owners = dataset.user_index[rows]
    present = np.random.default_rng(rules.seed).permutation(np.unique(owners))
    turn = np.empty(dataset.n_users, dtype=np.int64)
    turn[present] = np.arange(len(present))
    first = share_of(len(present), rules.train)
    second = first + share_of(len(present), rules.validation)
    turns = turn[owners]
    return Split(rows[turns < first], rows[(turns >= first) & (turns < second)], rows[turns >= second])


def _per_user(rows: np.ndarray, dataset: Dataset, rules: Rules) -> Split:
    users = dataset.user_index[rows]
    counts = np.bincount(users, minlength=dataset.n_users)
    order = np.argsort(rows)  # user by user, oldest first
    from_end = np.empty(len(rows), dtype=np.int64)  # how many samples of the same user come later
    from_end[order] = np.cumsum(counts)[users[order]] - 1 - np.arange(len(rows))
    of_count, which = np.unique(counts, return_inverse=True)
    n_test, n_validation = (
        np.array([max(1, share_of(count, share)) if share else 0 for count in of_count.tolist()])[which]
        for share in (rules.test, rules.validation)
    )
    n_held_out = np.where(counts >= 3, n_test + n_validation, n_test)
    is_test, is_held_out = from_end < n_test[users], from_end < n_held_out[users]
    return Split(rows[~is_held_out], rows[is_held_out & ~is_test], rows[is_test])
