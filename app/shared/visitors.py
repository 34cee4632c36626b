"""Whose browser a request comes from: a cookie with a random key, given with the first page.

It is no login. It only lets somebody who reloads a page, or comes back tomorrow, still be whoever started a run. The
page has no use for the key, so scripts cannot read it.
"""

from __future__ import annotations

import secrets
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "rallrec_visitor"
_YEAR = 365 * 24 * 3600


class Visitors:
    """ASGI middleware: a page that is fetched without a key brings one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or COOKIE in cookie_parser(Headers(scope=scope).get("cookie", "")):
            await self._app(scope, receive, send)
            return

        async def with_key(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    key = f"{COOKIE}={secrets.token_urlsafe(24)}; Path=/; Max-Age={_YEAR}; HttpOnly; SameSite=Lax"
                    headers.append("set-cookie", key)
            await send(message)

        await self._app(scope, receive, with_key)


def owner_of(request: Any) -> str:
    """Returns the key of whoever sends a request (a ``gradio.Request``): the browser's, or else the page's own."""
    return str(request.cookies.get(COOKIE) or request.session_hash)
