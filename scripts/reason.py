"""``rallrec reason``."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from backend.batch import Batch, BatchListener, Count, unasked_predictions
from backend.errors import EngineError, Stopped, UsageError
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.settings import load_settings
from backend.types import Progress, Stop
from scripts.console import LINE_EVERY, checked_out, log, print_json, progress_bar
from scripts.reason_report import report_of, show, write_predictions
from scripts.sample_list import Sample, at_line, part_samples, read_samples
from storage.lookup import look_up
from storage.workspace import Workspace


@dataclass(frozen=True)
class Choice:
    """Which samples, as the options say: a list in a file, or some of a part."""

    file: str | None = None
    part: str | None = None
    limit: int | None = None
    users: int | None = None
    draw_seed: int = 0

    def samples(self, workspace: Workspace) -> list[Sample]:
        """Raises ``UsageError``, also where both ways are mixed."""
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


def run(
    *,
    dataset: str | None,
    choice: Choice,
    gammas: Sequence[float],
    knowledge: Sequence[str],
    answers_only: bool,
    prompts_per_call: int,
    profile: str | None,
    engine: str | None,
    recipe: dict[str, Any],
    out_file: str | None,
    as_json: bool,
) -> None:
    """Ask the models about many samples, under every combination of ``gammas`` and ``knowledge``."""
    started = time.perf_counter()
    path = checked_out(out_file, "give another --out") if out_file is not None else None
    if answers_only:
        if recipe.get("traces"):
            raise UsageError("--answers-only was given together with --traces", fix="leave one of them out")
        recipe = recipe | {"traces": 0}
    workspace = Workspace(load_settings(dataset=dataset, profile=profile, engine=engine))
    try:
        ways = product(dict.fromkeys(gammas) or [None], dict.fromkeys(knowledge) or [None])
        recipes = [workspace.recipe(**recipe, gamma=gamma, knowledge=wording) for gamma, wording in ways]
        samples = choice.samples(workspace)
        pipeline = workspace.pipeline()
        with stop_when_interrupted() as stop, progress_bar() as progress:
            batch = Batch(pipeline, _recalled(pipeline, samples, recipes, progress, stop))
            _ask(batch, BatchListener(progress, Teller(progress)), stop, prompts_per_call)
    finally:
        workspace.close()
    if path:
        write_predictions(path, pipeline, batch.predictions)
    report = report_of(pipeline, batch, samples, recipes) | {
        "out": str(path) if path else None,
        "seconds": round(time.perf_counter() - started, 3),
    }
    if as_json:
        print_json(report)
    else:
        show(report)
    if batch.failures:
        first = report["failures"][0]
        raise EngineError(
            f"{batch.answers.failed + batch.chains.failed} prompts failed; {first['sample']}: {first['problem']}",
            expected="an answer to each (the others are kept)",
            fix="run the same command again: only what is missing is run",
        )


@contextmanager
def stop_when_interrupted() -> Iterator[Stop]:
    """A stop that turns true on the first Ctrl-C (or SIGTERM), so that a model ends what it does; the second kills."""
    asked = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(_number: int, _frame: Any) -> None:
        asked.set()
        restore()

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # a process in the background may be told to ignore the terminal
            signal.signal(number, first)
    try:
        yield asked.is_set
    finally:
        restore()


def _ask(batch: Batch, listener: BatchListener, stop: Stop, prompts_per_call: int) -> None:
    """Run the batch; what ends it early says what is kept."""
    try:
        batch.run(listener, stop, prompts_per_call)
    except (Stopped, EngineError) as error:
        kept = " and ".join(
            f"{count.known + count.made:,} of {count.wanted:,} {count.kind}"
            for count in (batch.answers, batch.chains)
            if count.wanted
        )
        if isinstance(error, Stopped):
            raise Stopped(f"Stopped; {kept} are kept. The same command goes on from there") from None
        if batch.answers.made + batch.chains.made:
            log.print(f"{kept} are kept", markup=False, soft_wrap=True)
        raise


def _recalled(
    pipeline: Pipeline, samples: Sequence[Sample], recipes: Sequence[Recipe], progress: Progress, stop: Stop
) -> Iterator[Prediction]:
    """Every sample under every recipe, with what is in the cache."""
    for number, sample in enumerate(samples):
        if stop():
            raise Stopped("Stopped before any model was asked")
        progress("looking up what is cached", number / len(samples))
        try:
            found = list(unasked_predictions(pipeline, [(sample.user, sample.item)], recipes))
        except UsageError as error:
            raise at_line(sample.where, error) from error
        for prediction in found:
            yield look_up(pipeline, prediction.question, prediction.recipe)


class Teller:
    """Hears counts: moves the bar; where there is none, logs a line as a kind begins and ends, and every half minute
    between.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said = 0.0
        self._kind = ""

    def __call__(self, count: Count) -> None:
        if count.wanted == count.known:
            return
        if log.is_terminal:
            self._progress(_line(count), count.fraction)
            return
        now = time.monotonic()
        if count.kind != self._kind or not count.left or now - self._said >= LINE_EVERY:
            self._kind, self._said = count.kind, now
            foreseen = count.seconds_left if count.left else None
            left = "" if foreseen is None else f", about {_duration(foreseen)} left"
            log.print(_line(count) + left, markup=False, soft_wrap=True)


def _line(count: Count) -> str:
    """How far it is: ``chains: 120 of 900 (60 from the cache), 2.1 per second``."""
    said = [f"{count.kind}: {count.known + count.made:,} of {count.wanted:,} ({count.known:,} from the cache)"]
    if count.failed:
        said.append(f"{count.failed:,} prompts failed")
    if count.made and count.seconds:
        pace = count.made / count.seconds
        said.append(f"{pace:,.1f} per second" if pace >= 1 else f"{pace * 60:,.1f} per minute")
    return ", ".join(said)


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
