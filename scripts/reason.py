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

from backend.batch import Batch, BatchListener, Count
from backend.errors import EngineError, Stopped, UsageError
from backend.settings import load_settings
from backend.types import Progress, Stop
from scripts.console import LINE_EVERY, checked_out, log, print_json, progress_bar
from scripts.reason_report import report_of, show, write_predictions
from storage.jobs.pace import duration
from storage.jobs.work import counted, kept, raise_failures, recalled
from storage.kept.sample_list import Sample, part_samples, read_samples
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
            batch = Batch(pipeline, recalled(pipeline, samples, recipes, progress, stop))
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
    raise_failures(batch, samples, recipes, "run the same command again")


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
        if isinstance(error, Stopped):
            raise Stopped(f"Stopped; {kept(batch)} are kept. The same command goes on from there") from None
        if batch.answers.made + batch.chains.made:
            log.print(f"{kept(batch)} are kept", markup=False, soft_wrap=True)
        raise


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
            self._progress(counted(count), count.fraction)
            return
        now = time.monotonic()
        if count.kind != self._kind or not count.left or now - self._said >= LINE_EVERY:
            self._kind, self._said = count.kind, now
            foreseen = count.seconds_left if count.left else None
            left = "" if foreseen is None else f", about {duration(foreseen)} left"
            log.print(counted(count) + left, markup=False, soft_wrap=True)
