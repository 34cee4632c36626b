"""Adjudication: all labels of one task side by side, what differs marked, and the form of the resolved one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from app.label.drawing.frame import address
from app.label.drawing.task import SIGNS
from app.shared.templating import render
from backend.labelling import Chain, Judgement, Label, Rubric, StepJudgement
from backend.labelling.judgement import CANNOT, PREFERENCES, TIE
from backend.prompting.steps import split_steps
from storage.labels.values import SideBySide

_STATES = {"submitted": "submitted", "skipped": "skipped", "draft": "still a draft"}


def adjudicate(found: SideBySide, rubric: Rubric, upcoming: str) -> str:
    """Everybody's labels of a task; those that are submitted are compared. ``upcoming``: the next disputed task, or
    empty. The form starts with the resolved label, or else with what all people said alike.
    """
    task, resolved = found.task, found.resolved
    said = [label for label in found.labels if label.status == "submitted"]
    start = resolved.judgement if resolved else consensus([label.judgement for label in said])
    pair = len(task.chains) > 1
    return render(
        "label/results_adjudicate.html",
        found=found,
        task=task.id,
        chains=task.chains,
        chain=task.chains[0],
        setting=task.setting,
        rubric=rubric,
        said=said,
        states=_STATES,
        signs=SIGNS,
        start=start,
        pair=pair,
        sides=PREFERENCES[:2],
        steps=[] if pair else _steps(task.chains[0], rubric, said, start),
        answers=_answers(task.chains, rubric, said, start),
        preferences=_preferences(task.chains) if pair else [],
        resolved=resolved,
        known=_known(task.id, resolved),
        here=address("adjudicate", task.key, task=task.id),
        upcoming=address("adjudicate", task.key, task=upcoming) if upcoming else "",
        disputed=address("disputed", task.key),
    )


def consensus(judgements: Sequence[Judgement]) -> Judgement:
    """What all of these say alike, and nothing else. Of one alone: nothing, since nobody confirmed it."""
    if len(judgements) < 2:
        return Judgement()
    first, others = judgements[0], judgements[1:]
    alike: dict[str, Any] = {
        "steps": {
            step: StepJudgement(value=own.value, tags=_common(step, own, others))
            for step, own in first.steps.items()
            if all(step in other.steps and other.steps[step].value == own.value for other in others)
        },
        "scales": {
            name: grade
            for name, grade in first.scales.items()
            if all(other.scales.get(name) == grade for other in others)
        },
    }
    for name in ("missing_step", "verdict", "confidence", "preferred"):
        value = getattr(first, name)
        if all(getattr(other, name) == value for other in others):
            alike[name] = value
    return Judgement(**alike)


def _common(step: str, own: StepJudgement, others: Sequence[Judgement]) -> tuple[str, ...]:
    """The tags that everybody gave to a step."""
    return tuple(tag for tag in own.tags if all(tag in other.steps[step].tags for other in others))


def _steps(chain: Chain, rubric: Rubric, said: Sequence[Label], start: Judgement) -> list[dict[str, Any]]:
    found = []
    for number, step in enumerate(split_steps(chain.text), start=1):
        answers = [(label.author, label.judgement.steps.get(step.id)) for label in said]
        values = {own.value if own else None for _, own in answers}
        tags = {frozenset(own.tags) for _, own in answers if own}
        found.append(
            {
                "id": step.id,
                "number": number,
                "text": step.text,
                "differs": len(values) > 1,
                "differs_in_tags": len(values) == 1 and len(tags) > 1,
                "said": [
                    {
                        "author": author,
                        "value": own.value if own else "",
                        "label": _step_label(rubric, own) if own else "not judged",
                    }
                    for author, own in answers
                ],
                "start": start.steps.get(step.id),
            }
        )
    return found


def _step_label(rubric: Rubric, own: StepJudgement) -> str:
    """In the rubric's words; what an imported label says in other words stays as it is."""
    names = {choice.name: choice.label for choice in (*rubric.steps, *rubric.tags)}
    tags = ", ".join(names.get(tag, tag).lower() for tag in own.tags)
    return names.get(own.value, own.value) + (f": {tags}" if tags else "")


def _answers(
    chains: Sequence[Chain], rubric: Rubric, said: Sequence[Label], start: Judgement
) -> dict[str, dict[str, Any]]:
    """What people said of the whole, by the question: each scale, ``missing_step``, ``verdict``, ``preferred``."""

    def told(values: Sequence[tuple[str, str]], at: Any) -> dict[str, Any]:
        return {"said": values, "differs": len({value for _, value in values}) > 1, "start": at}

    found = {
        f"scale:{scale.name}": told(
            [(label.author, str(label.judgement.scales.get(scale.name, "–"))) for label in said],
            start.scales.get(scale.name),
        )
        for scale in rubric.scales
    }
    found["missing_step"] = told(
        [(label.author, "yes" if label.judgement.missing_step else "no") for label in said], start.missing_step
    )
    found["verdict"] = told([(label.author, label.judgement.verdict or "–") for label in said], start.verdict)
    found["confidence"] = told([(label.author, str(label.judgement.confidence or "–")) for label in said], None)
    names = dict(_preferences(chains))
    found["preferred"] = told(
        [(label.author, names.get(label.judgement.preferred or "", "–")) for label in said], start.preferred
    )
    return found


def _preferences(chains: Sequence[Chain]) -> list[tuple[str, str]]:
    sides = [(chain.id, f"The {side} is better") for chain, side in zip(chains, PREFERENCES, strict=False)]
    return [*sides, (TIE, "They are alike"), (CANNOT, "Nobody can tell")]


def _known(task: str, resolved: Label | None) -> dict[str, str]:
    """Bodies of the buttons that make a task gold, or an ordinary one again."""
    bodies = {"none": json.dumps({"task": task, "judgement": None, "qualification": False})}
    if resolved:
        whole = resolved.judgement.model_dump(mode="json")
        bodies["gold"] = json.dumps({"task": task, "judgement": whole, "qualification": False})
        bodies["qualification"] = json.dumps({"task": task, "judgement": whole, "qualification": True})
    return bodies
