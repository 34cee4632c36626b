"""The job ``precompute``: make what is missing, as ``rallrec precompute`` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from backend.errors import UsageError
from backend.types import Stop
from storage.jobs.kind import JobParams, JobReport, Tell, TimedTeller
from storage.precompute.artifacts import Artifact

if TYPE_CHECKING:
    from storage.workspace import Workspace


class PrecomputeParams(JobParams):
    """``until``: the last stage; None: all that are not made only when asked for."""

    kind: ClassVar[str] = "precompute"

    until: str | None = None

    @property
    def title(self) -> str:
        return f"precompute, until {self.until}" if self.until else "precompute, all stages"

    @classmethod
    def given(cls, workspace: Workspace, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return super().given(workspace, {"until": values.get("until") or None})

    def check(self, workspace: Workspace) -> None:
        if not any(planned.will_run for planned in workspace.precompute().plan(self.until)):
            raise UsageError("Nothing is missing", fix="choose another stage")

    def perform(self, workspace: Workspace, tell: Tell, stop: Stop) -> None:
        """The report counts artifacts; its fraction is of the one in hand."""
        work = workspace.precompute(self.dataset)
        planned = [item for item in work.plan(self.until) if item.will_run]
        made: list[str] = []
        teller = TimedTeller(tell)

        def progress(what: str, fraction: float | None) -> None:
            teller.say(JobReport(what, fraction, len(made), len(planned)))

        def on_done(artifact: Artifact) -> None:
            made.append(str(artifact.meta["kind"]))
            progress(f"made {made[-1]}", None)

        work.run(self.until, progress=progress, stop=stop, on_done=on_done)
        tell(JobReport(f"made {', '.join(made)}" if made else "nothing was missing", 1.0, len(made), len(planned)))
