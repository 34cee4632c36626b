"""The FastAPI application: the UI, and beside it what a load balancer asks."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from app.site import appearance, build_over
from backend.errors import RallrecError
from backend.settings import Settings, load_settings
from storage.workspace import Workspace


def create_app(settings: Settings | None = None) -> FastAPI:
    """The UI at ``/``; ``/healthz`` (the process answers) and ``/readyz`` (data, vectors and database can be used).

    ``settings``: by default, those of the environment and the settings file.
    """
    import gradio

    workspace = Workspace(settings or load_settings())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Opened while the browser still loads the page's scripts.
        threading.Thread(target=_open, args=(workspace,), daemon=True).start()
        yield
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

    gradio.mount_gradio_app(app, build_over(workspace), path="/", show_error=True, mcp_server=False, **appearance())
    return app


def _open(workspace: Workspace) -> None:
    # What cannot be opened is said by the page that needs it.
    with suppress(RallrecError):
        workspace.pipeline()
