"""The bootstrap over users: what is drawn, that many draws at once equal one by one, and that intervals mean it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import UnknownNameError, UsageError
from backend.evaluation import intervals
from backend.evaluation.intervals import MetricDraws, draw
from backend.evaluation.metrics import METRICS

rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 1), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
    min_size=1,
    max_size=25,
)


def _same(first: MetricDraws, second: MetricDraws) -> bool:
    return np.allclose(
        np.r_[first.value, first.each], np.r_[second.value, second.each], rtol=0, atol=1e-9, equal_nan=True
    )


@pytest.mark.parametrize("name", METRICS)
@given(rows)
def test_many_draws_at_once_equal_the_metric_of_each(name: str, table: list[tuple[int, int, float]]) -> None:
    users, labels, scores = zip(*table, strict=True)
    fast = draw(name, users, labels, scores, draws=40)
    assert _same(fast, draw(METRICS[name].function, users, labels, scores, draws=40))


def test_the_blocks_of_draws_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    users, labels, scores = rng.integers(0, 9, 60), rng.integers(0, 2, 60), rng.random(60)
    whole = {name: draw(name, users, labels, scores, draws=50) for name in METRICS}
    monkeypatch.setattr(intervals, "_BLOCK", 60 * 7)
    for name, drawn in whole.items():
        assert _same(drawn, draw(name, users, labels, scores, draws=50))


def test_two_users_by_hand() -> None:
    # User a is always right, b never: a draw of two users is right in all, half or none, 1 : 2 : 1.
    users, labels, scores = ["a", "a", "b", "b"], [1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8]
    drawn = draw("accuracy", users, labels, scores, draws=4000)
    assert (drawn.value, len(drawn.each)) == (0.5, 4000)
    assert drawn.interval(0.4) == (0.5, 0.5)
    assert drawn.interval() == drawn.interval(0.52) == (0.0, 1.0)  # a quarter lies at either end, more than 24 %
    assert draw("gauc", users, labels, scores).value == 0.5


def test_users_are_drawn_whole_so_samples_that_hang_together_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(40) < 0.5, 25)  # a user's samples are all right or all wrong
    labels = rng.integers(0, 2, 1000)
    scores = np.where(right == (labels == 1), 0.9, 0.1)
    by_user = draw("accuracy", np.repeat(np.arange(40), 25), labels, scores)
    by_sample = draw("accuracy", np.arange(1000), labels, scores)
    expected = 2 * 1.96 * np.sqrt(by_user.value * (1 - by_user.value) / 40)
    assert np.diff(by_user.interval()) == pytest.approx(expected, rel=0.15)
    assert np.diff(by_sample.interval()) == pytest.approx(expected / 5, rel=0.15)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    users, labels, inside = np.repeat(np.arange(60), 4), np.ones(240), 0
    for seed in range(200):
        hits = rng.random((60, 4)) < rng.beta(7, 3, 60)[:, None]  # 0.7 on average, users differ
        low, high = draw("accuracy", users, labels, hits.ravel() * 1.0, draws=300, seed=seed).interval()
        inside += low <= 0.7 <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_a_paired_difference_is_that_of_the_same_draws() -> None:
    rng = np.random.default_rng(5)
    users, labels = rng.integers(0, 12, 80), rng.integers(0, 2, 80)
    first, second = rng.random((2, 80))

    def difference(metric: str, one: np.ndarray, two: np.ndarray, draws: int = 60) -> MetricDraws:
        return draw(metric, users, labels, one, draws, seed=4) - draw(metric, users, labels, two, draws, seed=4)

    for name, metric in METRICS.items():
        expected = metric.function(users, labels, first) - metric.function(users, labels, second)
        assert difference(name, first, second).value == pytest.approx(expected)
    same = difference("auc", first, first)
    assert (same.value, *same.interval()) == (0, 0, 0)
    # What makes users hard for both cancels out: the difference is surer than either.
    better = difference("log_loss", first, 0.98 * first + 0.01, 500)
    assert np.diff(better.interval()) < np.diff(draw("log_loss", users, labels, first, draws=500).interval()) / 2


def test_seeds_and_draws_that_are_not_defined() -> None:
    users, labels, scores = [1, 2, 3], [1, 0, 1], [0.9, 0.2, 0.4]
    one, two, three = (draw("auc", users, labels, scores, draws=200, seed=seed) for seed in (1, 1, 2))
    assert _same(one, two)
    assert not _same(one, three)
    # Three users, one of whom did not like it: all equal in (1/3)^3 + (2/3)^3 = 1/3 of the draws.
    assert 40 < np.isnan(one.each).sum() < 95
    assert not np.isnan(one.interval()).any()
    nothing = draw("auc", [1, 2], [1, 1], [0.2, 0.3], draws=20)
    assert np.isnan([nothing.value, *nothing.interval(), *nothing.each]).all()
    assert np.isnan(draw("log_loss", [], [], [], draws=5).each).all()


@pytest.mark.parametrize(
    ("metric", "users", "labels", "scores", "draws", "kind", "named"),
    [
        ("f1", [1], [1], [0.5], 9, UnknownNameError, "gauc"),
        ("auc", [1], [1, 0], [0.5, 0.5], 9, UsageError, "one user per label"),
        ("auc", [1], [1], [0.5], 0, UsageError, "0 draws"),
        ("auc", [1, 2], [1, 0], [0.5, float("nan")], 9, UsageError, "NaN"),
    ],
)
def test_wrong_use(
    metric: str, users: list, labels: list, scores: list, draws: int, kind: type[Exception], named: str
) -> None:
    with pytest.raises(kind, match=named):
        draw(metric, users, labels, scores, draws)
