"""What a What-if page shows and remembers: plain values between the service, the rendering and the page."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.shared.runs import LiveRun, Snapshot, known
from app.what_if.edits import Plain
from backend.datasets import Dataset
from backend.pipeline import Prediction
from backend.prompting import build_prompt
from storage.kept.what_ifs import KeptWhatIf, WhatIf


@dataclass(frozen=True)
class WhatIfSide:
    """The question before or after the edits, and what is known of exactly this one; ``run`` is its live run."""

    prediction: Prediction
    run: Snapshot | None = None

    @property
    def live(self) -> bool:
        return bool(self.run and self.run.live)

    @property
    def missing(self) -> int:
        """How many model calls have not been made."""
        return sum(part is None for part in (*self.prediction.answers, *self.prediction.traces))

    @property
    def unasked(self) -> int:
        """How many model calls asking makes: those, and again those whose precision is unknown."""
        return len(self.prediction.answers) + len(self.prediction.traces) - known(self.prediction)


@dataclass(frozen=True)
class WhatIfView:
    """One what-if, ready to be drawn. Without edits, ``after`` is ``before``.

    ``link``: the address's query (``plain_link``: without the edits); ``too_long`` for an address, so that only a kept
    one can be sent. ``step``: the least difference of two ratings. ``kept``: as what it is kept, if it is. ``others``:
    kept ones of this question, then the latest of the dataset. ``deleted``: what this page deleted last.
    ``other_run``: models answer another what-if of this page. ``cast``: as in :class:`app.predict.view.WhatIfView`.
    """

    what_if: WhatIf
    data: Dataset
    plain: Plain
    before: WhatIfSide
    after: WhatIfSide
    models: Mapping[str, str]
    cast: str
    link: str
    plain_link: str
    step: float
    kept: KeptWhatIf | None = None
    others: tuple[KeptWhatIf, ...] = ()
    deleted: KeptWhatIf | None = None
    other_run: bool = False
    too_long: bool = False

    @property
    def edited(self) -> bool:
        return bool(self.what_if.edits)

    @property
    def draft(self) -> str:
        """M_R's prompt after the edits, but for that of its text; without M_G's sentence while that is not known."""
        after = self.after.prediction
        question = after.question
        return (after.written_prompt or build_prompt("reason", question.subject, question.lines)).text

    @property
    def sides(self) -> tuple[WhatIfSide, ...]:
        """What there is to ask: one question where nothing is edited."""
        return (self.before, self.after) if self.edited else (self.before,)


@dataclass
class WhatIfSession:
    """What one open page remembers: what it shows, its runs by side, and what it deleted last."""

    view: WhatIfView | None = None
    runs: dict[str, LiveRun] = field(default_factory=dict)
    deleted: KeptWhatIf | None = None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)
