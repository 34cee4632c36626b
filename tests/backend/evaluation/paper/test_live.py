"""The quick merge over a whole set is the slow one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import UsageError
from backend.evaluation import metrics
from backend.evaluation.paper.live import STEPS, LiveMerge
from backend.merging import mean_and_variance, merge

coarse = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])  # ties, and both ends
chance = st.one_of(coarse, st.floats(0, 1))


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[int], list[list[float]], list[float], list[float]]:
    n, k = draw(st.integers(1, 25)), draw(st.integers(1, 5))

    def many(element: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(element, min_size=n, max_size=n))

    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return labels, [many(chance) for _ in range(k)], many(chance), many(st.floats(0, 0.25))


@settings(max_examples=150, deadline=None)
@given(questions(), st.floats(0, 10), st.floats(1e-6, 1))
def test_it_is_the_naive_way(given_: tuple, alpha: float, epsilon: float) -> None:
    labels, chains, p_g, var_g = given_
    live = LiveMerge(labels, chains, p_g, var_g)
    slow = []
    for place in range(len(labels)):
        p_r, var_r = mean_and_variance([chain[place] for chain in chains])
        slow.append(float(merge(p_r, var_r, p_g[place], var_g[place], alpha, epsilon)))
    quick = live.scores(alpha, epsilon)
    assert quick == pytest.approx(slow, abs=1e-12)
    point = live.at(alpha, epsilon)
    assert (point.alpha, point.epsilon) == (alpha, epsilon)
    # Of its own scores, since two that differ by rounding alone may change places.
    assert point.values["log_loss"] == pytest.approx(metrics.log_loss(labels, quick), abs=1e-9)
    assert point.values["accuracy"] == metrics.accuracy(labels, quick)
    steps = np.floor(quick * STEPS)
    assert point.values["auc"] == pytest.approx(metrics.auc(labels, steps), abs=1e-12, nan_ok=True)


def test_a_hand_computed_case() -> None:
    # Means 0.5 and 0.8, variances 0.09 and 0; at alpha 1 and epsilon 0.01 the shares of M_R are 1/11 and 1/2.
    live = LiveMerge([0, 1], [[0.2, 0.8], [0.8, 0.8]], [0.39, 0.6], [0.0, 0.0])
    assert live.scores(1, 0.01) == pytest.approx([0.39 + 0.11 / 11, 0.7])
    point = live.at(1, 0.01)
    assert (point.values["auc"], point.values["accuracy"]) == (1.0, 1.0)
    assert point.values["log_loss"] == pytest.approx(-(np.log(0.6) + np.log(0.7)) / 2)
    assert [point.alpha for point in live.over_alpha((0, 1), 0.01)] == [0, 1]
    assert live.over_alpha((0, 1), 0.01)[0].values["log_loss"] == pytest.approx(metrics.log_loss([0, 1], [0.39, 0.6]))
    assert [point.epsilon for point in live.over_epsilon(1, (0.01, 0.1))] == [0.01, 0.1]


def test_one_class_and_no_sample() -> None:
    assert np.isnan(LiveMerge([1, 1], [[0.1, 0.2]], [0.5, 0.5], [0, 0]).at(0.1, 1e-3).values["auc"])
    nothing = LiveMerge([], np.empty((2, 0)), [], []).at(0.1, 1e-3)
    assert np.isnan(list(nothing.values.values())).all()


@pytest.mark.parametrize(
    ("labels", "chains", "p_g", "var_g"),
    [
        ([0, 1], [[0.1, 0.2]], [0.1], [0, 0]),
        ([0, 1], [0.1, 0.2], [0.1, 0.2], [0, 0]),
        ([0, 2], [[0.1, 0.2]], [0.1, 0.2], [0, 0]),
        ([0, 1], [[0.1, np.nan]], [0.1, 0.2], [0, 0]),
        ([0, 1], [[0.1, 0.2]], [0.1, 1.2], [0, 0]),
    ],
)
def test_nonsense_is_refused(labels: list, chains: list, p_g: list, var_g: list) -> None:
    with pytest.raises(UsageError):
        LiveMerge(labels, chains, p_g, var_g)


def test_weights_that_are_none_are_refused() -> None:
    live = LiveMerge([0, 1], [[0.1, 0.2]], [0.1, 0.2], [0, 0])
    for alpha, epsilon in ((-1, 1e-3), (0.1, 0.0)):
        with pytest.raises(UsageError):
            live.at(alpha, epsilon)


def test_many_points_at_once_are_the_same_points(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random(300) < 0.5).astype(float)
    live = LiveMerge(labels, rng.random((4, 300)), rng.random(300), rng.random(300) / 10)
    alone = live.over_alpha((0.0, 0.1, 0.2), 1e-3) + live.over_epsilon(0.1, (1e-6, 1e-3))
    monkeypatch.setattr("backend.evaluation.paper.live._THREADED", 1)
    assert live.over_alpha((0.0, 0.1, 0.2), 1e-3) + live.over_epsilon(0.1, (1e-6, 1e-3)) == alone
