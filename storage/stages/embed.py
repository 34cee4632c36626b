"""The stage ``embed``: e_title and e_desc, the model's final hidden states over an item's two texts (eq. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from backend.representation import title_texts
from storage.stages.describe import load_descriptions
from storage.stages.job import VECTORS, Job, rows_by_chunk, save_array

# Fixed, so that an interrupted run and an undisturbed one end in the same bytes.
_CHUNK = 256


class EmbedConfig(BaseModel):
    """``pooling``: the mean over a text's tokens, or its last token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pooling: Literal["mean", "last"] = "mean"


def make_titles(job: Job) -> dict[str, Any]:
    """``vectors.npy``: e_title, [items, d] float16, as the model gives it."""
    texts = title_texts(job.dataset.meta.item_noun, job.labels(), job.dataset.categories)
    return _embed(job, texts, "titles")


def make_descriptions(job: Job) -> dict[str, Any]:
    """``vectors.npy``: e_desc, [items, d] float16, of the generated descriptions and what stands in for them."""
    return _embed(job, [row.text for row in load_descriptions(job.inputs["descriptions"])], "descriptions")


def _embed(job: Job, texts: Sequence[str], what: str) -> dict[str, Any]:
    def chunk(start: int, end: int) -> np.ndarray:
        rows = job.encoder.embed(texts[start:end], pooling=job.config.pooling, stop=job.stop)
        return rows.astype(np.float16)

    rows = rows_by_chunk(job, f"embedding {what}", len(texts), _CHUNK, chunk)
    save_array(job.part / VECTORS, rows)
    return {"rows": len(rows), "dimensions": int(rows.shape[1])}
