"""The commands of ``rallrec labels``: their options and help, in words alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scripts.options import Json

labels = typer.Typer(
    help="Labels of reasoning chains: projects, files, agreement, backups, and who changed what.",
    epilog="Example: rallrec labels backup labels.db",
    no_args_is_help=True,
    rich_markup_mode=None,
)
project = typer.Typer(
    help="Projects: which chains are labelled, by whom.",
    epilog="Example: rallrec labels project list",
    no_args_is_help=True,
    rich_markup_mode=None,
)
labels.add_typer(project, name="project")

Range = "lowest:highest, either may be left out"


@labels.command("backup", epilog="Example: rallrec labels backup labels.db")
def labels_backup(
    file: Annotated[str, typer.Argument(help="File to write, or to replace.")], json: Json = False
) -> None:
    """Copy the whole database into one file, while it is in use (SQLite)."""
    from scripts.labels_kept import backup

    backup(file=file, as_json=json)


@labels.command("restore", epilog="Example: rallrec labels restore labels.db")
def labels_restore(
    file: Annotated[str, typer.Argument(help="A file that 'rallrec labels backup' wrote.")], json: Json = False
) -> None:
    """Put a backup in the place of the database, which is kept beside it. Refused while a server runs."""
    from scripts.labels_kept import restore

    restore(file=file, as_json=json)


@labels.command("audit", epilog="Example: rallrec labels audit --limit 20")
def labels_audit(
    about: Annotated[str | None, typer.Option(help="Only changes of this: a name, a key, a task, a label.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many, the latest ones.")] = None,
    json: Json = False,
) -> None:
    """Say who changed what, the newest first."""
    from scripts.labels_kept import audit

    audit(about=about, limit=limit, as_json=json)


@project.command("list", epilog="Example: rallrec labels project list --json")
def project_list(json: Json = False) -> None:
    """List all projects and how far they are."""
    from scripts.labels_projects import list_all

    list_all(as_json=json)


@project.command("create", epilog="Example: rallrec labels project create Pilot --overlap 2 --limit 50 --member ann")
def project_create(
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
    gap: Annotated[str, typer.Option(help=f"|P_R - P_G| of the sample: {Range}.")] = "",
    variance: Annotated[str, typer.Option(help=f"Variance of the sample's chains: {Range}.")] = "",
    tokens: Annotated[str, typer.Option(help=f"Length of the chain: {Range}.")] = "",
    outcome: Annotated[str, typer.Option(help="any, correct, wrong or no_answer.")] = "any",
    knowledge: Annotated[str, typer.Option(help="Injected sentence: any, none, paper or graded.")] = "any",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it would hold; make nothing.")] = False,
    json: Json = False,
) -> None:
    """Make a project of cached chains of the settings' recipe. No model is run."""
    from scripts.labels_projects import create

    values: dict[str, Any] = {
        "name": name, "dataset": dataset, "mode": mode, "overlap": overlap, "order": order, "seed": seed,
        "blind": not open_eyed, "first_error": first_error, "minutes": minutes, "gold": gold,
        "qualification": qualification,
    }  # fmt: skip
    wanted: dict[str, Any] = {
        "limit": limit, "chains_per_sample": chains, "gap": gap, "variance": variance, "tokens": tokens,
        "outcome": outcome, "knowledge": knowledge,
    }  # fmt: skip
    create(
        values=values, wanted=wanted, samples=samples, guidelines=guidelines, members=member or [], dry_run=dry_run,
        as_json=json,
    )  # fmt: skip


ProjectKey = Annotated[
    str | None, typer.Option("--project", help="A project's key (default: the only one; see 'project list').")
]
Source = Annotated[str | None, typer.Option("--from", help="Read this canonical file, not the database.")]


@labels.command("export", epilog="Example: rallrec labels export spring.jsonl --status all")
def labels_export(
    file: Annotated[str, typer.Argument(help="File to write.")],
    project: ProjectKey = None,
    source: Source = None,
    format: Annotated[
        str, typer.Option(help="jsonl, csv, parquet, prm800k, trl, preference, label-studio or label-studio-setup.")
    ] = "jsonl",
    status: Annotated[str, typer.Option(help="submitted, all (skipped and drafts too) or resolved.")] = "submitted",
    json: Json = False,
) -> None:
    """Write a project's labels into a file. 'jsonl' is whole, and imports back."""
    from scripts.labels_files import export

    export(file=file, project=project, source=source, name=format, status=status, as_json=json)


@labels.command("import", epilog="Example: rallrec labels import spring.jsonl")
def labels_import(
    file: Annotated[str, typer.Argument(help="A file that 'rallrec labels export' wrote as jsonl.")],
    json: Json = False,
) -> None:
    """Add the labels of a file, with the projects, chains and people they need; what is there already stays."""
    from scripts.labels_files import import_file

    import_file(file=file, as_json=json)


@labels.command("agreement", epilog="Example: rallrec labels agreement --json")
def labels_agreement(project: ProjectKey = None, source: Source = None, json: Json = False) -> None:
    """Say how well people agree: percent, Krippendorff's alpha, Gwet's AC1 / AC2, Cohen's kappa, with intervals."""
    from scripts.labels_files import agreement

    agreement(project=project, source=source, as_json=json)
