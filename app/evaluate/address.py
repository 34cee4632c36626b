"""What an Evaluate page shows, as its address says it: every control of the page is a link to another of these."""

from __future__ import annotations

import reprlib
from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from app.shared.address import Address, Number, PageNumber, Spelled, Text, Whole, between, one_of
from backend.errors import UsageError
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
_SHORT = Spelled("{:.6g}".format)


class EvaluateQuery(Address):
    """``samples``: a list that ships, or a part (its first ``limit`` samples); empty: what is usual. ``view``: the
    table or figure that is shown. ``alpha``, ``epsilon``: of the merge, None: as chosen on validation samples.
    ``first``, ``second``: two systems, side by side. ``show``: whose samples are listed: ``panel:series:point`` of
    the figure, or one of :data:`SIDES` of the pair; empty: none. ``page``: of that list, from 1.
    ``dataset``: empty for that of the app's settings.
    """

    path: ClassVar[str] = PATH

    samples: Annotated[str, one_of("", *SAMPLES)] = ""
    limit: Whole = None
    view: Annotated[str, one_of(*VIEWS)] = "table-4"
    alpha: Annotated[Number, between(*ALPHAS), _SHORT] = None
    epsilon: Annotated[Number, between(*EPSILONS), _SHORT] = None
    first: Annotated[str, one_of(*NAMES)] = "RALLRec+"
    second: Annotated[str, one_of(*NAMES)] = "RALLRec"
    show: Text = ""
    page: PageNumber = 1
    dataset: Text = ""

    @model_validator(mode="after")
    def _check_list(self) -> Self:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit is {self.limit}", expected="1 or more samples", fix="mend the link")
        if self.show and (self.show not in SIDES if self.view == PAIR else self.point is None):
            raise UsageError(
                f"show is {reprlib.repr(self.show)}", expected="a point of this figure, or a side of the pair",
                fix="mend the link",
            )  # fmt: skip
        return self

    @property
    def point(self) -> tuple[str, str, int] | None:
        """Panel, series and point that ``show`` names; None where it names none."""
        parts = self.show.split(":")
        if len(parts) != 3 or not parts[2].isdecimal() or len(parts[2]) > 6:
            return None
        return parts[0], parts[1], int(parts[2])

    def viewing(self, view: str) -> str:
        """The link to another table or figure: the samples that were listed are not of it."""
        return self.link(view=view, show="", page=1)
