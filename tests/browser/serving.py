"""A real server in a process of its own and a real Chromium, for browser tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Stand-ins in every part, and quick: all that is made ahead from the real dataset takes half a minute.
SCRIPTED = {
    "engine": "scripted",
    "encoder": "scripted",
    "describer": "scripted",
    "collaborative": '{"max_epochs": 1}',
    "align": '{"max_epochs": 1}',
    "map": '{"limit": 0}',
}
CHROMIUM_HINT = (
    "Chromium was not found. Install it from the system's packages, for example: "
    "apt-get install chromium-headless-shell"
)
# The headless shell comes first: opening a page costs it half as much.
_CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
]


def chromium_path() -> str | None:
    """The system's Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, _CHROMIUMS)), None)


def variables(home: Path, **settings: Any) -> dict[str, str]:
    """The environment of a program over ``home``: keywords become ``RALLREC_*`` variables, no others are left."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RALLREC_")}
    return (
        clean
        | {f"RALLREC_{name.upper()}": str(value) for name, value in settings.items()}
        | {"RALLREC_HOME": str(home)}
    )


def precompute(home: Path) -> None:
    """Make all that is made ahead under :data:`SCRIPTED`; prepares the shipped dataset where there is none."""
    command = [sys.executable, "-m", "scripts", "precompute"]
    subprocess.run(command, env=variables(home, **SCRIPTED), check=True, capture_output=True)


@contextmanager
def server(home: Path, module: str | None = None, **settings: Any) -> Iterator[str]:
    """``rallrec serve`` over ``home``; yields its URL once it answers. Keywords become ``RALLREC_*`` variables.

    ``module``: another program to run instead, given the port.
    """
    with served(home, module, **settings) as (url, _):
        yield url


@contextmanager
def served(home: Path, module: str | None = None, **settings: Any) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """As :func:`server`, with the process, for tests that kill it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", *([module, str(port)] if module else ["scripts", "serve", "--port", str(port)])]
    environment = variables(home, **settings)
    log = home / "server.log"
    home.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/{'' if module else 'healthz'}", process, log)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium as a Playwright browser."""
    from playwright.sync_api import sync_playwright

    path = chromium_path()
    if path is None:
        raise RuntimeError(CHROMIUM_HINT)
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield instance
        instance.close()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not answer; its log says:\n{log.read_text()[-3000:]}")
