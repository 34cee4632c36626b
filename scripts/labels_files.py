"""``rallrec labels export | import | agreement``: labels out of the database or a canonical file, and into it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from backend.errors import DataError, UnknownNameError, UsageError
from backend.labelling import Judgement, Label
from backend.labelling.agreement import Report, gwet_name, record, report
from backend.labelling.formats import FORMATS, file_format, read_labels
from backend.labelling.formats.label_studio import setup
from backend.labelling.measures import Measure
from backend.settings import load_settings
from scripts.console import checked_out, log, out, print_json, print_table
from storage.database.connection import Database, open_database
from storage.labels import projects, records, results
from storage.labels.taking_over import take_over

STATUSES = ("submitted", "all", "resolved")
SETUP = "label-studio-setup"
_CONFLICTS_SHOWN = 5


@dataclass(frozen=True)
class _Source:
    """Where labels are read from: a canonical file, or a project of the database."""

    labels: list[Label]
    resolved: list[Label]
    known: Mapping[str, Judgement]


def export(*, file: str, project: str | None, source: str | None, name: str, status: str, as_json: bool) -> None:
    """Write labels in a format. Raises ``UsageError``, ``UnknownNameError``, and ``DataError`` for a broken file."""
    if name not in (*FORMATS, SETUP):
        raise UnknownNameError("format", name, (*FORMATS, SETUP))
    if status not in STATUSES:
        raise UnknownNameError("status of labels", status, STATUSES)
    path = checked_out(file)
    if name == SETUP:
        path.write_text(setup(), "utf-8")
        rows = 0
    else:
        rows = _write(path, name, _wanted(_read(project, source), status))
    if as_json:
        print_json({"file": str(path), "format": name, "status": status, "rows": rows})
        return
    out.print(f"Written: {path} ({rows:,} rows, {name}, {status} labels)", markup=False)


def import_file(*, file: str, as_json: bool) -> None:
    """Take over a canonical file; all of it or, where a line is no label, nothing. Raises ``DataError``."""
    with closing(open_database(load_settings().url)) as database, _lines(file) as lines:
        counts = take_over(database, read_labels(lines, file))
    if as_json:
        print_json(
            {
                "new": counts.new, "same": counts.same, "conflicting": list(counts.conflicting),
                "projects": list(counts.projects),
            }
        )  # fmt: skip
        return
    out.print(f"{counts.new:,} labels are new, {counts.same:,} were here already", markup=False)
    if counts.conflicting:
        shown = ", ".join(counts.conflicting[:_CONFLICTS_SHOWN])
        more = len(counts.conflicting) - _CONFLICTS_SHOWN
        log.print(
            f"{len(counts.conflicting):,} say something else than what is here and were left out: {shown}"
            + (f" and {more:,} more" if more > 0 else ""),
            markup=False,
        )
    for key in counts.projects:
        log.print(f"The project {key} has other rules here; these stay", markup=False)


def agreement(*, project: str | None, source: str | None, as_json: bool) -> None:
    """Say how well people agree. Raises ``UsageError``, and ``DataError`` for a broken file."""
    read = _read(project, source)
    found = report(_wanted(read, "submitted"), read.known)
    if as_json:
        print_json(record(found))
        return
    out.print(
        f"{found.labels:,} submitted labels of {found.tasks:,} tasks by {len(found.people)} people; {found.shared:,} "
        "tasks have two or more. In brackets: 95 % intervals over tasks.",
        markup=False,
    )
    print_table(_dimensions(found))
    if found.gold:
        print_table(_gold(found))
    whys = {own.why for agreed in found.dimensions for own in (agreed.percent, agreed.alpha, agreed.gwet) if own.why}
    for why in sorted(whys):
        log.print(f"- : {why}", markup=False)


def _dimensions(found: Report) -> Table:
    table = Table("of", box=None, pad_edge=False)
    for name in ("shared", "percent", "Krippendorff's alpha", "Gwet", "Cohen's kappa, least to most"):
        table.add_column(name, justify="right", no_wrap=True)
    for agreed in found.dimensions:
        kappas = sorted(pair.kappa.value for pair in agreed.pairs if not math.isnan(pair.kappa.value))
        table.add_row(
            agreed.dimension.label,
            f"{agreed.shared:,}",
            _told(agreed.percent),
            _told(agreed.alpha),
            f"{gwet_name(agreed.dimension)[-3:].upper()} {_told(agreed.gwet)}",
            f"{kappas[0]:.2f} to {kappas[-1]:.2f} of {len(kappas)}" if kappas else "-",
        )
    return table


def _gold(found: Report) -> Table:
    table = Table("on gold tasks", box=None, pad_edge=False)
    for name in ("tasks", "steps right", "scales off by", "verdict right", "pairs right"):
        table.add_column(name, justify="right", no_wrap=True)
    for own in found.gold:
        measures = (own.steps, own.scales, own.verdict, own.preferred)
        table.add_row(own.person, str(own.tasks), *(_told(measure) for measure in measures))
    return table


def _told(own: Measure) -> str:
    if math.isnan(own.value):
        return "-"
    return f"{own.value:.2f}" + ("" if math.isnan(own.low) else f" [{own.low:.2f}, {own.high:.2f}]")


def _wanted(source: _Source, status: str) -> list[Label]:
    if status == "resolved":
        return source.resolved
    return [own for own in source.labels if status == "all" or own.status == status]


def _read(project: str | None, source: str | None) -> _Source:
    if source is None:
        with closing(open_database(load_settings().url)) as database:
            return _of_project(database, project or _only_project(database))
    with _lines(source) as lines:
        every = [own for own in read_labels(lines, source) if project in (None, own.project_key)]
    keys = {own.project_key for own in every}
    if len(keys) > 1:
        raise UsageError(
            f"{source} holds labels of {len(keys)} projects", expected=f"--project {' or '.join(sorted(keys))}"
        )
    resolved = [own for own in every if own.kind == "resolved"]
    known = {own.task: own.judgement for own in resolved if own.gold}
    return _Source([own for own in every if own.kind == "label"], resolved, known)


def _of_project(database: Database, key: str) -> _Source:
    return _Source(
        list(records.labels(database, key)),
        list(records.resolved(database, key)),
        results.known_answers(database, key),
    )


def _only_project(database: Database) -> str:
    """The key of the database's project, where there is one alone."""
    found = projects.projects(database, None)
    if len(found) == 1:
        return found[0].key
    known = "; ".join(f"{own.key} ({own.project.name})" for own in found)
    raise UsageError(
        f"There are {len(found)} projects, and none was named",
        expected=f"--project, one of: {known}" if found else "a project",
        fix="" if found else "make one: rallrec labels project create --help",
    )


def _write(path: Path, name: str, labels: list[Label]) -> int:
    """Into place at once: a reader never sees half a file."""
    half = path.with_name(f".{path.name}.half")
    try:
        with half.open("wb") as stream:
            rows = file_format(name).write(labels, stream)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
    return rows


@contextmanager
def _lines(file: str) -> Iterator[Iterator[bytes]]:
    try:
        stream = Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}", expected="a file of 'rallrec labels export'") from error
    with stream:
        yield iter(stream)
