"""``rallrec labels``: projects, label files, agreement, backups and the list of changes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from backend.errors import DataError, UnknownNameError, UsageError
from scripts.console import (
    checked_out,
    note,
    open_settings_database,
    open_workspace,
    print_json,
    print_table,
    say,
)
from scripts.options import Json

if TYPE_CHECKING:
    from backend.labelling import Judgement, Label, Project
    from backend.labelling.agreement import AgreementReport
    from backend.labelling.measures import Measure
    from storage.database.connection import Database
    from storage.labels.backup import Copied

labels = typer.Typer(
    help="Labels of reasoning chains: projects, files, agreement, backups, and who changed what.",
    epilog="Example: rallrec labels backup labels.db",
    no_args_is_help=True,
    rich_markup_mode=None,
)
projects = typer.Typer(
    help="Projects: which chains are labelled, by whom.",
    epilog="Example: rallrec labels project list",
    no_args_is_help=True,
    rich_markup_mode=None,
)
labels.add_typer(projects, name="project")

ProjectKey = Annotated[
    str | None, typer.Option("--project", help="A project's key (default: the only one; see 'project list').")
]
Source = Annotated[str | None, typer.Option("--from", help="Read this canonical file, not the database.")]

STATUSES = ("submitted", "all", "resolved")
SETUP = "label-studio-setup"
_RANGE = "lowest:highest, either may be left out"
_CONFLICTS_SHOWN = 5


@labels.command(epilog="Example: rallrec labels backup labels.db")
def backup(file: Annotated[str, typer.Argument(help="File to write, or to replace.")], as_json: Json = False) -> None:
    """Copy the whole database into one file, while it is in use (SQLite)."""
    from storage.labels import backup as backups

    path = checked_out(file)
    with open_settings_database() as database:
        _say_copied("Written", backups.backup(database, path), as_json)


@labels.command(epilog="Example: rallrec labels restore labels.db")
def restore(
    file: Annotated[str, typer.Argument(help="A file that 'rallrec labels backup' wrote.")], as_json: Json = False
) -> None:
    """Put a backup in the place of the database, which is kept beside it. Refused while a server runs."""
    from backend.settings import load_settings
    from storage.labels import backup as backups

    _say_copied("Restored", backups.restore(load_settings().url, Path(file)), as_json)


def _say_copied(done: str, copied: Copied, as_json: bool) -> None:
    replaced = str(copied.replaced) if copied.replaced else None
    if as_json:
        print_json({"file": str(copied.file), "bytes": copied.bytes, "labels": copied.labels, "replaced": replaced})
        return
    say(f"{done}: {copied.file} ({copied.bytes:,} bytes, {copied.labels:,} labels)")
    if replaced:
        say(f"What was there before: {replaced}")


@labels.command(epilog="Example: rallrec labels audit --limit 20")
def audit(
    about: Annotated[str | None, typer.Option(help="Only changes of this: a name, a key, a task, a label.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many, the latest ones.")] = None,
    as_json: Json = False,
) -> None:
    """Say who changed what, the newest first."""
    from storage.labels.audit import changes

    with open_settings_database() as database:
        listed = list(changes(database, about, limit))
    if as_json:
        print_json({"changes": [change.__dict__ | {"at": change.at.isoformat()} for change in listed]})
        return
    for change in listed:
        when = change.at.strftime("%Y-%m-%d %H:%M:%S")
        sides = " -> ".join(json.dumps(side, ensure_ascii=False) for side in (change.before, change.after) if side)
        say(f"{when}  {change.who}  {change.what}  {change.about}  {sides}".rstrip())


@projects.command("list", epilog="Example: rallrec labels project list --json")
def list_projects(as_json: Json = False) -> None:
    """List all projects and how far they are."""
    from storage.labels.projects import projects

    with open_settings_database() as database:
        listed = projects(database, None)
    if as_json:
        rows = [
            {
                "key": row.key, "name": row.project.name, "open": row.open, "tasks": row.tasks,
                "overlap": row.project.overlap, "submitted": row.submitted,
            }
            for row in listed
        ]  # fmt: skip
        print_json({"projects": rows})
        return
    table = Table("key", "name", "open", "tasks", "labels per task", "submitted")
    for row in listed:
        cells = row.key, row.project.name, "yes" if row.open else "no", row.tasks, row.project.overlap, row.submitted
        table.add_row(*map(str, cells))
    print_table(table)


@projects.command(epilog="Example: rallrec labels project create Pilot --overlap 2 --limit 50 --member ann")
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    member: Annotated[list[str] | None, typer.Option(help="Who may label in it (repeatable).")] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset name (default: the setting 'dataset').")] = None,
    mode: Annotated[str, typer.Option(help="chain: one at a time; pair: which of two is better.")] = "chain",
    overlap: Annotated[int, typer.Option(help="Labels per task, each by another person.")] = 1,
    order: Annotated[str, typer.Option(help="random, disagreement (of M_R and M_G) or variance (of M_R).")] = "random",
    seed: Annotated[int, typer.Option(help="Seed of the order.")] = 0,
    open_eyed: Annotated[bool, typer.Option("--not-blind", help="Show what happened and what models said.")] = False,
    first_error: Annotated[
        bool, typer.Option("--first-error", help="Leave the steps behind the first bad one.")
    ] = False,
    minutes: Annotated[int, typer.Option(help="How long a task is reserved for who works on it.")] = 30,
    gold: Annotated[float, typer.Option(help="Share of hidden tasks with a known label, 0 to 1.")] = 0.0,
    qualification: Annotated[int, typer.Option(help="How many known tasks come first.")] = 0,
    guidelines: Annotated[str | None, typer.Option(help="Text file with what labellers are told.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many samples, the first in the order.")] = None,
    chains: Annotated[int | None, typer.Option(min=1, help="Only so many chains of each sample.")] = None,
    samples: Annotated[str | None, typer.Option(help="CSV file with the columns user,item: only these.")] = None,
    gap: Annotated[str, typer.Option(help=f"|P_R - P_G| of the sample: {_RANGE}.")] = "",
    variance: Annotated[str, typer.Option(help=f"Variance of the sample's chains: {_RANGE}.")] = "",
    tokens: Annotated[str, typer.Option(help=f"Length of the chain: {_RANGE}.")] = "",
    outcome: Annotated[str, typer.Option(help="any, correct, wrong or no_answer.")] = "any",
    knowledge: Annotated[str, typer.Option(help="Injected sentence: any, none, paper or graded.")] = "any",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it would hold; make nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make a project of cached chains of the settings' recipe. No model is run."""
    from backend.labelling.tasks import tasks_of
    from storage.kept.sample_list import read_samples
    from storage.labels.exhibits import exhibits
    from storage.labels.projects import create_project

    with open_workspace() as workspace:
        dataset = dataset or workspace.settings.dataset
        ranges = {"gap": gap, "variance": variance, "tokens": tokens}
        chosen: dict[str, Any] = {
            "limit": limit, "chains_per_sample": chains, "outcome": outcome, "knowledge": knowledge, "samples": [],
        }  # fmt: skip
        chosen |= {option: _bounds(option, given) for option, given in ranges.items()}
        if samples:
            data = workspace.dataset(dataset)
            listed = read_samples(Path(samples), data)
            chosen["samples"] = [(data.user_ids[sample.user], data.item_ids[sample.item]) for sample in listed]
        project = _project(
            name=name, dataset=dataset, mode=mode, overlap=overlap, order=order, seed=seed, blind=not open_eyed,
            first_error=first_error, minutes=minutes, gold=gold, qualification=qualification,
            guidelines=_text(guidelines), chains=chosen,
        )  # fmt: skip
        shown = list(exhibits(workspace, project.chains, project.dataset))
        tasks = tasks_of(project, shown)
        key = None if dry_run else create_project(workspace.database, project, shown, member or [])
    pairs = {(chain.user, chain.item) for task_chains, _ in tasks for chain in task_chains}
    if as_json:
        print_json({"key": key, "tasks": len(tasks), "samples": len(pairs)})
        return
    say(f"{'Would hold' if dry_run else key}: {len(tasks):,} tasks of {len(pairs):,} samples")


def _project(**values: Any) -> Project:
    """Raises ``UsageError`` for a value that a project does not take."""
    from pydantic import ValidationError

    from backend.labelling import ChainFilter, Project

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


@labels.command(epilog="Example: rallrec labels export spring.jsonl --status all")
def export(
    file: Annotated[str, typer.Argument(help="File to write.")],
    project: ProjectKey = None,
    source: Source = None,
    format: Annotated[
        str, typer.Option(help="jsonl, csv, parquet, prm800k, trl, preference, label-studio or label-studio-setup.")
    ] = "jsonl",
    status: Annotated[str, typer.Option(help="submitted, all (skipped and drafts too) or resolved.")] = "submitted",
    as_json: Json = False,
) -> None:
    """Write a project's labels into a file. 'jsonl' is whole, and imports back."""
    from backend.labelling.formats import FORMATS
    from backend.labelling.formats.label_studio import setup

    if format not in (*FORMATS, SETUP):
        raise UnknownNameError("format", format, (*FORMATS, SETUP))
    if status not in STATUSES:
        raise UnknownNameError("status of labels", status, STATUSES)
    path = checked_out(file)
    if format == SETUP:
        path.write_text(setup(), "utf-8")
        rows = 0
    else:
        rows = _write(path, format, _read(project, source).of_status(status))
    if as_json:
        print_json({"file": str(path), "format": format, "status": status, "rows": rows})
        return
    say(f"Written: {path} ({rows:,} rows, {format}, {status} labels)")


def _write(path: Path, name: str, written: list[Label]) -> int:
    """Write a file and put it into place at once, so that a reader never sees half of it."""
    from backend.labelling.formats import file_format

    half = path.with_name(f".{path.name}.half")
    try:
        with half.open("wb") as stream:
            rows = file_format(name).write(written, stream)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
    return rows


@labels.command("import", epilog="Example: rallrec labels import spring.jsonl")
def import_(
    file: Annotated[str, typer.Argument(help="A file that 'rallrec labels export' wrote as jsonl.")],
    as_json: Json = False,
) -> None:
    """Add the labels of a file, with the projects, chains and people they need; what is there already stays."""
    from backend.labelling.formats import read_labels
    from storage.labels.taking_over import take_over

    with open_settings_database() as database, _lines(file) as lines:
        counts = take_over(database, read_labels(lines, file))
    if as_json:
        print_json(
            {
                "new": counts.new, "same": counts.same, "conflicting": list(counts.conflicting),
                "projects": list(counts.projects),
            }
        )  # fmt: skip
        return
    say(f"{counts.new:,} labels are new, {counts.same:,} were here already")
    if counts.conflicting:
        shown = ", ".join(counts.conflicting[:_CONFLICTS_SHOWN])
        more = len(counts.conflicting) - _CONFLICTS_SHOWN
        note(
            f"{len(counts.conflicting):,} say something else than what is here and were left out: {shown}"
            + (f" and {more:,} more" if more > 0 else "")
        )
    for key in counts.projects:
        note(f"The project {key} has other rules here; these stay")


@labels.command(epilog="Example: rallrec labels agreement --json")
def agreement(project: ProjectKey = None, source: Source = None, as_json: Json = False) -> None:
    """Say how well people agree: percent, Krippendorff's alpha, Gwet's AC1 / AC2, Cohen's kappa, with intervals."""
    from backend.labelling.agreement import record, report

    read = _read(project, source)
    measured = report(read.of_status("submitted"), read.known)
    if as_json:
        print_json(record(measured))
        return
    say(
        f"{measured.labels:,} submitted labels of {measured.tasks:,} tasks by {len(measured.people)} people; "
        f"{measured.shared:,} tasks have two or more. In brackets: 95 % intervals over tasks."
    )
    print_table(_dimensions(measured))
    if measured.gold:
        print_table(_gold(measured))
    measures = (m for agreed in measured.dimensions for m in (agreed.percent, agreed.alpha, agreed.gwet))
    for why in sorted({measure.why for measure in measures if measure.why}):
        note(f"- : {why}")


def _dimensions(measured: AgreementReport) -> Table:
    from backend.labelling.agreement import gwet_name

    table = Table("of", box=None, pad_edge=False)
    for name in ("shared", "percent", "Krippendorff's alpha", "Gwet", "Cohen's kappa, least to most"):
        table.add_column(name, justify="right", no_wrap=True)
    for agreed in measured.dimensions:
        kappas = sorted(pair.kappa.value for pair in agreed.pairs if not math.isnan(pair.kappa.value))
        table.add_row(
            agreed.dimension.label,
            f"{agreed.shared:,}",
            _shown(agreed.percent),
            _shown(agreed.alpha),
            f"{gwet_name(agreed.dimension)[-3:].upper()} {_shown(agreed.gwet)}",
            f"{kappas[0]:.2f} to {kappas[-1]:.2f} of {len(kappas)}" if kappas else "-",
        )
    return table


def _gold(measured: AgreementReport) -> Table:
    table = Table("on gold tasks", box=None, pad_edge=False)
    for name in ("tasks", "steps right", "scales off by", "verdict right", "pairs right"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in measured.gold:
        measures = (row.steps, row.scales, row.verdict, row.preferred)
        table.add_row(row.person, str(row.tasks), *map(_shown, measures))
    return table


def _shown(measure: Measure) -> str:
    if math.isnan(measure.value):
        return "-"
    return f"{measure.value:.2f}" + ("" if math.isnan(measure.low) else f" [{measure.low:.2f}, {measure.high:.2f}]")


@dataclass(frozen=True)
class _LabelSource:
    """What was read from a canonical file, or of a project of the database."""

    labels: list[Label]
    resolved: list[Label]
    known: Mapping[str, Judgement]

    def of_status(self, status: str) -> list[Label]:
        if status == "resolved":
            return self.resolved
        return [label for label in self.labels if status in ("all", label.status)]


def _read(project: str | None, source: str | None) -> _LabelSource:
    """Raises ``UsageError`` where it is not clear which project is meant, ``DataError`` for a broken file."""
    from backend.labelling.formats import read_labels
    from storage.labels import records

    if source is None:
        with open_settings_database() as database:
            key = project or _only_project(database)
            known = records.known_answers(database, key)
            return _LabelSource(list(records.labels(database, key)), list(records.resolved(database, key)), known)
    with _lines(source) as lines:
        read = [label for label in read_labels(lines, source) if project in (None, label.project_key)]
    keys = {label.project_key for label in read}
    if len(keys) > 1:
        raise UsageError(
            f"{source} holds labels of {len(keys)} projects", expected=f"--project {' or '.join(sorted(keys))}"
        )
    resolved = [label for label in read if label.kind == "resolved"]
    known = {label.task: label.judgement for label in resolved if label.gold}
    return _LabelSource([label for label in read if label.kind == "label"], resolved, known)


def _only_project(database: Database) -> str:
    """The key of the database's project, where there is one alone."""
    from storage.labels.projects import projects

    listed = projects(database, None)
    if len(listed) == 1:
        return listed[0].key
    keys = "; ".join(f"{row.key} ({row.project.name})" for row in listed)
    raise UsageError(
        f"There are {len(listed)} projects, and none was named",
        expected=f"--project, one of: {keys}" if listed else "a project",
        fix="" if listed else "make one: rallrec labels project create --help",
    )


@contextmanager
def _lines(file: str) -> Iterator[Iterator[bytes]]:
    try:
        stream = Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}", expected="a file of 'rallrec labels export'") from error
    with stream:
        yield iter(stream)
