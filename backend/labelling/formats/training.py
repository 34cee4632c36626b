"""What trainers of reward models read: PRM800K's lines, TRL's stepwise supervision, and preference pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from backend.labelling.formats.canonical import write_lines
from backend.labelling.record import ChainRecord, Label
from backend.labelling.rubric import rubric
from backend.prompting.steps import Step, split_steps


def write_prm800k(labels: Iterable[Label], out: BinaryIO) -> int:
    """OpenAI's PRM800K: a line per submitted or skipped label of one chain; returns how many.

    A step's ``rating`` is 1, 0 or -1; null and ``flagged`` where it can't be judged ("the labeler can flag steps that
    they don't know how to label"), null alone where it was not judged. The rubric's scales, tags, comment and author
    stand beside PRM800K's own fields, under ``rallrec``.
    """
    return write_lines((_prm800k(label) for label in labels if len(label.chains) == 1 and label.status != "draft"), out)


def write_trl(labels: Iterable[Label], out: BinaryIO) -> int:
    """TRL's stepwise supervision: ``prompt``, ``completions`` (the steps), ``labels`` (false for a bad step).

    A line per submitted label of one chain. It ends before the first step that nobody judged or that can't be judged:
    a trainer knows no third answer, and a step is read behind those before it. Without any step: no line.
    """
    return write_lines((line for label in labels for line in _stepwise(label)), out)


def write_preferences(labels: Iterable[Label], out: BinaryIO) -> int:
    """Preference pairs: ``prompt``, ``chosen``, ``rejected``; a line per submitted label that prefers a text.

    Of two chains the better one is chosen (ties have no line, nor chains that answered different prompts); a chain
    that its labeller corrected is rejected for the corrected text.
    """
    return write_lines((line for label in labels for line in _preferences(label)), out)


def _prm800k(label: Label) -> dict[str, Any]:
    chain = label.chains[0]
    steps = split_steps(chain.text)
    judged = label.judgement.steps
    bad = any(step.value == "bad" for step in judged.values())
    finish = "give_up" if label.status == "skipped" else "found_error" if bad else "solution"
    return {
        "labeler": label.author,
        "timestamp": (label.submitted_at or label.updated_at).isoformat(),
        "generation": None,
        "is_quality_control_question": label.gold,
        "is_initial_screening_question": label.qualification,
        "question": {
            "problem": chain.prompt,
            "ground_truth_solution": None,
            "ground_truth_answer": _word(chain.truth),
            "pre_generated_steps": [step.text for step in steps],
            "pre_generated_answer": chain.verdict,
            "pre_generated_verifier_score": None,
        },
        "label": {
            "steps": [
                {
                    "completions": [{"text": step.text} | _rating(label, step)],
                    "human_completion": None,
                    "chosen_completion": 0,
                }
                for step in steps
                if step.id in judged or not label.project.first_error
            ],
            "total_time": round(label.seconds * 1000),
            "finish_reason": finish,
        },
        "rallrec": {
            "id": label.id,
            "kind": label.kind,
            "status": label.status,
            "chain": chain.id,
            "judgement": label.judgement.model_dump(mode="json"),
            "skip_reason": label.skip_reason,
        },
    }


def _rating(label: Label, step: Step) -> dict[str, Any]:
    judged = label.judgement.steps.get(step.id)
    if judged is None:
        return {"rating": None, "flagged": None}
    values = {choice.name: choice.value for choice in rubric(label.rubric).steps}
    rating = values.get(judged.value)
    return {"rating": rating, "flagged": rating is None}


def _word(truth: bool | None) -> str | None:
    return None if truth is None else "yes" if truth else "no"


def _stepwise(label: Label) -> Iterator[dict[str, Any]]:
    if label.status != "submitted" or len(label.chains) != 1:
        return
    completions, marks = [], []
    for step in split_steps(label.chains[0].text):
        judged = label.judgement.steps.get(step.id)
        if judged is None or judged.value == "unsure":
            break
        completions.append(step.text)
        marks.append(judged.value != "bad")
    if completions:
        yield {"prompt": label.chains[0].prompt, "completions": completions, "labels": marks}


def _preferences(label: Label) -> Iterator[dict[str, Any]]:
    if label.status != "submitted":
        return
    by_id: dict[str, ChainRecord] = {chain.id: chain for chain in label.chains}
    better, corrected = label.judgement.preferred, label.judgement.corrected.strip()
    if len(by_id) == 2 and better in by_id:
        chosen, rejected = by_id[better], next(chain for name, chain in by_id.items() if name != better)
        if chosen.prompt == rejected.prompt:
            yield {"prompt": chosen.prompt, "chosen": chosen.text, "rejected": rejected.text}
    elif len(by_id) == 1 and corrected and corrected != label.chains[0].text.strip():
        chain = label.chains[0]
        yield {"prompt": chain.prompt, "chosen": label.judgement.corrected, "rejected": chain.text}
