"""What an Evaluate page shows, as its address says it: every control of the page is a link to another of these."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from backend.errors import UnknownNameError, UsageError
from storage.evaluation.systems import NAMES

PATH = "/evaluate"
SAMPLES = ("shipped", "shipped-validation", "test", "validation")
TABLES = ("table-2", "table-3", "table-4", "table-5", "table-5-chosen", "table-6", "table-7")
FIGURES = (
    "figure-2", "figure-3", "figure-6", "figure-7", "figure-8", "figure-9", "calibration", "risk", "slices", "cost",
)  # fmt: skip
PAIR = "pair"
VIEWS = (*TABLES, *FIGURES, PAIR)
# Whose samples of a pair are listed: one of the two is right, both are, or neither.
SIDES = ("first", "second", "both", "neither")
# How far the sliders go.
ALPHAS, EPSILONS = (0.0, 1.0), (1e-6, 1e-1)


@dataclass(frozen=True)
class EvaluateQuery:
    """``samples``: a list that ships, or a part (its first ``limit`` samples); empty: what is usual. ``view``: the
    table or figure that is shown. ``alpha``, ``epsilon``: of the merge, None: as chosen on validation samples.
    ``first``, ``second``: two systems, side by side. ``show``: whose samples are listed: ``panel:series:point`` of
    the figure, or one of :data:`SIDES` of the pair; empty: none. ``page``: of that list, from 1.
    ``dataset``: empty for that of the app's settings.
    """

    samples: str = ""
    limit: int | None = None
    view: str = "table-4"
    alpha: float | None = None
    epsilon: float | None = None
    first: str = "RALLRec+"
    second: str = "RALLRec"
    show: str = ""
    page: int = 1
    dataset: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, Any] | str) -> EvaluateQuery:
        """From an address or its parameters; others are passed over. Raises ``UsageError`` naming the parameter."""
        if isinstance(given, str):
            given = dict(parse_qsl(given.partition("?")[2]))
        texts = {field.name: str(given[field.name]) for field in fields(cls) if given.get(field.name) not in (None, "")}
        limit, page = (_number(name, texts.pop(name, None)) for name in ("limit", "page"))
        alpha, epsilon = (_number(name, texts.pop(name, None)) for name in ("alpha", "epsilon"))
        query = cls(
            **texts,
            limit=None if limit is None else int(limit),
            page=max(1, int(page or 1)),
            alpha=alpha,
            epsilon=epsilon,
        )
        query._check()
        return query

    def _check(self) -> None:
        known = {"samples": ("", *SAMPLES), "view": VIEWS, "first": NAMES, "second": NAMES}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise UnknownNameError(
                    f"{name} of this page", getattr(self, name), filter(None, values), fix="mend the link"
                )
        for name, (low, high) in (("alpha", ALPHAS), ("epsilon", EPSILONS)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name} is {value:g}", expected=f"{low:g} to {high:g}", fix="mend the link")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit is {self.limit}", expected="1 or more samples", fix="mend the link")
        if self.show and (self.show not in SIDES if self.view == PAIR else self.point is None):
            raise UsageError(
                f"show is {reprlib.repr(self.show)}", expected="a point of this figure, or a side of the pair",
                fix="mend the link",
            )  # fmt: skip

    @property
    def point(self) -> tuple[str, str, int] | None:
        """Panel, series and point that ``show`` names; None where it names none."""
        parts = self.show.split(":")
        if len(parts) != 3 or not parts[2].isdecimal() or len(parts[2]) > 6:
            return None
        return parts[0], parts[1], int(parts[2])

    def link(self, **changes: Any) -> str:
        """The address that leads to this with some values changed; what has its default is left out."""
        said = self.said(**changes)
        return f"{PATH}?{said}" if said else PATH

    def said(self, **changes: Any) -> str:
        """The parameters of :meth:`link`, spelled."""
        query, nothing = replace(self, **changes), EvaluateQuery()
        values = {field.name: getattr(query, field.name) for field in fields(query)}
        kept = {name: value for name, value in values.items() if value != getattr(nothing, name)}
        return urlencode({name: f"{own:.6g}" if isinstance(own, float) else own for name, own in kept.items()})

    def viewing(self, view: str) -> str:
        """The link to another table or figure: the samples that were listed are not of it."""
        return self.link(view=view, show="", page=1)


def _number(name: str, given: str | None) -> float | None:
    try:
        value = None if given is None else float(given)
        if value is not None and not abs(value) < 1e9:  # NaN too
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{name} is {reprlib.repr(given)}", expected=f"a number, as in {name}=1", fix="mend the link"
        ) from None
    return value
