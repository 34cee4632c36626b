"""Item spaces with every kind of trouble, datasets of any histories, and retrieval as it is written, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from backend.datasets import Dataset, DatasetMeta, LabelRule
from backend.datasets.build import Raw, assemble
from backend.representation import ItemSpace, mix
from backend.retrieval import RankedItem, RetrievalConfig, rerank

WIDTHS = {"text": 6, "collaborative": 4, "aligned": 4}


def space_of(items: int, seed: int = 0, odd: bool = True, wide: int = 1) -> ItemSpace:
    """Random parts; if ``odd``, then some items without a signal in a part, and many that equal, or nearly equal,
    another one."""
    rng = np.random.default_rng(seed)
    widths = {name: wide * width for name, width in WIDTHS.items()}
    parts = []
    for name, width in widths.items():
        part = rng.standard_normal((items, width)) + (2.0 if name == "text" else 0.0)  # text points mostly one way
        if odd and items:
            part = part[rng.integers(0, max(items // 2, 1), items)]
            part *= 1 + 1e-7 * rng.standard_normal(part.shape)
            part[rng.random(items) < 0.25] = 0
        parts.append(part)
    return ItemSpace(mix(parts).astype(np.float32), widths)


def histories(*users: Sequence[int], items: int) -> Dataset:
    """A dataset in which each user rates these item codes, one a day, good and bad in turn."""
    user = [n for n, codes in enumerate(users) for _ in codes]
    return assemble(
        DatasetMeta(
            name="made", title="Made", item_noun="movie", item_noun_plural="movies", verb_past="watched", rating_min=1,
            rating_max=5, rating_unit="stars", label_rule=LabelRule(threshold=3), time_ordered=True, licence="none",
            source_hash="",
        ),
        Raw(
            pd.DataFrame({"user": [str(n) for n in range(len(users))]}),
            pd.DataFrame({
            "item": [str(n) for n in range(items)], "title": [f"T{n}" for n in range(items)],
            "year": pd.array([2000] * items, dtype="Int64"), "categories": [("a",)] * items,
        }),
            np.array(user, dtype=np.int32),
            np.array([code for codes in users for code in codes], dtype=np.int32),
            np.array([5.0 if n % 3 else 1.0 for n in range(len(user))], dtype=np.float32),
            np.array([86_400 * day for codes in users for day, _ in enumerate(codes)], dtype=np.int64),
        ),
    )  # fmt: skip


def naive_ranking(space: ItemSpace, history: Sequence[int], target: int, variant: str, k: int) -> list[int]:
    """Distinct past items, newest first, then sorted by the rounded float64 similarity; a stable sort keeps time."""
    rows = space.variant(variant).astype(np.float64)
    newest_first = list(dict.fromkeys(reversed(history)))
    return sorted(newest_first, key=lambda code: -round(float((rows[code] * rows[target]).sum()), 6))[:k]


def naive_channels(
    space: ItemSpace, history: Sequence[int], target: int, config: RetrievalConfig
) -> tuple[list[int], list[int]]:
    if config.strategy == "retrieve-then-mix":
        return (
            naive_ranking(space, history, target, "text", config.k),
            naive_ranking(space, history, target, "id", config.k),
        )
    newest = list(dict.fromkeys(reversed(history)))[: config.k]
    return naive_ranking(space, history, target, config.variant, config.k), newest


def naive_chosen(space: ItemSpace, history: Sequence[int], target: int, config: RetrievalConfig) -> list[int]:
    """Fig. 8's strategies as they are said in words; eq. 8 for ``rerank`` alone."""
    first, second = naive_channels(space, history, target, config)
    if config.strategy == "recent":
        return second
    if config.strategy == "mix-then-retrieve":
        return first
    if config.strategy == "rerank":
        return items_of(rerank(first, second, config.k, config.gamma, config.beta, config.combine))
    chosen: list[int] = []
    for text, collaborative in zip(first, second, strict=True):
        # Taking turns, text first; but an item that text ranks too, further down, goes before one that only text ranks.
        turns = (collaborative, text) if collaborative in first else (text, collaborative)
        chosen += [code for code in dict.fromkeys(turns) if code not in chosen]
    return chosen[: config.k]


def items_of(rows: Sequence[RankedItem]) -> list[int]:
    return [row.item for row in rows]
