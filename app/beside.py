"""What can be fetched beside the Predict page, each by the page's own query: its export, and what its sliders show."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.rendering.against import against_table
from app.rendering.export import export_page
from app.rendering.page import error_box
from app.services.answered_values import Answered
from app.services.export import asked_for, file_name, open_view, record_of
from app.services.links import address_of, command_line
from app.services.predict import PredictService
from app.services.side_by_side import PerDataset
from backend.errors import RallrecError, UsageError
from storage.workspace import Workspace

# A page that was saved asks for nothing, whatever a title holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def add_routes(app: FastAPI, workspace: Workspace) -> None:
    """``/export/predict.html`` and ``.json``: the view as a file. ``/aside``: the command that gives the same, and
    for which values the page's sliders have answers (empty for a wrong query, of which the page itself tells). A view
    that cannot be exported is answered with ``problem``; 400 says that the query is wrong. ``/against``: markup of the
    page's choice of past items beside that of another variant or strategy.
    """
    services, settings = PerDataset(workspace, PredictService), workspace.settings

    def asked_of(request: Request) -> PredictService:
        """The service of the dataset that the address names."""
        return services.of(request.query_params.get("dataset", ""))

    @app.get("/export/predict.html")
    def export_html(request: Request) -> Response:
        def answer() -> Response:
            service = asked_of(request)
            view = open_view(service, settings, request.query_params)
            made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
            page = export_page(view, record_of(service, view), address_of(view.request), made)
            return HTMLResponse(page, headers=_download(file_name(view, "html"), policy=_POLICY))

        return _or_problem(answer)

    @app.get("/export/predict.json")
    def export_json(request: Request) -> Response:
        def answer() -> Response:
            service = asked_of(request)
            view = open_view(service, settings, request.query_params)
            text = json.dumps(record_of(service, view), indent=2, ensure_ascii=False)
            return Response(text, media_type="application/json", headers=_download(file_name(view, "json")))

        return _or_problem(answer)

    @app.get("/against")
    def against(request: Request) -> Response:
        try:
            service = asked_of(request)
            asked, other = asked_for(service, settings, request.query_params), request.query_params.get("against", "")
            told = against_table(service.against(asked, other), service.pipeline.dataset)
        except RallrecError as error:
            told = error_box(str(error))
        return HTMLResponse(told, headers=_HEADERS | {"Content-Security-Policy": _POLICY})

    @app.get("/aside")
    def aside(request: Request) -> Response:
        try:
            service = asked_of(request)
            asked = asked_for(service, settings, request.query_params)
            answered = service.answered(asked)
            command = command_line(asked, service.pipeline.dataset.meta.name)
        except RallrecError:  # said by the page itself, where it stands
            answered, command = Answered((), (), ()), ""
        return JSONResponse({"command": command, "answered": asdict(answered)}, headers=_HEADERS)


def _or_problem(answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except RallrecError as error:
        status = 400 if isinstance(error, UsageError) else 503
        return JSONResponse({"problem": str(error)}, status_code=status, headers=_HEADERS)


def _download(name: str, policy: str | None = None) -> dict[str, Any]:
    headers = _HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
    return headers | ({"Content-Security-Policy": policy} if policy else {})
