"""``rallrec reason``: both models are asked about many samples, and all they say is kept."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from backend.errors import EngineError, Stopped, UnknownNameError, UsageError
from backend.numbers import or_null
from scripts.console import (
    LINE_EVERY,
    checked_out,
    log,
    note,
    open_workspace,
    print_json,
    print_table,
    progress_bar,
    say,
)
from scripts.options import Beta, DatasetName, EngineName, Json, ProfileName, Strategy, Variant

if TYPE_CHECKING:
    from backend.batch import Batch, Count
    from backend.pipeline import Pipeline, Prediction, Recipe
    from backend.types import Progress, Stop
    from storage.kept.sample_list import Sample
    from storage.workspace import Workspace


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
    again: Annotated[
        str | None,
        typer.Option(help="unknown: ask exactly what is cached in an unknown precision again, and nothing else."),
    ] = None,
    profile: ProfileName = None,
    engine: EngineName = None,
    out: Annotated[str | None, typer.Option(help="JSON-lines file to write: a line per sample and recipe.")] = None,
    as_json: Json = False,
) -> None:
    """Ask both models about many samples and keep all they say. Runs only what is missing; resumes when interrupted."""
    if again is not None:
        given = (part, limit, users, samples, variant, strategy, gamma, beta, k, traces, knowledge, max_tokens, seed)
        more = answers_only or any(value is not None for value in (*given, out))
        _ask_again(again, more, dataset, profile, engine, as_json)
        return
    from backend.batch import Batch, BatchListener
    from storage.jobs.work import raise_failures, recalled

    started = time.perf_counter()
    path = checked_out(out, "give another --out") if out is not None else None
    if answers_only and traces:
        raise UsageError("--answers-only was given together with --traces", fix="leave one of them out")
    recipe: dict[str, Any] = {
        "variant": variant, "strategy": strategy, "beta": beta, "k": k, "traces": 0 if answers_only else traces,
        "max_tokens": max_tokens, "seed": seed,
    }  # fmt: skip
    with open_workspace(dataset=dataset, profile=profile, engine=engine) as workspace:
        ways = product(dict.fromkeys(gamma or []) or [None], dict.fromkeys(knowledge or []) or [None])
        recipes = [workspace.recipe(**recipe, gamma=weight, knowledge=wording) for weight, wording in ways]
        chosen = SampleOptions(samples, part, limit, users, draw_seed).samples(workspace)
        pipeline = workspace.pipeline()
        with stop_when_interrupted() as stop, progress_bar() as progress:
            batch = Batch(pipeline, recalled(pipeline, chosen, recipes, progress, stop))
            _run(batch, BatchListener(progress, CountLog(progress)), stop, prompts_per_call)
    if path:
        _write_predictions(path, pipeline, batch.predictions)
    report = _report(pipeline, batch, chosen, recipes) | {
        "out": str(path) if path else None,
        "seconds": round(time.perf_counter() - started, 3),
    }
    if as_json:
        print_json(report)
    else:
        _show(report)
    raise_failures(batch, chosen, recipes, "run the same command again")


def _ask_again(
    what: str, more: bool, dataset: str | None, profile: str | None, engine: str | None, as_json: bool
) -> None:
    from storage.results.unknown import ask_again

    if what != "unknown":
        raise UnknownNameError("kind of results to ask again", what, ["unknown"])
    if more:
        raise UsageError("--again was given together with options about samples or prompts", fix="leave them out")
    workspaces = open_workspace(dataset=dataset, profile=profile, engine=engine)
    with workspaces as workspace, stop_when_interrupted() as stop, progress_bar() as progress:
        done = ask_again(workspace, progress, stop)
    if as_json:
        print_json(asdict(done))
        return
    say(f"{done.asked:,} answers and chains were asked again.")
    if done.cut:
        say(f"{done.cut:,} were not: their prompts were longer than the context. Ask for their samples instead.")
    for name, count in done.not_here.items():
        say(f"{count:,} of {name} were not: the adapter is not on this machine.")


@dataclass(frozen=True)
class SampleOptions:
    """Which samples are asked about, as the options say: a list in a file, or some of a part."""

    file: str | None = None
    part: str | None = None
    limit: int | None = None
    users: int | None = None
    draw_seed: int = 0

    def samples(self, workspace: Workspace) -> list[Sample]:
        """Raises ``UsageError``, also where both ways are mixed."""
        from storage.kept.sample_list import part_samples, read_samples

        data = workspace.dataset()
        if self.file is None:
            how = workspace.settings.split
            return part_samples(data, how, self.part or "test", self.limit, self.users, self.draw_seed)
        if self.part or self.limit or self.users:
            raise UsageError(
                "--samples was given together with --part, --limit or --users",
                expected="a list of samples, or a part of the split",
                fix="leave one of them out",
            )
        return read_samples(Path(self.file), data)


@contextmanager
def stop_when_interrupted() -> Iterator[Stop]:
    """A stop that turns true on the first Ctrl-C (or SIGTERM), so that a model ends what it does; the second kills."""
    interrupted = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(_number: int, _frame: Any) -> None:
        interrupted.set()
        restore()

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # a process in the background may be told to ignore the terminal
            signal.signal(number, first)
    try:
        yield interrupted.is_set
    finally:
        restore()


def _run(batch: Batch, listener: Any, stop: Stop, prompts_per_call: int) -> None:
    """Run the batch; what ends it early says how much is kept."""
    from storage.jobs.work import kept

    try:
        batch.run(listener, stop, prompts_per_call)
    except Stopped:
        raise Stopped(f"Stopped; {kept(batch)} are kept. The same command goes on from there") from None
    except EngineError:
        if batch.answers.made + batch.chains.made:
            note(f"{kept(batch)} are kept")
        raise


class CountLog:
    """Hears counts and moves the bar. Where there is no bar, it logs a line when a kind of work begins and ends, and
    every half minute between.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._printed = 0.0
        self._kind = ""

    def __call__(self, count: Count) -> None:
        from storage.jobs.pace import duration
        from storage.jobs.work import counted

        if count.wanted == count.known:
            return
        if log.is_terminal:
            self._progress(counted(count), count.fraction)
            return
        now = time.monotonic()
        if count.kind != self._kind or not count.left or now - self._printed >= LINE_EVERY:
            self._kind, self._printed = count.kind, now
            seconds = count.seconds_left if count.left else None
            note(counted(count) + ("" if seconds is None else f", about {duration(seconds)} left"))


def _write_predictions(path: Path, pipeline: Pipeline, predictions: Sequence[Prediction]) -> None:
    """Write one JSON object a line; the file is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for prediction in predictions:
                line = json.dumps(_line(pipeline, prediction), ensure_ascii=False, allow_nan=False)
                file.write(f"{line}\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _line(pipeline: Pipeline, prediction: Prediction) -> dict[str, Any]:
    """One line of ``--out``: null for what is not known; ``verdicts`` counts the chains whose verdict can be read."""
    from backend.prompting import NO_ANSWER, read_verdict

    data, question, recipe = pipeline.dataset, prediction.question, prediction.recipe
    numbers = {name: getattr(prediction, name) for name in ("p_g", "var_g", "p_r", "var_r", "p_final")}
    return {
        "user": data.user_ids[question.user],
        "item": data.item_ids[question.item],
        "row": data.find_row(question.user, question.item),
        "label": None if question.label is None else int(question.label),
        "gamma": recipe.retrieval.gamma,
        "knowledge": recipe.prompting.knowledge,
        **{name: or_null(value) for name, value in numbers.items()},
        "traces": sum(trace is not None for trace in prediction.traces),
        "verdicts": sum(read_verdict(trace.text).answer != NO_ANSWER for trace in prediction.chains),
        "recipe": recipe.hash,
    }


def _report(pipeline: Pipeline, batch: Batch, samples: Sequence[Sample], recipes: Sequence[Recipe]) -> dict[str, Any]:
    from storage.jobs.work import failures_of

    return {
        "dataset": pipeline.dataset.meta.name,
        "samples": len(samples),
        "users": len({sample.user for sample in samples}),
        "recipes": [
            {"gamma": recipe.retrieval.gamma, "knowledge": recipe.prompting.knowledge, "recipe": recipe.hash}
            for recipe in recipes
        ],
        "models": {"tuned": asdict(pipeline.tuned.model), "reasoning": asdict(pipeline.reasoner.model)},
        "answers": _counts(batch.answers),
        "chains": _counts(batch.chains),
        "complete": sum(prediction.complete for prediction in batch.predictions),
        "failures": failures_of(batch, samples, recipes),
    }


def _counts(count: Count) -> dict[str, Any]:
    pace = count.tokens_per_second
    return {
        "prompts": count.prompts,
        "wanted": count.wanted,
        "cached": count.known,
        "run": count.made,
        "failed_prompts": count.failed,
        "tokens": count.tokens,
        "seconds": round(count.seconds, 3),
        "tokens_per_second": None if pace is None else round(pace, 1),
    }


def _show(report: dict[str, Any]) -> None:
    say(
        f"{report['samples']:,} samples of {report['users']:,} users, {len(report['recipes'])} recipes: "
        f"{report['complete']:,} of {report['samples'] * len(report['recipes']):,} predictions are complete."
    )
    table = Table("", box=None, pad_edge=False)
    for name in ("prompts", "wanted", "from the cache", "run now", "failed", "seconds", "tokens", "tokens/s"):
        table.add_column(name, justify="right")
    for kind in ("answers", "chains"):
        counts = report[kind]
        pace = "-" if counts["tokens_per_second"] is None else f"{counts['tokens_per_second']:,.0f}"
        whole = [f"{counts[name]:,}" for name in ("prompts", "wanted", "cached", "run", "failed_prompts")]
        table.add_row(kind, *whole, f"{counts['seconds']:,.1f}", f"{counts['tokens']:,}", pace)
    print_table(table)
    if report["out"]:
        say(f"Written: {report['out']}")
