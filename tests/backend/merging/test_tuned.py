"""Temperature scaling: what it keeps, what it mends, and where it gives up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import UsageError
from backend.evaluation.calibration import fit_temperature, scale
from backend.evaluation.metrics import log_loss

PROBABILITIES = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20)


@given(PROBABILITIES, st.floats(0.1, 10))
def test_order_and_side_are_kept(p: list[float], temperature: float) -> None:
    scaled = scale(p, temperature)
    assert ((scaled > 0.5 + 1e-12) <= (np.array(p) > 0.5)).all()
    assert np.all(np.diff(scaled[np.argsort(p)]) >= -1e-12)


def test_by_hand() -> None:
    # logit(0.8) = log 4; halved it is log 2, whose sigmoid is 2/3.
    assert scale([0.8, 0.2, 0.5], 2.0) == pytest.approx([2 / 3, 1 / 3, 0.5])
    assert scale([0.3], 1.0).tolist() == [0.3]


def test_the_temperature_that_made_the_answers_too_sure_is_found() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.05, 0.95, 20_000)
    labels = (rng.random(len(true)) < true).astype(int)
    too_sure = scale(true, 1 / 2.5)
    found = fit_temperature(labels, too_sure)
    assert found == pytest.approx(2.5, rel=0.05)
    assert log_loss(labels, scale(too_sure, found)) < log_loss(labels, too_sure)


def test_one_label_alone_says_nothing() -> None:
    assert fit_temperature([1, 1], [0.9, 0.2]) == 1.0
    assert fit_temperature([], []) == 1.0


def test_a_temperature_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0"):
        scale([0.5], 0.0)
