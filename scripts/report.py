"""``rallrec report``: every table and figure of the evaluation as one page that needs no network. Runs no model.

The numbers are those of ``rallrec evaluate``; the page holds them as JSON too.
"""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from backend.datasets import build_samples, split
from backend.errors import StorageError
from backend.evaluation.drawing import draw_panel, draw_table, styles
from backend.evaluation.exhibits import Figure, Table
from backend.evaluation.slices import dataset_slices
from scripts.console import checked_out, out, print_json
from scripts.evaluate import Asked, evaluated
from storage.evaluation.exhibits import all_figures, all_tables
from storage.evaluation.report import report
from storage.workspace import Workspace

# What the models are where the paper's do not run.
_STAND_IN = ", a stand-in for a reasoning model: a small model taught on composed rationales"


def run(asked: Asked, *, out_file: str, as_json: bool) -> None:
    """Write the page. Raises ``UsageError`` for lists that cannot be scored, ``StorageError`` where it cannot be
    written.
    """
    path = checked_out(out_file)
    started = time.perf_counter()
    with evaluated(asked) as (workspace, own, scored, progress):
        progress("drawing", None)
        data = workspace.dataset()
        slices = dataset_slices(data, split(build_samples(data), data, workspace.settings.split), own.samples.rows)
        tables, figures = all_tables(own, scored), all_figures(own, slices)
        found = report(workspace, own, scored)
        page = _page(workspace, tables, figures, found, asked)
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error})", fix="give another file: --out FILE") from error
    said = {
        "file": str(path), "bytes": path.stat().st_size, "tables": [own.key for own in tables],
        "figures": [own.key for own in figures], "missing": found["missing"],
        "seconds": round(time.perf_counter() - started, 3),
    }  # fmt: skip
    if as_json:
        print_json(said)
        return
    out.print(f"{path}: {len(tables)} tables, {len(figures)} figures, {said['bytes']:,} bytes", markup=False)
    if found["missing"]:
        out.print(f"Not there yet: {', '.join(found['missing'])}. The page says what to run.", markup=False)


def _page(
    workspace: Workspace, tables: tuple[Table, ...], figures: tuple[Figure, ...], found: dict[str, Any], asked: Asked
) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
    )
    own, meta = found["samples"], workspace.dataset().meta
    reasoner = found["models"]["reasoning"]["adapter"] or ""
    return environment.get_template("report.html").render(
        title=meta.title,
        styles=Markup(styles()),
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        version=_version(),
        command=_command(asked),
        facts=f"{own['count']:,} samples of {own['users']:,} users ({found['split']}), {own['liked']:,} liked. What is "
        f"chosen is chosen on {found['validation']['file']}. In small: 95 % intervals over users.",
        models={role: _model(ref) for role, ref in found["models"].items()},
        honest=_STAND_IN if reasoner.startswith("reasoner") else "",
        contents=[*tables, *figures],
        tables=[
            {"key": one.key, "title": one.title, "split": one.split, "drawn": draw_table(one), "notes": one.notes}
            for one in tables
        ],
        figures=[
            {"key": one.key, "title": one.title, "split": one.split, "missing": one.missing, "run": one.run,
             "panels": [draw_panel(panel) for panel in one.panels], "notes": one.notes}
            for one in figures
        ],
        tests=[
            each | {"said": _difference(each), "p": _p(each["p"])} for each in found["tests"]
        ],
        recipes=[
            {"name": name, "recipe": each["recipe"], "cached": f"{each['cached']:,}", "about": each["about"],
             "seconds": "–" if each["seconds"] is None else f"{each['seconds']:.3g}"}
            for name, each in (found["systems"] | found["variants"]).items()
        ],
        data=found | {
            "tables": {one.key: one.records() for one in tables},
            "figures": {one.key: one.records() for one in figures},
        },
    )  # fmt: skip


def _difference(own: dict[str, Any]) -> str:
    if own["value"] is None:
        return "not defined"
    bounds = "" if own["low"] is None else f" ({own['low']:+.3f} to {own['high']:+.3f})"
    return f"{own['value']:+.3f}{bounds}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _model(ref: dict[str, Any]) -> str:
    return str(ref["name"]) + (f" with {ref['adapter']}" if ref["adapter"] else ", untuned")


def _command(asked: Asked) -> str:
    named = {name: value for name, value in vars(asked).items() if value is not None}
    return " ".join(["rallrec report", *(f"--{name} {value}" for name, value in named.items())])


def _version() -> str:
    try:
        return f"rallrec-plus {version('rallrec-plus')}"
    except PackageNotFoundError:
        return "rallrec-plus"
