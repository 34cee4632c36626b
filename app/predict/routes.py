"""What the Predict page fetches by its own query: what its sliders show, another choice, the item map."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.predict.drawing import against_table
from app.predict.map_data import ItemMaps
from app.predict.service import PredictService
from app.predict.slider_marks import Answered
from app.shared.errors import HEADERS
from app.shared.export import POLICY
from app.shared.frame import error_box
from app.shared.per_dataset import PerDataset
from backend.errors import NotFoundError, RallrecError, UnknownNameError


def add_routes(app: FastAPI, services: PerDataset[PredictService]) -> None:
    """``/aside``: the command that gives the same, and for which values the page's sliders have answers (empty for a
    wrong query, of which the page itself tells). ``/against``: markup of the page's choice of past items beside that of
    another variant or strategy. ``/map/<dataset>/<variant>``: the dots of the item map.
    """
    maps = ItemMaps(services.workspace)

    def service_of(request: Request) -> PredictService:
        """The service of the dataset that the address names."""
        return services.of(request.query_params.get("dataset", ""))

    @app.get("/map/{dataset}/{variant}")
    def item_map(dataset: str, variant: str, request: Request) -> Response:
        """Where every item lies on the flat map of a variant; see :func:`app.predict.map_data.map_content`."""
        return _map_answer(maps, dataset, variant, request)

    @app.get("/against")
    def against(request: Request) -> Response:
        try:
            service = service_of(request)
            sides = service.against(service.opened(request.query_params), request.query_params.get("against", ""))
            html = against_table(sides, service.pipeline.dataset)
        except RallrecError as error:
            html = error_box(str(error))
        return HTMLResponse(html, headers=HEADERS | {"Content-Security-Policy": POLICY})

    @app.get("/aside")
    def aside(request: Request) -> Response:
        try:
            service = service_of(request)
            sample = service.opened(request.query_params)
            answered = service.answered(sample)
            command = service.command(sample)
        except RallrecError:  # said by the page itself, where it stands
            answered, command = Answered((), (), ()), ""
        return JSONResponse({"command": command, "answered": asdict(answered)}, headers=HEADERS)


def _map_answer(maps: ItemMaps, dataset: str, variant: str, request: Request) -> Response:
    """Compressed for a browser that takes that; one that has the map already is told whether it changed."""
    try:
        body = maps.body(dataset, variant)
    except UnknownNameError as error:
        raise NotFoundError(error.problem, expected=error.expected, fix=error.fix) from error
    headers = {"ETag": f'"{body.tag}"', "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if body.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(body.plain, media_type="application/json", headers=headers)
    return Response(body.zipped, media_type="application/json", headers=headers | {"Content-Encoding": "gzip"})
