"""The job ``evaluate``: score every system from what is cached, as ``rallrec evaluate`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from backend.types import Stop
from storage.jobs.kind import JobReport, PlayedParams, Tell, TimedTeller, samples_in_words

if TYPE_CHECKING:
    from storage.workspace import Workspace


class EvaluateParams(PlayedParams):
    """Look up what is cached of many samples, and draw users for the intervals, so that the Evaluate page has both at
    once. ``samples``: a list that ships, or the earliest ``limit`` of a part.
    """

    kind: ClassVar[str] = "evaluate"

    samples: Literal["shipped", "shipped-validation", "train", "validation", "test"]
    limit: int | None = Field(None, ge=1)

    @property
    def title(self) -> str:
        return f"evaluate the systems on {samples_in_words(self.samples, self.limit)}"

    def perform(self, workspace: Workspace, tell: Tell, stop: Stop) -> None:
        """What is found is kept in the home folder, where the Evaluate page reads it."""
        from storage.evaluation.labelled import SampleChoice, check_apart, labelled
        from storage.evaluation.looked_up import LookUp
        from storage.evaluation.systems import evaluate

        workspace = self.workspace_of(workspace)
        samples = labelled(workspace, SampleChoice(self.samples, self.limit), "test")
        validation = labelled(workspace, SampleChoice(), "validation")
        if not self.samples.endswith("validation"):
            check_apart(samples, validation)
        systems = evaluate(workspace, samples, validation, None, LookUp(TimedTeller(tell).stage, stop)).systems
        done = sum(system.complete for system in systems.values())
        tell(JobReport(f"{done} of {len(systems)} systems are scored on {len(samples):,} samples", 1.0))
