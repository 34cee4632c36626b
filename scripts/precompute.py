"""``rallrec precompute`` and the commands of its single stages."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from backend.errors import UnknownNameError
from backend.settings import load_settings
from backend.training.config import RECIPES
from backend.types import Progress
from scripts.console import log, print_json, print_table, progress_bar
from storage.precompute.artifacts import Artifact
from storage.precompute.plan import Planned, Precompute
from storage.workspace import Workspace

_STATES = {"shipped": "shipped with the program", "missing": "to be made"}


def tune_stage(recipe: str) -> str:
    """The stage that tunes an adapter. Raises ``UnknownNameError``."""
    if recipe not in RECIPES:
        raise UnknownNameError("recipe of tuning", recipe, RECIPES)
    return f"tune-{recipe}"


def run(
    *,
    dataset: str | None,
    until: str | None,
    fresh: list[str],
    dry_run: bool,
    as_json: bool,
    profile: str | None = None,
) -> None:
    """Make what is missing of a dataset's artifacts, or say what would be made."""
    workspace = Workspace(load_settings(dataset=dataset, profile=profile))
    with progress_bar() as progress:
        work = workspace.precompute(workspace.dataset(progress=progress).meta.name)
        plan = work.plan(until, fresh)
        if not dry_run:
            _make(work, until, fresh, progress)
    made = {item.node.stage.kind for item in plan if item.will_run and not dry_run}
    if not dry_run:
        plan = work.plan(until)
    rows = [_row(item, item.node.stage.kind in made) for item in plan]
    if as_json:
        print_json({"dataset": workspace.settings.dataset, "dry_run": dry_run, "artifacts": rows})
        return
    print_table(_table(rows, dry_run))


def _make(work: Precompute, until: str | None, fresh: list[str], progress: Progress) -> None:
    def tell(artifact: Artifact) -> None:
        log.print(f"made {artifact.meta['kind']} in {artifact.meta['seconds']:,.1f} s", markup=False)

    work.run(until, fresh, progress, on_done=tell)


def _row(item: Planned, made_now: bool) -> dict[str, Any]:
    stage, artifact = item.node.stage, item.artifact
    return {
        "stage": stage.name,
        "artifact": stage.kind,
        "state": item.state,
        "why": "made now" if made_now else item.why,
        "folder": str(artifact.folder) if artifact else None,
        "seconds": artifact.meta.get("seconds") if artifact else None,
        "bytes": artifact.bytes if artifact else None,
        "facts": artifact.meta if artifact else None,
    }


def _table(rows: list[dict[str, Any]], dry_run: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "artifact", "state", "seconds", "MB", "would run because" if dry_run else "why"):
        table.add_column(name, justify="right" if name in ("seconds", "MB") else "left")
    for row in rows:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:,.1f}"
        size = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f}"
        why = row["why"] if not dry_run or row["folder"] is None else f"(does not run: {row['why']})"
        cells = (row["stage"], row["artifact"], _STATES.get(row["state"], row["state"]), seconds, size, why)
        table.add_row(*map(Text, cells))  # as text: nothing in it is markup
    return table
