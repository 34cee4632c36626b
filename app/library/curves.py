"""Training curves: one number over the epochs, as trusted markup made of numbers only."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.shared.templating import significant

# One viewBox for all curves; CSS sizes them.
_W, _H, _LEFT, _RIGHT, _TOP, _BOTTOM = 320, 110, 40, 12, 10, 22


def training_curve(values: Sequence[float | None], best: int) -> Markup:
    """The values of epochs 1, 2, ... with ``best`` marked; empty where fewer than one of them is known."""
    known = [(epoch, value) for epoch, value in enumerate(values, start=1) if value is not None]
    if not known:
        return Markup("")
    low, high = min(value for _, value in known), max(value for _, value in known)
    wide, tall = _W - _LEFT - _RIGHT, _H - _TOP - _BOTTOM

    def x(epoch: int) -> float:
        return _LEFT + wide * ((epoch - 1) / (len(values) - 1) if len(values) > 1 else 0.5)

    def y(value: float) -> float:
        return _TOP + tall * ((high - value) / (high - low) if high > low else 0.5)

    line = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in known)
    scale = "".join(
        f'<line x1="{_LEFT}" y1="{y(value):.1f}" x2="{_W - _RIGHT}" y2="{y(value):.1f}" class="rule"/>'
        f'<text x="{_LEFT - 5}" y="{y(value) + 3:.1f}" text-anchor="end">{significant(value)}</text>'
        for value in dict.fromkeys((low, high))
    )
    at = dict(known).get(best)
    mark = said = ""
    if at is not None:
        mark = (
            f'<line x1="{x(best):.1f}" y1="{_TOP}" x2="{x(best):.1f}" y2="{_TOP + tall}" class="best-rule"/>'
            f'<circle cx="{x(best):.1f}" cy="{y(at):.1f}" r="4" class="best"/>'
        )
        said = f"; {significant(at)} at epoch {best}, the best"
    return Markup(
        f'<svg class="curve training" viewBox="0 0 {_W} {_H}" role="img" '
        f'aria-label="Over {len(values)} epochs, between {significant(low)} and {significant(high)}{said}">{scale}'
        f'{_epochs(len(values), best if mark else 0, x)}<polyline points="{line}" class="line"/>{mark}</svg>'
    )


def _epochs(last: int, best: int, x: object) -> Markup:
    """The first, the best and the last epoch below the curve; an end that the best would overlap is left out."""
    assert callable(x)
    shown = {1: "start", last: "end"} if last > 1 else {1: "middle"}
    if best:
        shown = {epoch: anchor for epoch, anchor in shown.items() if abs(x(epoch) - x(best)) > 34}
        shown[best] = "start" if x(best) < _LEFT + 34 else "end" if x(best) > _W - _RIGHT - 34 else "middle"
    return Markup("").join(
        Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}{}</text>').format(
            x(epoch), _H - 7, anchor, "best: " if epoch == best else "epoch " if epoch == 1 else "", epoch
        )
        for epoch, anchor in shown.items()
    )
