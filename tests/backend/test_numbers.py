"""NaN to null, the one rule for all JSON."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from backend.numbers import json_ready, or_null


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.123456, None, 0.123456), (0.123456, 4, 0.1235), (2, None, 2.0), (0.0, None, 0.0), (-0.5, 0, -0.0),
        (None, None, None), (None, 4, None), (nan, None, None), (nan, 4, None), (inf, None, None), (-inf, 2, None),
        (np.float64(0.25), None, 0.25), (np.float32("nan"), None, None), (np.int64(3), None, 3.0),
    ],
)  # fmt: skip
def test_a_number_or_null(value: Any, digits: int | None, expected: float | None) -> None:
    number = or_null(value, digits)
    assert number == expected
    assert number is None or type(number) is float


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": nan, 7: {"b": (1, 0.5, inf)}}, {"a": None, "7": {"b": [1, 0.5, None]}}),
        ([np.float64("nan"), "nan", None, True], [None, "nan", None, True]),
        ((), []),
        (3, 3),
    ],
)
def test_everything_inside_an_object(value: Any, expected: Any) -> None:
    ready = json_ready(value)
    assert ready == expected
    assert json.loads(json.dumps(ready, allow_nan=False)) == expected
