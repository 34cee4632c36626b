"""What comes of labelling: agreement, disputes, adjudication, insight, and the files that can be taken along."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from app.label.drawing.figures import Mark, axis, rows, told, trend_figure
from app.label.drawing.frame import address
from app.label.drawing.work import SIGNS
from app.shared.templating import render
from backend.labelling import ChainRecord, Judgement, Label, Rubric, StepJudgement
from backend.labelling.agreement import Agreement, AgreementReport, Confusion, PairAgreement
from backend.labelling.disputed import Dispute
from backend.labelling.formats import FORMATS
from backend.labelling.insight import ChainContest, Insight, QualitySplit, Trend
from backend.labelling.judgement import CANNOT, PREFERENCES, TIE
from backend.prompting.steps import split_steps
from storage.labels.values import SideBySide

_SHOWN_DISPUTES = 200
# From, to, and where chance stands.
_AXIS = (-0.5, 1.0, 0.0)
_STATES = {"submitted": "submitted", "skipped": "skipped", "draft": "still a draft"}
# Per kind of chain: what it is called, its shape and its class.
_KINDS = {
    "correct": ("correct", "round", "correct"),
    "wrong": ("wrong", "square", "wrong"),
    "no_answer": ("no answer", "diamond", "silent"),
    "injected": ("with the sentence", "round", "correct"),
    "none": ("without it", "square", "wrong"),
}
# Per contest of two chains: what is asked, who won, and what to think of it.
_CONTESTS = {
    "correct": ("The correct one against the wrong one", "correct one", "its verdict is what really happened"),
    "longer": ("The longer one against the shorter one", "longer one", "in tokens"),
    "injected": ("The one whose prompt had the injected sentence", "one with the sentence",
                 "pairs made here have one prompt for both"),
    "first": ("The one that is shown first", "first one", "the order is random: far from a half, the place decides"),
}  # fmt: skip


# --- files ---


def exports(project: str, counts: Mapping[str, int], *, everything: bool, imports: bool) -> str:
    """What can be taken along, and for admins the way back in. ``counts``: labels by status, and ``resolved``;
    ``everything``: raw labels too, not resolved ones alone.
    """
    groups = [("resolved", "Resolved", "what reviewers wrote after reading all labels of a task", counts["resolved"])]
    if everything:
        total = sum(count for status, count in counts.items() if status != "resolved")
        groups = [
            ("submitted", "Submitted", "what people said, as they submitted it", counts["submitted"]),
            ("all", "All", "with skipped ones and drafts, each with its status", total),
            *groups,
        ]
    return render(
        "label/results_export.html",
        groups=[
            {"name": name, "label": label, "about": about, "count": count,
             "links": {format: download(project, format, name) for format in FORMATS}}
            for name, label, about, count in groups
        ],
        formats=list(FORMATS.values()),
        agreement=download(project, "agreement"),
        setup=download(project, "label-studio-setup"),
        imports=imports,
    )  # fmt: skip


def download(project: str, name: str, status: str = "") -> str:
    """Where a file of the project is fetched: in this format, of labels with this status."""
    query = {"project": project, "format": name, "status": status}
    return "/labels/export?" + urlencode({key: value for key, value in query.items() if value})


# --- agreement ---


def agreement(report: AgreementReport, project: str, dimension: str, matrix: Confusion | None) -> str:
    """All dimensions, the pairs of people in one of them (``dimension``), and what two people said (``matrix``)."""
    chosen = next((agreed for agreed in report.dimensions if agreed.dimension.name == dimension), None)
    parts = ("steps", "scales", "verdict", "preferred")
    return render(
        "label/results_agreement.html",
        report=report,
        rows=[_agreement_row(agreed, project, chosen) for agreed in report.dimensions],
        axis=axis(*_AXIS),
        chosen=chosen,
        pairs=_pairs(chosen, project) if chosen else [],
        matrix=_matrix(matrix) if matrix else None,
        gold=[{"result": result} | {part: told(getattr(result, part)) for part in parts} for result in report.gold],
        export=download(project, "agreement"),
    )


def disputes(disputes: Sequence[Dispute], project: str, *, unresolved: bool) -> str:
    """Tasks by how much people disagree; ``unresolved``: those alone that nobody resolved yet."""
    kept = [dispute for dispute in disputes if not (unresolved and dispute.resolved)]
    return render(
        "label/results_disputed.html",
        disputes=[
            {"dispute": dispute, "link": address("adjudicate", project, task=dispute.task),
             "apart": [part for part in dispute.parts if part.score > 0][:3]}
            for dispute in kept[:_SHOWN_DISPUTES]
        ],
        count=len(kept),
        all=len(disputes),
        unresolved=unresolved,
        other=address("disputed", project, **({} if unresolved else {"open": "1"})),
    )  # fmt: skip


def _agreement_row(agreed: Agreement, project: str, chosen: Agreement | None) -> dict[str, Any]:
    ordinal = agreed.dimension.level == "ordinal"
    gwet = "AC2" if ordinal else "AC1"
    marks = (
        Mark(agreed.percent, "tick", "percent", "percent"),
        Mark(agreed.alpha, "round", "alpha", "alpha"),
        Mark(agreed.gwet, "square", "gwet", gwet),
    )
    return {
        "agreed": agreed,
        "ordinal": ordinal,
        "gwet": gwet,
        "told": [(told(mark.measure), mark.measure.why) for mark in marks],
        "figure": rows(marks, *_AXIS),
        "link": address("agreement", project, dimension=agreed.dimension.name),
        "current": agreed is chosen,
    }


def _pairs(agreed: Agreement, project: str) -> list[dict[str, Any]]:
    """The pairs of people, those who agree least first; those whose kappa is not defined last."""

    def order(pair: PairAgreement) -> tuple[float, float]:
        return math.inf if math.isnan(pair.kappa.value) else pair.kappa.value, pair.percent.value

    return [
        {
            "pair": pair,
            "percent": told(pair.percent),
            "kappa": told(pair.kappa),
            "why": pair.kappa.why,
            "figure": rows([Mark(pair.kappa, "diamond", "kappa", "kappa")], *_AXIS),
            "link": address(
                "agreement", project, dimension=agreed.dimension.name, first=pair.first, second=pair.second
            ),
        }
        for pair in sorted(agreed.pairs, key=order)
    ]


def _matrix(confusion: Confusion) -> dict[str, Any]:
    most = max((count for row in confusion.counts for count in row), default=0)
    return {
        "confusion": confusion,
        "total": sum(map(sum, confusion.counts)),
        "rows": [
            {
                "name": name,
                "cells": [
                    {"count": count, "share": round(100 * count / most) if most else 0, "same": i == j}
                    for j, count in enumerate(row)
                ],
                "sum": sum(row),
            }
            for i, (name, row) in enumerate(zip(confusion.dimension.categories, confusion.counts, strict=True))
        ],
        "sums": [sum(column) for column in zip(*confusion.counts, strict=True)],
        "kappa": told(confusion.pair.kappa),
        "percent": told(confusion.pair.percent),
    }


# --- adjudication ---


def adjudicate(beside: SideBySide, rubric: Rubric, upcoming: str) -> str:
    """All labels of a task side by side, what differs marked, and the form of the resolved one. Submitted labels alone
    are compared. ``upcoming``: the next disputed task, or empty. The form starts with the resolved label, or else with
    what all people said alike.
    """
    task, resolved = beside.task, beside.resolved
    said = [label for label in beside.labels if label.status == "submitted"]
    start = resolved.judgement if resolved else consensus([label.judgement for label in said])
    pair = len(task.chains) > 1
    return render(
        "label/results_adjudicate.html",
        beside=beside,
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
    first, rest = judgements[0], judgements[1:]
    alike: dict[str, Any] = {
        "steps": {
            name: StepJudgement(value=step.value, tags=_common_tags(name, judgements))
            for name, step in first.steps.items()
            if all(name in one.steps and one.steps[name].value == step.value for one in rest)
        },
        "scales": {
            name: grade for name, grade in first.scales.items() if all(one.scales.get(name) == grade for one in rest)
        },
    }
    for name in ("missing_step", "verdict", "confidence", "preferred"):
        if all(getattr(one, name) == getattr(first, name) for one in rest):
            alike[name] = getattr(first, name)
    return Judgement(**alike)


def _common_tags(step: str, judgements: Sequence[Judgement]) -> tuple[str, ...]:
    """The tags that everybody gave to a step."""
    first, *rest = (judgement.steps[step].tags for judgement in judgements)
    return tuple(tag for tag in first if all(tag in tags for tags in rest))


def _steps(chain: ChainRecord, rubric: Rubric, said: Sequence[Label], start: Judgement) -> list[dict[str, Any]]:
    steps = []
    for number, step in enumerate(split_steps(chain.text), start=1):
        answers = [(label.author, label.judgement.steps.get(step.id)) for label in said]
        values = {answer.value if answer else None for _, answer in answers}
        tags = {frozenset(answer.tags) for _, answer in answers if answer}
        steps.append(
            {
                "id": step.id,
                "number": number,
                "text": step.text,
                "differs": len(values) > 1,
                "differs_in_tags": len(values) == 1 and len(tags) > 1,
                "said": [
                    {"author": author, "value": answer.value if answer else "",
                     "label": _step_label(rubric, answer) if answer else "not judged"}
                    for author, answer in answers
                ],
                "start": start.steps.get(step.id),
            }
        )  # fmt: skip
    return steps


def _step_label(rubric: Rubric, answer: StepJudgement) -> str:
    """Says it in the rubric's words; what an imported label says in other words stays as it is."""
    names = {choice.name: choice.label for choice in (*rubric.steps, *rubric.tags)}
    tags = ", ".join(names.get(tag, tag).lower() for tag in answer.tags)
    return names.get(answer.value, answer.value) + (f": {tags}" if tags else "")


def _answers(
    chains: Sequence[ChainRecord], rubric: Rubric, said: Sequence[Label], start: Judgement
) -> dict[str, dict[str, Any]]:
    """What people said of the whole, by the question: each scale, ``missing_step``, ``verdict``, ``preferred``."""

    def answers(read: Callable[[Judgement], object], at: Any) -> dict[str, Any]:
        values = [(label.author, str(read(label.judgement) or "–")) for label in said]
        return {"said": values, "differs": len({value for _, value in values}) > 1, "start": at}

    def grade(name: str) -> Callable[[Judgement], object]:
        return lambda judgement: judgement.scales.get(name)

    names = dict(_preferences(chains))
    scales = {
        f"scale:{scale.name}": answers(grade(scale.name), start.scales.get(scale.name)) for scale in rubric.scales
    }
    return scales | {
        "missing_step": answers(lambda judgement: "yes" if judgement.missing_step else "no", start.missing_step),
        "verdict": answers(lambda judgement: judgement.verdict, start.verdict),
        "confidence": answers(lambda judgement: judgement.confidence, None),
        "preferred": answers(lambda judgement: names.get(judgement.preferred or ""), start.preferred),
    }


def _preferences(chains: Sequence[ChainRecord]) -> list[tuple[str, str]]:
    sides = [(chain.id, f"The {side} is better") for chain, side in zip(chains, PREFERENCES, strict=False)]
    return [*sides, (TIE, "They are alike"), (CANNOT, "Nobody can tell")]


def _known(task: str, resolved: Label | None) -> dict[str, str]:
    """Bodies of the buttons that make a task gold, or an ordinary one again."""

    def body(judgement: Any, qualification: bool) -> str:
        return json.dumps({"task": task, "judgement": judgement, "qualification": qualification})

    bodies = {"none": body(None, False)}
    if resolved:
        judgement = resolved.judgement.model_dump(mode="json")
        bodies |= {"gold": body(judgement, False), "qualification": body(judgement, True)}
    return bodies


# --- insight ---


def insight(insight: Insight) -> str:
    """What goes with good reasoning: correctness, injected knowledge, length, variance; of pairs, which chain is
    preferred. Figures, and the plain numbers.
    """
    return render(
        "label/results_insight.html",
        insight=insight,
        contests=[_contest(contest) for contest in insight.pairs.contests],
        splits=[
            _question("Does better reasoning go with being right?", "correct minus wrong", insight.correctness,
                      ("correct", "wrong", "no_answer")),
            _question("Does the injected sentence change the reasoning?", "with minus without", insight.knowledge,
                      ("injected", "none")),
        ],
        trends=[
            _along("Are longer chains better?", "tokens", insight.length),
            _along("Are chains worse where the chains of a sample disagree?", "variance of P(yes)", insight.variance),
        ],
    )  # fmt: skip


def _contest(contest: ChainContest) -> dict[str, Any]:
    asks, kind, note = _CONTESTS[contest.name]
    share = contest.share
    return {
        "asks": asks,
        "note": note,
        "contest": contest,
        "told": told(share),
        "figure": rows([Mark(share, "round", "correct", f"won by the {kind}")], 0.0, 1.0, zero=0.5),
        "sure": _sure(share.low - 0.5, share.high - 0.5),
    }


def _question(asks: str, difference: str, splits: Sequence[QualitySplit], kinds: Sequence[str]) -> dict[str, Any]:
    def row(split: QualitySplit) -> dict[str, Any]:
        marks = []
        for group in split.groups:
            name, shape, css = _KINDS[group.name]
            marks.append(Mark(group.mean, shape, css, name))
        return {
            "quality": split.quality,
            "figure": rows(marks, split.quality.low, split.quality.high),
            "groups": [(mark.says, told(mark.measure), mark.measure.of, mark.measure.why) for mark in marks],
            "difference": told(split.difference, sign="+"),
            "why": split.difference.why,
            "sure": _sure(split.difference.low, split.difference.high),
        }

    key = [_KINDS[kind] for kind in kinds]
    return {"asks": asks, "difference": difference, "key": key, "rows": [row(split) for split in splits]}


def _along(asks: str, number: str, trends: Sequence[Trend]) -> dict[str, Any]:
    return {
        "asks": asks,
        "number": number,
        "trends": [
            {
                "quality": trend.quality,
                "figure": trend_figure(trend, number),
                "rank": told(trend.rank, sign="+"),
                "why": trend.rank.why,
                "sure": _sure(trend.rank.low, trend.rank.high),
                "groups": [(group.name, told(group.mean), group.mean.of) for group in trend.groups],
            }
            for trend in trends
        ],
    }


def _sure(low: float, high: float) -> bool:
    """Whether the interval leaves out 0."""
    return low > 0 or high < 0
