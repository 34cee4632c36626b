"""``rallrec prepare`` and ``rallrec data``: the shipped dataset, the paper's, and one's own.

The questions about the columns of one's own file are asked in ``scripts.mapping_questions``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from backend.errors import UnknownNameError, UsageError
from scripts.console import note, open_workspace, print_json, print_table, progress_bar, say
from scripts.options import DatasetName, Json

if TYPE_CHECKING:
    from backend.datasets import Dataset
    from backend.datasets.summary import Summary

data = typer.Typer(
    help="Fetch, import, describe and count datasets.",
    epilog="Example: rallrec data stats",
    no_args_is_help=True,
    rich_markup_mode=None,
)

# Kept here in words, so that help needs no more than this module; a test compares it with the catalogue.
PUBLISHED = ("ml-1m", "ml-100k", "ml-25m", "ml-32m", "bookcrossing", "amazon-2018", "amazon-2023")

SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave out broken rows and report how many.")]


def prepare(
    dataset: DatasetName = None,
    source: Annotated[
        str | None, typer.Option(help="Zip or folder with the raw files (default: the shipped one).")
    ] = None,
    skip_bad_rows: SkipBadRows = False,
    model: Annotated[bool, typer.Option("--model", help="Also fetch the embedded language model.")] = False,
    as_json: Json = False,
) -> None:
    """Read a dataset's raw files, check them and store them in one schema."""
    from backend import datasets
    from backend.engines import makes_up_answers, models, record_of
    from backend.settings import load_settings

    settings = load_settings(dataset=dataset)
    started = time.perf_counter()
    with progress_bar() as progress:
        prepared = datasets.prepare(
            settings.dataset,
            settings.home / "datasets",
            source=Path(source) if source else None,
            skip_bad_rows=skip_bad_rows,
            progress=progress,
        )
        fetched = []
        if model and not record_of(settings.engine).makes_up_answers:
            names = {settings.tuned_model, settings.reasoning_model, settings.encoder}
            for ref in (models.resolve(name) for name in sorted(names) if not makes_up_answers(name)):
                models.fetch(ref, settings.models_dir, progress)
                fetched.append(ref.name)
    meta = prepared.meta
    samples = datasets.build_samples(prepared)
    how = settings.split or meta.rules.split
    parts = datasets.split(samples, prepared, how)
    sizes = {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)}
    seconds = round(time.perf_counter() - started, 2)
    for line in meta.skipped_examples:
        note(f"left out: {line}")
    if as_json:
        print_json(
            {
                "dataset": meta.name, "users": prepared.n_users, "items": prepared.n_items,
                "interactions": prepared.n_interactions, "samples": len(samples), "split": {"how": how, **sizes},
                "skipped": meta.skipped, "models": fetched, "seconds": seconds,
            }
        )  # fmt: skip
        return
    say(
        f"{meta.title}: {prepared.n_users:,} users, {prepared.n_items:,} {meta.item_noun_plural}, "
        f"{prepared.n_interactions:,} ratings, {len(samples):,} samples "
        f"({' / '.join(f'{size:,}' for size in sizes.values())}, {how})."
    )
    _say_left_out(prepared)
    for name in fetched:
        say(f"The model {name} is ready.")


@data.command(epilog="Example: rallrec data fetch ml-1m --accept-licence")
def fetch(
    name: Annotated[str, typer.Argument(help=f"{', '.join(PUBLISHED)}.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept its conditions without being asked.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Download a published dataset: checked by its hash, going on where it was cut off. It is not imported yet."""
    from backend.commands import command_line
    from backend.datasets import download
    from backend.datasets.download import CATALOGUE
    from backend.settings import load_settings

    if name not in CATALOGUE:
        raise UnknownNameError("published dataset", name, CATALOGUE, fix="ml-latest-small ships with the program")
    published = CATALOGUE[name]
    note(f"{published.title}. {published.licence}. See {published.page}")
    if not accept_licence:
        _ask_to_accept(published.title)
    folder = load_settings().home / "downloads" / name
    with progress_bar() as progress:
        files = download.fetch(published, folder, progress)
    source = files[0] if len(files) == 1 else folder
    command = command_line(None, "data import", str(source), "--name", name, "--format", published.format)
    if as_json:
        print_json({"dataset": name, "files": [str(file) for file in files], "command": command})
        return
    say(f"{published.title} is in {folder}.")
    say(f"Next: {command}")


def _ask_to_accept(title: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"The licence of {title} has to be accepted first", fix="read it and give --accept-licence")
    if not typer.confirm("Do you accept these conditions?", err=True):
        raise UsageError("Nothing was fetched: the conditions were not accepted")


@data.command(epilog="Example: rallrec data describe plays.csv --yes")
def describe(
    file: Annotated[str, typer.Argument(help="A csv (UTF-8) or parquet file with a row for each rating.")],
    out: Annotated[str | None, typer.Option(help="Mapping file to write (default: beside it).")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take what is guessed, ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a mapping file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Make a mapping file for your own data: questions about its columns, with guessed answers."""
    from backend.commands import command_line
    from backend.datasets.guesses import guess, write_mapping
    from scripts.mapping_questions import ask, guessed_mapping, show_columns

    path = Path(file).expanduser()
    guesses = guess(path)
    target = Path(out) if out else path.with_name(f"{path.name}.mapping.toml")
    if target.exists() and not force:
        raise UsageError(f"{target} is there already", fix="give another place with --out, or write over it: --force")
    if yes:
        mapping = guessed_mapping(guesses)
    else:
        show_columns(guesses)
        mapping = ask(guesses)
    notes = (f"What the columns of {path.name} mean. Read by: rallrec data import",)
    try:
        target.write_text(write_mapping(mapping, notes), "utf-8")
    except OSError as error:
        raise UsageError(f"{target} cannot be written ({error})", fix="give another place with --out") from error
    options = ("--name", "NAME", "--format", "custom", "--mapping", str(target))
    command = command_line(None, "data import", str(path), *options)
    if as_json:
        print_json({"mapping": str(target), "columns": mapping.columns.model_dump(), "command": command})
        return
    say(f"Wrote {target}: look at it, correct what is wrong.")
    say(f"Next: {command}")


@data.command("import", epilog="Example: rallrec data import ~/Downloads/ml-1m.zip --name ml-1m --format ml-1m")
def import_(
    path: Annotated[str, typer.Argument(help="Folder, archive or file, as its publisher ships it.")],
    name: Annotated[str, typer.Option(help="What the dataset is to be called here.")],
    format: Annotated[str, typer.Option(help="How it is written: ml-1m, custom or another of docs/datasets.md.")],
    mapping: Annotated[
        str | None, typer.Option(help="For custom: the file that says what the columns mean (rallrec data describe).")
    ] = None,
    k_core: Annotated[
        int | None, typer.Option(min=0, help="Drop users and items with fewer interactions, to a fixed point; 0: none.")
    ] = None,
    min_history: Annotated[
        int | None, typer.Option(min=1, help="Earlier interactions that a sample's user has at least.")
    ] = None,
    samples: Annotated[
        str | None, typer.Option(help="all (every interaction is a sample) or last (the last one of each user).")
    ] = None,
    split: Annotated[str | None, typer.Option(help="chronological, per-user or users.")] = None,
    train: Annotated[float | None, typer.Option(help="Share of the samples, or users, to learn from.")] = None,
    validation: Annotated[float | None, typer.Option(help="Share to choose settings on; the rest is test.")] = None,
    implicit: Annotated[
        str | None, typer.Option(help="keep or drop ratings that only say 'read' (BookCrossing's 0).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the order of data without times, and of a split by users.")
    ] = None,
    skip_bad_rows: SkipBadRows = False,
    as_json: Json = False,
) -> None:
    """Read a dataset's files, check them, and keep it under a name beside the others.

    What is not given follows the format: the paper's rules for its three datasets.
    """
    from backend import datasets
    from backend.commands import command_line
    from backend.datasets.summary import summarise
    from backend.settings import load_settings

    rules: dict[str, Any] = {
        "k_core": k_core, "min_history": min_history, "samples": samples, "split": split, "train": train,
        "validation": validation, "implicit": implicit, "seed": seed,
    }  # fmt: skip
    if name in datasets.DATASETS:
        raise UnknownNameError(
            "new dataset", name, [], fix=f"take another name: {name} ships with the program (rallrec prepare reads it)"
        )
    root = load_settings().home / "datasets"
    before, started = datasets.stored_hash(name, root), time.perf_counter()
    with progress_bar() as progress:
        imported = datasets.import_data(
            Path(path).expanduser(),
            name,
            format,
            root,
            mapping=Path(mapping).expanduser() if mapping else None,
            rules={rule: value for rule, value in rules.items() if value is not None},
            skip_bad_rows=skip_bad_rows,
            needs_training=True,
            progress=progress,
        )
    summary = summarise(imported)
    seconds = round(time.perf_counter() - started, 2)
    for line in imported.meta.skipped_examples:
        note(f"left out: {line}")
    replaced = before not in ("", imported.meta.data_hash)
    if replaced:
        note(
            f"Other data was called {name} until now. What was computed from it stays, unused; "
            "an app that is running has to be started again."
        )
    if as_json:
        print_json(_facts(imported, summary) | {"seconds": seconds, "replaced": replaced})
        return
    _show(imported, summary)
    say(f"Next: {command_line(load_settings(dataset=name), 'precompute')}")


@data.command(epilog="Example: rallrec data stats --dataset ml-1m --json")
def stats(dataset: DatasetName = None, as_json: Json = False) -> None:
    """Count users, items, samples, fields and features, as in Table 1."""
    from backend.datasets.summary import summarise

    with open_workspace(dataset=dataset) as workspace, progress_bar() as progress:
        prepared = workspace.dataset(progress=progress)
        summary = summarise(prepared, workspace.settings.split)
    if as_json:
        print_json(_facts(prepared, summary))
        return
    _show(prepared, summary)


def _facts(prepared: Dataset, summary: Summary) -> dict[str, Any]:
    meta = prepared.meta
    return {"dataset": meta.name, **summary.as_json()} | {
        "order_note": meta.order_note, "label": meta.label_rule.describe(), "format": meta.format,
        "rules": meta.rules.model_dump(mode="json"), "skipped": meta.skipped, "data_hash": meta.data_hash,
    }  # fmt: skip


def _show(prepared: Dataset, summary: Summary) -> None:
    meta = prepared.meta
    say(f"{meta.title} ({meta.name})")
    table = Table()
    counted = ("users", "items", "samples", "fields", "features")
    for name in counted:
        table.add_column(f"#{name}", justify="right")
    table.add_row(*(f"{getattr(summary, name):,}" for name in counted))
    print_table(table)
    values = ", ".join(f"{name} {count:,}" for name, count in summary.cardinalities.items())
    say(f"Features by field: {values}.")
    say(
        f"{summary.interactions:,} ratings; {summary.liked:.1%} are liked ({meta.label_rule.describe()}). Samples: "
        f"train {summary.train:,}, validation {summary.valid:,}, test {summary.test:,} ({summary.how})."
    )
    if meta.order_note:
        say(f"{meta.order_note[0].upper()}{meta.order_note[1:]}.")
    _say_left_out(prepared)


def _say_left_out(prepared: Dataset) -> None:
    for reason, count in prepared.meta.skipped.items():
        say(f"Left out {count:,} rows: {reason}.")
