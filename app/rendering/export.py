"""One view as one page that asks for nothing: it opens from a disk, in light and dark, and prints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from app.rendering.page import notice
from app.rendering.predict import ask_panel, merge_panel, reason_panel, target_card
from app.rendering.retrieval import rerank_panel, retrieve_panel
from app.rendering.templating import render
from app.services.predict_view import View

_ASSETS = Path(__file__).parents[1] / "assets"
_STYLES = ("rallrec.css", "predict.css", "export.css")
_DARK = re.compile(r"\.dark ([^{}]*)\{([^{}]*)\}")


def export_page(view: View, record: Mapping[str, Any], address: str, made: str) -> str:
    """The whole document. ``record``: the view's own; ``address``: the page's query; ``made``: when, in words."""
    steps = (
        ("retrieve", "1 · Retrieve: what in the user's past bears on this", retrieve_panel),
        ("rerank", "2 · Rerank: which of it enters the prompt", rerank_panel),
        ("ask-panel", "3 · Ask: the prompt, and the tuned model's answer", ask_panel),
        ("reason", "4 · Reason: the reasoning model's chains", reason_panel),
        ("merge", "5 · Merge: one probability out of two", merge_panel),
    )
    meta, prediction = view.data.meta, view.prediction
    return render(
        "export.html",
        styles=_styles(),
        title=view.data.item_label(prediction.question.item),
        user=view.request.user,
        notice=Markup(notice(view.cast, *view.models.values(), order_note=meta.order_note)),
        target=Markup(target_card(view)),
        steps=[(name, heading, Markup(draw(view))) for name, heading, draw in steps],
        complete=prediction.complete,
        record=record,
        models={role: {k: v for k, v in model.items() if v is not None} for role, model in record["models"].items()},
        reasoning=prediction.recipe.reasoning,
        knowledge=prediction.recipe.prompting.knowledge,
        dataset=meta.title,
        licence=meta.licence,
        address=address,
        made=made,
    )


@cache
def _styles() -> Markup:
    """The app's own styles; what is dark there by a class is dark here by the reader's choice, and never on paper."""
    css = "\n".join((_ASSETS / name).read_text("utf-8") for name in _STYLES)
    return Markup(
        _DARK.sub(
            lambda rule: (
                f"@media screen and (prefers-color-scheme: dark) {{ {rule[1].strip() or ':root'} {{{rule[2]}}} }}"
            ),
            css,
        )
    )
