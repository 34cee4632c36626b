"""How the pages show and read the knobs of :mod:`backend.knobs`: a control's value, how far it reaches, its words.

What the controls cannot show is no view of a page.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from app.shared.templating import significant
from backend.errors import UsageError
from backend.knobs import KNOBS
from backend.pipeline import Recipe
from backend.retrieval import exact_gamma
from backend.settings import Settings


def options(name: str) -> list[str]:
    """What a choice can be; empty for a number."""
    return [str(option) for option in get_args(Recipe.field(name).annotation)]


def usual(name: str, settings: Settings) -> Any:
    """A knob's value in the settings; that of its config where no setting has its name."""
    return getattr(settings, name, Recipe.field(name).default)


def to_control(name: str, value: Any) -> Any:
    """What a control shows for a knob's value, or for that of any other parameter."""
    knob = KNOBS.get(name)
    if knob and knob.exponent:
        return round(math.log10(value), 6)
    return round(value, 3) if knob and knob.fraction else value


def from_control(name: str, given: Any) -> Any:
    """What a control's value means in a link; what is no number is left to :func:`read`, which says so."""
    if name not in KNOBS or not KNOBS[name].exponent:
        return given
    try:
        return 10.0 ** float(given)
    except (TypeError, ValueError, OverflowError):
        return given


def read(name: str, given: Any) -> Any:
    """A knob's value out of a link or a control. Raises ``UsageError`` naming the knob where a number is none."""
    knob = KNOBS[name]
    try:
        value = knob.kind(given)
        if not (isinstance(value, str) or math.isfinite(value)):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise no_number(name, given) from None
    if knob.fraction:
        return exact_gamma(value)
    return float(f"{value:.9g}") if knob.exponent else value


def no_number(name: str, given: Any) -> UsageError:
    """The error of a parameter that should be a number."""
    return UsageError(
        f"{name} is {reprlib.repr(given)}", expected=f"a number, as in {name}=1", fix="mend the link"
    )  # fmt: skip


def bounds(settings: Settings) -> dict[str, tuple[float, float, float]]:
    """Least value, greatest value and step of every slider, widened where a setting's own value lies outside."""
    wide = {}
    for name, knob in KNOBS.items():
        if knob.slider:
            low, high, step = knob.slider
            value = to_control(name, usual(name, settings))
            wide[name] = (min(low, value), max(high, value), step)
    return wide


def check_bounds(choices: Mapping[str, Any], settings: Settings) -> None:
    """Raise ``UsageError`` naming the first of the choices that the page's sliders cannot show."""
    for name, (low, high, _) in bounds(settings).items():
        if KNOBS[name].exponent:
            low, high = 10.0**low, 10.0**high
        if not low <= choices[name] <= high:
            raise UsageError(
                f"{name} is {choices[name]:g}",
                expected=f"{low:g} to {high:g} on this page",
                fix="mend the link; rallrec predict takes a wider range",
            )


def in_words(recipe: Recipe, stage: str, leave: Iterable[str] = (), digits: int = 6) -> str:
    """A stage's knobs in a sentence, such as ``gamma 0.5, K 10``, without those that its strategy does not use.

    ``leave``: knobs that are said elsewhere.
    """
    values, silent = recipe.named, {*leave}
    return ", ".join(
        f"{knob.short} {significant(values[name], digits) if knob.kind is float else values[name]}"
        for name, knob in KNOBS.items()
        if Recipe.stage_of(name) == stage and knob.only in ("", recipe.retrieval.strategy) and name not in silent
    )


def short_gamma(gamma: float) -> str:
    """Three decimals where they stand for the very same number (0.667 for 2/3), else all of them."""
    short = f"{gamma:.3f}".rstrip("0").rstrip(".")
    return short if exact_gamma(float(short)) == gamma else repr(gamma)
