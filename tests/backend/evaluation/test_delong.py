"""DeLong's test: a published example, hand-counted pairs, and the bootstrap beside it."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import UsageError
from backend.evaluation.delong import areas_and_covariance, delong
from backend.evaluation.intervals import draw
from backend.evaluation.metrics import auc

# DeLong, DeLong and Clarke-Pearson's patients with ovarian cancer (albumin, total protein, K-G score, outcome), as the
# SAS/STAT User's Guide prints them (The LOGISTIC Procedure, "Comparing Receiver Operating Characteristic Curves").
PATIENTS = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def patients() -> tuple[np.ndarray, ...]:
    """Albumin, total protein, K-G score (turned round, as in the guide) and outcome of the 43 patients."""
    albumin, protein, score, outcome = np.array(PATIENTS.split(), dtype=float).reshape(-1, 4).T
    return albumin, protein, 10 - score, outcome


def test_the_published_example() -> None:
    albumin, protein, score, outcome = patients()
    areas, covariance = areas_and_covariance(outcome, np.stack([albumin, score, protein]))
    assert areas.round(4).tolist() == [0.7366, 0.7258, 0.6478]
    assert np.sqrt(np.diag(covariance)).round(4).tolist() == [0.0927, 0.1028, 0.1000]
    first = delong(outcome, albumin, score)
    assert [round(value, 4) for value in (first.difference, first.error, first.z**2, first.p)] == [
        0.0108, 0.0953, 0.0127, 0.9102,
    ]  # fmt: skip
    assert [round(value, 4) for value in (first.low, first.high)] == [-0.1761, 0.1976]
    second = delong(outcome, protein, score)
    assert [round(value, 4) for value in (second.difference, second.error, second.z**2, second.p)] == [
        -0.0780, 0.1046, 0.5554, 0.4561,
    ]  # fmt: skip


def test_hand_counted_pairs() -> None:
    # Liked 0.9 and 0.4, others 0.4 and 0.1: three pairs right, one tied.
    labels, scores = [1, 1, 0, 0], [0.9, 0.4, 0.4, 0.1]
    areas, covariance = areas_and_covariance(labels, np.array([scores, scores]))
    # Placements: liked 1 and 3/4, others 3/4 and 1; each variance 1/32, over two samples.
    assert areas.tolist() == [0.875, 0.875]
    assert covariance == pytest.approx(np.full((2, 2), 1 / 32))
    same = delong(labels, scores, scores)
    assert (same.difference, same.z, same.p) == (0, 0, 1)


def test_areas_are_those_of_scikit_learn_and_errors_those_of_the_bootstrap() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(400) < 0.6).astype(float)
    first = np.clip(labels * 0.2 + rng.random(400) * 0.8, 0, 1)
    second = np.clip(first * 0.7 + rng.random(400) * 0.3, 0, 1).round(2)
    result = delong(labels, first, second)
    assert result.areas == pytest.approx((auc(labels, first), auc(labels, second)), abs=1e-12)
    # Each sample its value user: what DeLong's test assumes.
    users = np.arange(400)
    drawn = draw("auc", users, labels, first, 4000) - draw("auc", users, labels, second, 4000)
    assert drawn.value == pytest.approx(result.difference, abs=1e-12)
    assert drawn.each.std() == pytest.approx(result.error, rel=0.06)
    assert drawn.p_value == pytest.approx(result.p, abs=0.02)
    assert drawn.interval()[0] == pytest.approx(result.low, abs=0.004)


def test_one_class_is_not_defined_and_nonsense_is_refused() -> None:
    nothing = delong([1, 1], [0.2, 0.3], [0.4, 0.1])
    assert np.isnan([nothing.difference, nothing.p, nothing.z]).all()
    for labels, first in (([1, 0], [0.1, np.nan]), ([1, 2], [0.1, 0.2]), ([1, 0, 1], [0.1, 0.2])):
        with pytest.raises(UsageError):
            delong(labels, first, [0.1, 0.2])
