"""What commands share: results on standard output, progress and logs on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from backend.types import Progress as Report

out = Console(highlight=False, soft_wrap=True)
log = Console(stderr=True, highlight=False)


def print_table(table: Table) -> None:
    """A table, folded to the terminal's width; unfolded where it goes into a file or another program."""
    (out if out.is_terminal else Console(highlight=False, width=250)).print(table)


def print_json(value: Any) -> None:
    """One JSON object, alone on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))  # noqa: T201


@contextmanager
def progress_bar() -> Iterator[Report]:
    """A progress function that draws one bar on standard error (if that is a terminal), relabelled as work goes on."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=log, transient=True, disable=not log.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        current = ""

        def report(what: str, fraction: float | None) -> None:
            nonlocal current
            if what != current:  # a new kind of work starts its own clock
                bar.reset(task, total=None)
                current = what
            bar.update(task, description=what, total=None if fraction is None else 1.0, completed=fraction or 0.0)

        yield report
