"""P_G out of M_G's answers, and temperature scaling: what it keeps, what it mends, and where it gives up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import UsageError
from backend.evaluation.metrics import log_loss
from backend.merging import TunedConfig, fit_temperature, scale

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
    temperature = fit_temperature(labels, too_sure, log_loss)
    assert temperature == pytest.approx(2.5, rel=0.05)
    assert log_loss(labels, scale(too_sure, temperature)) < log_loss(labels, too_sure)


def test_one_label_alone_says_nothing() -> None:
    assert fit_temperature([1, 1], [0.9, 0.2], log_loss) == 1.0
    assert fit_temperature([], [], log_loss) == 1.0


def test_a_temperature_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0"):
        scale([0.5], 0.0)


@pytest.mark.parametrize(
    ("config", "answers", "p_g", "variance", "needed"),
    [
        ({}, [0.2, 0.4, 0.9], 0.2, 0.26 / 3, 1),
        ({}, [0.2, None, 0.9], 0.2, None, 1),
        ({}, [None, 0.4, 0.9], None, None, 1),
        ({"p_g": "mean"}, [0.2, 0.4, 0.9], 0.5, 0.26 / 3, 3),
        ({"p_g": "mean"}, [0.2, None, 0.9], None, None, 3),
        ({"p_g_temperature": 2.0}, [0.8, 0.2, 0.5], 2 / 3, 1 / 54, 1),
    ],
)
def test_p_g_and_its_variance_by_hand(
    config: dict[str, Any], answers: list[float | None], p_g: float | None, variance: float | None, needed: int
) -> None:
    tuned = TunedConfig.model_validate(config)
    expected = [float("nan") if value is None else value for value in (p_g, variance)]
    assert tuned.merge_answers(answers) == pytest.approx(tuple(expected), nan_ok=True)
    assert tuned.needed(len(answers)) == needed
