"""``rallrec evaluate``, ``report`` and ``stories``: what is read out of the answers that are kept. No model runs.

What is not cached for every sample is named, with what to run, and not scored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.errors import StorageError, UsageError
from scripts.console import checked_out, note, open_workspace, print_json, progress_bar, say
from scripts.options import DatasetName, EngineName, Gamma, Json, Limit, Part, ProfileName, Samples, Validation

if TYPE_CHECKING:
    from backend.evaluation.paper.exhibits import Figure, ResultTable
    from backend.evaluation.paper.systems import Evaluation
    from backend.pipeline import Prediction
    from backend.settings import Settings
    from backend.stories import Story
    from backend.types import Progress
    from storage.workspace import Workspace

evaluation = typer.Typer()

# What the models are where the paper's do not run.
_STAND_IN = ", a stand-in for a reasoning model: a small model taught on composed rationales"


@dataclass(frozen=True)
class EvaluateOptions:
    """The options that ``evaluate`` and ``report`` share. ``samples`` and ``validation``: a CSV file, or nothing;
    ``part``: a part of the split, instead of ``samples``.
    """

    samples: str | None = None
    part: str | None = None
    limit: int | None = None
    validation: str | None = None
    gamma: float | None = None
    dataset: str | None = None
    profile: str | None = None
    engine: str | None = None


@evaluation.command(epilog="Example: rallrec evaluate --samples test.csv --validation validation.csv --json")
def evaluate(
    samples: Samples = None,
    part: Part = None,
    limit: Limit = None,
    validation: Validation = None,
    gamma: Gamma = None,
    dataset: DatasetName = None,
    profile: ProfileName = None,
    engine: EngineName = None,
    as_json: Json = False,
) -> None:
    """Compare the systems on a list of samples, and say how readable and grounded the chains are. Runs no model."""
    from scripts.evaluate_tables import show
    from storage.evaluation.report import report

    started = time.perf_counter()
    options = EvaluateOptions(samples, part, limit, validation, gamma, dataset, profile, engine)
    with evaluated(options) as (workspace, known, _):
        results = report(workspace, known)
    results["seconds"] = round(time.perf_counter() - started, 3)
    if as_json:
        print_json(results)
    else:
        show(results)


@contextmanager
def evaluated(options: EvaluateOptions) -> Iterator[tuple[Workspace, Evaluation, Progress]]:
    """The workspace with M_G as RALLRec tunes it, and what is known of the systems.

    Raises ``UsageError`` for lists that cannot be scored.
    """
    from backend.settings import load_settings
    from storage.evaluation.labelled import SampleChoice, check_apart, labelled
    from storage.evaluation.looked_up import LookUp
    from storage.evaluation.systems import evaluate
    from storage.evaluation.ways import own_adapter

    given = {"dataset": options.dataset, "profile": options.profile, "engine": options.engine}
    adapter = own_adapter(load_settings(**given))
    with open_workspace(**given, tuned_adapter=adapter) as workspace, progress_bar() as progress:
        test = labelled(workspace, SampleChoice(options.samples or options.part or "", options.limit), "test")
        held_out = labelled(workspace, SampleChoice(options.validation or ""), "validation")
        check_apart(test, held_out)
        yield workspace, evaluate(workspace, test, held_out, options.gamma, LookUp(progress)), progress


@evaluation.command(epilog="Example: rallrec report --out report.html")
def report(
    out: Annotated[str, typer.Option(help="HTML file to write.")] = "report.html",
    samples: Samples = None,
    part: Part = None,
    limit: Limit = None,
    validation: Validation = None,
    gamma: Gamma = None,
    dataset: DatasetName = None,
    profile: ProfileName = None,
    engine: EngineName = None,
    as_json: Json = False,
) -> None:
    """Write every table and figure of the evaluation into one page that needs no network. Runs no model."""
    from backend.datasets import build_samples, split
    from backend.evaluation.paper.figures import all_figures
    from backend.evaluation.paper.slices import dataset_slices
    from backend.evaluation.paper.tables import all_tables
    from storage.evaluation.report import report

    options = EvaluateOptions(samples, part, limit, validation, gamma, dataset, profile, engine)
    path = checked_out(out)
    started = time.perf_counter()
    with evaluated(options) as (workspace, known, progress):
        progress("drawing", None)
        data = workspace.dataset()
        slices = dataset_slices(data, split(build_samples(data), data, workspace.settings.split), known.samples.rows)
        tables, figures = all_tables(known), all_figures(known, slices)
        results = report(workspace, known)
        command = _command(workspace.settings, options)
        page = _page(data.meta.title, tables, figures, results, command)
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error})", fix="give another file: --out FILE") from error
    written = {
        "file": str(path), "bytes": path.stat().st_size, "tables": [table.key for table in tables],
        "figures": [figure.key for figure in figures], "missing": results["missing"],
        "seconds": round(time.perf_counter() - started, 3),
    }  # fmt: skip
    if as_json:
        print_json(written)
        return
    say(f"{path}: {len(tables)} tables, {len(figures)} figures, {written['bytes']:,} bytes")
    if results["missing"]:
        say(f"Not there yet: {', '.join(results['missing'])}. The page says what to run.")


def _page(
    title: str, tables: tuple[ResultTable, ...], figures: tuple[Figure, ...], results: dict[str, Any],
    command: str,
) -> str:  # fmt: skip
    """The page of ``report``: the numbers of ``evaluate`` (as JSON, too), every table and figure, no link outside."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from backend.evaluation.drawing import draw_panel, draw_table, styles

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
    )
    samples, reasoner = results["samples"], results["models"]["reasoning"]["adapter"] or ""
    return environment.get_template("report.html").render(
        title=title,
        styles=Markup(styles()),
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        version=_version(),
        command=command,
        bar=results["bar"],
        facts=f"{samples['count']:,} samples of {samples['users']:,} users ({results['split']}), {samples['liked']:,} "
        f"liked. What is chosen is chosen on {results['validation']['file']}. In small: 95 % intervals over users.",
        warning=results["interval"]["warning"],
        models={role: _model(ref) for role, ref in results["models"].items()},
        honest=_STAND_IN if reasoner.startswith("reasoner") else "",
        contents=[*tables, *figures],
        tables=[
            {"key": table.key, "title": table.title, "split": table.split, "drawn": draw_table(table),
             "notes": table.notes}
            for table in tables
        ],
        figures=[
            {"key": figure.key, "title": figure.title, "split": figure.split, "missing": figure.missing,
             "run": figure.run, "panels": [draw_panel(panel) for panel in figure.panels], "notes": figure.notes}
            for figure in figures
        ],
        tests=[test | {"said": _difference(test), "p": _p(test["p"])} for test in results["tests"]],
        recipes=[
            {"name": name, "recipe": system["recipe"], "cached": f"{system['cached']:,}", "about": system["about"],
             "seconds": "–" if system["seconds"] is None else f"{system['seconds']:.3g}"}
            for name, system in (results["systems"] | results["variants"]).items()
        ],
        data=results | {
            "tables": {table.key: table.records() for table in tables},
            "figures": {figure.key: figure.records() for figure in figures},
        },
    )  # fmt: skip


def _difference(test: dict[str, Any]) -> str:
    if test["value"] is None:
        return "not defined"
    bounds = "" if test["low"] is None else f" ({test['low']:+.3f} to {test['high']:+.3f})"
    return f"{test['value']:+.3f}{bounds}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _model(ref: dict[str, Any]) -> str:
    return str(ref["name"]) + (f" with {ref['adapter']}" if ref["adapter"] else ", untuned")


def _command(settings: Settings, options: EvaluateOptions) -> str:
    from backend.commands import command_line

    given = {name: getattr(options, name) for name in ("samples", "part", "limit", "validation", "gamma")}
    said = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    return command_line(settings, "report", *said)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"rallrec-plus {version('rallrec-plus')}"
    except PackageNotFoundError:
        return "rallrec-plus"


@evaluation.command(epilog="Example: rallrec stories --out my-stories.json")
def stories(
    samples: Annotated[
        str | None, typer.Option(help="CSV file with the columns user,item: where to look (default: the shipped one).")
    ] = None,
    out: Annotated[str | None, typer.Option(help="JSON file to write.")] = None,
    as_json: Json = False,
) -> None:
    """Find walkthroughs in what is cached: for each kind, the sample that tells it best. Runs no model."""
    from backend.commands import command_line
    from storage.kept.stories import write_stories
    from storage.precompute.artifacts import BUNDLE
    from storage.shipped import samples_file

    path = checked_out(out, "give another --out") if out is not None else None
    with open_workspace() as workspace, progress_bar() as progress:
        file = Path(samples) if samples else samples_file(BUNDLE, "test")
        by_kind = find_stories_of(workspace, file, progress)
        gammas = [word for gamma in ("0.5", repr(2 / 3), "0.8") for word in ("--gamma", gamma)]
        told = ("--knowledge", "none", "--knowledge", "paper", "--samples", str(file))
        fix = command_line(workspace.settings, "reason", *gammas, *told)
    if not by_kind:
        raise UsageError(
            "No story was found: none of these samples has the results that stories are told about",
            expected="answers and chains for gamma 1/2, 2/3 and 4/5, with and without injected knowledge",
            fix=fix,
        )
    if path:
        write_stories(path, by_kind)
    if as_json:
        print_json({key: story.model_dump(mode="json") for key, story in by_kind.items()})
        return
    for story in by_kind.values():
        say(f"{story.title}. {story.about}")
        for number, step in enumerate(story.steps, start=1):
            say(f"  {number}. {step.sentence}\n     {step.view}")
    if path:
        note(f"Written: {path}")


def find_stories_of(workspace: Workspace, samples: Path, progress: Progress) -> dict[str, Story]:
    """The stories that the cached results of a list of samples tell, by kind."""
    from backend.batch import unasked_predictions
    from backend.stories import Told, find_stories
    from backend.stories.finder import RECENT, RELEVANT, USUAL
    from storage.evaluation.ways import KNOWLEDGE
    from storage.kept.sample_list import read_samples
    from storage.results.lookup import look_up
    from storage.results.unknown import only_unknown

    pipeline, data, unknown = workspace.pipeline(), workspace.dataset(), only_unknown(workspace)
    recipes = [
        workspace.recipe(gamma=gamma, knowledge=wording)
        for gamma, wording in product((USUAL, RECENT, RELEVANT), KNOWLEDGE)
    ]
    told = []
    listed = read_samples(samples, data)
    for number, sample in enumerate(listed):
        progress("looking for stories", number / len(listed))
        unasked = unasked_predictions(pipeline, [(sample.user, sample.item)], recipes)
        known = [look_up(pipeline, prediction.question, prediction.recipe, unknown=unknown) for prediction in unasked]
        complete: dict[tuple[float, str], Prediction] = {
            (prediction.recipe.retrieval.gamma, prediction.recipe.prompting.knowledge): prediction
            for prediction in known
            if prediction.complete
        }
        label = known[0].question.label
        if complete and label is not None:
            title = data.item_label(sample.item)
            told.append(Told(data.user_ids[sample.user], data.item_ids[sample.item], title, label, complete))
    return find_stories(told)
