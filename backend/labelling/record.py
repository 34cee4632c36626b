"""The canonical row: one person's label of one task, with all that is needed to read it without the database.

It is what is exported as JSONL, what imports back without loss, and what agreement and the other exports are made of.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from backend.labelling.judgement import Judgement
from backend.labelling.project import Project

Status = Literal["submitted", "skipped", "draft"]


class _Frozen(BaseModel):
    # What is not a number has no place in JSON: what nobody knows is None.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Account(_Frozen):
    """Who somebody is. ``role`` is what they may do: see ``storage.labels.roles``."""

    name: str
    role: Literal["admin", "reviewer", "annotator", "viewer"]


class ShownItem(_Frozen):
    """A past item that the prompt showed. Ranks as in eq. 8: from 1, or None where it is not of that channel."""

    item: str
    title: str
    rating: float | None
    relevance_rank: int | None = None
    recency_rank: int | None = None


class ChainRecord(_Frozen):
    """One reasoning chain as it was written, under its key in the cache (``id``, 64 hexadecimal characters).

    ``truth``: what really happened, None where nobody knows. ``p_yes`` in [0, 1]; ``model`` is M_R's whole name as
    ``backend.types.ModelRef`` has it. ``knowledge``: the injected sentence (eq. 9), empty where there was none.
    """

    id: str
    dataset: str
    data_hash: str
    user: str
    item: str
    title: str
    truth: bool | None
    history: tuple[ShownItem, ...]
    prompt: str
    prompt_hash: str
    knowledge: str
    model: dict[str, str | int | None]
    index: int
    seed: int
    text: str
    verdict: Literal["yes", "no"] | None
    p_yes: float
    tokens: int
    finish: str


class Setting(_Frozen):
    """Under which setting the task's sample was predicted, and what came of it. Probabilities in [0, 1], or None."""

    recipe: str
    gamma: float
    beta: float
    k: int
    alpha: float
    epsilon: float
    traces: int
    seed: int
    strategy: str
    variant: str
    knowledge: str
    tuned_model: dict[str, str | int | None]
    p_g: float | None
    var_g: float | None
    p_r: float | None
    var_r: float | None
    p_final: float | None


class Version(_Frozen):
    """An earlier state of a label that was edited, undone or reopened: nothing that was submitted is lost."""

    judgement: Judgement
    status: Status
    at: AwareDatetime
    seconds: float


class Label(_Frozen):
    """``id`` names this label everywhere. ``kind``: ``label`` of an annotator, or ``resolved``: what a reviewer
    wrote after reading all of a task's labels. ``seconds``: time at work, idle time cut off. ``chains``: one, or two
    where they are compared. ``gold``: of the task, whether its right answer is known and was used as a check; of a
    resolved label, whether it is that answer.
    """

    format: Literal[1] = 1
    kind: Literal["label", "resolved"] = "label"
    id: str
    project_key: str
    project: Project
    task: str
    author: str
    status: Status
    created_at: AwareDatetime
    updated_at: AwareDatetime
    submitted_at: AwareDatetime | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0
    blind: bool = True
    rubric: str = "1"
    gold: bool = False
    qualification: bool = False
    skip_reason: str = ""
    judgement: Judgement = Judgement()
    history: tuple[Version, ...] = ()
    chains: tuple[ChainRecord, ...]
    setting: Setting
