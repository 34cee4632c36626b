"""What every page has: its header, notices and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.shared.address import LeftOut
from app.shared.per_dataset import DatasetChoice
from app.shared.templating import render
from backend.engines import makes_up_answers, models
from backend.engines.models import display_name
from backend.types import ModelRef
from storage.workspace import Workspace

# (route, name) of the pages that exist.
ROUTES = (
    ("/", "Predict"),
    ("/what-if", "What-if"),
    ("/users", "Users"),
    ("/evaluate", "Evaluate"),
    ("/stories", "Stories"),
    ("/label", "Label"),
    ("/library", "Library"),
)


def header(current: str, dataset: str, licence: str, choices: Sequence[DatasetChoice] = ()) -> str:
    """Draws the navigation and the dataset at hand; where there are several ``choices``, each can be opened on this
    page."""
    query = next((one.query for one in choices if one.current), "")
    return render(
        "shared/header.html",
        routes=ROUTES, current=current, dataset=dataset, licence=licence,
        choices=choices if len(choices) > 1 else (), query=query,
    )  # fmt: skip


def notice(cast: str, tuned: str, reasoning: str, *, order_note: str = "") -> str:
    """What a reader must know before believing a number (``View.cast``); empty where there is nothing.

    ``order_note``: what stands in for time, where the data has none (:attr:`DatasetMeta.order_note`).
    """
    return render("shared/notice.html", cast=cast, tuned=tuned, reasoning=reasoning, order_note=order_note)


@dataclass(frozen=True)
class Players:
    """Who answers. ``cast``: what a reader must know of them (:func:`cast_of`); ``tuned``, ``reasoning``: what the
    models are called; ``models``: all that is known of each, by role.
    """

    cast: str
    tuned: str
    reasoning: str
    models: Mapping[str, Mapping[str, Any]]


def players_of(workspace: Workspace) -> Players:
    """Tells who answers for a dataset. It loads no model."""
    tuned, reasoning = (workspace.model(role) for role in ("tuned", "reasoning"))
    known = {"tuned": asdict(tuned), "reasoning": asdict(reasoning)}
    return Players(cast_of(tuned, reasoning), display_name(tuned), display_name(reasoning), known)


def cast_of(tuned: ModelRef, reasoning: ModelRef) -> str:
    """What a reader must know of who answers: ``made up``, ``untuned``, ``untuned reasoner`` or ``stand-in``; empty
    where there is nothing to know.
    """
    if makes_up_answers(tuned.name) or makes_up_answers(reasoning.name):
        return "made up"
    if tuned == reasoning and tuned.name in models.EMBEDDED and not tuned.adapter:
        return "untuned"
    if reasoning.name in models.EMBEDDED and not reasoning.adapter:
        return "untuned reasoner"
    return "stand-in" if models.recipe_of(reasoning) == "reasoner" else ""


def pending(what: str) -> str:
    """Says that something is being looked up."""
    return render("shared/pending.html", what=what)


def error_box(message: str) -> str:
    """Draws one error as text."""
    return render("shared/error.html", message=message)


def left_out_box(left: Sequence[LeftOut]) -> str:
    """Says what of a page's link is not shown, and why; empty where all is shown."""
    return (
        render("shared/left_out.html", left=left, other=any(one.name in ("user", "item") for one in left))
        if left
        else ""
    )
