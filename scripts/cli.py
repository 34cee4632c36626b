"""``rallrec``: the commands of each group, joined. A command imports what it needs only when it runs."""

from __future__ import annotations

import os
import sys

import typer

from backend.errors import RallrecError
from scripts import precompute, predict, reason, serve
from scripts.bundle import bundle
from scripts.data import data, prepare
from scripts.evaluate import evaluation
from scripts.labels import labels
from scripts.users import users

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

app.command(epilog="Example: rallrec doctor --profile paper")(serve.doctor)
app.command(epilog="Example: RALLREC_GAMMA=0.5 rallrec settings --profile paper")(serve.settings)
app.command(epilog="Example: rallrec prepare --source ~/Downloads/ml-latest-small.zip --skip-bad-rows")(prepare)
app.command(epilog="Example: rallrec precompute --until index --dry-run")(precompute.precompute)
precompute.add_stages(app)
app.command(epilog="Example: rallrec tune --recipe rella --dry-run")(precompute.tune)
app.command(epilog="Example: rallrec retrieve --part test --strategy recent --out test.parquet")(precompute.retrieve)
app.command(epilog="Example: rallrec nearest --item 1 --variant id")(precompute.nearest)
app.command(epilog="Example: rallrec predict --user 15 --item 1 --gamma 0.5 --traces 4 --json")(predict.predict)
app.command(
    epilog="Example: rallrec reason --limit 300 --users 60 --knowledge paper --knowledge none --out test.jsonl"
)(reason.reason)
app.command(epilog="Example: rallrec serve --port 8000 --engine scripted")(serve.serve)
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
