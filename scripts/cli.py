"""``rallrec``: the commands, each in a module of its own and imported only when it runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from backend.errors import RallrecError
from scripts.bundle_commands import bundle
from scripts.data_commands import data
from scripts.evaluation_commands import evaluation
from scripts.labels_commands import labels
from scripts.options import (
    Beta,
    DatasetName,
    DryRun,
    EngineName,
    Gamma,
    Json,
    ProfileName,
    Strategy,
    Variant,
)
from scripts.users_commands import users

app = typer.Typer(
    name="rallrec",
    help="See, question and label how a retrieval-augmented LLM recommender (RALLRec+) reaches a prediction.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What typer makes of Ctrl-C.
_INTERRUPTED = 130

# Kept here in words, so that help needs no more than this module; a test compares it with the graph of stages.
STAGES = {
    "describe": "Let the model describe the items (equation 1)",
    "embed": "Turn item titles and descriptions into vectors (equation 2)",
    "collaborative": "Learn item vectors from interactions (equation 4)",
    "align": "Align text with collaborative vectors (equation 5)",
    "mix": "Put all item vectors side by side (equation 7)",
    "index": "Index the item vectors for nearest-item search",
    "compare": "Compare variants and strategies of retrieval on the validation part",
    "map": "Lay the items out on a flat map",
    "baselines": "Train DeepFM, xDeepFM, DCN and AutoInt, the ID-based systems of Table 4",
}


@app.command(epilog="Example: rallrec doctor --profile paper")
def doctor(profile: ProfileName = None, json: Json = False) -> None:
    """Print what this machine has (Python, GPU, models, data, database), which profiles it can run, what is missing."""
    from scripts.doctor import run

    run(profile=profile, as_json=json)


@app.command(epilog="Example: RALLREC_GAMMA=0.5 rallrec settings --profile paper")
def settings(profile: ProfileName = None, json: Json = False) -> None:
    """Show every setting, its value and where the value came from."""
    from scripts.settings import run

    run(profile=profile, as_json=json)


@app.command(epilog="Example: rallrec prepare --source ~/Downloads/ml-latest-small.zip --skip-bad-rows")
def prepare(
    dataset: DatasetName = None,
    source: Annotated[
        str | None, typer.Option(help="Zip or folder with the raw files (default: the shipped one).")
    ] = None,
    skip_bad_rows: Annotated[bool, typer.Option(help="Leave out broken rows and report how many.")] = False,
    model: Annotated[bool, typer.Option("--model", help="Also fetch the embedded language model.")] = False,
    json: Json = False,
) -> None:
    """Read a dataset's raw files, check them and store them in one schema."""
    from scripts.prepare import run

    run(dataset=dataset, source=source, skip_bad_rows=skip_bad_rows, model=model, as_json=json)


@app.command(epilog="Example: rallrec precompute --until index --dry-run")
def precompute(
    dataset: DatasetName = None,
    until: Annotated[str | None, typer.Option(help=f"The last stage: {', '.join(STAGES)} (default: all).")] = None,
    fresh: Annotated[
        list[str] | None, typer.Option(help="A stage to make anew, also if nothing changed (can be repeated).")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make what the app reads: descriptions, vectors, indexes. Runs only what is missing; resumes when interrupted."""
    from scripts.precompute import run

    run(dataset=dataset, until=until, fresh=fresh or [], dry_run=dry_run, as_json=json)


def _stage_command(stage: str, help_text: str) -> None:
    """``rallrec <stage>``: ``precompute --until <stage>``."""

    @app.command(stage, help=f"{help_text}.", epilog=f"Example: rallrec {stage} --dry-run")
    def command(
        dataset: DatasetName = None,
        fresh: Annotated[bool, typer.Option("--fresh", help="Make this stage anew, also if nothing changed.")] = False,
        dry_run: DryRun = False,
        json: Json = False,
    ) -> None:
        from scripts.precompute import run

        run(dataset=dataset, until=stage, fresh=[stage] if fresh else [], dry_run=dry_run, as_json=json)


for _stage, _help in STAGES.items():
    _stage_command(_stage, _help)


@app.command(epilog="Example: rallrec tune --recipe rella --dry-run")
def tune(
    recipe: Annotated[
        str,
        typer.Option(help="rallrec (M_G), rella (M_G on text similarity alone) or reasoner (the stand-in for M_R)."),
    ] = "rallrec",
    dataset: DatasetName = None,
    profile: ProfileName = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Tune anew, also if nothing changed.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Tune a LoRA adapter on the training part (section 4.2.5). Resumes when interrupted."""
    from scripts.precompute import run, tune_stage

    stage = tune_stage(recipe)
    run(dataset=dataset, profile=profile, until=stage, fresh=[stage] if fresh else [], dry_run=dry_run, as_json=json)


@app.command(epilog="Example: rallrec retrieve --part test --strategy recent --out test.parquet")
def retrieve(
    out: Annotated[str, typer.Option(help="Parquet file to write.")],
    dataset: DatasetName = None,
    part: Annotated[str, typer.Option(help="Samples of this part: train, validation or test.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many samples, the earliest ones.")] = None,
    variant: Variant = None,
    strategy: Strategy = None,
    gamma: Gamma = None,
    beta: Beta = None,
    k: Annotated[int | None, typer.Option(help="Past items per sample.")] = None,
    json: Json = False,
) -> None:
    """Retrieve and rerank the histories of a whole part of the samples at once."""
    from scripts.retrieve import run

    recipe = {"variant": variant, "strategy": strategy, "gamma": gamma, "beta": beta, "k": k}
    run(out_file=out, dataset=dataset, part=part, limit=limit, recipe=recipe, as_json=json)


@app.command(epilog="Example: rallrec nearest --item 1 --variant id")
def nearest(
    item: Annotated[str, typer.Option(help="Item id.")],
    count: Annotated[int, typer.Option(min=1, help="How many items.")] = 10,
    dataset: DatasetName = None,
    variant: Variant = None,
    json: Json = False,
) -> None:
    """List the items whose vectors are nearest to an item's."""
    from scripts.nearest import run

    run(item=item, count=count, dataset=dataset, variant=variant, as_json=json)


@app.command(epilog="Example: rallrec predict --user 15 --item 1 --gamma 0.5 --traces 4 --json")
def predict(
    user: Annotated[str, typer.Option(help="User id.")],
    item: Annotated[str, typer.Option(help="Item id.")],
    dataset: DatasetName = None,
    variant: Variant = None,
    strategy: Strategy = None,
    gamma: Gamma = None,
    beta: Beta = None,
    k: Annotated[int | None, typer.Option(help="Past items in the prompt.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Weight of the reasoning model in the merge.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Floor under both variances in the merge.")] = None,
    traces: Annotated[int | None, typer.Option(help="Reasoning chains.")] = None,
    knowledge: Annotated[str | None, typer.Option(help="Injected sentence: paper, graded or none.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Token limit of a chain.")] = None,
    profile: ProfileName = None,
    engine: EngineName = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the chains.")] = None,
    edits: Annotated[str | None, typer.Option(help="A what-if: its edits as JSON, or a file that holds them.")] = None,
    json: Json = False,
) -> None:
    """Predict whether one user will like one item, and show every step."""
    from scripts.predict import run

    recipe: dict[str, Any] = {
        "variant": variant, "strategy": strategy, "gamma": gamma, "beta": beta, "k": k, "alpha": alpha,
        "epsilon": epsilon, "traces": traces, "knowledge": knowledge, "max_tokens": max_tokens, "seed": seed,
    }  # fmt: skip
    run(
        dataset=dataset, user=user, item=item, profile=profile, engine=engine, recipe=recipe, edits=edits, as_json=json
    )  # fmt: skip


@app.command(
    epilog="Example: rallrec reason --limit 300 --users 60 --knowledge paper --knowledge none --out test.jsonl"
)
def reason(
    part: Annotated[str | None, typer.Option(help="Samples of this part: train, validation or test (default).")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many samples, the earliest ones.")] = None,
    users: Annotated[
        int | None, typer.Option(min=1, help="Draw the samples evenly from so many users, both labels first.")
    ] = None,
    draw_seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0,
    samples: Annotated[str | None, typer.Option(help="CSV file with the columns user,item, instead of a part.")] = None,
    dataset: DatasetName = None,
    variant: Variant = None,
    strategy: Strategy = None,
    gamma: Annotated[
        list[float] | None,
        typer.Option(help="Weight of the relevance channel (repeatable: each with each --knowledge)."),
    ] = None,
    beta: Beta = None,
    k: Annotated[int | None, typer.Option(help="Past items in the prompt.")] = None,
    traces: Annotated[int | None, typer.Option(help="Reasoning chains per sample.")] = None,
    knowledge: Annotated[
        list[str] | None, typer.Option(help="Injected sentence: paper, graded or none (repeatable).")
    ] = None,
    answers_only: Annotated[bool, typer.Option("--answers-only", help="Ask the tuned model alone.")] = False,
    max_tokens: Annotated[int | None, typer.Option(help="Token limit of a chain.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the chains.")] = None,
    prompts_per_call: Annotated[
        int, typer.Option(min=1, help="Prompts that the reasoning model is given at a time.")
    ] = 64,
    profile: ProfileName = None,
    engine: EngineName = None,
    out: Annotated[str | None, typer.Option(help="JSON-lines file to write: a line per sample and recipe.")] = None,
    json: Json = False,
) -> None:
    """Ask both models about many samples and keep all they say. Runs only what is missing; resumes when interrupted."""
    from scripts.reason import Choice, run

    recipe: dict[str, Any] = {
        "variant": variant, "strategy": strategy, "beta": beta, "k": k, "traces": traces, "max_tokens": max_tokens,
        "seed": seed,
    }  # fmt: skip
    run(
        dataset=dataset, choice=Choice(samples, part, limit, users, draw_seed), gammas=gamma or [],
        knowledge=knowledge or [], answers_only=answers_only, prompts_per_call=prompts_per_call, profile=profile,
        engine=engine, recipe=recipe, out_file=out, as_json=json,
    )  # fmt: skip


@app.command(epilog="Example: rallrec serve --port 8000 --engine scripted")
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (0: any free one).")] = None,
    profile: ProfileName = None,
    engine: EngineName = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open a browser once the app answers.")] = False,
) -> None:
    """Start the web app."""
    from scripts.serve import run

    run(host=host, port=port, profile=profile, engine=engine, open_browser=open_browser)


app.add_typer(evaluation)
app.add_typer(data, name="data")
app.add_typer(bundle, name="bundle")
app.add_typer(users, name="users")
app.add_typer(labels, name="labels")


def main() -> None:
    """Run the command line; a known error is one line on standard error. Exit codes: 0 done, 1 failed, 2 wrong use."""
    # Read when torch is imported. By default its threads wait by spinning: with anything else running on the same
    # cores, work takes two to four times as long. Idle, it makes no difference.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except RallrecError as error:
        print(f"rallrec: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    except SystemExit as ended:
        if ended.code != _INTERRUPTED:
            raise
        print("rallrec: stopped; what was finished is kept", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
