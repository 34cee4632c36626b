"""The one place where an error becomes an HTTP answer: its status, its JSON body, its headers.

A route raises; :func:`add_error_answers` registers what is answered. A page that shows its errors itself takes
:func:`status_of` alone.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from backend.errors import (
    ConflictError,
    ForbiddenError,
    LockedOutError,
    NotFoundError,
    NotLoggedInError,
    RallrecError,
    StorageError,
    UsageError,
)


class NotLookedUpError(RallrecError):
    """What is asked for needs a job that nobody has started yet."""


# A browser keeps no answer, and guesses at no type.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
# The first kind that fits gives the status. Whatever is not listed means that something needed is not there: 503.
_STATUS: tuple[tuple[type[RallrecError], int], ...] = (
    (NotLoggedInError, 401),
    (LockedOutError, 429),
    (ForbiddenError, 403),
    (ConflictError, 409),
    (NotLookedUpError, 409),
    (NotFoundError, 404),
    (UsageError, 400),
)


def add_error_answers(app: FastAPI) -> None:
    """Answer every ``RallrecError`` that a route of ``app`` raises."""

    @app.exception_handler(RallrecError)
    async def answer(_request: Request, error: RallrecError) -> JSONResponse:
        return error_answer(error)


def status_of(error: RallrecError) -> int:
    """The HTTP status that says what kind of error it is."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 503)


def error_answer(error: RallrecError) -> JSONResponse:
    """The message as ``problem``; what is ``kept``, for a conflict; and how long to wait, where waiting helps."""
    kept = {"kept": error.kept} if isinstance(error, ConflictError) else {}
    response = problem(str(error), status_of(error), **kept)
    if isinstance(error, LockedOutError):
        response.headers["Retry-After"] = str(int(error.seconds) + 1)
    elif isinstance(error, StorageError):
        response.headers["Retry-After"] = "1"
    return response


def problem(words: str, status: int, **more: Any) -> JSONResponse:
    """Why there is no other answer."""
    return JSONResponse({"problem": words} | more, status_code=status, headers=HEADERS)
