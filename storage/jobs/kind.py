"""What every kind of job has: its parameters as canonical JSON, its work, and how it tells how far it is.

The parameters say all that the work depends on, so that equal ones are the same work: a prediction that was interrupted
is found again by them. Each kind is one module beside this one; :mod:`storage.jobs.kinds` lists them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from backend.errors import UsageError
from backend.seeding import canonical_json
from backend.types import ModelRef, Stop
from storage.jobs.pace import Pace, duration
from storage.results.keys import unknown_of

if TYPE_CHECKING:
    from storage.workspace import Workspace


@dataclass(frozen=True)
class JobReport:
    """How far a job is: what goes on, a fraction where it is known, and how many results are there of how many."""

    stage: str = ""
    fraction: float | None = None
    finished: int = 0
    total: int | None = None


Tell = Callable[[JobReport], None]


class JobParams(BaseModel):
    """Base of every kind's parameters; unknown keys are errors. ``dataset``: the name of the one that it is about.

    ``kind`` is the word by which the database knows the kind. ``attended``: the page that asks for such a job runs it
    in its own process, and resumes it; all others are run by :mod:`storage.jobs.runner`, where nobody has to watch,
    and go on where they were when somebody resumes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: ClassVar[str]
    attended: ClassVar[bool] = False

    dataset: str

    @property
    def json_text(self) -> str:
        """The one spelling of these parameters."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def title(self) -> str:
        """What the job does, in words."""
        raise NotImplementedError

    @classmethod
    def given(cls, workspace: Workspace, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """All parameters, not yet checked, out of those that a form gave; ``workspace`` is of the dataset."""
        return {**values, "dataset": workspace.settings.dataset}

    def check(self, workspace: Workspace) -> None:
        """Raise ``UsageError`` for what can be seen to be wrong before the job's turn has come."""

    def perform(self, workspace: Workspace, tell: Tell, stop: Stop) -> None:  # noqa: ARG002 (a kind that is attended)
        """Do the work to its end. Raises ``Stopped``, and what the work raises."""
        raise UsageError(f"A job of the kind {self.kind!r} is run by the page that asks for it", fix="ask there")


class Player(BaseModel):
    """Which weights play a role: :class:`backend.types.ModelRef`, field for field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    revision: str
    adapter: str | None = None
    context: int | None = None
    quantized: str | None = None
    precision: str | None = None
    reading: int | None = None
    server: str | None = None

    @classmethod
    def of(cls, model: ModelRef) -> Self:
        return cls(**asdict(model))

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what jobs from before it existed do not say, where it is not set: their text stays theirs."""
        written: dict[str, Any] = write(self)
        return {
            name: value
            for name, value in written.items()
            if value is not None or name not in ("precision", "reading", "server")
        }


class PlayedParams(JobParams):
    """Parameters of what is asked of the two models: who plays them."""

    tuned: Player
    reasoning: Player

    @classmethod
    def given(cls, workspace: Workspace, values: Mapping[str, Any]) -> Mapping[str, Any]:
        players = {role: Player.of(workspace.model(role)).model_dump() for role in ("tuned", "reasoning")}
        return {**super().given(workspace, values), **players}

    def workspace_of(self, workspace: Workspace) -> Workspace:
        """The workspace over the job's dataset. Raises ``UsageError`` where other models play than when it was started:
        what these say is not mixed with what those said.
        """
        workspace = workspace.over(self.dataset)
        for role, player in (("tuned", self.tuned), ("reasoning", self.reasoning)):
            model = workspace.model(role)
            # A job from before precisions were written down goes on in the one that plays now.
            if player not in (Player.of(model), Player.of(unknown_of(model) or model)):
                raise UsageError(
                    f"This job was started when {player.name} with the adapter {player.adapter} played {role}, and now "
                    f"{model.name} with the adapter {model.adapter} does",
                    fix="start a new job, or the program with the settings of then",
                )
        return workspace


class TimedTeller:
    """Tells how far a job is, with how long the rest will take where that can be known."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self._pace = Pace()

    def stage(self, what: str, fraction: float | None) -> None:
        """As a :data:`backend.types.Progress`."""
        self.say(JobReport(what, fraction))

    def say(self, report: JobReport, left: float | None = None) -> None:
        """``left``: seconds, where the work itself knows better than its pace."""
        now = time.monotonic()
        if not self._pace.begins(report.stage, report.fraction, now) and left is None:
            left = self._pace.left(report.fraction, now)
        about = "" if left is None or left < 1 else f", about {duration(left)} left"
        self.tell(replace(report, stage=report.stage + about))


def samples_in_words(samples: str, limit: int | None) -> str:
    """Which samples: ``all samples of test``, ``1 sample that ships``, ``20 samples of validation that ship``."""
    one = limit == 1
    ships, _, part = samples.partition("-")
    which = f"that ship{'s' * one}" if ships == "shipped" else f"of {samples}"
    which = f"of {part} {which}" if part else which
    return f"{f'{limit:,}' if limit else 'all'} sample{'s' * (not one)} {which}"
