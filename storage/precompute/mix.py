"""The stages ``mix`` and ``map``: the parts as one space (eq. 7), and a flat picture of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from backend.errors import CorruptCacheError
from backend.representation import PARTS, VARIANTS, ItemSpace, mix
from backend.representation.flat import FlatConfig, flatten
from storage.arrays import save_array, save_text
from storage.precompute.artifacts import Artifact
from storage.precompute.embed import load_text_vectors
from storage.precompute.job import VECTORS, StageWork, load_array

FILE = "rows.npy"
WIDTHS = "widths.json"
_CHUNK = 65536


class MixConfig(BaseModel):
    """``text_dimensions``: reduce the text part to so many dimensions by PCA first; 0 keeps it whole (eq. 7)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text_dimensions: int = Field(0, ge=0)


def text_rows(job: StageWork) -> np.ndarray:
    """e_text = [e_title, e_desc] (eq. 3), [items, 2 d] float32."""
    return np.concatenate([load_text_vectors(job.inputs[k]) for k in ("title-vectors", "description-vectors")], axis=1)


def make(job: StageWork) -> dict[str, Any]:
    """``rows.npy``: an :class:`ItemSpace`'s rows, float32; ``widths.json``: how wide each part is."""
    text = text_rows(job)
    facts: dict[str, Any] = {}
    if job.config.text_dimensions:
        text, kept = _reduced(text, job.config.text_dimensions)
        facts["variance_kept"] = round(kept, 4)
    parts = [text, load_array(job.inputs["collaborative"], VECTORS)]
    parts.append(load_array(job.inputs["aligned"], VECTORS))
    widths = {name: int(part.shape[1]) for name, part in zip(PARTS, parts, strict=True)}
    rows = np.empty((len(text), sum(widths.values())), dtype=np.float32)
    for start in range(0, len(rows), _CHUNK):  # eq. 7 is computed in float64: all at once would take thrice the memory
        job.check_stop()
        rows[start : start + _CHUNK] = mix([part[start : start + _CHUNK] for part in parts])
    save_array(job.part / FILE, rows)
    save_text(job.part / WIDTHS, json.dumps(widths))
    return {"rows": len(rows), "dimensions": widths, **facts}


def load_space(artifact: Artifact) -> ItemSpace:
    """The space, memory-mapped. Raises ``CorruptCacheError``."""
    try:
        widths = json.loads((artifact.folder / WIDTHS).read_text("utf-8"))
        return ItemSpace(load_array(artifact, FILE), widths)
    except (OSError, ValueError) as error:
        raise CorruptCacheError(f"{artifact.folder} is damaged ({error})", fix=f"delete {artifact.folder}") from error


def make_map(job: StageWork) -> dict[str, Any]:
    """``<variant>.npy``: where each item lies on the flat map of a variant, [items, 2] float32."""
    space = load_space(job.inputs["space"])
    for number, variant in enumerate(VARIANTS):
        job.check_stop()
        path = job.part / f"{variant}.npy"
        if not path.exists():
            job.progress("drawing the maps", number / len(VARIANTS))
            config: FlatConfig = job.config
            save_array(path, flatten(space.variant(variant), config, job.settings.seed))
    return {"rows": len(space), "maps": list(VARIANTS)}


def _reduced(text: np.ndarray, dimensions: int) -> tuple[np.ndarray, float]:
    from sklearn.decomposition import PCA

    pca = PCA(min(dimensions, *text.shape), svd_solver="covariance_eigh")
    return pca.fit_transform(text).astype(np.float32), float(pca.explained_variance_ratio_.sum())
