"""``rallrec predict``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from backend.errors import UsageError
from backend.pipeline import Listener, Prediction
from backend.record import left_out, prediction_record
from backend.settings import load_settings
from backend.what_if import Edits
from scripts.console import out, print_json, progress_bar
from storage.results.lookup import look_up
from storage.workspace import Workspace


def run(
    *,
    dataset: str | None,
    user: str,
    item: str,
    profile: str | None,
    engine: str | None,
    recipe: dict[str, Any],
    edits: str | None,
    as_json: bool,
) -> None:
    """Predict one sample: from the cache where it is there, from the models where it is not.

    ``edits``: of a what-if, as JSON or a file that holds it.
    """
    changed = Edits.read(_text_of(edits)) if edits else Edits()
    workspace = Workspace(load_settings(dataset=dataset, profile=profile, engine=engine))
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
    workspace.close()
    if as_json:
        print_json(record)
    else:
        _show(record, data.meta.order_note)
        _show_left_out(prediction)


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
    def update(prediction: Prediction) -> None:
        done, wanted = sum(trace is not None for trace in prediction.traces), len(prediction.traces)
        if wanted and not all(prediction.traces):
            progress(f"reasoning ({done} of {wanted} chains done)", None)

    return Listener(stage=progress, update=update)


def _show_left_out(prediction: Prediction) -> None:
    for who, results in (("tuned", prediction.answers), ("reasoning", prediction.traces)):
        if said := left_out(results):
            out.print(f"{who.capitalize()} model: {said}", markup=False, style="bold")


def _show(record: dict[str, Any], order_note: str) -> None:
    if "edits" in record:
        out.print(f"What if: {json.dumps(record['edits'])}", markup=False)
    truth = {None: "not rated", 0: "did not like it", 1: "liked it"}[record["label"]]
    out.print(f"User {record['user']}, {record['title']} (item {record['item']}); truth: {truth}.", markup=False)
    out.print(f"Past items by {record['strategy']}, compared by {record['variant']}:", markup=False)
    table = Table("past item", "rating", "score", *record["channels"])
    for row in record["history"]:
        ranks = (str(row[name] or "-") for name in ("relevance_rank", "recency_rank"))
        table.add_row(Text(row["title"]), f"{row['rating']:g}", f"{row['score']:.3f}", *ranks)
    out.print(table)
    if order_note:
        out.print(f"{order_note.capitalize()}.", markup=False)
    for number, trace in enumerate(record["traces"], start=1):
        head = f"Chain {number}: {trace['verdict']}, P(yes) {trace['p_yes']:.2f}, {trace['tokens']} tokens"
        out.print(f"{head}, {trace['seconds']:.1f} s", markup=False, style="bold")
        out.print(trace["text"].strip(), markup=False)
    for symbol, name, value in (
        ("P_G", "tuned model", "p_g"), ("sigma_G^2", "its variance", "var_g"),
        ("P_R", "reasoning model", "p_r"), ("sigma_R^2", "its variance", "var_r"), ("P_final", "merged", "p_final"),
    ):  # fmt: skip
        shown = "-" if record[value] is None else f"{record[value]:.4f}"
        out.print(f"{symbol:>10} = {shown}   {name}", markup=False)
    out.print("From the cache: no model ran." if record["cached"] else "Computed now, and cached.", markup=False)
