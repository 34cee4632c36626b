"""The services of labelling together, as a view of the page needs them."""

from __future__ import annotations

from dataclasses import dataclass

from app.label.results import ResultsService
from app.label.reviewing import ReviewingService
from app.label.service import LabellingService
from storage.workspace import Workspace


@dataclass(frozen=True)
class Services:
    """Who answers, and checks whether whoever asks may know."""

    labelling: LabellingService
    reviewing: ReviewingService
    results: ResultsService

    @classmethod
    def over(cls, workspace: Workspace) -> Services:
        """One of each, over an opened workspace."""
        return cls(LabellingService(workspace), ReviewingService(workspace), ResultsService(workspace))
