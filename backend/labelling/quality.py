"""Each labelled chain with what people said of it, as numbers, beside what is known of how it came about."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.labelling.judgement import Judgement
from backend.labelling.ratings import counted
from backend.labelling.record import Chain, Label
from backend.labelling.rubric import rubric
from backend.prompting.steps import split_steps

GOOD_SHARE, FLAWLESS, FIRST_BAD = "good_steps", "flawless", "first_bad"
OUTCOMES = ("correct", "wrong", "no_answer")


@dataclass(frozen=True)
class Quality:
    """``name``; ``label``; ``low``, ``high``: what it can be, worst and best (of ``first_bad``: earliest, latest)."""

    name: str
    label: str
    means: str
    low: float
    high: float


@dataclass(frozen=True)
class JudgedChain:
    """``values``: by the name of a :class:`Quality`, the mean over the chain's labels, NaN where nobody said.

    ``outcome``: one of :data:`OUTCOMES`, or None where nobody knows what really happened. ``tokens``: the chain's
    length; ``variance``: of P(yes) over the chains of its sample, None where unknown; ``injected``: whether the
    prompt had a sentence with M_G's knowledge (eq. 9).
    """

    task: str
    title: str
    user: str
    labels: int
    resolved: bool
    outcome: str | None
    tokens: int
    variance: float | None
    injected: bool
    values: dict[str, float]


def qualities(version: str) -> tuple[Quality, ...]:
    """What is measured of a chain under a version of the rubric. Raises ``UnknownNameError``."""
    return (
        *(Quality(scale.name, scale.label, scale.asks, 1.0, 5.0) for scale in rubric(version).scales),
        Quality(GOOD_SHARE, "Good steps", "share of the judged steps that are good", 0.0, 1.0),
        Quality(FLAWLESS, "No bad step", "share of labels without a bad step", 0.0, 1.0),
        Quality(
            FIRST_BAD,
            "First bad step",
            "where the first bad step stands, 0 (the first step) to 1 (the last), of chains that have one",
            0.0,
            1.0,
        ),
    )


def judged_chains(labels: Iterable[Label], resolved: Iterable[Label] = ()) -> list[JudgedChain]:
    """The chains that submitted labels are about, by task. Where a task is resolved, that judgement alone counts."""
    settled = {own.task: own for own in resolved if own.kind == "resolved"}
    by_task: dict[str, list[Label]] = {}
    for label in counted(labels):
        if len(label.chains) == 1:
            by_task.setdefault(label.task, []).append(label)
    for task, own in settled.items():
        if len(own.chains) == 1:
            by_task[task] = [own]
    return [_judged(own, task in settled) for task, own in sorted(by_task.items())]


def measured(judgement: Judgement, steps: Sequence[str]) -> dict[str, float]:
    """One judgement as numbers. ``steps``: the ids of the chain's steps, in order."""
    values = {name: float(grade) for name, grade in judgement.scales.items()}
    judged = [judgement.steps[step].value for step in steps if step in judgement.steps]
    known = [value for value in judged if value != "unsure"]
    if known:
        values[GOOD_SHARE] = known.count("good") / len(known)
        values[FLAWLESS] = float("bad" not in known)
        if "bad" in known:
            first = next(place for place, step in enumerate(steps) if _is_bad(judgement, step))
            values[FIRST_BAD] = first / max(len(steps) - 1, 1)
    return values


def outcome(chain: Chain) -> str | None:
    """One of :data:`OUTCOMES`, or None where nobody knows what really happened."""
    if chain.truth is None:
        return None
    if chain.verdict is None:
        return "no_answer"
    return "correct" if (chain.verdict == "yes") == chain.truth else "wrong"


def _is_bad(judgement: Judgement, step: str) -> bool:
    return step in judgement.steps and judgement.steps[step].value == "bad"


def _judged(labels: Sequence[Label], resolved: bool) -> JudgedChain:
    first = labels[0]
    chain = first.chains[0]
    steps = [step.id for step in split_steps(chain.text)]
    each = [measured(label.judgement, steps) for label in labels]
    values = {}
    for quality in qualities(first.rubric):
        said = [own[quality.name] for own in each if quality.name in own]
        values[quality.name] = sum(said) / len(said) if said else math.nan
    return JudgedChain(
        first.task,
        chain.title,
        chain.user,
        len(labels),
        resolved,
        outcome(chain),
        chain.tokens,
        first.setting.var_r,
        bool(chain.knowledge),
        values,
    )
