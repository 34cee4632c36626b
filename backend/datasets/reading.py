"""What every adapter is given: where the raw files are, what they are to be called, and what to do with bad rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.datasets.rules import Rules
from backend.datasets.tables import RowProblems
from backend.errors import UsageError
from backend.types import Progress


def _silent(_what: str, _fraction: float | None) -> None:
    """No one listens."""


@dataclass(frozen=True)
class Reading:
    """``source``: a folder, archive or file. ``name``: of the dataset. ``rules``: those that were asked for; the rest
    are the format's own. ``mapping``: the file that says what the columns of one's own data mean.
    """

    source: Path
    name: str
    problems: RowProblems = field(default_factory=RowProblems)
    progress: Progress = _silent
    rules: Mapping[str, Any] = field(default_factory=dict)
    mapping: Path | None = None

    def rules_over(self, **defaults: Any) -> Rules:
        """The format's rules with those that were asked for. Raises ``UsageError``."""
        try:
            return Rules(**{**defaults, **self.rules})
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "the rules"
            raise UsageError(
                f"{name} cannot be {first['input']!r}: {first['msg']}", expected=f"of {', '.join(Rules.model_fields)}"
            ) from error
