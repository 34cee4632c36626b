"""``rallrec labels project``: making one of cached chains, and which there are."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.table import Table

from backend.errors import UsageError
from backend.labelling import ChainFilter, Project
from backend.labelling.tasks import tasks_of
from backend.settings import load_settings
from scripts.console import out, print_json, print_table
from storage.database.connection import open_database
from storage.kept.sample_list import read_samples
from storage.labels.exhibits import exhibits
from storage.labels.projects import create_project, projects
from storage.workspace import Workspace


def create(
    *,
    values: dict[str, Any],
    wanted: dict[str, Any],
    samples: str | None,
    guidelines: str | None,
    members: list[str],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Raises ``UsageError`` for a value that a project does not take, and where no chain fits."""
    settings = load_settings()
    with closing(Workspace(settings)) as workspace:
        values["dataset"] = values["dataset"] or settings.dataset
        bounds = {name: _bounds(name, wanted[name]) for name in ("gap", "variance", "tokens")}
        named: list[tuple[str, str]] = []
        if samples:
            data = workspace.dataset(values["dataset"])
            named = [(data.user_ids[own.user], data.item_ids[own.item]) for own in read_samples(Path(samples), data)]
        project = _project(values | {"guidelines": _text(guidelines), "chains": wanted | bounds | {"samples": named}})
        found = list(exhibits(workspace, project.chains, project.dataset))
        tasks = tasks_of(project, found)
        key = None if dry_run else create_project(workspace.database, project, found, members)
    kept = {(chain.user, chain.item) for own, _ in tasks for chain in own}
    if as_json:
        print_json({"key": key, "tasks": len(tasks), "samples": len(kept)})
        return
    out.print(f"{'Would hold' if dry_run else key}: {len(tasks):,} tasks of {len(kept):,} samples", markup=False)


def list_all(*, as_json: bool) -> None:
    with closing(open_database(load_settings().url)) as database:
        found = projects(database, None)
    if as_json:
        rows = [
            {
                "key": own.key, "name": own.project.name, "open": own.open, "tasks": own.tasks,
                "overlap": own.project.overlap, "submitted": own.submitted,
            }
            for own in found
        ]  # fmt: skip
        print_json({"projects": rows})
        return
    table = Table("key", "name", "open", "tasks", "labels per task", "submitted")
    for own in found:
        cells = own.key, own.project.name, "yes" if own.open else "no", own.tasks, own.project.overlap, own.submitted
        table.add_row(*map(str, cells))
    print_table(table)


def _project(values: dict[str, Any]) -> Project:
    try:
        return Project(**values | {"chains": ChainFilter(**values["chains"])})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][-1]} is {first['input']!r}: {first['msg']}") from error


def _bounds(name: str, given: str) -> tuple[float | None, float | None]:
    """``0.2:0.5``, ``0.2:`` or ``:0.5``."""
    low, colon, high = given.partition(":")
    try:
        if given and not colon:
            raise ValueError
        return float(low) if low.strip() else None, float(high) if high.strip() else None
    except ValueError:
        raise UsageError(f"--{name} is {given!r}", expected="lowest:highest, such as 0.2:0.5 or 0.2:") from None


def _text(file: str | None) -> str:
    if file is None:
        return ""
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", expected="a text file in UTF-8") from error
