"""``rallrec data``: the paper's datasets and one's own. Each command's work is imported only when it runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scripts.options import Json

data = typer.Typer(
    help="Fetch, import, describe and count datasets.",
    epilog="Example: rallrec data stats",
    no_args_is_help=True,
    rich_markup_mode=None,
)

# Kept here in words, so that help needs no more than this module; a test compares it with the formats that there are.
PUBLISHED = ("ml-1m", "ml-100k", "ml-25m", "ml-32m", "bookcrossing", "amazon-2018", "amazon-2023")
FORMATS = ("ml-1m", "ml-100k", "ml-csv", "bookcrossing", "amazon-2018", "amazon-2023", "custom")


@data.command(epilog="Example: rallrec data fetch ml-1m --accept-licence")
def fetch(
    name: Annotated[str, typer.Argument(help=f"{', '.join(PUBLISHED)}.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept its conditions without being asked.")
    ] = False,
    json: Json = False,
) -> None:
    """Download a published dataset: checked by its hash, going on where it was cut off. It is not imported yet."""
    from scripts.data_fetch import run

    run(name=name, accept_licence=accept_licence, as_json=json)


@data.command(epilog="Example: rallrec data describe plays.csv --yes")
def describe(
    file: Annotated[str, typer.Argument(help="A csv (UTF-8) or parquet file with a row for each rating.")],
    out: Annotated[str | None, typer.Option(help="Mapping file to write (default: beside it).")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take what is guessed, ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a mapping file that is there.")] = False,
    json: Json = False,
) -> None:
    """Make a mapping file for your own data: questions about its columns, with guessed answers."""
    from scripts.data_describe import run

    run(file=file, out_file=out, yes=yes, force=force, as_json=json)


@data.command("import", epilog="Example: rallrec data import ~/Downloads/ml-1m.zip --name ml-1m --format ml-1m")
def import_(
    path: Annotated[str, typer.Argument(help="Folder, archive or file, as its publisher ships it.")],
    name: Annotated[str, typer.Option(help="What the dataset is to be called here.")],
    format: Annotated[str, typer.Option(help=f"How it is written: {', '.join(FORMATS)}.")],
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
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave out broken rows and report how many.")
    ] = False,
    json: Json = False,
) -> None:
    """Read a dataset's files, check them, and keep it under a name beside the others.

    What is not given follows the format: the paper's rules for its three datasets.
    """
    from scripts.data import run_import

    rules: dict[str, Any] = {
        "k_core": k_core, "min_history": min_history, "samples": samples, "split": split, "train": train,
        "validation": validation, "implicit": implicit, "seed": seed,
    }  # fmt: skip
    run_import(
        path=path, name=name, format_name=format, mapping=mapping, rules=rules, skip_bad_rows=skip_bad_rows,
        as_json=json,
    )  # fmt: skip


@data.command(epilog="Example: rallrec data stats --dataset ml-1m --json")
def stats(
    dataset: Annotated[str | None, typer.Option(help="Dataset name (default: the setting 'dataset').")] = None,
    json: Json = False,
) -> None:
    """Count users, items, samples, fields and features, as in Table 1."""
    from scripts.data import run_stats

    run_stats(dataset=dataset, as_json=json)
