"""The stage ``compare``: do the vectors find past items that tell more than the latest ones do?"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import count
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from backend.evaluation.retrieval_proxy import ProxyRow, retrieval_proxy
from backend.numbers import or_null
from backend.retrieval import DEFAULT_GAMMA, RetrievalConfig
from storage.arrays import save_text
from storage.precompute.job import StageWork
from storage.precompute.mix import load_space


class CompareConfig(BaseModel):
    """Eq. 8's symbols for the comparison; the strategies and variants are all compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: int = Field(10, ge=1, le=100)
    gamma: float = Field(DEFAULT_GAMMA, ge=0, le=1)
    beta: float = Field(1.0, ge=0, le=10)


def make(job: StageWork) -> dict[str, Any]:
    """``table.json``: :func:`retrieval_proxy` on the validation part; a number that is not defined is null."""
    config = RetrievalConfig(**job.config.model_dump())
    space = load_space(job.inputs["space"])
    known = [ProxyRow(**json.loads(path.read_text("utf-8"))) for path in sorted(job.scratch.glob("row-*.json"))]
    saved = count(len(known))

    def keep(row: ProxyRow) -> None:
        save_text(job.scratch / f"row-{next(saved):03d}.json", json.dumps(asdict(row)))

    rows = job.data_split.validation
    lines = retrieval_proxy(space, job.dataset, rows, config, job.progress, job.stop, known, keep)
    table = [asdict(line) | {"gauc": or_null(line.gauc, 4), "auc": or_null(line.auc, 4)} for line in lines]
    save_text(job.part / "table.json", json.dumps(table, indent=1))
    return {"rows": len(table), "part": "validation", "table": table}
