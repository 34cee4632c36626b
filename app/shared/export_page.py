"""One view as one page that asks for nothing: it opens from a disk, in light and dark, and prints.

Here are the page around every view, and the Predict page's view; the others are in ``export_views``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from markupsafe import Markup

from app.predict.drawing import ask_panel, merge_panel, reason_panel, target_card
from app.predict.retrieval_drawing import rerank_panel, retrieve_panel
from app.predict.view import View
from app.shared.frame import notice
from app.shared.templating import asset, render, significant
from backend.datasets import DatasetMeta
from backend.evaluation.drawing import styles as exhibit_styles
from backend.pipeline import Recipe

_DARK = re.compile(r"\.dark ([^{}]*)\{([^{}]*)\}")
# (its id in the page, heading or nothing, markup)
Section = tuple[str, str, Markup]
Facts = list[tuple[str, object]]


def export_page(view: View, record: Mapping[str, Any], address: str, made: str) -> str:
    """The Predict page's view. ``record``: the view's own; ``address``: the page's query; ``made``: when, in words."""
    steps = (
        ("asked", "", target_card),
        ("retrieve", "1 · Retrieve: what in the user's past bears on this", retrieve_panel),
        ("rerank", "2 · Rerank: which of it enters the prompt", rerank_panel),
        ("ask-panel", "3 · Ask: the prompt, and the tuned model's answer", ask_panel),
        ("reason", "4 · Reason: the reasoning model's chains", reason_panel),
        ("merge", "5 · Merge: one probability out of two", merge_panel),
    )
    meta, prediction = view.data.meta, view.prediction
    return document(
        f"user {view.request.user}, {view.data.item_label(prediction.question.item)}",
        "one prediction, step by step",
        [(name, heading, Markup(draw(view))) for name, heading, draw in steps],
        [
            *recipe_facts(prediction.recipe),
            *model_facts(record["models"]),
            ("recipe", record["recipe"]),
            *source_facts(f"/?{address}", made, meta),
        ],
        meta,
        notice=notice(view.cast, *view.models.values(), order_note=meta.order_note),
        complete=prediction.complete,
    )


def document(
    title: str,
    about: str,
    sections: Sequence[Section],
    facts: Facts,
    meta: DatasetMeta | None = None,
    *,
    notice: str = "",
    complete: bool = True,
    styles: tuple[str, ...] = (),
) -> str:
    """The whole page around a view. ``about``: what it is, in a few words; ``facts``: how it was made, by name;
    ``meta``: of the data, where it is about one dataset; ``notice``: markup of what a reader must know first;
    ``styles``: further style sheets of the app.
    """
    return render(
        "shared/export.html",
        styles=_styles(styles),
        title=title,
        about=about,
        dataset=meta.title if meta else "",
        notice=Markup(notice),
        complete=complete,
        sections=sections,
        facts=facts,
    )


def recipe_facts(recipe: Recipe) -> Facts:
    """The choices that a prediction was made with, in words."""
    retrieval, reasoning, merging = recipe.retrieval, recipe.reasoning, recipe.merging
    said = f"variant {retrieval.variant}, strategy {retrieval.strategy}, K {retrieval.k}"
    if retrieval.strategy == "rerank":
        said += f", gamma {significant(retrieval.gamma, 6)}, beta {significant(retrieval.beta, 6)}"
    sampling = reasoning.sampling
    return [
        ("retrieval", said),
        ("knowledge", recipe.prompting.knowledge),
        (
            "chains",
            f"{reasoning.traces} of at most {sampling.max_tokens} tokens, temperature "
            f"{significant(sampling.temperature)}, top-p {significant(sampling.top_p)}, seed {sampling.seed}",
        ),
        ("merge", f"alpha {significant(merging.alpha, 6)}, epsilon {significant(merging.epsilon, 6)}"),
    ]


def model_facts(models: Mapping[str, Mapping[str, Any]]) -> Facts:
    """Who played which role."""
    return [
        (f"{role} model", ", ".join(f"{key} {value}" for key, value in model.items() if value is not None))
        for role, model in models.items()
    ]


def source_facts(address: str, made: str, meta: DatasetMeta | None) -> Facts:
    """Where the view is, when it was exported, and what data it is of."""
    data: Facts = [("data", f"{meta.title}: {meta.licence}")] if meta else []
    return [("address", address), ("exported", made), *data]


@cache
def _styles(more: tuple[str, ...]) -> Markup:
    """The app's own styles; what is dark there by a class is dark here by the reader's choice, and never on paper."""
    names = ("shared/base.css", "predict/page.css", *more, "shared/export.css")
    css = "\n".join((*(asset(name) for name in names), exhibit_styles() if more else ""))
    return Markup(
        _DARK.sub(
            lambda rule: (
                f"@media screen and (prefers-color-scheme: dark) {{ {rule[1].strip() or ':root'} {{{rule[2]}}} }}"
            ),
            css,
        )
    )
