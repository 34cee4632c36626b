"""``rallrec serve``, and what one asks before it: ``doctor`` and ``settings``."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from backend.errors import UsageError
from scripts.console import note, out, print_json, say
from scripts.options import EngineName, Json, ProfileName

_MARKS = {"ok": "ok     ", "missing": "missing", "optional": "-      "}


def doctor(profile: ProfileName = None, as_json: Json = False) -> None:
    """Print what this machine has (Python, GPU, models, data, database), which profiles it can run, what is missing."""
    # It looks only: it changes nothing and imports no torch.
    from backend.settings import load_settings
    from storage.doctor.checks import check

    findings = check(load_settings(profile=profile))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            fix = f"  ->  {finding.fix}" if finding.fix else ""
            say(f"{_MARKS[finding.state]} {finding.name}: {finding.detail}{fix}")
    if any(finding.state == "missing" for finding in findings):
        raise SystemExit(1)


def settings(profile: ProfileName = None, as_json: Json = False) -> None:
    """Show every setting, its value and where the value came from."""
    from backend.settings import PREFIX, Settings, load_settings, origins
    from storage.precompute.graph import effective_tables
    from storage.roles import engine_tables

    loaded, sources = load_settings(profile=profile), origins({"profile": profile})
    values = loaded.model_dump(mode="json") | effective_tables(loaded) | engine_tables(loaded)
    rows = {
        name: {
            "value": values[name],
            "from": sources[name],
            "variable": f"{PREFIX}{name.upper()}",
            "meaning": field.description,
        }
        for name, field in Settings.model_fields.items()
    }
    if as_json:
        print_json(rows)
        return
    table = Table("setting", "value", "from", "meaning")
    for name, row in rows.items():
        table.add_row(*map(Text, (name, _shown(row["value"]), str(row["from"]), str(row["meaning"]))))
    out.print(table)
    say(f"Set any of them with {PREFIX}NAME in the environment, as name = value in rallrec.toml, or in a profile.")


def _shown(value: Any) -> str:
    """Returns a table as lines of its entries, any other value as text."""
    return "\n".join(f"{name} = {entry}" for name, entry in value.items()) if isinstance(value, dict) else str(value)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (0: any free one).")] = None,
    profile: ProfileName = None,
    engine: EngineName = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open a browser once the app answers.")] = False,
) -> None:
    """Start the web app."""
    import gc
    import socket
    import threading

    import uvicorn

    from backend.settings import PREFIX, load_settings

    loaded = load_settings(host=host, port=port, profile=profile, engine=engine)
    # The app is named, not imported: commands and screens do not know each other. It reads its own settings.
    for name, given in (("PROFILE", profile), ("ENGINE", engine)):
        if given:
            os.environ[PREFIX + name] = given
    listener = socket.socket(socket.AF_INET6 if ":" in loaded.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((loaded.host, loaded.port))
    except OSError as error:
        raise UsageError(
            f"{loaded.host}:{loaded.port} cannot be listened on: {error.strerror}",
            fix="choose another with --port, or stop what is listening there",
        ) from error
    shown = "127.0.0.1" if loaded.host in ("0.0.0.0", "::") else loaded.host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    note(f"RALLRec+ is starting on {url} (Ctrl-C stops it)")
    if open_browser:
        threading.Thread(target=_open_when_ready, args=(url,), daemon=True).start()
    # An open page keeps a stream open for ever: asked to end, the server does not wait for it.
    config = uvicorn.Config("app.server:create_app", factory=True, log_level="warning", timeout_graceful_shutdown=3)
    gc.disable()  # importing Gradio makes little garbage, and looking for it takes 0.6 s of the start
    config.load()
    gc.enable()
    uvicorn.Server(config).run(sockets=[listener])


def _open_when_ready(url: str) -> None:
    import urllib.request
    import webbrowser

    for _ in range(120):
        time.sleep(0.5)
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=2).close()
        except OSError:
            continue
        webbrowser.open(url)
        return
