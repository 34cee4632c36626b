"""What can be fetched beside the Evaluate page, by the page's own query: its table or figure as a page, and as data."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from app.evaluate.address import EvaluateQuery
from app.evaluate.export_page import evaluate_page
from app.evaluate.service import EvaluateService
from app.shared.errors import problem
from app.shared.export import Carried, download, page_file
from app.shared.export_view import players_of
from app.shared.per_dataset import PerDataset

_TYPES = {"html": "text/html", "csv": "text/csv", "json": "application/json"}
# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_evaluation(app: FastAPI, services: PerDataset[EvaluateService]) -> None:
    """``/export/evaluate.html``, ``.csv`` and ``.json``; 409 says that the samples were not looked up yet."""

    @app.get("/export/evaluate.{kind}")
    def export(kind: str, request: Request) -> Response:
        return _export(services, kind, EvaluateQuery.parse(dict(request.query_params)))


def _export(services: PerDataset[EvaluateService], kind: str, query: EvaluateQuery) -> Response:
    if kind not in _TYPES:
        return problem(f"There is no .{kind[:10]} of it", 404)
    service = services.of(query.dataset)
    state = service.known(query, old=True) or service.look(query)
    if state is None:
        return problem("These samples were not looked up yet; start the job on the page", 409)
    name, records = f"rallrec-{query.view}", state.records(query)
    if kind == "html":
        own = services.workspace.over(query.dataset or services.workspace.settings.dataset)
        behind, choice = service.behind(state, query), service.choice(query).what
        return page_file(
            Carried(
                name,
                lambda: records,
                lambda made: evaluate_page(state, query, behind, choice, players_of(own), made),
            )
        )
    text = _csv(records) if kind == "csv" else json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False)
    return Response(text, media_type=_TYPES[kind], headers=download(f"{name}.{kind}"))


def _csv(records: Sequence[dict[str, Any]]) -> str:
    """A header and a line for each; what is not known is empty."""
    names = list(dict.fromkeys(name for record in records for name in record))
    written = io.StringIO()
    writer = csv.DictWriter(written, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in record.items()} for record in records)
    return written.getvalue()


def _cell(value: Any) -> Any:
    """Text that would be run by a spreadsheet is quoted."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
