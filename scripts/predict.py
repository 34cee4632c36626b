"""``rallrec predict``: one prediction with every step of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from backend.errors import UsageError
from scripts.console import open_workspace, out, print_json, progress_bar, say
from scripts.options import DatasetName, EngineName, Json, ProfileName, with_knobs

if TYPE_CHECKING:
    from backend.pipeline import Listener, Prediction


@with_knobs
def predict(
    user: Annotated[str, typer.Option(help="User id.")],
    item: Annotated[str, typer.Option(help="Item id.")],
    dataset: DatasetName = None,
    *,
    recipe: dict[str, Any],
    profile: ProfileName = None,
    engine: EngineName = None,
    edits: Annotated[str | None, typer.Option(help="A what-if: its edits as JSON, or a file that holds them.")] = None,
    as_json: Json = False,
) -> None:
    """Predict whether one user will like one item, and show every step."""
    from backend.record import prediction_record
    from backend.what_if import Edits
    from storage.results.lookup import look_up

    changed = Edits.read(_text_of(edits)) if edits else Edits()
    with open_workspace(dataset=dataset, profile=profile, engine=engine) as workspace:
        full = workspace.recipe(**recipe).replacing(**changed.settings)
        pipeline = workspace.pipeline()
        data = pipeline.dataset
        question = pipeline.question(data.user_code(user), data.item_code(item), full, changed)
        prediction = look_up(pipeline, question, full)
        cached = prediction.complete
        if not cached:
            with progress_bar() as progress:
                prediction = pipeline.predict(question, full, _listener(progress))
        record = prediction_record(pipeline, prediction, cached=cached)
    if as_json:
        print_json(record)
        return
    _show(record, data.meta.order_note)
    for who, sentences in record["notices"].items():
        for sentence in sentences:
            say(f"{who.capitalize()} model: {sentence}", style="bold")


def _text_of(edits: str) -> str:
    if edits.lstrip().startswith("{"):
        return edits
    try:
        return Path(edits).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The edits cannot be read from {edits[:200]!r}: {error}", expected='a file, or JSON such as {"hint": "no"}'
        ) from error


def _listener(progress: Any) -> Listener:
    from backend.pipeline import Listener

    def update(prediction: Prediction) -> None:
        done, total = sum(trace is not None for trace in prediction.traces), len(prediction.traces)
        if total and not all(prediction.traces):
            progress(f"reasoning ({done} of {total} chains done)", None)

    return Listener(stage=progress, update=update)


def _show(record: dict[str, Any], order_note: str) -> None:
    if "edits" in record:
        say(f"What if: {json.dumps(record['edits'])}")
    truth = {None: "not rated", 0: "did not like it", 1: "liked it"}[record["label"]]
    say(f"User {record['user']}, {record['title']} (item {record['item']}); truth: {truth}.")
    say(f"Past items by {record['strategy']}, compared by {record['variant']}:")
    table = Table("past item", "rating", "score", *record["channels"])
    for row in record["history"]:
        ranks = (str(row[name] or "-") for name in ("relevance_rank", "recency_rank"))
        table.add_row(Text(row["title"]), f"{row['rating']:g}", f"{row['score']:.3f}", *ranks)
    out.print(table)
    if order_note:
        say(f"{order_note.capitalize()}.")
    for number, trace in enumerate(record["traces"], start=1):
        said = "no chain" if trace["p_yes"] is None else f"{trace['verdict']}, P(yes) {trace['p_yes']:.2f}"
        head = f"Chain {number}: {said}, {trace['tokens']} tokens"
        say(f"{head}, {trace['seconds']:.1f} s", style="bold")
        say(trace["text"].strip())
    for symbol, name, value in (
        ("P_G", "tuned model", "p_g"), ("sigma_G^2", "its variance", "var_g"),
        ("P_R", "reasoning model", "p_r"), ("sigma_R^2", "its variance", "var_r"), ("P_final", "merged", "p_final"),
    ):  # fmt: skip
        shown = "-" if record[value] is None else f"{record[value]:.4f}"
        say(f"{symbol:>10} = {shown}   {name}")
    say("From the cache: no model ran." if record["cached"] else "Computed now, and cached.")
