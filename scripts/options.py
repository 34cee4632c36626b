"""Options that commands share, in words alone."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Report as one JSON object on standard output.")]
Samples = Annotated[
    str | None, typer.Option(help="CSV file with the columns user,item: what is scored (default: the shipped one).")
]
Validation = Annotated[
    str | None,
    typer.Option(help="As --samples: what the weights are chosen on (default: the shipped one)."),
]
Part = Annotated[str | None, typer.Option(help="Score this part of the split instead: train, validation or test.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many samples, the earliest ones.")]
