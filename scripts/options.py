"""Options that commands share, in words alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_type_hints

import typer

from backend.knobs import KNOBS, Knob

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
    str | None,
    typer.Option(help="Models and who runs them: cpu-default, cpu-evidence, paper, server, or a .toml file."),
]


def with_knobs(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each knob instead of its parameter ``recipe``, which gets the values by name;
    None for what was not given.
    """
    names = tuple(KNOBS)

    @wraps(command)
    def run(**given: Any) -> None:
        recipe = {name: given.pop(name) for name in names}
        command(**given, recipe=recipe)

    hints = get_type_hints(command, include_extras=True)
    parameters: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        if parameter.name == "recipe":
            parameters += [_option(knob) for knob in KNOBS.values()]
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=Parameter.KEYWORD_ONLY))
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _option(knob: Knob) -> Parameter:
    kind: Any = knob.kind
    annotation = Annotated[kind | None, typer.Option(help=knob.help)]
    return Parameter(knob.name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
