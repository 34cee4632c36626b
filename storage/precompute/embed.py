"""The stage ``embed``: e_title and e_desc, the model's final hidden states over an item's two texts (eq. 2).

Both are kept as one byte per number: ``vectors.npy``, the codes, int8[items, d], and ``columns.npy``, float32[2, d],
each column's offset and scale (:mod:`backend.representation.quantised`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from backend.errors import CorruptCacheError, DataError, UsageError
from backend.representation import title_texts
from backend.representation.quantised import decode, encode
from storage.arrays import save_array
from storage.precompute.artifacts import Artifact
from storage.precompute.describe import load_descriptions
from storage.precompute.job import VECTORS, StageWork, load_array, rows_by_chunk

COLUMNS = "columns.npy"
# Fixed, so that an interrupted run and an undisturbed one end in the same bytes.
_CHUNK = 256


class EmbedConfig(BaseModel):
    """``pooling``: the mean over a text's tokens, or its last token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pooling: Literal["mean", "last"] = "mean"


def make_titles(job: StageWork) -> dict[str, Any]:
    """``vectors.npy`` and ``columns.npy``: e_title, [items, d]."""
    texts = title_texts(job.dataset.meta, job.labels(), job.dataset.categories)
    return _embed(job, texts, "titles")


def make_descriptions(job: StageWork) -> dict[str, Any]:
    """``vectors.npy`` and ``columns.npy``: e_desc, [items, d], of the generated texts and what stands in for them."""
    return _embed(job, [row.text for row in load_descriptions(job.inputs["descriptions"])], "descriptions")


def load_text_vectors(artifact: Artifact) -> np.ndarray:
    """e_title or e_desc of every item, [items, d] float32. Raises ``CorruptCacheError``."""
    codes, columns = load_array(artifact, VECTORS), load_array(artifact, COLUMNS)
    try:
        offset, scale = columns
        return decode(codes, offset, scale)
    except (TypeError, ValueError, UsageError) as error:
        raise CorruptCacheError(f"{artifact.folder} is damaged ({error})", fix=f"delete {artifact.folder}") from error


def save_text_vectors(folder: Path, rows: np.ndarray) -> dict[str, Any]:
    """Write [items, d] vectors into ``folder``; facts about them. Raises ``DataError`` for one that is not finite."""
    codes, offset, scale = encode(rows)
    save_array(folder / VECTORS, codes)
    save_array(folder / COLUMNS, np.stack([offset, scale]))
    return {"rows": len(rows), "dimensions": int(rows.shape[1])}


def _embed(job: StageWork, texts: Sequence[str], what: str) -> dict[str, Any]:
    def chunk(start: int, end: int) -> np.ndarray:
        rows = job.encoder.embed(texts[start:end], pooling=job.config.pooling, stop=job.stop).astype(np.float16)
        if not np.isfinite(rows).all():  # before it is kept: a run that goes on would meet it again
            raise DataError(
                f"The encoder gave a number that is not finite, or above float16's largest, {what} {start} to {end}",
                fix="choose another model or device for the encoder",
            )
        return rows

    return save_text_vectors(job.part, rows_by_chunk(job, f"embedding {what}", len(texts), _CHUNK, chunk))
