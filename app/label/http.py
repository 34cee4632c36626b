"""Labelling over HTTP, under ``/labels/``: JSON in and out, each request on behalf of whoever is logged in.

The routes are one table (:mod:`app.label.routes`); here is what they have in common: the session's cookie, the limits
of what is sent, and the status of each error. Who may do what is not decided here but in ``app.label.service``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from app.label.access import check, needed_by
from backend.errors import (
    ConflictError,
    DataError,
    ForbiddenError,
    LockedOutError,
    NotFoundError,
    NotLoggedInError,
    RallrecError,
    StorageError,
    UsageError,
)
from backend.labelling import Account

COOKIE = "rallrec_session"
# A corrected chain and a comment in the longest of alphabets; an import is larger.
MOST_BYTES, MOST_IMPORTED = 1_000_000, 200_000_000
# Short questions that are answered at the same time. With more threads, the one that holds the database's lock waits
# for its turn at the interpreter behind those that wait for that lock, and all are slower.
_AT_ONCE = 4
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
JSON, LINES = "application/json", "application/x-ndjson"

Body = TypeVar("Body", bound=BaseModel)
# The first that fits gives the status.
_STATUS: tuple[tuple[type[RallrecError], int], ...] = (
    (NotLoggedInError, 401),
    (LockedOutError, 429),
    (ForbiddenError, 403),
    (ConflictError, 409),
    (NotFoundError, 404),
    (UsageError, 400),
    (DataError, 400),
    (StorageError, 503),
)


@dataclass(frozen=True)
class Asked:
    """One request. ``account``: who asks, None where nobody is logged in; ``body``: what was sent, as it came."""

    account: Account | None
    token: str | None
    query: Mapping[str, str]
    path: Mapping[str, str]
    body: bytes
    secure: bool = False

    def read(self, model: type[Body]) -> Body:
        """The body as JSON of this shape. Raises ``UsageError`` naming the first part that is wrong."""
        try:
            return model.model_validate_json(self.body or b"{}")
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the body"
            raise UsageError(f"{where}: {first['msg']}", expected=f"{', '.join(model.model_fields)}") from error

    def needed(self, name: str) -> str:
        """A part of the query. Raises ``UsageError`` where it is missing."""
        if not self.query.get(name):
            raise UsageError(f"{name} is missing", expected=f"?{name}=...")
        return self.query[name]


# What answers: JSON's own types, or a whole response.
Answer = Callable[[Asked], Any]


@dataclass(frozen=True)
class Route:
    """``path`` is below ``/labels/``. ``of``: the service's method that answers, which says who may ask; ``takes``: the
    content type of what is sent with a POST. ``quick``: a few short questions to the database.
    """

    method: str
    path: str
    answer: Answer
    of: Callable[..., Any]
    takes: str = JSON
    status: int = 200
    quick: bool = False


def add_labels(app: FastAPI, routes: tuple[Route, ...], who: Callable[[str | None], Account | None]) -> None:
    """Mount the routes. ``who`` tells whose token a cookie holds."""
    few = anyio.CapacityLimiter(_AT_ONCE)
    for route in routes:
        endpoint = _endpoint(route, who, few if route.quick else None)
        # A plain route: what FastAPI would read out of a function's parameters, these read themselves.
        app.add_route(f"/labels/{route.path}", endpoint, methods=[route.method], include_in_schema=False)


def set_cookie(response: Response, token: str, secure: bool, seconds: int) -> Response:
    """The session's cookie: scripts cannot read it, other sites' pages cannot send it with a POST."""
    response.set_cookie(COOKIE, token, max_age=seconds, path="/", httponly=True, samesite="lax", secure=secure)
    return response


def answered(value: Any, status: int = 200) -> Response:
    """JSON, never kept by a browser."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return Response(text, status_code=status, media_type=JSON, headers=HEADERS)


def _endpoint(
    route: Route, who: Callable[[str | None], Account | None], few: anyio.CapacityLimiter | None
) -> Callable[[Request], Any]:
    most = MOST_IMPORTED if route.takes == LINES else MOST_BYTES

    async def endpoint(request: Request) -> Response:
        if route.method == "POST" and request.headers.get("content-type", "").partition(";")[0].strip() != route.takes:
            # Of these types alone, because another site's page cannot send them in somebody's name.
            return _problem(f"What is sent here is {route.takes}", 415)
        token = request.cookies.get(COOKIE)
        if most > MOST_BYTES:  # so much is read of nobody who may not send it
            refused = await anyio.to_thread.run_sync(_refusal, route, who, token)
            if refused is not None:
                return refused
        body = await _body(request, most)
        secure = request.url.scheme == "https"
        asked = Asked(None, token, dict(request.query_params), dict(request.path_params), body or b"", secure)
        if body is None:
            refused = await anyio.to_thread.run_sync(_refusal, route, who, token)
            return refused or _problem(f"At most {most:,} bytes can be sent", 413)
        return await anyio.to_thread.run_sync(_answer, route, who, asked, limiter=few)

    return endpoint


def _refusal(route: Route, who: Callable[[str | None], Account | None], token: str | None) -> Response | None:
    """The answer to whom this is not for; None for all others."""
    try:
        check(who(token), needed_by(route.of))
    except RallrecError as error:
        return _refused(error)
    return None


def _answer(route: Route, who: Callable[[str | None], Account | None], asked: Asked) -> Response:
    try:
        asked = replace(asked, account=who(asked.token))
        # Before anything of theirs is read. The service checks it too, for whoever calls it in another way.
        check(asked.account, needed_by(route.of))
        told = route.answer(asked)
    except RallrecError as error:
        return _refused(error)
    return told if isinstance(told, Response) else answered(told, route.status)


def status_of(error: RallrecError) -> int:
    """The status that says what kind of error it is."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def _refused(error: RallrecError) -> Response:
    status = status_of(error)
    if isinstance(error, ConflictError):
        return answered({"problem": str(error), "kept": error.kept}, status)
    response = _problem(str(error), status)
    if isinstance(error, LockedOutError):
        response.headers["Retry-After"] = str(int(error.seconds) + 1)
    elif status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _problem(problem: str, status: int) -> Response:
    return JSONResponse({"problem": problem}, status_code=status, headers=HEADERS)


async def _body(request: Request, most: int) -> bytes | None:
    """What was sent; None where it is more than that."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return bytes(body)
