"""Metrics against scikit-learn and against their definitions, and when they are not defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from backend.errors import UsageError
from backend.evaluation.metrics import METRICS, Metric, accuracy, auc, gauc, log_loss, why_undefined

scores = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1))
rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), scores), min_size=1, max_size=60)
Rows = list[tuple[int, int, float]]
# A metric that is not registered; tests of other areas register it, and look for it where metrics are listed.
BRIER = Metric(
    "brier", "Brier score", lambda _users, labels, values: float(np.mean(np.subtract(labels, values) ** 2)), "low",
    "The mean squared error.", figures=frozenset({"weights", "strategies", "cost", "slices"}),
)  # fmt: skip


def _columns(table: Rows) -> tuple[list[int], list[int], list[float]]:
    users, labels, values = zip(*table, strict=True)
    return list(users), list(labels), list(values)


def _pairs_auc(labels: list[int], values: list[float]) -> float:
    """The share of (liked, not liked) pairs that are in the right order, ties counting half."""
    liked = [value for label, value in zip(labels, values, strict=True) if label]
    disliked = [value for label, value in zip(labels, values, strict=True) if not label]
    return sum((a > b) + (a == b) / 2 for a in liked for b in disliked) / (len(liked) * len(disliked))


@given(rows)
def test_auc_equals_scikit_learn_or_is_nan_with_a_reason(table: Rows) -> None:
    _, labels, values = _columns(table)
    if len(set(labels)) == 2:
        assert auc(labels, values) == pytest.approx(reference.roc_auc_score(labels, values), abs=1e-12)
        assert why_undefined(labels) is None
    else:
        assert np.isnan(auc(labels, values))
        assert (
            why_undefined(labels) == f"All {len(labels)} samples have the label {labels[0]}: AUC compares two classes."
        )


@given(rows)
def test_log_loss_equals_scikit_learn_on_clipped_probabilities(table: Rows) -> None:
    _, labels, values = _columns(table)
    expected = reference.log_loss(labels, np.clip(values, 1e-7, 1 - 1e-7), labels=[0, 1])
    assert log_loss(labels, values) == pytest.approx(expected, rel=1e-9)


@given(rows)
def test_accuracy_counts_scores_above_one_half_as_yes(table: Rows) -> None:
    _, labels, values = _columns(table)
    assert accuracy(labels, values) == pytest.approx(reference.accuracy_score(labels, [v > 0.5 for v in values]))


@given(rows)
def test_gauc_is_the_mean_of_the_users_areas_weighted_by_their_samples(table: Rows) -> None:
    users, labels, values = _columns(table)
    areas, weights = [], []
    for user in set(users):
        of_user = [(label, value) for u, label, value in table if u == user]
        if len({label for label, _ in of_user}) == 2:
            areas.append(_pairs_auc([label for label, _ in of_user], [value for _, value in of_user]))
            weights.append(len(of_user))
    area = gauc(users, labels, values)
    if areas:
        assert area == pytest.approx(np.average(areas, weights=weights), abs=1e-12)
    else:
        assert np.isnan(area)


@given(rows, st.randoms())
def test_gauc_does_not_depend_on_the_order_of_samples_nor_on_how_users_are_named(table: Rows, random: object) -> None:
    shuffled = list(table)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    users, labels, values = _columns(table)
    named, other_labels, other_values = _columns(shuffled)
    renamed_area = gauc([f"user {7 - user}" for user in named], other_labels, other_values)
    assert renamed_area == pytest.approx(gauc(users, labels, values), abs=1e-12, nan_ok=True)


def test_at_the_ends() -> None:
    # A wrong certainty costs much, but not infinity; one half is no yes.
    assert log_loss([1], [0.0]) == pytest.approx(-np.log(1e-7))
    assert log_loss([0], [1.0]) == pytest.approx(-np.log(1e-7), rel=1e-6)
    assert accuracy([0, 1], [0.5, 0.5]) == 0.5
    assert np.isnan([metric.function([], [], []) for metric in METRICS.values()]).all()
    assert why_undefined([]) == "There are no samples."


def test_per_user_auc_hides_what_only_the_users_mean_explains() -> None:
    users, labels = [0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 1]
    user_mean = [2 / 3] * 3 + [1 / 3] * 3
    assert auc(labels, user_mean) == pytest.approx(2 / 3)
    assert gauc(users, labels, user_mean) == 0.5


@pytest.mark.parametrize(
    ("labels", "values", "named"),
    [
        ([0, 1], [0.5], r"shape \(2,\), scores \(1,\)"),
        ([[0, 1]], [[0.5, 0.5]], r"shape \(1, 2\)"),
        ([0, 2], [0.5, 0.5], "neither 0 nor 1"),
        ([0, 1], [0.5, float("nan")], "score is NaN"),
    ],
)
def test_input_that_is_no_prediction_is_refused(labels: list[int], values: list[float], named: str) -> None:
    for metric in (auc, log_loss, accuracy):
        with pytest.raises(UsageError, match=named):
            metric(labels, values)
    with pytest.raises(UsageError, match="1 users and 2 labels"):
        gauc([1], [0, 1], [0.1, 0.2])


def test_every_metric_is_registered_with_words_for_people() -> None:
    assert list(METRICS) == ["auc", "gauc", "log_loss", "accuracy", "ece"]
    for key, metric in METRICS.items():
        assert metric.key == key
        assert metric.about.endswith(".")
