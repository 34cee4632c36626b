"""What commands share: results on standard output, progress and logs on standard error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from backend.errors import UsageError
from backend.types import Progress as Report
from storage.jobs.pace import Pace, sort_of

if TYPE_CHECKING:
    from storage.database.connection import Database
    from storage.workspace import Workspace

out = Console(highlight=False, soft_wrap=True)
log = Console(stderr=True, highlight=False)
# Seconds between two lines of progress where there is no terminal.
LINE_EVERY = 30.0


def say(text: str, style: str | None = None) -> None:
    """Print a line of the result; nothing in it is markup."""
    out.print(text, markup=False, style=style)


def note(text: str) -> None:
    """Print a line beside the result, on standard error; nothing in it is markup."""
    log.print(text, markup=False, soft_wrap=True)


@contextmanager
def open_workspace(**given: Any) -> Iterator[Workspace]:
    """The workspace of the settings, in which the options that were ``given`` win; closed whatever happens."""
    from backend.settings import load_settings
    from storage.workspace import Workspace

    with Workspace(load_settings(**given)) as workspace:
        yield workspace


@contextmanager
def open_settings_database() -> Iterator[Database]:
    """The database that the settings name; closed whatever happens."""
    from backend.settings import load_settings
    from storage.database.connection import open_database

    with closing(open_database(load_settings().url)) as database:
        yield database


def print_table(table: Table) -> None:
    """Print a table, folded to the terminal's width; unfolded where it goes into a file or another program."""
    (out if out.is_terminal else Console(highlight=False, width=250)).print(table)


def print_json(value: Any) -> None:
    """Print one JSON object, alone on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))  # noqa: T201


def checked_out(file: str, fix: str = "") -> Path:
    """The path of a file that is to be written, checked before the work begins. Raises ``UsageError``."""
    path = Path(file)
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise UsageError(f"{path} cannot be written", expected="a file in a folder that exists", fix=fix)
    return path


@contextmanager
def progress_bar() -> Iterator[Report]:
    """A progress function that draws one bar on standard error, relabelled as work goes on.

    Where standard error is no terminal, a line every half minute says how far the work is and how long it may take.
    """
    if not log.is_terminal:
        yield _Lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=log, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        current = ""

        def report(what: str, fraction: float | None) -> None:
            nonlocal current
            if sort_of(what) != current:  # a new kind of work starts its own clock
                bar.reset(task, total=None)
                current = sort_of(what)
            bar.update(task, description=what, total=None if fraction is None else 1.0, completed=fraction or 0.0)

        yield report


class _Lines:
    """Progress for logs: a line every ``LINE_EVERY`` seconds; short work says nothing."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._printed = 0.0

    def __call__(self, what: str, fraction: float | None) -> None:
        now = time.monotonic()
        if self._pace.begins(what, fraction, now):
            self._printed = now
        elif now - self._printed >= LINE_EVERY:
            self._printed = now
            note(f"{what}{_left(fraction, self._pace.left(fraction, now))}")


def _left(fraction: float | None, seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f" ({fraction:.0%}, about {seconds / 60:.0f} min left)" if seconds >= 60 else f" ({fraction:.0%})"
