"""An OpenAI-compatible server that does whatever a test says, right or wrong, over real sockets."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LIKELY = (("Yes", -0.5), ("No", -1.5), ("Maybe", -3.0))


@dataclass(frozen=True)
class ServerRequest:
    """A request. ``number``: how many requests came before it to the same path."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    number: int

    @property
    def said(self) -> str:
        """What its messages say."""
        return "\n".join(message["content"] for message in self.body.get("messages", []))

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))


@dataclass(frozen=True)
class BadReply:
    """``parts`` are sent one after the other, ``pause`` seconds apart; then the connection is ``cut``, or ends well.

    ``silent``: nothing is ever sent.
    """

    parts: Sequence[bytes] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    cut: bool = False
    silent: bool = False


def as_json(value: Any, status: int = 200, **headers: str) -> BadReply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return BadReply([json.dumps(value).encode()], status, {"Content-Type": "application/json", **named})


def refuse(status: int, message: str, **more: Any) -> BadReply:
    return as_json({"error": {"message": message, "type": "error", **more}}, status)


def models(*names: str, **more: Any) -> BadReply:
    return as_json({"object": "list", "data": [{"id": name, **more} for name in names]})


def listing(likely: Sequence[tuple[str, Any]] = LIKELY, prompt_tokens: int | None = 7, text: str = "Yes") -> BadReply:
    """A chat answer of one token with its log probabilities."""
    top = [{"token": token, "logprob": value, "bytes": None} for token, value in likely]
    answer: dict[str, Any] = {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "length",
                "logprobs": {"content": [{**top[0], "top_logprobs": top}]} if top else None,
            }
        ]
    }
    if prompt_tokens is not None:
        answer["usage"] = {"prompt_tokens": prompt_tokens, "completion_tokens": 1}
    return as_json(answer)


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def speech(
    *deltas: str | dict[str, str],
    finish: str | None = "stop",
    tokens: int | None = None,
    pause: float = 0.0,
    cut: bool = False,
) -> BadReply:
    """A stream of a chain's parts."""
    said = [{"content": delta} if isinstance(delta, str) else delta for delta in deltas]
    parts = [event({"choices": [{"index": 0, "delta": delta}]}) for delta in said]
    if finish:
        parts.append(event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
    if tokens is not None:
        parts.append(event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}}))
    if not cut:
        parts.append(b"data: [DONE]\n\n")
    return BadReply(parts, headers={"Content-Type": "text/event-stream"}, pause=pause, cut=cut)


def _say_nothing(*_arguments: Any) -> None:
    pass


class BadServer:
    """``answer(asked)`` says what to do. ``asked``: every request so far; ``most``: the most under way at once;
    ``origin``: what its list says of every model.
    """

    def __init__(self, answer: Callable[[ServerRequest], BadReply], served: Sequence[str]) -> None:
        self._answer, self._served = answer, served
        self.origin: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.asked: list[ServerRequest] = []
        self.under_way, self.most, self.gone = 0, 0, 0
        server = self

        class BadHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.serve(self)

            do_POST = do_GET
            log_message = _say_nothing

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128
            handle_error = _say_nothing

        self._http = Quiet(("127.0.0.1", 0), BadHandler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def of(self, path: str) -> list[ServerRequest]:
        """The requests to ``path``."""
        return [request for request in self.asked if request.path == path]

    @property
    def chats(self) -> list[ServerRequest]:
        return self.of("/v1/chat/completions")

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else {}
        with self._lock:
            number = len(self.of(handler.path))
            request = ServerRequest(handler.path, body, {k.lower(): v for k, v in handler.headers.items()}, number)
            self.asked.append(request)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            self._send(handler, self._reply(request))
        except OSError:
            self.gone += 1
        finally:
            with self._lock:
                self.under_way -= 1

    def _reply(self, request: ServerRequest) -> BadReply:
        if request.path == "/v1/models" and self._served:
            return models(*self._served, **self.origin)
        if request.path in ("/tokenize", "/v1/models"):
            return refuse(404, "Not Found")
        return self._answer(request)

    def _send(self, handler: BaseHTTPRequestHandler, reply: BadReply) -> None:
        if reply.silent:
            while not self.closing.wait(0.02):
                if _left(handler.connection):
                    raise OSError("the client has left")
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in reply.parts:
            handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            handler.wfile.flush()
            time.sleep(reply.pause)
        if reply.cut:
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        handler.wfile.write(b"0\r\n\r\n")


def _left(connection: socket.socket) -> bool:
    connection.settimeout(0.001)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False


@contextmanager
def serving(answer: Callable[[ServerRequest], BadReply], served: Sequence[str] = ("small",)) -> Iterator[BadServer]:
    server = BadServer(answer, served)
    try:
        yield server
    finally:
        server.close()
