"""Steps 1 and 2 of the Predict page: what was retrieved, what is near, what eq. 8 makes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from app.predict import choices, curves
from app.predict.neighbours import COLLABORATIVE, Explained, Nearest
from app.predict.view import View
from app.shared.templating import render
from backend.representation import VARIANT_PARTS
from backend.retrieval import RankedItem
from backend.retrieval.channels import Plan, plan

_RELATIONS = {
    "target": "the target",
    "later": "rated later",
    "unrated": "not rated",
}


def retrieve_panel(view: View) -> str:
    """Step 1: the two channels, side by side, each with the similarity that ranked it."""
    question, config = view.prediction.question, view.prediction.recipe.retrieval
    both, how = question.channels, plan(config)
    ranked = (both.ranked_by[0], both.ranked_by[1] or both.similarity)
    variants = (how.first, how.second or config.variant)
    channels = [
        {
            "name": name,
            "about": choices.channel(name, view.data.meta),
            "parts": VARIANT_PARTS[variant],
            "rows": _rows(view, items, similarity, variant),
        }
        for name, items, similarity, variant in zip(
            both.names, (both.relevant, both.recent), ranked, variants, strict=True
        )
    ]
    return render(
        "predict/retrieve.html",
        channels=channels,
        variant=config.variant,
        variant_help=choices.VARIANTS[config.variant],
        strategy=config.strategy,
        strategy_help=choices.strategy(config.strategy, view.data.meta),
        parts_used=tuple(dict.fromkeys(part for variant in variants for part in VARIANT_PARTS[variant])),
        part_help=choices.PARTS,
        target_silent=question.item in view.explained.silent,
        meta=view.data.meta,
        past=len(question.history_rows),
        still=view.still,
    )


def rerank_panel(view: View) -> str:
    """Step 2: eq. 8 for every chosen item, and, where gamma applies, for which gamma the set changes."""
    question, config, data = view.prediction.question, view.prediction.recipe.retrieval, view.data
    how = plan(config)
    largest = max((row.score for row in question.chosen), default=1.0) or 1.0
    return render(
        "predict/rerank.html",
        lines=[
            {
                "label": data.item_label(row.item),
                "code": row.item,
                "id": data.item_ids[row.item],
                "anchor": row_anchor(row.item),
                "row": row,
                "entered": row.item in view.entered,
            }
            | _scores(row, how, largest)
            for row in question.chosen
        ],
        left=[data.item_label(int(str(item))) for item in view.left],
        names=how.names,
        no_order="" if data.meta.time_ordered or "recency" not in how.names else choices.NO_ORDER,
        strategy=config.strategy,
        how=how,
        strip=curves.gamma_strip(view.stretches, config.gamma) if view.stretches else "",
        sets=len(view.stretches),
        still=view.still,
    )


def row_anchor(item: int) -> str:
    """The id of a chosen item's row in step 2."""
    return f"past-{item}"


def nearest_panel(view: View) -> str:
    """The items nearest to one item; before it was looked up, that this is going on."""
    near, data = view.nearest, view.data
    if near is None:
        return render("predict/nearest_pending.html")
    parts = VARIANT_PARTS[near.variant]
    return render(
        "predict/nearest.html",
        label=data.item_label(near.item),
        is_target=near.item == view.prediction.question.item,
        target=view.prediction.question.item,
        problem=near.problem,
        silent=near.item in near.explained.silent,
        variant=near.variant,
        parts=parts,
        rows=[
            {
                "code": row.item,
                "label": data.item_label(row.item),
                "categories": ", ".join(data.categories[row.item]),
                "relation": _RELATIONS.get(row.relation, ""),
                "rating": row.rating,
                **_similarity(row.item, row.similarity, near.explained, parts),
            }
            for row in near.rows
        ],
        meta=data.meta,
        still=view.still,
    )


def map_overlay(view: View) -> str:
    """What the item map marks, as JSON: item codes, and where the map itself is fetched."""
    question, near, data = view.prediction.question, view.nearest, view.data
    variant = view.prediction.recipe.retrieval.variant
    rows = question.history_rows
    return json.dumps(
        {
            "url": f"map/{quote(data.meta.name, safe='')}/{quote(variant, safe='')}",
            "target": question.item,
            "history": list(dict.fromkeys(data.item_index[rows.start : rows.stop].tolist())),
            "chosen": [row.item for row in question.chosen],
            "near": _marked(near)[0],
            "neighbours": _marked(near)[1],
        }
    )


def _marked(near: Nearest | None) -> tuple[int | None, list[int]]:
    return (None, []) if near is None else (near.item, [row.item for row in near.rows])


def _rows(view: View, items: Sequence[int], similarity: Mapping[int, float], variant: str) -> list[dict[str, Any]]:
    question, data = view.prediction.question, view.data
    rows = {int(data.item_index[row]): row for row in question.history_rows}
    return [
        {
            "code": item,
            "label": data.item_label(item),
            "categories": ", ".join(data.categories[item]),
            "date": _date(int(data.timestamp[rows[item]])) if data.meta.time_ordered else "",
            "rating": float(data.rating[rows[item]]),
            **_similarity(item, similarity[item], view.explained, VARIANT_PARTS[variant]),
        }
        for item in items
    ]


def _similarity(item: int, similarity: float, explained: Explained, parts: Sequence[str]) -> dict[str, Any]:
    """A similarity with its parts; a bar of full width would be a cosine of 1 in every part."""
    values = [(part, explained.cosines[item][part]) for part in parts]
    return {
        "similarity": similarity,
        "parts": [
            {"name": part, "value": value, "width": 100 * min(abs(value), 1.0) / len(parts), "minus": value < 0}
            for part, value in values
        ],
        "said": " + ".join(f"{part} {value:.3f}" for part, value in values).replace("-", "−") if len(parts) > 1 else "",
        "silent": COLLABORATIVE in parts and item in explained.silent,
    }


def _scores(row: RankedItem, how: Plan, largest: float) -> dict[str, Any]:
    """Eq. 8 filled in for both channels, and which of the two the item keeps."""
    first = how.gamma / row.relevance_rank**how.beta if row.relevance_rank else 0.0
    second = (1 - how.gamma) / row.recency_rank**how.beta if row.recency_rank else 0.0
    return {
        "first": first,
        "second": second,
        "first_width": 100 * first / largest,
        "second_width": 100 * second / largest,
        "first_counts": how.combine == "sum" or first >= second,
        "second_counts": how.combine == "sum" or second > first,
    }


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
