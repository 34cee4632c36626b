"""Numbers as JSON takes them: one rule for all that is printed, downloaded, exported and kept.

JSON has no NaN and no infinity. What is not known or not defined is NaN inside the program and null outside of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any


def or_null(value: Any, digits: int | None = None) -> float | None:
    """The number as a float, None for None, NaN and the infinities; ``digits``: rounded to so many after the point."""
    if value is None or not isfinite(value):
        return None
    return float(value) if digits is None else round(float(value), digits)


def json_ready(value: Any) -> Any:
    """The value with :func:`or_null` applied to every float in it, keys as text, lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(one) for one in value]
    return or_null(value) if isinstance(value, float) else value
