"""Progress where there is no terminal: a line every half minute, with how long it may take; short work says nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from rich.console import Console

from backend.types import Progress
from scripts import console


class Log:
    """Standard error into a file of 80 columns, and a clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.file = io.StringIO()
        self.console = Console(file=self.file, width=80, highlight=False)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(console, "log", made.console)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def report(log: Log) -> Iterator[Progress]:
    with console.progress_bar() as progress:
        yield progress


def _steps(log: Log, report: Progress, seconds: int, count: int, what: str = "adapter: step {}") -> None:
    """A step every so many seconds, of ``count``."""
    for step in range(count + 1):
        report(what.format(step), step / count)
        log.now += seconds


def test_short_work_says_nothing(log: Log, report: Progress) -> None:
    report("starting", None)
    _steps(log, report, 2, 14)
    assert log.lines == []


def test_long_work_says_every_half_minute_how_far_it_is(log: Log, report: Progress) -> None:
    _steps(log, report, 10, 60)
    assert len(log.lines) == 20
    assert log.lines[0] == "adapter: step 3 (5%, about 10 min left)"
    assert log.lines[9] == "adapter: step 30 (50%, about 5 min left)"
    assert log.lines[-2:] == ["adapter: step 57 (95%)", "adapter: step 60 (100%)"], "less than a minute is not told"


def test_another_kind_of_work_has_a_clock_of_its_own(log: Log, report: Progress) -> None:
    _steps(log, report, 29, 1, "retrieving for the train samples")
    _steps(log, report, 29, 1, "retrieving for the validation samples")
    assert log.lines == [], "neither took half a minute"
    log.now += 500
    _steps(log, report, 30, 10)
    assert log.lines[0] == "adapter: step 1 (10%, about 4 min left)", "of its own time alone"


def test_what_was_done_before_is_not_counted_as_done_now(log: Log, report: Progress) -> None:
    report("adapter: step 60", 0.6)  # a run that goes on
    log.now += 60
    report("adapter: step 70", 0.7)
    assert log.lines == ["adapter: step 70 (70%, about 3 min left)"]


def test_work_whose_end_is_not_known_says_only_what_it_does(log: Log, report: Progress) -> None:
    for _ in range(4):
        report("loading [model]", None)
        log.now += 31
    assert log.lines == ["loading [model]"] * 3


def test_a_line_is_one_line_however_long(log: Log, report: Progress) -> None:
    what = "adapter: epoch 1 of at most 5, " + ", ".join(f"number_{n} 0.6931" for n in range(9))
    report(what, 0.0)
    log.now += 90
    report(what, 0.2)
    assert log.lines == [f"{what} (20%, about 6 min left)"]


def test_a_terminal_gets_a_bar_and_no_lines(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "log", Console(file=log.file, force_terminal=True, width=80))
    with console.progress_bar() as progress:
        progress("adapter: step 1 of 2 [x]", 0.5)
        progress("adapter: step 2 of 2", 1.0)
    assert "adapter: step 2 of 2" in log.file.getvalue()
    assert "about" not in log.file.getvalue()
