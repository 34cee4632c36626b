"""Errors as HTTP answers: each kind has one status, wherever it is raised."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.shared.errors import add_error_answers, status_of
from backend import errors

STATUS = {
    errors.NotLoggedInError("log in"): 401,
    errors.LockedOutError("too many", 2.5): 429,
    errors.ForbiddenError("not yours"): 403,
    errors.ConflictError("newer", {"version": 2}): 409,
    errors.NotFoundError("no such thing"): 404,
    errors.UsageError("wrong"): 400,
    errors.UnknownNameError("view", "x", ["a"]): 400,
    errors.DataError("broken"): 503,
    errors.NotPreparedError("not yet"): 503,
    errors.StorageError("locked"): 503,
    errors.EngineError("no model"): 503,
}


@pytest.mark.parametrize(("error", "status"), STATUS.items(), ids=lambda value: type(value).__name__)
def test_each_kind_of_error_has_its_status_and_its_words(error: errors.RallrecError, status: int) -> None:
    app = FastAPI()
    add_error_answers(app)

    @app.get("/")
    def fail() -> None:
        raise error

    answer = TestClient(app).get("/")
    assert answer.status_code == status == status_of(error)
    kept = {"kept": {"version": 2}} if status == 409 else {}
    assert answer.json() == {"problem": str(error)} | kept
    assert answer.headers["cache-control"] == "no-store"
    waits = {errors.LockedOutError: "3", errors.StorageError: "1"}
    assert answer.headers.get("retry-after") == waits.get(type(error))
