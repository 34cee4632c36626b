"""Retrieval and eq. 8 for many samples at once, block by block, and the stream of them into a Parquet file.

All samples of a user share the user's past: one matrix product for up to a block of them, in memory that neither the
number of samples nor of items can raise. The lists are those of ``Retriever.retrieve`` sample by sample.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.datasets import Dataset
from backend.errors import Stopped
from backend.representation import ItemSpace
from backend.retrieval.channels import ChannelRanks, newest_until, plan
from backend.retrieval.config import RetrievalConfig
from backend.retrieval.rerank import rerank_rows
from backend.retrieval.similarity import Ints, exact_similarity
from backend.types import Progress, Stop

if TYPE_CHECKING:
    import pyarrow as pa

# A block is at most this many samples, and this many pairs of a sample and a past item (1 sample at least).
_SAMPLES = 512
_PAIRS = 1 << 20


@dataclass(frozen=True, eq=False)
class Block:
    """m samples of one user, k places each, best first; a place that stays empty holds -1, -1, NaN, 0, 0 and NaN.

    ``rows``: int64[m], the samples' interaction rows, and ``items``: int32[m], their targets. ``past``: int64[m, k],
    the interaction rows of the chosen items, and ``past_items``: int32[m, k], their codes. ``score``: float64[m, k],
    eq. 8. ``first_rank``, ``second_rank``: int64[m, k], ranks from 1 in the two channels, 0 where it is not in it.
    ``vectors``: the rows that the config's variant compares.
    """

    rows: NDArray[np.int64]
    items: NDArray[np.int32]
    past: NDArray[np.int64]
    past_items: NDArray[np.int32]
    score: NDArray[np.float64]
    first_rank: NDArray[np.int64]
    second_rank: NDArray[np.int64]
    vectors: NDArray[np.floating]

    @cached_property
    def similarity(self) -> NDArray[np.float64]:
        """The similarity of each chosen item to its target, float64[m, k], as ``Channels.similarity`` has it."""
        sample, place = np.nonzero(self.past >= 0)
        similarity = np.full(self.past.shape, np.nan)
        similarity[sample, place] = exact_similarity(self.vectors, self.items[sample], self.past_items[sample, place])
        return similarity


def retrieve_rows(
    space: ItemSpace,
    dataset: Dataset,
    rows: Ints,
    config: RetrievalConfig,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Iterator[Block]:
    """Retrieves samples in blocks, user by user, a user's oldest first; ``rows``: int[s] interaction rows in any order.

    The naive equivalent asks ``Retriever.retrieve`` for each row. Raises ``DataError`` where an item has no vector, and
    ``Stopped`` between blocks.
    """
    in_order = np.sort(np.asarray(rows, dtype=np.int64))
    done = 0
    for start, mine in _by_user(dataset, in_order):
        longest = max(int(mine[-1]) - start, 1)
        step = max(1, min(_SAMPLES, _PAIRS // longest))
        for piece in np.split(mine, range(step, len(mine), step)):
            if stop and stop():
                raise Stopped(f"Stopped after {done:,} of {len(in_order):,} samples")
            yield _block(space, dataset, start, piece, config)
            done += len(piece)
            if progress:
                progress("Retrieving", done / len(in_order))


def write_retrieval(
    path: Path,
    space: ItemSpace,
    dataset: Dataset,
    rows: Ints,
    config: RetrievalConfig,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> int:
    """Stream :func:`retrieve_rows` into ``path`` (Parquet), one line per chosen item; returns the number of lines.

    ``row`` (int64, the sample's interaction), ``user``, ``item`` (int32 codes), ``place`` (int16, from 1),
    ``past_row`` (int64, the chosen interaction), ``past_item`` (int32), ``score`` (float64), ``first_rank``,
    ``second_rank`` (int16, from 1, null: not in that channel), ``similarity`` (float64). The schema's metadata holds
    the config and the channels' names. ``path`` gets its name when all is written: stopped or failed, there is nothing.
    """
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    try:
        lines = 0
        schema = _schema(config)
        with pq.ParquetWriter(part, schema) as writer:
            for block in retrieve_rows(space, dataset, rows, config, progress, stop):
                table = _table(block, dataset, schema)
                writer.write_table(table)
                lines += len(table)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
    return lines


def _by_user(dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Splits sorted rows by user; gives where each user's history begins, and the user's rows."""
    users = dataset.user_index[rows]
    for mine in np.split(rows, np.flatnonzero(users[1:] != users[:-1]) + 1):
        if len(mine):
            yield int(dataset.user_ptr[dataset.user_index[mine[0]]]), mine


def _block(space: ItemSpace, dataset: Dataset, start: int, rows: NDArray[np.int64], config: RetrievalConfig) -> Block:
    items = dataset.item_index[start : rows[-1]]
    ranks = ChannelRanks(space, items, dataset.item_index[rows], newest_until(items, rows - start), config)
    how = ranks.plan
    places, score, first, second = rerank_rows(ranks.first, ranks.second, config.k, how.gamma, how.beta, how.combine)
    past = np.where(places >= 0, places + start, -1)
    past_items = np.where(places >= 0, dataset.item_index[past], -1)
    vectors = space.variant(config.variant)
    return Block(rows, dataset.item_index[rows], past, past_items, score, first, second, vectors)


def _schema(config: RetrievalConfig) -> pa.Schema:
    import pyarrow as pa

    columns = {
        "row": pa.int64(), "user": pa.int32(), "item": pa.int32(), "place": pa.int16(), "past_row": pa.int64(),
        "past_item": pa.int32(), "score": pa.float64(), "first_rank": pa.int16(), "second_rank": pa.int16(),
        "similarity": pa.float64(),
    }  # fmt: skip
    first, second = plan(config).names
    metadata = {"retrieval": config.model_dump_json(), "first_channel": first, "second_channel": second}
    return pa.schema(columns, metadata=metadata)


def _table(block: Block, dataset: Dataset, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    sample, place = np.nonzero(block.past >= 0)
    row, past = block.rows[sample], block.past[sample, place]
    first, second = block.first_rank[sample, place], block.second_rank[sample, place]
    columns = [
        row, dataset.user_index[row], block.items[sample], place + 1, past, block.past_items[sample, place],
        block.score[sample, place], first, second, block.similarity[sample, place],
    ]  # fmt: skip
    missing = {"first_rank": first == 0, "second_rank": second == 0}
    arrays = [
        pa.array(column, type=field.type, mask=missing.get(field.name))
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
