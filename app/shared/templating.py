"""The one place where values become HTML. Autoescaping is on for every template and cannot be left out."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

from app.shared.glossary import explanation

_SCREENS = Path(__file__).parents[1]


def asset_path(name: str) -> Path:
    """Returns where a script or style lies: ``predict/page.js`` is ``app/predict/assets/page.js``."""
    screen, _, file = name.partition("/")
    return _SCREENS / screen / "assets" / file


def asset(name: str) -> str:
    """Reads the text of a script or style."""
    return asset_path(name).read_text("utf-8")


def render(template: str, **values: Any) -> str:
    """The template's HTML. ``values`` are escaped where they are written, unless they are ``Markup`` made here.

    ``template`` names the screen, too: ``predict/merge.html`` is ``app/predict/templates/merge.html``.
    """
    return _environment().get_template(template).render(**values)


def symbol(name: str, focusable: bool = True) -> Markup:
    """A symbol that explains itself: its glyph, with name, equation and effect on hover and for screen readers.

    Not ``focusable``: for inside of a link, which has the focus itself.
    """
    entry, focus = explanation(name), Markup(' tabindex="0"') if focusable else ""
    return Markup('<abbr class="sym"{} title="{}">{}</abbr>').format(focus, entry.text, Markup(entry.glyph))


def probability(value: float | None) -> str:
    """Writes a probability with two decimals, and an en dash where it is not known."""
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"


def percent(value: float | None) -> str:
    """Writes a share in whole percent, and an en dash where it is not known."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.0f} %"


def significant(value: float | None, digits: int = 3) -> str:
    """Writes a number in a few significant digits, small and large ones as powers of ten."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:.{digits}g}"
    if "e" in text or (value and abs(value) < 1e-3):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{float(mantissa):g}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return text


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PrefixLoader({folder.parent.name: FileSystemLoader(folder) for folder in _SCREENS.glob("*/templates")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"sym": symbol}
    environment.filters |= {"prob": probability, "percent": percent, "sig": significant}
    return environment
