"""The stage ``describe``: a generated description t_desc per item (eq. 1), the most interacted-with items first.

A text of no use is drawn anew from another seed; after the last attempt, and for items that are not described at all,
the fixed sentence stands in, and the row says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from backend.datasets.statistics import training_counts
from backend.errors import CorruptCacheError
from backend.representation.descriptions import (
    DescribeConfig,
    describe_prompt,
    describe_template,
    fixed_description,
    tidy,
    why_useless,
)
from backend.seeding import derive_seed
from backend.types import Messages, Sampling
from storage.arrays import save_text
from storage.precompute.artifacts import Artifact
from storage.precompute.job import StageWork

FILE = "descriptions.jsonl"


@dataclass(frozen=True)
class Description:
    """One item's description. ``source``: ``generated``, ``rejected`` (every attempt was of no use) or ``fixed`` (not
    asked for); ``attempts``: how many texts were drawn; ``reasons``: why those before were of no use.
    """

    item: str
    text: str
    source: str
    attempts: int = 0
    reasons: tuple[str, ...] = ()


def make(job: StageWork) -> dict[str, Any]:
    """Write ``descriptions.jsonl``, one line per item in the order of the codes."""
    data, meta = job.dataset, job.dataset.meta
    labels = job.labels()
    rows = [
        Description(item, fixed_description(meta, labels[code], data.categories[code]), "fixed")
        for code, item in enumerate(data.item_ids)
    ]
    waiting = _first(job)
    for code, row in _taken_over(job, waiting).items():
        rows[code] = row
    taken = sum(row.source != "fixed" for row in rows)
    waiting = [code for code in waiting if rows[code].source == "fixed"]
    prompts = {code: describe_prompt(meta, labels[code], data.categories[code]) for code in waiting}
    for attempt in range(job.config.attempts):
        if not waiting:
            break
        texts = _write(job, attempt, [prompts[code] for code in waiting])
        for code, text in zip(waiting, texts, strict=True):
            rows[code] = _judged(rows[code], text, prompts[code])
        waiting = [code for code in waiting if rows[code].source != "generated"]
    lines = (json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    save_text(job.part / FILE, "".join(f"{line}\n" for line in lines))
    sources = [row.source for row in rows]
    return {
        "rows": len(rows),
        "template": describe_template(meta),
        **{source: sources.count(source) for source in ("generated", "rejected", "fixed")},
        "drawn_again": sum(row.attempts > 1 for row in rows),
        **({"taken_over": taken} if taken else {}),
    }


def load_descriptions(artifact: Artifact) -> list[Description]:
    """Every item's description, by code. Raises ``CorruptCacheError``."""
    path = artifact.folder / FILE
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return [Description(**row | {"reasons": tuple(row["reasons"])}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CorruptCacheError(f"{path} is damaged ({error})", fix=f"delete {artifact.folder}") from error


def _first(job: StageWork) -> list[int]:
    """The codes of the items that are described: those with the most interactions; of equal ones the first codes."""
    data, config = job.dataset, job.config
    counts = training_counts(data, job.data_split) if config.counted == "train" else data.item_counts
    return np.argsort(-counts, kind="stable")[: config.items].tolist()


def _taken_over(job: StageWork, codes: list[int]) -> dict[int, Description]:
    """What earlier artifacts say of these items, where they asked the same: a text depends on its item's prompt, the
    model, the sampling and the seed, and on no other item. Which items are described is all that may differ.
    """
    found: dict[int, Description] = {}
    for artifact in job.earlier:
        if _asking(artifact.meta["recipe"]) != _asking(job.recipe):
            continue
        by_item = {row.item: row for row in load_descriptions(artifact) if row.source != "fixed"}
        items = {code: job.dataset.item_ids[code] for code in codes}
        found |= {code: by_item[item] for code, item in items.items() if item in by_item}
    return found


def _asking(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without what says which items are described."""
    config = {name: value for name, value in recipe["config"].items() if name not in ("items", "counted")}
    return {name: value for name, value in recipe.items() if name != "split"} | {"config": config}


def _judged(row: Description, text: str, prompt: Messages) -> Description:
    text, attempts = tidy(text), row.attempts + 1
    reason = why_useless(text, prompt)
    if reason is None:
        return replace(row, text=text, source="generated", attempts=attempts)
    return replace(row, source="rejected", attempts=attempts, reasons=(*row.reasons, reason))


def _write(job: StageWork, attempt: int, prompts: list[Messages]) -> list[str]:
    """The texts of one attempt. Each batch of the engine's plan is kept, so a later run goes on after it."""
    config: DescribeConfig = job.config
    sampling = Sampling(
        config.temperature, config.top_p, config.max_tokens, derive_seed(job.settings.seed, "describe", attempt)
    )
    texts: list[str] = [""] * len(prompts)
    what = f"describing {job.dataset.meta.item_noun_plural}" + (f", attempt {attempt + 1}" if attempt else "")
    job.progress(what, None)
    batches, done = job.engine.plan(prompts), 0
    for number, batch in enumerate(batches):
        path = job.scratch / f"texts-{attempt}-{number:06d}.json"
        if not path.exists():
            job.check_stop()
            written = job.engine.write([prompts[i] for i in batch], sampling, stop=job.stop)
            save_text(path, json.dumps(written, ensure_ascii=False))
        for i, text in zip(batch, json.loads(path.read_text("utf-8")), strict=True):
            texts[i] = text
        done += len(batch)
        job.progress(what, done / len(prompts))
    return texts
