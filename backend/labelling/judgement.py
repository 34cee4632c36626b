"""What one person says of one task: a chain, step by step and as a whole, or which of two chains is better.

A judgement may be half made: that is a draft. What it lacks to be submitted is :func:`missing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.labelling.rubric import Rubric
from backend.prompting.steps import Step

TIE, CANNOT = "tie", "cannot"
# What can be said of two chains, which are named by their place in the task wherever somebody reads of them.
PREFERENCES = ("first", "second", TIE, CANNOT)
_LONGEST_COMMENT, _LONGEST_CHAIN = 10_000, 50_000

Grade = Annotated[int, Field(ge=1, le=5)]


class StepJudgement(BaseModel):
    """``value``: the name of one of the rubric's choices for a step; ``tags``: names of its error tags."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: str
    tags: tuple[str, ...] = ()


class Judgement(BaseModel):
    """``steps`` by step id (:func:`backend.prompting.steps.split_steps`); ``scales`` by the rubric's names.

    ``verdict`` is the labeller's own answer, with ``confidence`` from 1 (a guess) to 5 (certain). ``corrected``: the
    chain as it should have been. ``preferred``, of two chains: the better one's id, ``tie`` or ``cannot``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: dict[str, StepJudgement] = {}
    scales: dict[str, Grade] = {}
    missing_step: bool = False
    verdict: Literal["yes", "no"] | None = None
    confidence: Grade | None = None
    corrected: Annotated[str, Field(max_length=_LONGEST_CHAIN)] = ""
    comment: Annotated[str, Field(max_length=_LONGEST_COMMENT)] = ""
    preferred: Annotated[str, Field(max_length=64)] | None = None


def preferred_side(judgement: Judgement, pair: Sequence[str]) -> str | None:
    """One of :data:`PREFERENCES`; None where nothing was said of these two, or it is about other chains.

    ``pair``: the ids of the task's chains, in the task's order.
    """
    sides = dict(zip(pair, PREFERENCES[:2], strict=False)) | {TIE: TIE, CANNOT: CANNOT}
    return sides.get(judgement.preferred or "") if len(pair) > 1 else None


@dataclass(frozen=True)
class Problem:
    """What keeps a judgement from being submitted. ``where``: ``step:<id>``, ``scale:<name>``, ``verdict``,
    ``confidence`` or ``preferred``.
    """

    where: str
    says: str


def missing(
    judgement: Judgement, rubric: Rubric, steps: Sequence[Step], *, first_error: bool = False, pair: Sequence[str] = ()
) -> list[Problem]:
    """What a judgement lacks, or says that cannot be, in the order of the page; empty where it can be submitted.

    ``steps``: those of the chain. ``first_error``: steps behind the first bad one need no judgement. ``pair``: the ids
    of the two chains that are compared; then only ``preferred`` is asked for.
    """
    if pair:
        if judgement.preferred in (*pair, TIE, CANNOT):
            return []
        return [Problem("preferred", "Say which of the two is better, or that they are alike, or that you can't tell")]
    problems = _of_steps(judgement, rubric, steps, first_error)
    graded = {scale.name for scale in rubric.scales}
    for scale in rubric.scales:
        if scale.name not in judgement.scales:
            problems.append(Problem(f"scale:{scale.name}", f"{scale.label} has no number yet"))
    for name in judgement.scales.keys() - graded:
        problems.append(Problem(f"scale:{name}", f"The rubric has no scale {name!r}"))
    if judgement.verdict is None:
        problems.append(Problem("verdict", "Say what you would answer: yes or no"))
    elif judgement.confidence is None:
        problems.append(Problem("confidence", "Say how sure you are of your own answer"))
    return problems


def _of_steps(judgement: Judgement, rubric: Rubric, steps: Sequence[Step], first_error: bool) -> list[Problem]:
    problems, known = [], {choice.name for choice in rubric.steps}
    tags = {tag.name for tag in rubric.tags}
    bad_before = False
    for number, step in enumerate(steps, 1):
        said = judgement.steps.get(step.id)
        where = f"step:{step.id}"
        if said is None:
            if not (first_error and bad_before):
                problems.append(Problem(where, f"Step {number} is not judged yet"))
        elif said.value not in known:
            problems.append(Problem(where, f"Step {number}: the rubric has no judgement {said.value!r}"))
        elif wrong := set(said.tags) - tags:
            problems.append(Problem(where, f"Step {number}: the rubric has no error tag {min(wrong)!r}"))
        elif said.value == "bad" and not said.tags:
            problems.append(Problem(where, f"Step {number} is bad: say what is wrong with it"))
        elif said.value != "bad" and said.tags:
            problems.append(Problem(where, f"Step {number} has an error tag, and is not bad"))
        bad_before = bad_before or (said is not None and said.value == "bad")
    for stray in judgement.steps.keys() - {step.id for step in steps}:
        problems.append(Problem(f"step:{stray}", f"The chain has no step {stray!r}"))
    return problems
