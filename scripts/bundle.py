"""``rallrec bundle``: what ships with the program (made and checked), and cached results in and out of the database.

Which samples and results ship is ``scripts.shipping``. What takes but seconds to make does not ship: it is large, and
made when it is first needed.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.errors import StorageError, UnknownNameError, UsageError
from scripts.console import checked_out, note, open_workspace, print_json, progress_bar, say
from scripts.options import Json

if TYPE_CHECKING:
    from backend.types import ModelRef
    from storage.precompute.artifacts import Artifact
    from storage.proof import Proof
    from storage.results.transfer import Manifest, ResultsFile
    from storage.shipped import BundleReport
    from storage.workspace import Workspace

bundle = typer.Typer(
    help="What ships with the program, and cached results in and out of the database.",
    epilog="Example: rallrec bundle verify",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@bundle.command(epilog="Example: rallrec bundle build --out my-bundle")
def build(
    out: Annotated[str | None, typer.Option(help="Folder to make or replace (default: the shipped bundle).")] = None,
    results_only: Annotated[
        bool, typer.Option("--results-only", help="Replace the cached results alone, no artifacts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make what ships: artifacts of the settings (missing ones are made) and cached results of the models in use."""
    import shutil

    from storage.precompute.artifacts import BUNDLE
    from storage.shipped import verify_bundle

    folder = Path(out).resolve() if out else BUNDLE
    beside = folder.with_name(f"{folder.name}.new")
    _check_replaceable(folder)
    _check_replaceable(beside)
    with open_workspace() as workspace:
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
    _report(verify_bundle(folder), as_json)


@bundle.command(epilog="Example: rallrec bundle verify my-bundle --json")
def verify(
    folder: Annotated[str | None, typer.Argument(help="A bundle (default: the shipped one).")] = None,
    recompute: Annotated[
        int, typer.Option(min=0, help="Ask the models again for so many drawn answers and P(yes) of chains.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0,
    as_json: Json = False,
) -> None:
    """Check every file of a bundle and every row of its results; exit code 1 where something is damaged.

    With --recompute also where a result differs by more than 0.001 from what its model says now.
    """
    from storage.precompute.artifacts import BUNDLE
    from storage.shipped import verify_bundle

    where = Path(folder) if folder else BUNDLE
    report = verify_bundle(where)
    _report(report, as_json, _proof(where, recompute, seed) if recompute and not report.damaged else None)


@bundle.command(epilog="Example: rallrec bundle export mine.jsonl.gz --model smollm2-135m-instruct")
def export(
    file: Annotated[str, typer.Argument(help="File to write (.jsonl.gz).")],
    model: Annotated[str | None, typer.Option(help="Only results of this model.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Only results with this adapter.")] = None,
    as_json: Json = False,
) -> None:
    """Write cached answers and chains of the database into one file."""
    from storage.inventory import count_results
    from storage.results.transfer import export_results

    path = checked_out(file)
    with open_workspace() as workspace:
        models = _models([counted.model for counted in count_results(workspace.database)], model, adapter)
        written = export_results(workspace.database, path, models=models)
    if as_json:
        print_json(_facts(written))
        return
    say(f"{_counts(written.manifest)} in {path}, {written.bytes / 1e6:,.1f} MB.")


@bundle.command("import", epilog="Example: rallrec bundle import mine.jsonl.gz")
def import_(
    file: Annotated[str, typer.Argument(help="A file that 'rallrec bundle export' wrote.")],
    as_json: Json = False,
) -> None:
    """Add the answers and chains of a file to the database; what is there already stays as it is."""
    from storage.results.transfer import import_results

    with open_workspace() as workspace, progress_bar() as progress:
        imported = import_results(workspace.database, Path(file), progress)
    if as_json:
        added = {"prompts": imported.prompts, "answers": imported.answers, "traces": imported.traces}
        print_json(_facts(imported.file) | {"added": added})
        return
    new = f"{imported.answers:,} answers and {imported.traces:,} chains"
    say(f"{_counts(imported.file.manifest)} in {file}; new: {new}.")


def _make_artifacts(workspace: Workspace) -> list[Artifact]:
    """Every artifact that ships, made where it is missing: hours without a GPU. The scripted engine has no adapters."""
    from backend.engines import makes_up_answers

    work = workspace.precompute()
    extra = not makes_up_answers(workspace.model("tuned").name)
    with progress_bar() as progress:
        work.run(extra=extra, progress=progress, on_done=lambda made: note(f"made {made.folder.name}"))
    return [item.artifact for item in work.plan(extra=extra) if item.artifact and not item.node.stage.quick]


def _put_results(workspace: Workspace, folder: Path) -> None:
    """The samples that ship and all their results, those that are missing made now: hours without a GPU."""
    from backend.batch import BatchListener
    from scripts.evaluate import find_stories_of
    from scripts.reason import CountLog, stop_when_interrupted
    from scripts.shipping import ask, draw_samples, put_front, systems
    from storage.kept.stories import STORIES, write_stories
    from storage.shipped import samples_file, ship_results

    draw_samples(workspace, folder)
    models: set[ModelRef] = set()
    keys: set[str] = set()
    with stop_when_interrupted() as stop, progress_bar() as progress:
        for results in ask(folder, BatchListener(progress, CountLog(progress)), stop):
            note(f"{results.system.name}, {results.system.part}: {len(results.predictions)} predictions")
            if results.system == systems(workspace.settings)[0]:
                put_front(folder, workspace.dataset(), results.predictions)
            models |= results.models
            keys |= results.keys
        write_stories(folder / STORIES, find_stories_of(workspace, samples_file(folder, "test"), progress))
    ship_results(workspace.database, models, folder, keys)


def _check_replaceable(folder: Path) -> None:
    """Raise ``UsageError`` for a folder that holds anything but a bundle: it is not replaced."""
    from storage.precompute.artifacts import META
    from storage.shipped import is_bundle_file

    if not folder.exists():
        return
    is_bundle = folder.is_dir() and all(
        (path / META).is_file() if path.is_dir() else is_bundle_file(path) for path in folder.iterdir()
    )
    if not is_bundle:
        raise UsageError(f"{folder} holds other things than a bundle", expected="a bundle, or a folder to be made")


def _models(known: list[ModelRef], model: str | None, adapter: str | None) -> list[ModelRef]:
    """The models of cached results that the options name. Raises ``UnknownNameError``."""
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


def _proof(folder: Path, count: int, seed: int) -> Proof:
    """Raises ``UsageError`` where there are no results."""
    from backend.settings import load_settings
    from scripts.reason import stop_when_interrupted
    from storage.proof import BundleEngines, recompute
    from storage.results.transfer import read_results
    from storage.shipped import RESULTS, shipped_results

    if shipped_results(folder) is None:
        raise UsageError(f"There are no results in {folder}", expected="a bundle with results to recompute")
    with stop_when_interrupted() as stop, progress_bar() as progress:
        engines = BundleEngines(load_settings(), folder)
        return recompute(read_results(folder / RESULTS)[1], engines, count, seed, progress, stop)


def _report(report: BundleReport, as_json: bool, proof: Proof | None = None) -> None:
    if as_json:
        print_json(report.as_json() | ({"recomputed": asdict(proof)} if proof else {}))
    else:
        size = f"{report.bytes / 1e6:,.1f} MB ({report.compressed / 1e6:,.1f} MB compressed)"
        results = _counts(report.results.manifest) if report.results else "no results"
        say(f"{len(report.artifacts)} artifacts, {results}, {size}, in {report.folder}")
        for line in report.damaged:
            say(f"damaged: {line}")
        for kind, compared in (("answers", proof.answers), ("chains", proof.chains)) if proof else ():
            said = f"recomputed: {compared.count:,} of {compared.of:,} {kind}, largest difference of P(yes) "
            say(said + (f"{compared.largest:.1e}, of {compared.key}" if compared.count else "unknown"))
        if proof and proof.retokenized:
            say(f"not compared: {proof.retokenized:,} chains whose text is read as other tokens than it was written in")
    if report.damaged or (proof and not proof.agrees):
        raise SystemExit(1)
