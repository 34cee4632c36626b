"""Two ways to choose past items, side by side; and the box in which the other one is picked."""

from __future__ import annotations

from app.predict import choices
from app.predict.other_choice import Side
from app.shared.templating import render
from backend.datasets import Dataset


def against_box() -> str:
    """The same for every page: what it shows is fetched once another way is picked."""
    return render("predict/other_choice_box.html", variants=choices.VARIANTS, strategies=choices.STRATEGIES)


def against_table(sides: tuple[Side, Side], data: Dataset) -> str:
    """What enters the prompt by each way, and what only one has."""
    here, there = sides
    different = [name for name in ("variant", "strategy") if getattr(here, name) != getattr(there, name)]
    return render(
        "predict/other_choice.html",
        sides=[
            {
                "name": getattr(side, different[0]) if different else f"{side.variant}, {side.strategy}",
                "rows": [{"label": data.item_label(row.item), "there": row.there} for row in side.rows],
                "own": [data.item_label(item) for item in side.own],
            }
            for side in sides
        ],
        same=not different,
        shared=len(here.rows) - len(here.own),
        count=len(here.rows),
        noun=data.meta.item_noun,
        no_order="" if data.meta.time_ordered else choices.NO_ORDER,
    )
