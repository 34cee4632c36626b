"""The last steps of every adapter: checked columns in any order become a sorted :class:`Dataset` with its hash.

Reading and checking is left to the adapters; they hand over codes that fit their frames. What the rules drop
(repeated ratings, users and items outside the k-core) is dropped here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from backend.datasets.schema import Dataset, DatasetMeta, natural_key
from backend.errors import DataError
from backend.seeding import canonical_json, digest


@dataclass(frozen=True, eq=False)
class Raw:
    """What an adapter read. ``users`` and ``items`` have the columns of :class:`Dataset`, in any order of rows;
    ``user_index`` and ``item_index`` (int[n]) are places in them as given; ``timestamp`` (int64[n]) is None where the
    data has no times.
    """

    users: pd.DataFrame
    items: pd.DataFrame
    user_index: np.ndarray
    item_index: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray | None

    def __len__(self) -> int:
        return len(self.rating)

    def rows(self, chosen: np.ndarray) -> Raw:
        """Some of the interactions (bool[n] or int[m]); users and items stay."""
        time = None if self.timestamp is None else self.timestamp[chosen]
        return Raw(self.users, self.items, self.user_index[chosen], self.item_index[chosen], self.rating[chosen], time)


def build(meta: DatasetMeta, raw: Raw, *, keep_unused: bool = False) -> Dataset:
    """Apply the rules' k-core, drop users and items that nothing is left of, then :func:`assemble`.

    ``keep_unused``: where there is no k-core to apply, items that nobody rated stay. Raises ``DataError`` where no
    interaction is left.
    """
    core = meta.rules.k_core
    if core > 1:
        kept = k_core(raw.user_index, raw.item_index, core)
        if not kept.any():
            raise DataError(
                f"No interaction is left in the {core}-core of {len(raw):,}",
                expected=f"users and {meta.item_noun_plural} with {core} interactions among themselves",
                fix="import with a smaller --k-core",
            )
        raw, keep_unused = raw.rows(kept), False
    return assemble(meta, raw if keep_unused else _without_unused(raw))


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


def latest_of_repeats(raw: Raw) -> tuple[Raw, int]:
    """One interaction for each user and item, the latest (without times, the last one read), and how many others there
    were."""
    pairs = raw.user_index.astype(np.int64) * len(raw.items) + raw.item_index
    order = np.lexsort((pairs,) if raw.timestamp is None else (raw.timestamp, pairs))
    pairs = pairs[order]
    last = np.append(pairs[1:] != pairs[:-1], True)
    if last.all():
        return raw, 0
    return raw.rows(np.sort(order[last])), int((~last).sum())


def assemble(meta: DatasetMeta, raw: Raw) -> Dataset:
    """Put users and items in the order of their ids, interactions in (user, timestamp, item) order; set ``data_hash``.

    Without times, each user's interactions are put in an order that is drawn from the rules' seed and the ids alone.
    """
    users, new_user = _in_id_order(raw.users, "user")
    items, new_item = _in_id_order(raw.items, "item")
    user_index, item_index, rating = new_user[raw.user_index], new_item[raw.item_index], raw.rating.astype(np.float32)
    if raw.timestamp is None:
        order = np.lexsort((item_index, user_index))
        drawn = np.random.default_rng(meta.rules.seed).permutation(len(order))
        order = order[np.lexsort((drawn, user_index[order]))]
        counts = np.bincount(user_index, minlength=len(users))
        timestamp = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    else:
        timestamp = raw.timestamp.astype(np.int64)
        order = np.lexsort((item_index, timestamp, user_index))
        timestamp = timestamp[order]
    user_index, item_index, rating = user_index[order], item_index[order], rating[order]
    data_hash = content_hash(meta, users, items, user_index, item_index, rating, timestamp)
    return Dataset(
        meta=meta.model_copy(update={"data_hash": data_hash}),
        users=users,
        items=items,
        user_index=user_index,
        item_index=item_index,
        rating=rating,
        timestamp=timestamp,
        user_ptr=block_starts(user_index, len(users)),
    )


def block_starts(user_index: np.ndarray, n_users: int) -> np.ndarray:
    """int64[n_users + 1]: where each user's block begins in the sorted ``user_index``, and where the last one ends."""
    return np.searchsorted(user_index, np.arange(n_users + 1)).astype(np.int64)


def content_hash(meta: DatasetMeta, users: pd.DataFrame, items: pd.DataFrame, *columns: np.ndarray) -> str:
    """SHA-256 of the three tables and of what they mean."""
    tables = hash_tables(users, items, *columns)
    return digest([tables, meta.meaning]) if meta.meaning else tables


def hash_tables(users: pd.DataFrame, items: pd.DataFrame, *columns: np.ndarray) -> str:
    """SHA-256 of the content of the three tables: every name, every value and every order counts."""
    sha = hashlib.sha256()
    for frame in (users, items):
        for name in frame.columns:
            column = frame[name]
            values = column.astype(object).where(column.notna(), None).tolist()
            sha.update(canonical_json([str(name), values]).encode())
    for array in columns:
        little_endian = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        sha.update(f"{little_endian.dtype.str}{array.shape}".encode())
        sha.update(little_endian.data)
    return sha.hexdigest()


def _without_unused(raw: Raw) -> Raw:
    """Users and items without an interaction are dropped; the codes follow."""
    users, user_index = np.unique(raw.user_index, return_inverse=True)
    items, item_index = np.unique(raw.item_index, return_inverse=True)
    return replace(
        raw,
        users=raw.users.iloc[users].reset_index(drop=True),
        items=raw.items.iloc[items].reset_index(drop=True),
        user_index=user_index.astype(np.int32),
        item_index=item_index.astype(np.int32),
    )


def _in_id_order(frame: pd.DataFrame, column: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The frame in the order of its ids, and int32[n]: the new place of each old row."""
    ids = frame[column].tolist()
    order = np.array(sorted(range(len(ids)), key=lambda place: natural_key(ids[place])), dtype=np.int32)
    new_place = np.empty_like(order)
    new_place[order] = np.arange(len(order), dtype=np.int32)
    return frame.iloc[order].reset_index(drop=True), new_place
