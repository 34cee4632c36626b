"""A view as two files, ``/export/<view>.html`` and ``.json``, by its page's own query: the same way for every view."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from app.shared.errors import HEADERS

# A page that was saved asks for nothing, whatever a title holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Carried:
    """One view on its way into a file. ``name``: of the file, without its ending; ``record``: what JSON is made of,
    without NaN; ``page``: the whole document, given when it was made, in words.
    """

    name: str
    record: Callable[[], Any]
    page: Callable[[str], str]


Carry = Callable[[Request], Carried]


def add_export(app: FastAPI, view: str, carry: Carry) -> None:
    """Serve a view as a page and as JSON. ``carry`` raises ``UsageError`` for a wrong query."""

    def as_page(request: Request) -> Response:
        return page_file(carry(request))

    def as_json(request: Request) -> Response:
        carried = carry(request)
        text = json.dumps(carried.record(), indent=2, ensure_ascii=False, allow_nan=False)
        return Response(text, media_type="application/json", headers=download(f"{carried.name}.json"))

    app.get(f"/export/{view}.html")(as_page)
    app.get(f"/export/{view}.json")(as_json)


def page_file(carried: Carried) -> Response:
    """The view as a page that opens from a disk."""
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return HTMLResponse(carried.page(made), headers=download(f"{carried.name}.html", policy=POLICY))


def download(name: str, policy: str | None = None) -> dict[str, str]:
    """The headers of a file with this name."""
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
    return headers | ({"Content-Security-Policy": policy} if policy else {})
