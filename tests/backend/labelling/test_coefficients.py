"""Agreement against published worked examples, and against the plain formulae."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import cohen_kappa_score

from backend.labelling import coefficients

NAN = np.nan
# Four raters, twelve units, five categories, missing ratings. K. Krippendorff, Computing Krippendorff's
# Alpha-Reliability (2011), section D, with its alphas: nominal .743, ordinal .815. K. L. Gwet, Handbook of Inter-Rater
# Reliability (4th ed. 2014), p. 120, and its R package irrCAC ("cac.raw4raters"), whose documents print for it:
# percent .8181818, AC1 .77544; with quadratic weights: weighted percent .9753788, AC2 .9140007.
FOUR_RATERS = np.array(
    [
        [1, 1, NAN, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
        [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [NAN, 5, 5, 5], [NAN, NAN, 1, 1], [NAN, NAN, 3, NAN],
    ]
)  # fmt: skip
# Two abstractors of a hundred cases: ectopic, abnormal intrauterine, normal intrauterine. Gwet (2014), irrCAC's
# "cont3x3abstractors", for which it prints kappa .7964094, AC1 .8493305 and percent .89.
ABSTRACTORS = np.array([[13, 0, 0], [0, 20, 7], [0, 4, 56]])


def counts_of(values: np.ndarray, categories: int) -> np.ndarray:
    return (values[:, :, None] == np.arange(1, categories + 1)).sum(axis=1)


def two_raters(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64[units] each: the answers that a confusion table counts."""
    first, second = np.indices(table.shape).reshape(2, -1)
    return np.repeat(first, table.reshape(-1)).astype(float), np.repeat(second, table.reshape(-1)).astype(float)


def test_percent_gwets_and_alpha_are_as_printed_for_four_raters() -> None:
    counts = counts_of(FOUR_RATERS, 5)
    assert coefficients.percent(counts)[0] == pytest.approx(0.8181818, abs=1e-7)
    assert coefficients.gwet(counts, "nominal")[0] == pytest.approx(0.7754441, abs=1e-7)
    assert coefficients.gwet(counts, "ordinal")[0] == pytest.approx(0.9140007, abs=1e-7)
    assert coefficients.alpha(counts, "nominal") == pytest.approx(0.7434211, abs=1e-7)
    assert coefficients.alpha(counts, "ordinal") == pytest.approx(0.815, abs=5e-4)


def test_kappa_and_ac1_are_gwets_for_two_abstractors() -> None:
    first, second = two_raters(ABSTRACTORS)
    assert coefficients.kappas(ABSTRACTORS[None].astype(float), "nominal")[0] == pytest.approx(0.7964094, abs=1e-7)
    counts = counts_of(np.c_[first, second] + 1, 3)
    assert coefficients.gwet(counts, "nominal")[0] == pytest.approx(0.8493305, abs=1e-7)
    assert coefficients.percent(counts)[0] == pytest.approx(0.89)


def test_quadratic_weights_are_those_of_the_handbook() -> None:
    assert coefficients.weights("ordinal", 3).tolist() == [[1, 0.75, 0], [0.75, 1, 0.75], [0, 0.75, 1]]
    assert coefficients.weights("nominal", 3).tolist() == np.eye(3).tolist()


def test_what_is_not_defined_is_nan_and_raises_nothing() -> None:
    once, alike = np.array([[1, 0], [0, 1]]), np.array([[2, 0], [2, 0]])
    assert np.isnan(coefficients.percent(once)[0])
    assert np.isnan(coefficients.gwet(once, "nominal")[0])
    assert np.isnan(coefficients.alpha(once, "ordinal"))
    # One answer everywhere: alpha and kappa have no chance to compare with; Gwet's has, that is what it was made for.
    assert np.isnan(coefficients.alpha(alike, "nominal"))
    assert np.isnan(coefficients.kappas(np.array([[[2.0, 0], [0, 0]]]), "nominal")[0])
    assert np.isnan(coefficients.alphas(alike, "nominal", np.ones((1, 2)))[0])
    assert coefficients.gwet(alike, "nominal")[0] == 1
    assert np.isnan(coefficients.percent(np.zeros((0, 3), dtype=int))[0])


@given(arrays.arrays(np.int64, (3, 3), elements=st.integers(0, 6)), st.sampled_from(["nominal", "ordinal"]))
def test_kappas_are_scikit_learns(table: np.ndarray, level: str) -> None:
    first, second = two_raters(table)
    expected = NAN
    if table.sum():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where it is not defined
            how = "quadratic" if level == "ordinal" else None
            expected = cohen_kappa_score(first, second, labels=[0, 1, 2], weights=how)
    at_once = coefficients.kappas(table[None].astype(float), level)[0]
    assert at_once == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(
    arrays.arrays(np.int64, (6, 4), elements=st.integers(0, 3)),
    arrays.arrays(np.int64, (2, 6), elements=st.integers(0, 3)),
    st.sampled_from(["nominal", "ordinal"]),
)
def test_units_that_count_several_times_are_as_if_repeated(counts: np.ndarray, times: np.ndarray, level: str) -> None:
    percents = coefficients.percent(counts, times.astype(float))
    gwets = coefficients.gwet(counts, level, times.astype(float))
    alphas = coefficients.alphas(counts, level, times.astype(float))
    for place, time in enumerate(times):
        repeated = np.repeat(counts, time, axis=0)
        assert percents[place] == pytest.approx(coefficients.percent(repeated)[0], nan_ok=True)
        assert gwets[place] == pytest.approx(coefficients.gwet(repeated, level)[0], nan_ok=True)
        assert alphas[place] == pytest.approx(coefficients.alpha(repeated, level), nan_ok=True)
