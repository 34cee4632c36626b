"""The small drawings: SVG as trusted markup made of numbers only. No text from outside ever enters here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from backend.knobs import KNOBS
from backend.merging import merge
from backend.pipeline import Prediction
from backend.retrieval import GammaStretch

_POINTS = 61
# One viewBox for all curves; CSS sizes them.
_W, _H, _PAD = 320, 120, 24


def gamma_strip(stretches: Sequence[GammaStretch], gamma: float) -> Markup:
    """Where along gamma the chosen set stays the same; neighbours alternate in shade.

    A mark shows the present gamma, and the stretch that it belongs to is drawn stronger: at a border the eye could not
    tell. A set that is chosen at a single gamma is a thin line.
    """
    starts = [stretch.start for stretch in stretches] + [1.0]
    now = max(place for place, stretch in enumerate(stretches) if stretch.start <= gamma)
    parts = [
        f'<rect x="{start * 1000:.1f}" y="0" width="{max(end - start, 1e-3) * 1000:.1f}" height="14" '
        f'class="stretch{place % 2}{" now" if place == now else ""}"/>'
        for place, (start, end) in enumerate(pairwise(starts))
    ]
    mark = f'<rect x="{gamma * 1000 - 3:.1f}" y="-4" width="6" height="22" class="mark"/>'
    return Markup(
        '<svg class="strip" viewBox="-4 -4 1008 22" preserveAspectRatio="none" role="img" '
        f'aria-label="The chosen set changes {len(stretches) - 1} times as gamma goes from 0 to 1; '
        f'at present it is set {now + 1} of {len(stretches)}">'
        f"{''.join(parts)}{mark}</svg>"
    )


def dots(values: Sequence[float], mean: float) -> Markup:
    """One dot per chain on the axis from 0 to 1, and a bar at the mean where it is known."""
    marks = "".join(
        f'<circle cx="{10 + value * 300:.1f}" cy="{15 + (i % 3 - 1) * 5}" r="4.5" class="reasoning dot"/>'
        for i, value in enumerate(values)
    )
    bar = "" if np.isnan(mean) else f'<rect x="{9 + mean * 300:.1f}" y="2" width="2" height="26" class="reasoning"/>'
    return Markup(
        f'<svg class="dots" viewBox="0 0 320 30" role="img" aria-label="P(yes) of {len(values)} chains">'
        f'<line x1="10" y1="15" x2="310" y2="15" class="rule"/>{_half(15, 6)}{bar}{marks}</svg>'
    )


def axis(p_g: float, p_r: float, p_final: float) -> Markup:
    """The three predictions on one axis, told apart by shape as well as colour."""

    def x(value: float) -> float:
        return 10 + value * 300

    return Markup(
        '<svg class="axis" viewBox="0 0 320 34" role="img" '
        f'aria-label="P_G {p_g:.2f}, P_R {p_r:.2f}, P_final {p_final:.2f} on the axis from 0 to 1">'
        f'<line x1="10" y1="17" x2="310" y2="17" class="rule"/>{_half(17, 8)}'
        f'<circle cx="{x(p_g):.1f}" cy="17" r="6" class="tuned"/>'
        f'<rect x="{x(p_r) - 5.5:.1f}" y="11.5" width="11" height="11" class="reasoning"/>'
        f'<path d="M{x(p_final):.1f} 7l8 10l-8 10l-8 -10z" class="merged"/></svg>'
    )


def over_alpha(prediction: Prediction) -> Markup:
    """P_final for alpha from 0 to 1 at the present epsilon."""
    alphas = np.linspace(0.0, 1.0, _POINTS)
    merging = prediction.recipe.merging
    values = merge(prediction.p_r, prediction.var_r, prediction.p_g, prediction.var_g, alphas, merging.epsilon)
    return _curve(alphas, values, min(merging.alpha, 1.0), prediction.p_final, ("0", "0.5", "1"), "alpha")


def over_epsilon(prediction: Prediction) -> Markup:
    """P_final for epsilon from 1e-6 to 0.1 (logarithmic) at the present alpha."""
    low, high, _ = KNOBS["epsilon"].slider or (-6.0, -1.0, 0.1)
    position = np.linspace(0.0, 1.0, _POINTS)
    merging = prediction.recipe.merging
    values = merge(
        prediction.p_r, prediction.var_r, prediction.p_g, prediction.var_g,
        merging.alpha, 10.0 ** (low + position * (high - low)),
    )  # fmt: skip
    present = (np.log10(merging.epsilon) - low) / (high - low)
    ticks = ("10⁻⁶", "10⁻³·⁵", "10⁻¹")
    return _curve(position, values, float(np.clip(present, 0, 1)), prediction.p_final, ticks, "epsilon")


def _curve(x: np.ndarray, y: np.ndarray, at: float, value: float, ticks: tuple[str, str, str], name: str) -> Markup:
    left, top = _PAD, 8
    width, height = _W - _PAD - 10, _H - top - 20

    def place(px: float, py: float) -> tuple[float, float]:
        return left + px * width, top + (1 - py) * height

    line = " ".join("{:.1f},{:.1f}".format(*place(px, py)) for px, py in zip(x.tolist(), y.tolist(), strict=True))
    cx, cy = place(at, value)
    labels = "".join(
        f'<text x="{left + f * width:.0f}" y="{_H - 4}" text-anchor="{anchor}">{tick}</text>'
        for f, tick, anchor in zip((0, 0.5, 1), ticks, ("start", "middle", "end"), strict=True)
    )
    scale = "".join(
        f'<text x="{left - 4}" y="{place(0, p)[1] + 3:.0f}" text-anchor="end">{p:g}</text>'
        f'<line x1="{left}" y1="{place(0, p)[1]:.0f}" x2="{left + width}" y2="{place(0, p)[1]:.0f}" class="rule"/>'
        for p in (0, 0.5, 1)
    )
    return Markup(
        f'<svg class="curve" viewBox="0 0 {_W} {_H}" role="img" '
        f'aria-label="P_final over {name}; {value:.2f} at the present setting">{scale}{labels}'
        f'<polyline points="{line}" class="merged-line"/>'
        f'<line x1="{cx:.1f}" y1="{top}" x2="{cx:.1f}" y2="{top + height}" class="present"/>'
        f'<path d="M{cx:.1f} {cy - 7:.1f}l6 7l-6 7l-6 -7z" class="merged"/></svg>'
    )


def _half(middle: float, reach: float) -> str:
    return f'<line x1="160" y1="{middle - reach}" x2="160" y2="{middle + reach}" class="rule"/>'
