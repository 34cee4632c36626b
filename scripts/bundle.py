"""``rallrec bundle``: what ships with the program (made and checked), and cached results in and out of the database.

What takes but seconds to make does not ship: it is large, and made when it is first needed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from backend.batch import BatchListener
from backend.errors import StorageError, UnknownNameError, UsageError
from backend.settings import load_settings
from backend.types import ModelRef
from scripts.console import checked_out, log, out, print_json, progress_bar
from scripts.reason import Teller, stop_when_interrupted
from scripts.shipping import ask, draw_samples, put_front, systems
from scripts.stories import find
from storage.inventory import count_results
from storage.kept.stories import STORIES, write_stories
from storage.precompute.artifacts import BUNDLE, META, Artifact
from storage.results.file import Manifest, ResultsFile
from storage.results.transfer import export_results, import_results
from storage.roles import SCRIPTED
from storage.shipped import BundleReport, is_bundle_file, samples_file, ship_results, verify_bundle
from storage.workspace import Workspace


def build(*, to: str | None, results_only: bool, as_json: bool) -> None:
    """Make what is missing of the artifacts that ship, and replace a bundle with them and the cached results."""
    folder = Path(to).resolve() if to else BUNDLE
    beside = folder.with_name(f"{folder.name}.new")
    _check_replaceable(folder)
    _check_replaceable(beside)
    workspace = Workspace(load_settings())
    if results_only:
        _put_results(workspace, folder)
    else:
        shutil.rmtree(beside, ignore_errors=True)
        try:
            beside.mkdir(parents=True)
            for artifact in _make_artifacts(workspace):
                # Some libraries write files that their owner alone may read; what ships is read by others too.
                shutil.copytree(artifact.folder, beside / artifact.folder.name, copy_function=shutil.copyfile)
            _put_results(workspace, beside)
            shutil.rmtree(folder, ignore_errors=True)
            beside.rename(folder)
        except OSError as error:
            raise StorageError(f"{folder} cannot be written ({error})", fix="give another --out") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    workspace.close()
    _report(verify_bundle(folder), as_json)


def verify(*, folder: str | None, as_json: bool) -> None:
    """Check every file of a bundle and every row of its results; exit code 1 where something is damaged."""
    _report(verify_bundle(Path(folder) if folder else BUNDLE), as_json)


def export_file(*, file: str, model: str | None, adapter: str | None, as_json: bool) -> None:
    """Write cached results of the database into one file."""
    path = checked_out(file)
    workspace = Workspace(load_settings())
    chosen = _chosen([found.model for found in count_results(workspace.database)], model, adapter)
    written = export_results(workspace.database, path, models=chosen)
    workspace.close()
    if as_json:
        print_json(_facts(written))
        return
    out.print(f"{_counts(written.manifest)} in {path}, {written.bytes / 1e6:,.1f} MB.", markup=False)


def import_file(*, file: str, as_json: bool) -> None:
    """Add the results of a file that are not in the database yet."""
    workspace = Workspace(load_settings())
    with progress_bar() as progress:
        imported = import_results(workspace.database, Path(file), progress)
    workspace.close()
    if as_json:
        added = {"prompts": imported.prompts, "answers": imported.answers, "traces": imported.traces}
        print_json(_facts(imported.file) | {"added": added})
        return
    new = f"{imported.answers:,} answers and {imported.traces:,} chains"
    out.print(f"{_counts(imported.file.manifest)} in {file}; new: {new}.", markup=False)


def _make_artifacts(workspace: Workspace) -> list[Artifact]:
    """Every artifact that ships, made where it is missing: hours without a GPU. The scripted engine has no adapters."""
    work = workspace.precompute()
    extra = workspace.model("tuned").name != SCRIPTED.name
    with progress_bar() as progress:
        work.run(
            extra=extra, progress=progress, on_done=lambda made: log.print(f"made {made.folder.name}", markup=False)
        )
    return [item.artifact for item in work.plan(extra=extra) if item.artifact and not item.node.stage.quick]


def _put_results(workspace: Workspace, folder: Path) -> None:
    """The samples that ship and all their results, those that are missing made now: hours without a GPU."""
    draw_samples(workspace, folder)
    models: set[ModelRef] = set()
    keys: set[str] = set()
    with stop_when_interrupted() as stop, progress_bar() as progress:
        for asked in ask(folder, BatchListener(progress, Teller(progress)), stop):
            log.print(f"{asked.system.name}, {asked.system.part}: {len(asked.predictions)} predictions", markup=False)
            if asked.system == systems(workspace.settings)[0]:
                put_front(folder, workspace.dataset(), asked.predictions)
            models |= asked.models
            keys |= asked.keys
        write_stories(folder / STORIES, find(workspace, samples_file(folder, "test"), progress))
    ship_results(workspace.database, models, folder, keys)


def _check_replaceable(folder: Path) -> None:
    """Nothing but a bundle is ever replaced by one."""
    if not folder.exists():
        return
    is_bundle = folder.is_dir() and all(
        (path / META).is_file() if path.is_dir() else is_bundle_file(path) for path in folder.iterdir()
    )
    if not is_bundle:
        raise UsageError(f"{folder} holds other things than a bundle", expected="a bundle, or a folder to be made")


def _chosen(known: list[ModelRef], model: str | None, adapter: str | None) -> list[ModelRef]:
    if model is not None and model not in {ref.name for ref in known}:
        raise UnknownNameError("model of cached results", model, {ref.name for ref in known})
    of_model = [ref for ref in known if model in (None, ref.name)]
    adapters = {ref.adapter for ref in of_model if ref.adapter}
    if adapter is not None and adapter not in adapters:
        raise UnknownNameError("adapter of cached results", adapter, adapters)
    return [ref for ref in of_model if adapter in (None, ref.adapter)]


def _facts(file: ResultsFile) -> dict[str, Any]:
    manifest = file.manifest.model_dump(mode="json")
    return {"file": str(file.path), "bytes": file.bytes, "sha256": file.sha256, "manifest": manifest}


def _counts(manifest: Manifest) -> str:
    return f"{manifest.answers:,} answers and {manifest.traces:,} chains of {len(manifest.models):,} model(s)"


def _report(report: BundleReport, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
    else:
        size = f"{report.bytes / 1e6:,.1f} MB ({report.compressed / 1e6:,.1f} MB compressed)"
        results = _counts(report.results.manifest) if report.results else "no results"
        out.print(f"{len(report.artifacts)} artifacts, {results}, {size}, in {report.folder}", markup=False)
        for line in report.damaged:
            out.print(f"damaged: {line}", markup=False)
    if report.damaged:
        raise SystemExit(1)
