"""A view of the Predict page as a file: opened from its address, as a record, and as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fastapi import Request as HttpRequest
from markupsafe import Markup

from app.predict.drawing import ask_panel, merge_panel, reason_panel, rerank_panel, retrieve_panel, target_card
from app.predict.service import PredictService
from app.predict.view import PredictSession, PredictView
from app.shared.export import Exported, document, model_facts, recipe_facts, safe_name
from app.shared.frame import Players
from app.shared.per_dataset import PerDataset
from backend.errors import UsageError
from backend.record import prediction_record

_TRUTH = {"": False, "0": False, "1": True}


def exporter(services: PerDataset[PredictService]) -> Callable[[HttpRequest], Exported]:
    """Exports one prediction, by the page's own address."""

    def export(request: HttpRequest) -> Exported:
        service = services.of(request.query_params.get("dataset", ""))
        view = open_view(service, request.query_params)
        record = record_of(service, view)
        return Exported(file_name(view), lambda: record, lambda made: predict_page(view, record, made))

    return export


def open_view(service: PredictService, query: Mapping[str, str]) -> PredictView:
    """What the page with this address shows, from the cache alone, for reading; with the truth where ``truth=1``.

    Raises what looking at the page raises, above all ``UsageError`` naming the parameter that is wrong.
    """
    truth = query.get("truth", "")
    if truth not in _TRUTH:
        raise UsageError(f"truth is {truth[:40]!r}", expected="truth=1, or none", fix="mend the link")
    view = service.look(service.opened(query), PredictSession())
    return replace(view, truth=_TRUTH[truth], still=True)


def record_of(service: PredictService, view: PredictView) -> dict[str, Any]:
    """The view as ``rallrec predict --json`` prints it; without its ``label`` where the truth was not asked for."""
    record = prediction_record(service.pipeline, view.prediction, cached=view.prediction.complete)
    return record if view.truth else untold(record)


def untold(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the record of a prediction without the truth."""
    return {name: value for name, value in record.items() if name != "label"}


def file_name(view: PredictView) -> str:
    """Names the file, without an ending, by what is in it."""
    return safe_name(view.data.meta.name, "user", view.request.user, "item", view.request.item)


def predict_page(view: PredictView, record: Mapping[str, Any], made: str) -> str:
    """Makes a page of all steps of the view. ``record`` is the view's own; ``made`` says when, in words."""
    steps = (
        ("asked", "", target_card),
        ("retrieve", "1 · Retrieve: what in the user's past bears on this", retrieve_panel),
        ("rerank", "2 · Rerank: which of it enters the prompt", rerank_panel),
        ("ask-panel", "3 · Ask: the prompt, and the tuned model's answer", ask_panel),
        ("reason", "4 · Reason: the reasoning model's chains", reason_panel),
        ("merge", "5 · Merge: one probability out of two", merge_panel),
    )
    meta, prediction = view.data.meta, view.prediction
    players = Players(view.cast, view.models["tuned"], view.models["reasoning"], record["models"])
    return document(
        f"user {view.request.user}, {view.data.item_label(prediction.question.item)}",
        "one prediction, step by step",
        [(name, heading, Markup(draw(view))) for name, heading, draw in steps],
        [*recipe_facts(prediction.recipe), *model_facts(players.models), ("recipe", record["recipe"])],
        address=view.request.link(),
        made=made,
        meta=meta,
        players=players,
        complete=prediction.complete,
    )
