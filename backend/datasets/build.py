"""The last step of every adapter: checked columns in any order become a sorted :class:`Dataset` with its hash.

Reading and checking is left to the adapters; they hand over codes that fit their frames.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from backend.datasets.schema import Dataset, DatasetMeta, natural_key
from backend.seeding import canonical_json


def assemble(
    meta: DatasetMeta,
    users: pd.DataFrame,
    items: pd.DataFrame,
    *,
    user_index: np.ndarray,
    item_index: np.ndarray,
    rating: np.ndarray,
    timestamp: np.ndarray,
) -> Dataset:
    """Put users and items in the order of their ids, interactions in (user, timestamp, item) order; set ``data_hash``.

    ``users`` and ``items`` have the columns of :class:`Dataset`, in any order of rows; ``user_index`` and
    ``item_index`` (int[n]) are places in them as given.
    """
    users, new_user = _in_id_order(users, "user")
    items, new_item = _in_id_order(items, "item")
    user_index, item_index = new_user[user_index], new_item[item_index]
    timestamp = timestamp.astype(np.int64)
    order = np.lexsort((item_index, timestamp, user_index))
    user_index, item_index, timestamp = user_index[order], item_index[order], timestamp[order]
    rating = rating.astype(np.float32)[order]
    data_hash = hash_tables(users, items, user_index, item_index, rating, timestamp)
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


def _in_id_order(frame: pd.DataFrame, column: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The frame in the order of its ids, and int32[n]: the new place of each old row."""
    ids = frame[column].tolist()
    order = np.array(sorted(range(len(ids)), key=lambda place: natural_key(ids[place])), dtype=np.int32)
    new_place = np.empty_like(order)
    new_place[order] = np.arange(len(order), dtype=np.int32)
    return frame.iloc[order].reset_index(drop=True), new_place
