"""Equation 10: properties that hold for every input, and the literal formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.errors import UsageError
from backend.merging import mean_and_variance, mean_and_variance_of_chains, merge, merge_weights

probabilities = st.floats(0, 1)
variances = st.floats(0, 0.25)
alphas = st.floats(0, 10)
epsilons = st.floats(1e-9, 1)


def _literal(p_r: float, var_r: float, p_g: float, var_g: float, alpha: float, epsilon: float) -> float:
    top = alpha * p_r / (var_r + epsilon) + p_g / (var_g + epsilon)
    return top / (alpha / (var_r + epsilon) + 1 / (var_g + epsilon))


@given(probabilities, variances, probabilities, variances, alphas, epsilons)
@example(0.1, 0.0, 0.7, 1e300, 10.0, 1e-3)  # all the weight on P_R, where rounding would overshoot it
def test_p_final_never_leaves_the_interval_between_p_r_and_p_g(
    p_r: float, var_r: float, p_g: float, var_g: float, alpha: float, epsilon: float
) -> None:
    assert min(p_r, p_g) <= merge(p_r, var_r, p_g, var_g, alpha, epsilon) <= max(p_r, p_g)


@given(probabilities, variances, probabilities, variances, alphas, epsilons)
def test_merge_equals_the_literal_equation(
    p_r: float, var_r: float, p_g: float, var_g: float, alpha: float, epsilon: float
) -> None:
    expected = _literal(p_r, var_r, p_g, var_g, alpha, epsilon)
    assert merge(p_r, var_r, p_g, var_g, alpha, epsilon) == pytest.approx(expected, abs=1e-9)


@given(probabilities, variances, probabilities, variances, epsilons)
def test_alpha_zero_gives_p_g_exactly(p_r: float, var_r: float, p_g: float, var_g: float, epsilon: float) -> None:
    assert merge(p_r, var_r, p_g, var_g, 0.0, epsilon) == p_g


@given(variances, variances, variances, st.floats(1e-3, 10), epsilons)
def test_more_variance_means_no_more_weight(
    lower: float, higher: float, other_variance: float, alpha: float, epsilon: float
) -> None:
    lower, higher = sorted((lower, higher))
    reasoning = [merge_weights(var, other_variance, alpha, epsilon).share_reasoning for var in (lower, higher)]
    tuned = [merge_weights(other_variance, var, alpha, epsilon).share_tuned for var in (lower, higher)]
    assert reasoning[0] >= reasoning[1]
    assert tuned[0] >= tuned[1]
    if higher - lower > 1e-6:
        assert reasoning[0] > reasoning[1]
        assert tuned[0] > tuned[1]


@given(variances, variances, alphas, epsilons)
def test_the_two_shares_add_up_to_one(var_r: float, var_g: float, alpha: float, epsilon: float) -> None:
    weights = merge_weights(var_r, var_g, alpha, epsilon)
    assert weights.share_reasoning + weights.share_tuned == pytest.approx(1.0)
    assert weights.raw_reasoning == alpha / (var_r + epsilon)
    assert weights.raw_tuned == 1 / (var_g + epsilon)


def test_equal_variances_and_alpha_one_give_the_mean() -> None:
    assert merge(0.2, 0.03, 0.6, 0.03, alpha=1.0) == pytest.approx(0.4)


def test_a_consistent_reasoner_outweighs_an_inconsistent_one_as_computed_by_hand() -> None:
    # weights 0.1 / 0.001 = 100 and 1 / 0.004 = 250: (100 * 0.9 + 250 * 0.2) / 350
    assert merge(0.9, 0.0, 0.2, 0.003) == pytest.approx(140 / 350)


def test_all_six_arguments_broadcast_to_float64() -> None:
    p_r, alpha = np.array([0.1, 0.9], dtype=np.float32), np.array([[0.0], [0.1], [1.0]])
    merged = merge(p_r, [0.1, 0.2], 0.5, 0.01, alpha, 1e-3)
    assert merged.shape == (3, 2)
    assert merged.dtype == np.float64
    for row in range(3):
        for column in range(2):
            one = merge(p_r[column], [0.1, 0.2][column], 0.5, 0.01, alpha[row, 0], 1e-3)
            assert merged[row, column] == one


@pytest.mark.parametrize("place", range(4))
def test_nan_in_gives_nan_out_for_that_element_alone(place: int) -> None:
    arguments: list[list[float]] = [[0.2, 0.3], [0.1, 0.1], [0.6, 0.7], [0.0, 0.0]]
    arguments[place][0] = float("nan")
    assert np.isnan(merge(*arguments)).tolist() == [True, False]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"var_r": -0.1}, "var_r is -0.1"),
        ({"var_g": [0.1, -0.2]}, "var_g is -0.2"),
        ({"alpha": -1}, "alpha is -1"),
        ({"epsilon": 0}, "epsilon is 0"),
        ({"alpha": float("nan")}, "alpha is nan"),
    ],
)
def test_an_impossible_value_is_named(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        merge(**{"p_r": 0.5, "var_r": 0.1, "p_g": 0.5, "var_g": 0.1} | arguments)


def test_variance_is_the_population_variance_and_unknown_without_samples() -> None:
    assert mean_and_variance([0.0, 1.0]) == (0.5, 0.25)
    assert mean_and_variance([0.3]) == (0.3, 0.0)
    assert np.isnan(mean_and_variance([])).all()


def test_chains_of_many_samples_are_counted_without_the_texts_that_are_none() -> None:
    nan = float("nan")
    p_yes = np.array([[0.2, 0.4, nan, 0.5], [nan, 0.8, nan, 0.5], [0.6, 0.9, nan, nan]])
    mean, variance = mean_and_variance_of_chains(p_yes)
    for place, known in enumerate(([0.2, 0.6], [0.4, 0.8, 0.9], [], [0.5, 0.5])):
        assert (mean[place], variance[place]) == pytest.approx(mean_and_variance(known), nan_ok=True)
    assert [len(part) for part in mean_and_variance_of_chains(np.empty((0, 3)))] == [3, 3]
