"""``rallrec evaluate``, ``report`` and ``stories``: what is read out of the answers that are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts.options import DatasetName, EngineName, Gamma, Json, Limit, Part, ProfileName, Samples, Validation

evaluation = typer.Typer()


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
    json: Json = False,
) -> None:
    """Compare the systems on a list of samples, and say how readable and grounded the chains are. Runs no model."""
    from scripts.evaluate import Asked, run

    run(Asked(samples, part, limit, validation, gamma, dataset, profile, engine), as_json=json)


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
    json: Json = False,
) -> None:
    """Write every table and figure of the evaluation into one page that needs no network. Runs no model."""
    from scripts.evaluate import Asked
    from scripts.report import run

    asked = Asked(samples, part, limit, validation, gamma, dataset, profile, engine)
    run(asked, out_file=out, as_json=json)


@evaluation.command(epilog="Example: rallrec stories --out my-stories.json")
def stories(
    samples: Annotated[
        str | None, typer.Option(help="CSV file with the columns user,item: where to look (default: the shipped one).")
    ] = None,
    out: Annotated[str | None, typer.Option(help="JSON file to write.")] = None,
    json: Json = False,
) -> None:
    """Find walkthroughs in what is cached: for each kind, the sample that tells it best. Runs no model."""
    from scripts.stories import run

    run(samples=samples, out_file=out, as_json=json)
