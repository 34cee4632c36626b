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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run and why; make nothing.")]
DatasetName = Annotated[str | None, typer.Option(help="Dataset name (default: the setting 'dataset').")]
Variant = Annotated[str | None, typer.Option(help="Item vectors: text, id, concat or concat+ssl.")]
Strategy = Annotated[str | None, typer.Option(help="recent, retrieve-then-mix, mix-then-retrieve or rerank.")]
Gamma = Annotated[float | None, typer.Option(help="Weight of the relevance channel, 0 to 1.")]
Beta = Annotated[float | None, typer.Option(help="How fast the score falls with the rank, 0 or more.")]
EngineName = Annotated[str | None, typer.Option(help="Who runs the models: transformers, vllm, openai or scripted.")]
ProfileName = Annotated[
    str | None, typer.Option(help="Models and who runs them: cpu-default, paper, server, or a .toml file.")
]
