"""What can go wrong with a server, each as one error that says what to do. Knows the ``openai`` client's exceptions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from math import isfinite
from time import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from backend.errors import EngineError

URL_SETTING = "RALLREC_SERVER_URL"
_REJECTED = (400, 413, 422)
_KEY_REFUSED = (401, 403)
_TOO_LONG = re.compile(
    r"context[_ ]?(length|size|window)|maximum (context|model) len|max_model_len|prompt is too long"
    r"|too many (input )?tokens",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"(?:maximum context length|context (?:length|size|window))\D{0,24}(\d{2,9})", re.IGNORECASE)
_NEEDED = re.compile(
    r"(?:requested|resulted in|contains(?: at least)?|request)\s*\(?(\d{2,9})[^.]{0,20}?tokens", re.IGNORECASE
)
_LONGEST_MESSAGE = 300
_LONGEST_WAIT = 60.0


class AnswerTooLarge(Exception):
    """A server sent more bytes than an answer may have."""


class ServerFault(EngineError):
    """A request that failed.

    ``transient``: it may succeed if repeated, after ``wait`` seconds where the server says so.
    ``everywhere``: every other request would fail for the same reason. ``status``: of HTTP, None without an answer.
    """

    def __init__(
        self,
        problem: str,
        *,
        expected: str | None = None,
        fix: str | None = None,
        status: int | None = None,
        transient: bool = False,
        everywhere: bool = False,
        wait: float | None = None,
    ) -> None:
        super().__init__(problem, expected=expected, fix=fix)
        self.status, self.transient, self.everywhere, self.wait = status, transient, everywhere, wait

    @property
    def rejected(self) -> bool:
        """Whether the server understood the request and will not do it as it stands."""
        return self.status in _REJECTED


class TooLong(ServerFault):
    """The prompt does not fit the context. ``needed`` and ``limit``: in tokens, where the server told them."""

    def __init__(self, problem: str, needed: int | None, limit: int | None) -> None:
        super().__init__(
            problem,
            expected="a prompt that fits the model's context",
            fix="set fewer tokens per chain (RALLREC_MAX_TOKENS), or choose a model with a longer context",
            status=400,
        )
        self.needed, self.limit = needed, limit


@dataclass(frozen=True)
class Place:
    """The server as errors speak of it. ``key`` is never shown: it is here to be blotted out of what is said."""

    url: str
    key_variable: str
    key: str | None = field(repr=False)
    timeout: float

    @property
    def shown(self) -> str:
        """The address without a user's name and password."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def clean(self, text: str) -> str:
        """Returns what a server said as one short line, without the key."""
        text = text.replace(self.key, "***") if self.key else text
        text = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_MESSAGE]).split())
        return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " ..."

    def without_key(self, error: Exception) -> Exception | None:
        """Returns the error as a cause to show, or None where it quotes the key."""
        return None if self.key and self.key in f"{error} {error!r}" else error

    def bad_answer(self, what: str, *, transient: bool = False) -> ServerFault:
        """Returns the fault of an answer that is not what was asked for; ``what`` says what came."""
        return ServerFault(
            f"The server {self.shown} sent {self.clean(what)}",
            expected="the answers of an OpenAI-compatible server",
            fix=f"look at the server's log, or set {URL_SETTING} to another server",
            transient=transient,
        )

    def cut(self) -> ServerFault:
        """Returns the fault of a stream that broke off."""
        return self.bad_answer("a stream that broke off before the text had ended", transient=True)


def translate(error: Exception, place: Place) -> ServerFault:
    """Returns the fault behind an exception of the ``openai`` client, or of what it stands on."""
    import openai

    if isinstance(error, ServerFault):
        return error
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return ServerFault(
            f"The server {place.shown} was silent for {place.timeout:g} s",
            fix="look whether it is overloaded; ask it for less at once (concurrency), or wait longer (timeout)",
            transient=True,
        )
    if isinstance(error, openai.APIStatusError):
        return _refusal(error.status_code, _message(error), error.response.headers.get("retry-after"), place)
    if isinstance(error, openai.APIConnectionError):
        return ServerFault(
            f"The server {place.shown} cannot be reached: {place.clean(str(error.__cause__ or error))}",
            fix=f"start it, or set {URL_SETTING} to the address where it runs, such as http://127.0.0.1:8000/v1",
            transient=True,
        )
    if isinstance(error, openai.APIError):  # told within a stream
        code = str(error.code or "")
        return _refusal(int(code) if code.isdigit() else 500, _message(error), None, place)
    if isinstance(error, AnswerTooLarge):
        return place.bad_answer(str(error))
    if isinstance(error, (ValueError, RecursionError)):
        return place.bad_answer(f"something that is not JSON ({error})")
    return place.bad_answer(f"an answer that cannot be read ({type(error).__name__}: {error})", transient=True)


def unknown_model(name: str, served: list[str], place: Place) -> ServerFault:
    """Returns the fault that ``name`` is not among the models that the server lists."""
    listed = ", ".join(place.clean(model) for model in sorted(served)[:20]) + (", ..." if len(served) > 20 else "")
    return ServerFault(
        f"The server {place.shown} does not serve the model {name!r}",
        expected=f"one of {listed or '(none)'}",
        fix=f"set the model to one of these names, or {URL_SETTING} to a server that serves it",
        status=404,
        everywhere=True,
    )


def _refusal(status: int, said: str, retry_after: str | None, place: Place) -> ServerFault:
    shown = place.clean(said)
    if status in _REJECTED and _TOO_LONG.search(said):
        needed, limit = _number(_NEEDED, said), _number(_LIMIT, said)
        return TooLong(f"The prompt is too long for the server {place.shown}: {shown}", needed, limit)
    if status in _KEY_REFUSED:
        state = "is not the right one" if place.key else "is not set"
        return ServerFault(
            f"The server {place.shown} refused the key ({status}): {shown}",
            expected=f"a key of this server in the environment variable {place.key_variable}, which {state}",
            fix=f"set {place.key_variable}",
            status=status,
            everywhere=True,
        )
    if status == 404:
        return ServerFault(
            f"The server {place.shown} does not know what was asked for (404): {shown}",
            fix=f"set the model to a name that it serves; {URL_SETTING} usually ends in /v1",
            status=status,
            everywhere=True,
        )
    fix = "look at the server's log"
    if status == 429:
        fix = "wait, or ask it for less at once (concurrency)"
    transient = status == 429 or status >= 500
    problem = f"The server {place.shown} answered {status}: {shown}"
    return ServerFault(problem, fix=fix, status=status, transient=transient, wait=_seconds(retry_after))


def _message(error: Any) -> str:
    """Returns what the server said; servers put it in several places."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        told = inner.get("message") if isinstance(inner, dict) else inner
        kind = " ".join(str(body.get(name)) for name in ("code", "type") if isinstance(body.get(name), str))
        numbers = _llama_cpp_numbers(inner) if isinstance(inner, dict) else ""
        return f"{told or body.get('detail') or error.message} {numbers}{f'[{kind}]' if kind else ''}".strip()
    return str(error.message)


def _llama_cpp_numbers(body: dict[str, Any]) -> str:
    if isinstance(body.get("n_prompt_tokens"), int) and isinstance(body.get("n_ctx"), int):
        return f"(context size {body['n_ctx']}, requested {body['n_prompt_tokens']} tokens) "
    return ""


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return int(match.group(1)) if match else None


def _seconds(retry_after: str | None) -> float | None:
    """Returns the seconds that a ``Retry-After`` header (seconds, or a date) asks for, at most a minute."""
    if not retry_after:
        return None
    try:
        wait = float(retry_after)
    except ValueError:
        try:
            wait = parsedate_to_datetime(retry_after).timestamp() - time()
        except (ValueError, OverflowError):
            return None
    return min(max(wait, 0.0), _LONGEST_WAIT) if isfinite(wait) else None
