"""Label Studio's JSON: tasks with their annotations, as its import reads them, and the labelling setup they fit.

Its regions are a step's place in the chain's text; names in ``from_name`` are those of :func:`setup`. Who labelled is
the answer ``author``: Label Studio's own ``completed_by`` must be the e-mail address of one of its users, and an import
with another one fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO
from xml.sax.saxutils import quoteattr

from backend.labelling.formats.canonical import json_line
from backend.labelling.judgement import PREFERENCES, preferred_side
from backend.labelling.record import Label
from backend.labelling.rubric import RubricChoice, rubric
from backend.prompting.steps import split_steps

_TEXT = "chain"
_WRITTEN = ("corrected", "comment", "skip_reason", "author")


def write(labels: Iterable[Label], out: BinaryIO) -> int:
    """One JSON list, a task for each task of the project; returns how many tasks.

    Submitted and skipped labels (``was_cancelled``) are annotations, drafts are drafts, resolved ones are marked
    ``ground_truth``.
    """
    by_task: dict[str, list[Label]] = {}
    for label in labels:
        by_task.setdefault(label.task, []).append(label)
    out.write(b"[\n")
    for number, task in enumerate(by_task.values()):
        out.write(b",\n" if number else b"")
        out.write(json_line(_task(task)).rstrip(b"\n"))
    out.write(b"\n]\n")
    return len(by_task)


def setup(version: str = "1") -> str:
    """The labelling setup (XML) that the tasks fit: to be pasted into a project of Label Studio.

    Raises ``UnknownNameError``.
    """
    questions = rubric(version)
    lines = [
        "<View>",
        '  <Header value="$title"/>',
        '  <Text name="prompt" value="$prompt"/>',
        f'  <Text name="{_TEXT}" value="$chain"/>',
        '  <Text name="second" value="$second_chain"/>',
        f'  <Labels name="step" toName="{_TEXT}">',
        *(f"    <Label value={quoteattr(choice.name)}/>" for choice in questions.steps),
        "  </Labels>",
        *_choices("tags", questions.tags, ' choice="multiple" perRegion="true"'),
        *(f'  <Rating name={quoteattr(scale.name)} toName="{_TEXT}" maxRating="5"/>' for scale in questions.scales),
        *_choices("missing_step", ("yes", "no")),
        *_choices("verdict", ("yes", "no")),
        f'  <Rating name="confidence" toName="{_TEXT}" maxRating="5"/>',
        *_choices("preferred", PREFERENCES),
        *(
            f'  <TextArea name="{name}" toName="{_TEXT}"/>'
            for name in ("corrected", "comment", "skip_reason", "author")
        ),
        "</View>",
    ]
    return "\n".join(lines) + "\n"


def _choices(name: str, choices: Sequence[str | RubricChoice], more: str = "") -> list[str]:
    values = [choice if isinstance(choice, str) else choice.name for choice in choices]
    options = [f"    <Choice value={quoteattr(value)}/>" for value in values]
    return [f'  <Choices name="{name}" toName="{_TEXT}"{more}>', *options, "  </Choices>"]


def _task(labels: Sequence[Label]) -> dict[str, Any]:
    label = labels[0]
    chain, chains = label.chains[0], [one.id for one in label.chains]
    return {
        "data": {
            "title": f"{chain.title}, user {chain.user}",
            "prompt": chain.prompt,
            "chain": chain.text,
            "second_chain": label.chains[1].text if len(label.chains) > 1 else "",
            "chains": chains,
            "task": label.task,
            "project": label.project.name,
            "model": json.dumps(chain.model, ensure_ascii=False),
            "verdict": chain.verdict,
            "p_yes": chain.p_yes,
        },
        "annotations": [_annotation(one, chains) for one in labels if one.status != "draft"],
        "drafts": [
            {"result": _result(one, chains), "lead_time": one.seconds, "created_at": one.created_at.isoformat()}
            for one in labels
            if one.status == "draft"
        ],
        "predictions": [],
    }


def _annotation(label: Label, chains: Sequence[str]) -> dict[str, Any]:
    return {
        "result": _result(label, chains),
        "was_cancelled": label.status == "skipped",
        "ground_truth": label.kind == "resolved",
        "created_at": label.created_at.isoformat(),
        "updated_at": label.updated_at.isoformat(),
        "lead_time": label.seconds,
    }


def _result(label: Label, chains: Sequence[str]) -> list[dict[str, Any]]:
    """``chains``: the ids of the task's chains, in its order."""
    judgement = label.judgement
    answers: list[dict[str, Any]] = [*_steps(label)]
    answers += [_answer(name, "rating", grade) for name, grade in judgement.scales.items()]
    answers.append(_answer("missing_step", "choices", ["yes" if judgement.missing_step else "no"]))
    if judgement.verdict:
        answers.append(_answer("verdict", "choices", [judgement.verdict]))
    if judgement.confidence:
        answers.append(_answer("confidence", "rating", judgement.confidence))
    if side := preferred_side(judgement, chains):
        answers.append(_answer("preferred", "choices", [side]))
    written = {"corrected": judgement.corrected, "comment": judgement.comment, "skip_reason": label.skip_reason}
    written["author"] = label.author
    return answers + [_answer(name, "textarea", [text]) for name, text in written.items() if text]


def _answer(name: str, kind: str, value: Any) -> dict[str, Any]:
    field = "text" if kind == "textarea" else kind
    return {"id": name, "from_name": name, "to_name": _TEXT, "type": kind, "value": {field: value}}


def _steps(label: Label) -> Iterable[dict[str, Any]]:
    for step in split_steps(label.chains[0].text):
        judged = label.judgement.steps.get(step.id)
        if judged is None:
            continue
        place = {"start": step.start, "end": step.end, "text": step.text}
        plain = {"id": step.id, "to_name": _TEXT}
        yield plain | {"from_name": "step", "type": "labels", "value": place | {"labels": [judged.value]}}
        if judged.tags:
            yield plain | {"from_name": "tags", "type": "choices", "value": place | {"choices": list(judged.tags)}}
