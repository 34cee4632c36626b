"""``/story``: keep a story that somebody told on the page."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from app.shared.errors import problem
from app.stories.service import StoryService

# A story of thirty long steps is shorter.
MOST_BYTES = 200_000


def add_story(app: FastAPI, service: StoryService) -> None:
    """``POST /story`` keeps a story and answers with its key."""

    @app.post("/story")
    async def keep_story(request: Request) -> JSONResponse:
        """Only JSON is accepted, because another site's page cannot send JSON in somebody's name."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return problem("A story is sent as application/json", 415)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return problem(f"A story has {MOST_BYTES:,} bytes at most", 413)
        key = await run_in_threadpool(service.keep, bytes(body))
        return JSONResponse({"story": key}, status_code=201)
