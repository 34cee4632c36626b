"""The commands of ``rallrec bundle``: their options and help, in words alone. What they do is ``scripts.bundle``."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts.options import Json

bundle = typer.Typer(
    help="What ships with the program, and cached results in and out of the database.",
    epilog="Example: rallrec bundle verify",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@bundle.command("build", epilog="Example: rallrec bundle build --out my-bundle")
def bundle_build(
    out: Annotated[str | None, typer.Option(help="Folder to make or replace (default: the shipped bundle).")] = None,
    results_only: Annotated[
        bool, typer.Option("--results-only", help="Replace the cached results alone, no artifacts.")
    ] = False,
    json: Json = False,
) -> None:
    """Make what ships: artifacts of the settings (missing ones are made) and cached results of the models in use."""
    from scripts.bundle import build

    build(to=out, results_only=results_only, as_json=json)


@bundle.command("verify", epilog="Example: rallrec bundle verify my-bundle --json")
def bundle_verify(
    folder: Annotated[str | None, typer.Argument(help="A bundle (default: the shipped one).")] = None,
    json: Json = False,
) -> None:
    """Check every file of a bundle and every row of its results; exit code 1 where something is damaged."""
    from scripts.bundle import verify

    verify(folder=folder, as_json=json)


@bundle.command("export", epilog="Example: rallrec bundle export mine.jsonl.gz --model smollm2-135m-instruct")
def bundle_export(
    file: Annotated[str, typer.Argument(help="File to write (.jsonl.gz).")],
    model: Annotated[str | None, typer.Option(help="Only results of this model.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Only results with this adapter.")] = None,
    json: Json = False,
) -> None:
    """Write cached answers and chains of the database into one file."""
    from scripts.bundle import export_file

    export_file(file=file, model=model, adapter=adapter, as_json=json)


@bundle.command("import", epilog="Example: rallrec bundle import mine.jsonl.gz")
def bundle_import(
    file: Annotated[str, typer.Argument(help="A file that 'rallrec bundle export' wrote.")],
    json: Json = False,
) -> None:
    """Add the answers and chains of a file to the database; what is there already stays as it is."""
    from scripts.bundle import import_file

    import_file(file=file, as_json=json)
