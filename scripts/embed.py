"""``rallrec embed``."""

from __future__ import annotations

from backend.settings import load_settings
from scripts.console import out, print_json, progress_bar
from storage.vectors import make_vectors
from storage.workspace import Workspace


def run(*, dataset: str | None, fresh: bool, as_json: bool) -> None:
    """Make (or find) the item vectors of a dataset."""
    workspace = Workspace(load_settings(dataset=dataset))
    with progress_bar() as progress:
        data = workspace.dataset(progress=progress)
        engine = workspace.engine(workspace.encoder)
        artifact = make_vectors(data, engine, workspace.artifacts, fresh=fresh, progress=progress)
    report = {"folder": str(artifact.folder), "bundled": artifact.bundled, **artifact.meta}
    if as_json:
        print_json(report)
        return
    rows, width, seconds = (artifact.meta[name] for name in ("rows", "dimensions", "seconds"))
    origin = "shipped with the program" if artifact.bundled else f"in {artifact.folder}"
    out.print(f"{rows:,} vectors of {width} numbers, made in {seconds:,.0f} s, {origin}.", markup=False)
