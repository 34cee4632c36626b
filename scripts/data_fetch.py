"""``rallrec data fetch``: a published dataset's files, once its licence is accepted."""

from __future__ import annotations

import sys

import typer

from backend.datasets.catalogue import CATALOGUE, Published
from backend.datasets.download import fetch
from backend.errors import UnknownNameError, UsageError
from backend.settings import load_settings
from scripts.console import log, out, print_json, progress_bar


def run(*, name: str, accept_licence: bool, as_json: bool) -> None:
    """Show the licence, fetch what is missing, say how to import it."""
    if name not in CATALOGUE:
        raise UnknownNameError("published dataset", name, CATALOGUE, fix="ml-latest-small ships with the program")
    published = CATALOGUE[name]
    log.print(f"{published.title}. {published.licence}. See {published.page}", markup=False)
    if not accept_licence:
        _ask(published)
    folder = load_settings().home / "downloads" / name
    with progress_bar() as progress:
        files = fetch(published, folder, progress)
    source = files[0] if len(files) == 1 else folder
    command = f"rallrec data import {source} --name {name} --format {published.format}"
    if as_json:
        print_json({"dataset": name, "files": [str(file) for file in files], "command": command})
        return
    out.print(f"{published.title} is in {folder}.", markup=False)
    out.print(f"Next: {command}", markup=False)


def _ask(published: Published) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"The licence of {published.title} has to be accepted first", fix="read it and give --accept-licence"
        )
    if not typer.confirm("Do you accept these conditions?", err=True):
        raise UsageError("Nothing was fetched: the conditions were not accepted")
