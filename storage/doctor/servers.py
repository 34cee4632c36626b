"""Asking a model server what it serves: one short request, which can fail in words but not hang."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT = 2.0
# A look-up of the name, or a server that answers drop by drop, knows no timeout of its own.
_DEADLINE = 2 * _TIMEOUT
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Reply:
    """``served``: names of the models, None where there is no list; then ``problem`` says why.

    ``refused``: it answered, and asks for a key, or for another one.
    """

    served: tuple[str, ...] | None
    problem: str = ""
    refused: bool = False


def ask_server(url: str, key: str = "") -> Reply:
    """Returns what ``url``/models lists, within a few seconds; ``key`` is sent along."""
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(_ask(url, key)), daemon=True)
    asking.start()
    asking.join(_DEADLINE)
    return replies[0] if replies else Reply(None, f"no answer within {_DEADLINE:.0f} s")


def is_local(url: str) -> bool:
    """Whether the address is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: a key is for the address that was named."""

    def redirect_request(self, *_asked: Any, **_more: Any) -> None:
        return None


def _ask(url: str, key: str) -> Reply:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        request = urllib.request.Request(f"{url}/models", headers=headers)
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT) as response:
            told = json.loads(response.read(_MOST_BYTES))
        return Reply(tuple(str(model["id"]) for model in told["data"]))
    except urllib.error.HTTPError as error:
        refused = error.code in (401, 403)
        return Reply(None, f"answered {error.code}" + (", it asks for a valid key" if refused else ""), refused)
    except urllib.error.URLError as error:
        return Reply(None, f"cannot be reached: {error.reason}")
    except (ValueError, KeyError, TypeError):
        return Reply(None, "answered something else than a list of models")
    except Exception as error:  # a broken connection has many names, and none is worth more than a line here
        return Reply(None, f"cannot be reached: {error or type(error).__name__}")
