"""What every adapter is given: where the raw files are, what they are to be called, and what to do with bad rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.datasets.rules import Rules
from backend.datasets.schema import DatasetMeta, LabelRule
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

    def meta(self, title: str, source_hash: str, **values: Any) -> DatasetMeta:
        """What is known about the dataset; what ``values`` do not say is as in MovieLens: movies, 1 to 5 stars."""
        usual = {
            "item_noun": "movie", "item_noun_plural": "movies", "verb_past": "watched", "rating_min": 1,
            "rating_max": 5, "rating_unit": "stars", "label_rule": LabelRule(threshold=3.0), "time_ordered": True,
        }  # fmt: skip
        read = {
            "name": self.name, "title": title, "source_hash": source_hash, "skipped": self.problems.counts,
            "skipped_examples": tuple(self.problems.examples),
        }  # fmt: skip
        rules = {} if "rules" in values else {"rules": self.rules_over()}
        return DatasetMeta.model_validate(usual | read | rules | values)
