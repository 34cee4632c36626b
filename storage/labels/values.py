"""What the queue gives out and takes back: a task, whose it is, and what is kept of their judgement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backend.labelling import ChainRecord, Judgement, Label, Problem, Project, Setting
from backend.labelling.record import Status
from backend.prompting import split_steps
from backend.prompting.steps import Step


@dataclass(frozen=True)
class LabelState:
    """What one person said of a task so far. ``version`` 0: nothing yet, the task is only reserved for them.

    ``reserved_until``: until when a draft keeps its place; None where it has none (any more).
    """

    label: str
    status: Status
    version: int
    judgement: Judgement
    seconds: float
    skip_reason: str
    reserved_until: datetime | None
    updated_at: datetime
    submitted_at: datetime | None


@dataclass(frozen=True)
class Task:
    """One chain to judge, or two to choose from, under the ``setting`` that they were predicted under.

    ``state``: what whoever it was given to said of it so far; None for a reviewer who looks at it.
    """

    id: str
    key: str
    project: Project
    chains: tuple[ChainRecord, ...]
    setting: Setting
    state: LabelState | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps to judge: of a task of one chain."""
        return split_steps(self.chains[0].text) if len(self.chains) == 1 else ()

    @property
    def pair(self) -> tuple[str, ...]:
        """The ids of two chains that are compared; empty for a task of one chain."""
        return tuple(chain.id for chain in self.chains) if len(self.chains) > 1 else ()


@dataclass(frozen=True)
class Nothing:
    """Why there is no task. ``reason``: ``done`` (all that this person may do is done), ``reserved`` (others are at
    the rest; something may come back ``until`` then), ``closed``, or ``unqualified``. ``skipped``: how many tasks this
    person skipped and could take up again.
    """

    reason: str
    says: str
    skipped: int = 0
    until: datetime | None = None


@dataclass(frozen=True)
class Saved:
    """A draft as it is kept now. ``reserved_until``: None where others have taken its place meanwhile."""

    version: int
    at: datetime
    reserved_until: datetime | None


@dataclass(frozen=True)
class Submitted:
    """``problems``: what the judgement lacks; then it is kept as a draft, and not submitted."""

    label: str
    version: int
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class OwnLabel:
    """One line of a person's list of what they did. ``title``: of the target item; ``first``: its first chain's id."""

    label: str
    task: str
    status: Status
    user: str
    title: str
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime | None
    seconds: float
    skip_reason: str
    edits: int
    first: str


@dataclass(frozen=True)
class SideBySide:
    """Everything that was said of a task; ``gold``: the judgement that is known to be right."""

    task: Task
    labels: tuple[Label, ...]
    resolved: Label | None
    gold: Judgement | None
    qualification: bool
