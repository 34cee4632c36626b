"""The FastAPI application: the UI, what a load balancer asks, and the routes of each screen."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from app.evaluate import export as evaluate_export
from app.evaluate.service import EvaluateService
from app.label.http import add_labels
from app.library import export as library_export
from app.predict import export as predict_export
from app.predict.routes import add_routes
from app.predict.service import PredictService
from app.shared.errors import add_error_answers
from app.shared.export import add_export
from app.shared.jobs import JobsService
from app.shared.per_dataset import PerDataset
from app.shared.runs import RunQueue
from app.shared.visitors import Visitors
from app.site import appearance, build_over
from app.stories import export as stories_export
from app.stories.routes import add_story
from app.stories.service import StoryService
from app.users import export as users_export
from app.what_if import export as what_if_export
from backend.errors import RallrecError
from backend.settings import Settings, load_settings
from storage.workspace import Workspace


def create_app(settings: Settings | None = None) -> FastAPI:
    """The UI at ``/``; ``/healthz`` (the process answers) and ``/readyz`` (data, vectors and database can be used).
    What a screen has beside its page is in its ``routes``.

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
    add_error_answers(app)
    stories = StoryService(workspace)
    add_story(app, stories)
    predicting = PerDataset(workspace, PredictService)
    evaluating = PerDataset(workspace, lambda workspace: EvaluateService(workspace, jobs))
    add_routes(app, predicting)
    exporters = {
        "predict": predict_export.exporter(predicting),
        "what-if": what_if_export.exporter(workspace),
        "users": users_export.exporter(workspace),
        "evaluate": evaluate_export.exporter(evaluating),
        "stories": stories_export.exporter(stories, workspace),
        "library": library_export.exporter(workspace),
    }
    for view, exporter in exporters.items():
        add_export(app, view, exporter)
    add_labels(app, workspace)
    # Rendering on the server needs Node, and does not do several pages under FastAPI.
    options: dict[str, Any] = {"show_error": True, "mcp_server": False, "ssr_mode": False}
    gradio.mount_gradio_app(app, build_over(workspace, runs, jobs, evaluating), path="/", **options, **appearance())
    return app


def _open(workspace: Workspace, jobs: JobsService) -> None:
    # What cannot be opened is said by the page that needs it.
    with suppress(RallrecError):
        workspace.pipeline()
        jobs.go_on()
