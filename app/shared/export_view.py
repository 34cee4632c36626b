"""A view of the Predict page carried elsewhere: opened from its address, as a record, as a file; and what every export
needs. The other pages' views are in ``export_views``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.predict.service import PredictService, cast_of
from app.predict.view import Request, Session, View
from app.shared.controls import check_bounds
from backend.engines.models import display_name
from backend.errors import UsageError
from backend.record import prediction_record
from backend.settings import Settings
from storage.workspace import Workspace

_TRUTH = {"": False, "0": False, "1": True}


def asked_for(service: PredictService, settings: Settings, query: Mapping[str, str]) -> Request:
    """The request of a page's address, checked as the page checks it. Raises ``UsageError``."""
    return check_bounds(service.request(query), settings)


def open_view(service: PredictService, settings: Settings, query: Mapping[str, str]) -> View:
    """What the page with this address shows, from the cache alone, for reading; with the truth where ``truth=1``.

    Raises what looking at the page raises, above all ``UsageError`` naming the parameter that is wrong.
    """
    truth = query.get("truth", "")
    if truth not in _TRUTH:
        raise UsageError(f"truth is {truth[:40]!r}", expected="truth=1, or none", fix="mend the link")
    view = service.look(asked_for(service, settings, query), Session())
    return replace(view, truth=_TRUTH[truth], still=True)


def record_of(service: PredictService, view: View) -> dict[str, Any]:
    """The view as ``rallrec predict --json`` prints it; without its ``label`` where the truth was not asked for."""
    record = prediction_record(service.pipeline, view.prediction, cached=view.prediction.complete)
    return record if view.truth else untold(record)


def untold(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a prediction without the truth."""
    return {name: value for name, value in record.items() if name != "label"}


def file_name(view: View) -> str:
    """A name, without an ending, that says what is in the file."""
    return safe_name(view.data.meta.name, "user", view.request.user, "item", view.request.item)


def safe_name(*parts: str) -> str:
    """A name of letters, digits and hyphens, whatever the parts hold."""
    said = (re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in ("rallrec", *parts))
    return "-".join(filter(None, said))[:120]


@dataclass(frozen=True)
class Players:
    """Who answers: what a reader must know of it (``cast``, as in :class:`View`), and what the models are called."""

    cast: str
    tuned: str
    reasoning: str
    models: Mapping[str, Mapping[str, Any]]


def players_of(workspace: Workspace) -> Players:
    """Those of a dataset; no model is loaded."""
    tuned, reasoning = (workspace.model(role) for role in ("tuned", "reasoning"))
    return Players(
        cast_of(tuned, reasoning), display_name(tuned), display_name(reasoning),
        {"tuned": asdict(tuned), "reasoning": asdict(reasoning)},
    )  # fmt: skip
