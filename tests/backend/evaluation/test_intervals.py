"""The bootstrap over users: what is drawn, that many draws at once equal one by one, and that intervals mean it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import UnknownNameError, UsageError
from backend.evaluation import intervals, metrics
from backend.evaluation.intervals import Interval, bootstrap, bootstrap_difference
from backend.evaluation.metrics import METRICS

rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 1), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
    min_size=1,
    max_size=25,
)


def _same(one: Interval, other: Interval) -> bool:
    numbers = [(own.value, own.low, own.high) for own in (one, other)]
    return one.undefined == other.undefined and np.allclose(*numbers, rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", METRICS)
@given(rows)
def test_many_draws_at_once_equal_the_metric_of_each(name: str, table: list[tuple[int, int, float]]) -> None:
    users, labels, scores = zip(*table, strict=True)
    fast = bootstrap(name, users, labels, scores, draws=40)
    assert _same(fast, bootstrap(METRICS[name].function, users, labels, scores, draws=40))


def test_the_blocks_of_draws_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    users, labels, scores = rng.integers(0, 9, 60), rng.integers(0, 2, 60), rng.random(60)
    whole = {name: bootstrap(name, users, labels, scores, draws=50) for name in METRICS}
    monkeypatch.setattr(intervals, "_BLOCK", 60 * 7)
    for name, own in whole.items():
        assert _same(own, bootstrap(name, users, labels, scores, draws=50))


def test_two_users_by_hand() -> None:
    # User a is always right, b never: a draw of two users is right in all, half or none, 1 : 2 : 1.
    users, labels, scores = ["a", "a", "b", "b"], [1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8]
    own = bootstrap("accuracy", users, labels, scores, draws=4000, level=0.4)
    assert own == Interval(0.5, 0.5, 0.5, 4000)
    wide = bootstrap("accuracy", users, labels, scores, draws=4000)
    assert (wide.low, wide.high) == (0.0, 1.0)
    shares = bootstrap("accuracy", users, labels, scores, draws=4000, level=0.52)
    assert (shares.low, shares.high) == (0.0, 1.0)  # a quarter of the draws lies at either end, more than 24 %
    assert bootstrap("gauc", users, labels, scores).value == 0.5


def test_users_are_drawn_whole_so_samples_that_hang_together_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(40) < 0.5, 25)  # a user's samples are all right or all wrong
    labels = rng.integers(0, 2, 1000)
    scores = np.where(right == (labels == 1), 0.9, 0.1)
    by_user = bootstrap("accuracy", np.repeat(np.arange(40), 25), labels, scores)
    by_sample = bootstrap("accuracy", np.arange(1000), labels, scores)
    expected = 2 * 1.96 * np.sqrt(by_user.value * (1 - by_user.value) / 40)
    assert by_user.high - by_user.low == pytest.approx(expected, rel=0.15)
    assert by_sample.high - by_sample.low == pytest.approx(expected / 5, rel=0.15)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(200):
        hits = rng.random((60, 4)) < rng.beta(7, 3, 60)[:, None]  # 0.7 on average, users differ
        labels = np.ones(240)
        own = bootstrap("accuracy", np.repeat(np.arange(60), 4), labels, hits.ravel() * 1.0, draws=300, seed=seed)
        held += own.low <= 0.7 <= own.high
    assert 0.88 <= held / 200 <= 0.99


def test_a_paired_difference_is_that_of_the_same_draws() -> None:
    rng = np.random.default_rng(5)
    users, labels = rng.integers(0, 12, 80), rng.integers(0, 2, 80)
    first, second = rng.random((2, 80))
    for name, registered in METRICS.items():
        metric = registered.function
        own = bootstrap_difference(name, users, labels, first, second, draws=60, seed=4)
        assert own.value == pytest.approx(metric(users, labels, first) - metric(users, labels, second))
        assert _same(own, bootstrap_difference(metric, users, labels, first, second, draws=60, seed=4))
    same = bootstrap_difference("auc", users, labels, first, first, draws=60)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    # What makes users hard for both cancels out: the difference is surer than either.
    better = bootstrap_difference("log_loss", users, labels, first, 0.98 * first + 0.01, draws=500)
    alone = bootstrap("log_loss", users, labels, first, draws=500)
    assert better.high - better.low < (alone.high - alone.low) / 2


def test_seeds_and_draws_that_are_not_defined() -> None:
    users, labels, scores = [1, 2, 3], [1, 0, 1], [0.9, 0.2, 0.4]
    one, two, other = (bootstrap("auc", users, labels, scores, draws=200, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one.undefined != other.undefined
    # Three users, one of whom did not like it: all equal in (1/3)^3 + (2/3)^3 = 1/3 of the draws.
    assert 40 < one.undefined < 95
    nothing = bootstrap("auc", [1, 2], [1, 1], [0.2, 0.3], draws=20)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    assert nothing.undefined == 20
    assert np.isnan(bootstrap("log_loss", [], [], [], draws=5).value)


def test_wrong_use() -> None:
    with pytest.raises(UnknownNameError, match="gauc"):
        bootstrap("f1", [1], [1], [0.5])
    with pytest.raises(UsageError, match="one user per label"):
        bootstrap("auc", [1], [1, 0], [0.5, 0.5])
    with pytest.raises(UsageError, match="0 draws"):
        bootstrap("auc", [1], [1], [0.5], draws=0)
    with pytest.raises(UsageError, match="NaN"):
        bootstrap("auc", [1, 2], [1, 0], [0.5, float("nan")])
    assert metrics.auc([1, 0], [0.5, 0.4]) == 1
