"""How far the Predict page's controls reach: what they cannot show is no view of the page."""

from __future__ import annotations

import math
from typing import Any

from app.predict.view import Request
from backend.errors import UsageError
from backend.settings import Settings

EPSILON_EXPONENTS = (-6.0, -1.0)
# (least, most, step) of every slider; epsilon's is of its exponent.
BOUNDS: dict[str, tuple[float, float, float]] = {
    "gamma": (0, 1, 0.001),
    "beta": (0, 3, 0.05),
    "k": (1, 30, 1),
    "traces": (1, 16, 1),
    "max_tokens": (16, 512, 16),
    "alpha": (0, 1, 0.01),
    "epsilon": (*EPSILON_EXPONENTS, 0.1),
}


def to_control(name: str, value: Any) -> Any:
    """What a control shows for a request's value."""
    return round(math.log10(value), 6) if name == "epsilon" else round(value, 3) if name == "gamma" else value


def bounds(settings: Settings) -> dict[str, tuple[float, float, float]]:
    """:data:`BOUNDS`, widened where a setting's own value lies outside."""
    wide = {}
    for name, (low, high, step) in BOUNDS.items():
        value = to_control(name, getattr(settings, name))
        wide[name] = (min(low, value), max(high, value), step)
    return wide


def check_bounds(request: Request, settings: Settings) -> Request:
    """The request, if the page's controls can show it. Raises ``UsageError`` naming the value that they cannot."""
    for name, (low, high, _) in bounds(settings).items():
        value = getattr(request, name)
        if name == "epsilon":
            low, high = 10.0**low, 10.0**high
        if not low <= value <= high:
            raise UsageError(
                f"{name} is {value:g}",
                expected=f"{low:g} to {high:g} on this page",
                fix="mend the link; rallrec predict takes a wider range",
            )
    return request
