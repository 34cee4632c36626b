"""What can be fetched beside the Evaluate page, by the page's own query: the data of the table or figure it shows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from app.services.evaluate import EvaluateService
from app.services.evaluate_query import EvaluateQuery
from app.services.side_by_side import PerDataset
from backend.errors import RallrecError, UsageError

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_TYPES = {"csv": "text/csv", "json": "application/json"}
# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_evaluation(app: FastAPI, services: PerDataset[EvaluateService]) -> None:
    """``/export/evaluate.csv`` and ``.json``. What cannot be exported is answered with ``problem``; 400 says that the
    query is wrong, 409 that its samples were not looked up yet.
    """

    @app.get("/export/evaluate.{kind}")
    def export(kind: str, request: Request) -> Response:
        try:
            query = EvaluateQuery.parse(dict(request.query_params))
            if kind not in _TYPES:
                return JSONResponse({"problem": f"There is no .{kind[:10]} of it"}, status_code=404, headers=_HEADERS)
            service = services.of(query.dataset)
            state = service.known(query, old=True) or service.look(query)
            if state is None:
                problem = "These samples were not looked up yet; start the job on the page"
                return JSONResponse({"problem": problem}, status_code=409, headers=_HEADERS)
            records = state.records(query)
        except RallrecError as error:
            status = 400 if isinstance(error, UsageError) else 503
            return JSONResponse({"problem": str(error)}, status_code=status, headers=_HEADERS)
        text = _csv(records) if kind == "csv" else json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False)
        name = f"rallrec-{query.view}.{kind}"
        headers = _HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, media_type=_TYPES[kind], headers=headers)


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
