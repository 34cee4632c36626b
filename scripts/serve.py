"""``rallrec serve``."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import urllib.request
import webbrowser

import uvicorn

from backend.errors import UsageError
from backend.settings import PREFIX, load_settings
from scripts.console import log


def run(*, host: str | None, port: int | None, profile: str | None, engine: str | None, open_browser: bool) -> None:
    """Serve the app until interrupted."""
    settings = load_settings(host=host, port=port, profile=profile, engine=engine)
    # The app is named, not imported: commands and screens do not know each other. It reads its own settings.
    for name, given in (("PROFILE", profile), ("ENGINE", engine)):
        if given:
            os.environ[PREFIX + name] = given
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        raise UsageError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}",
            fix="choose another with --port, or stop what is listening there",
        ) from error
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    log.print(f"RALLRec+ is starting on {url} (Ctrl-C stops it)", markup=False)
    if open_browser:
        threading.Thread(target=_open_when_ready, args=(url,), daemon=True).start()
    # An open page keeps a stream open for ever: asked to end, the server does not wait for it.
    config = uvicorn.Config("app.server:create_app", factory=True, log_level="warning", timeout_graceful_shutdown=3)
    gc.disable()  # importing Gradio makes little garbage, and looking for it takes 0.6 s of the start
    config.load()
    gc.enable()
    uvicorn.Server(config).run(sockets=[listener])


def _open_when_ready(url: str) -> None:
    for _ in range(120):
        time.sleep(0.5)
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=2).close()
        except OSError:
            continue
        webbrowser.open(url)
        return
