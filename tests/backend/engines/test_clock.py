"""The seconds of requests that run side by side."""

from __future__ import annotations

import pytest

from backend.engines.clock import WorkClock
from backend.types import Trace, own_seconds


def test_those_that_run_side_by_side_share_the_time() -> None:
    now = [10.0]
    clock = WorkClock(lambda: now[0])
    now[0] = 12.0  # nobody runs
    first = clock.begin()
    now[0] = 13.0  # alone for 1
    second, third = clock.begin(), clock.begin()
    now[0] = 16.0  # three share 3
    assert second.end() == pytest.approx(1.0)
    now[0] = 20.0  # two share 4
    assert first.end() == pytest.approx(4.0)
    now[0] = 21.0  # alone for 1
    assert third.end() == pytest.approx(4.0)
    assert first.end() == pytest.approx(4.0), "it has ended"
    assert first.end() + second.end() + third.end() == pytest.approx(21.0 - 12.0)


def test_what_fails_ends_too() -> None:
    now = [0.0]
    clock = WorkClock(lambda: now[0])
    with pytest.raises(KeyError), clock.begin():
        raise KeyError
    share = clock.begin()
    now[0] = 2.0
    assert share.end() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("chains", "seconds"),
    [
        ([("stop", 2.0, 0.9), ("length", 3.0, 0.9)], [2.0, 3.0]),
        ([("stop", 2.0, None), ("length", 6.0, None), ("stop", 4.0, None)], [2.0, 2.0, 2.0]),
        ([("stop", 6.0, None), ("empty", 1.0, None), ("stop", 2.0, 0.9)], [6.0, 1.0, 2.0]),
        ([], []),
    ],
)
def test_chains_from_before_share_the_time_of_the_longest(
    chains: list[tuple[str, float, float | None]], seconds: list[float]
) -> None:
    traces = [Trace(n, "So.", 0.5, 1, told, finish, 0, mass) for n, (finish, told, mass) in enumerate(chains)]
    assert own_seconds(traces) == seconds
