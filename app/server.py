"""The FastAPI application: the UI, and beside it what a load balancer and the item map ask."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from app.evaluate.routes import add_evaluation
from app.evaluate.service import EvaluateService
from app.label.http import add_labels
from app.label.results_routes import results_routes
from app.label.review_routes import review_routes
from app.label.routes import routes
from app.label.services import Services
from app.label.views import add_label_views
from app.predict.map_data import ItemMaps
from app.predict.routes import add_routes
from app.shared.jobs import JobsService
from app.shared.per_dataset import PerDataset
from app.shared.runs import RunQueue
from app.shared.views_routes import add_views
from app.shared.visitors import Visitors
from app.site import appearance, build_over
from app.stories.service import StoryService
from backend.errors import RallrecError, UnknownNameError, UsageError
from backend.settings import Settings, load_settings
from storage.workspace import Workspace

# Of a story that is sent to be kept: thirty long steps.
_MOST_BYTES = 200_000


def create_app(settings: Settings | None = None) -> FastAPI:
    """The UI at ``/``; ``/healthz`` (the process answers), ``/readyz`` (data, vectors and database can be used) and
    ``/map/<dataset>/<variant>`` (the item map's dots); for what is beside the Predict page, see
    :mod:`app.predict.routes`.

    ``settings``: by default, those of the environment and the settings file.
    """
    import gradio

    workspace = Workspace(settings or load_settings())
    runs = RunQueue(workspace.worker)
    jobs = JobsService(workspace, runs)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Opened while the browser still loads the page's scripts.
        threading.Thread(target=_open, args=(workspace, jobs), daemon=True).start()
        yield
        jobs.close()
        workspace.close()

    app = FastAPI(title="RALLRec+", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        problems: dict[str, Any] = {}
        for name, check in (("database", lambda: workspace.database), ("predictions", workspace.pipeline)):
            try:
                check()
            except RallrecError as error:
                problems[name] = str(error)
        return JSONResponse({"ready": not problems, "problems": problems}, status_code=503 if problems else 200)

    app.add_middleware(Visitors)
    maps = ItemMaps(workspace)

    @app.get("/map/{dataset}/{variant}")
    def item_map(dataset: str, variant: str, request: Request) -> Response:
        """Where every item lies on the flat map of a variant; see :func:`app.predict.map_data.map_content`."""
        return _map_response(maps, dataset, variant, request)

    told = StoryService(workspace)

    @app.post("/story")
    async def keep_story(request: Request) -> JSONResponse:
        """Keep a story that somebody told on the page."""
        return await _keep_story(told, request)

    add_routes(app, workspace)
    add_views(app, workspace, told)
    services = Services.over(workspace)
    add_label_views(app, services)
    own, reviewed, resulting = routes(services.labelling), review_routes(services.reviewing), results_routes(services)
    add_labels(app, (*own, *reviewed, *resulting), services.labelling.who)
    evaluating = PerDataset(workspace, lambda own: EvaluateService(own, jobs))
    add_evaluation(app, evaluating)
    # Rendering on the server needs Node, and does not do several pages under FastAPI.
    options: dict[str, Any] = {"show_error": True, "mcp_server": False, "ssr_mode": False}
    gradio.mount_gradio_app(app, build_over(workspace, runs, jobs, evaluating), path="/", **options, **appearance())
    return app


async def _keep_story(told: StoryService, request: Request) -> JSONResponse:
    """JSON alone is taken: that is what another site's page cannot send in somebody's name."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return JSONResponse({"problem": "A story is sent as application/json"}, status_code=415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            return JSONResponse({"problem": f"A story has {_MOST_BYTES:,} bytes at most"}, status_code=413)
    try:
        key = await run_in_threadpool(told.keep, bytes(body))
    except RallrecError as error:
        return JSONResponse({"problem": str(error)}, status_code=400 if isinstance(error, UsageError) else 503)
    return JSONResponse({"story": key}, status_code=201)


def _map_response(maps: ItemMaps, dataset: str, variant: str, request: Request) -> Response:
    """Zipped for who takes it; asked for again, it costs a question whether it changed."""
    try:
        body = maps.body(dataset, variant)
    except RallrecError as error:
        status = 404 if isinstance(error, UnknownNameError) else 503
        return JSONResponse({"problem": str(error)}, status_code=status, headers={"Cache-Control": "no-store"})
    headers = {"ETag": f'"{body.tag}"', "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if body.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(body.plain, media_type="application/json", headers=headers)
    return Response(body.zipped, media_type="application/json", headers=headers | {"Content-Encoding": "gzip"})


def _open(workspace: Workspace, jobs: JobsService) -> None:
    # What cannot be opened is said by the page that needs it.
    with suppress(RallrecError):
        workspace.pipeline()
        jobs.go_on()
