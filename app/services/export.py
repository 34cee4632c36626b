"""A view of the Predict page carried elsewhere: opened from its address, as a record, as a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.services.bounds import check_bounds
from app.services.predict import PredictService
from app.services.predict_view import Request, Session, View
from backend.errors import UsageError
from backend.record import prediction_record
from backend.settings import Settings

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
    return record if view.truth else {name: value for name, value in record.items() if name != "label"}


def file_name(view: View, ending: str) -> str:
    """A name that says what is in the file, of letters, digits and hyphens whatever the ids hold."""
    parts = ("rallrec", view.data.meta.name, "user", view.request.user, "item", view.request.item)
    name = "-".join(filter(None, (re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in parts)))
    return f"{name[:120]}.{ending}"
