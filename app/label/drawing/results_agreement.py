"""How well people agree, what they dispute, and how each did on gold tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.label.drawing.frame import address
from app.label.drawing.results_export import download
from app.label.drawing.results_figures import Mark, axis, rows, told
from app.shared.templating import render
from backend.labelling.agreement import Agreement, Confusion, Report
from backend.labelling.disputed import Dispute

_SHOWN_DISPUTES = 200
# From, to, and where chance stands.
_AXIS = (-0.5, 1.0, 0.0)


def agreement(own: Report, project: str, dimension: str, matrix: Confusion | None) -> str:
    """All dimensions, the pairs of people in one of them (``dimension``), and what two people said (``matrix``)."""
    chosen = next((agreed for agreed in own.dimensions if agreed.dimension.name == dimension), None)
    return render(
        "label/results_agreement.html",
        report=own,
        rows=[_row(agreed, project, chosen) for agreed in own.dimensions],
        axis=axis(*_AXIS),
        chosen=chosen,
        pairs=_pairs(chosen, project) if chosen else [],
        matrix=_matrix(matrix) if matrix else None,
        gold=[
            {
                "result": result,
                "steps": told(result.steps),
                "scales": told(result.scales),
                "verdict": told(result.verdict),
                "preferred": told(result.preferred),
            }
            for result in own.gold
        ],
        export=download(project, "agreement"),
    )


def disputes(own: Sequence[Dispute], project: str, *, unresolved: bool) -> str:
    """Tasks by how much people disagree; ``unresolved``: those alone that nobody resolved yet."""
    kept = [dispute for dispute in own if not (unresolved and dispute.resolved)]
    return render(
        "label/results_disputed.html",
        disputes=[
            {
                "own": dispute,
                "link": address("adjudicate", project, task=dispute.task),
                "apart": [part for part in dispute.parts if part.score > 0][:3],
            }
            for dispute in kept[:_SHOWN_DISPUTES]
        ],
        count=len(kept),
        all=len(own),
        unresolved=unresolved,
        other=address("disputed", project, **({} if unresolved else {"open": "1"})),
    )


def _row(agreed: Agreement, project: str, chosen: Agreement | None) -> dict[str, Any]:
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
    """The pairs of people, those who agree least first."""
    name = agreed.dimension.name
    found = [
        {
            "pair": pair,
            "percent": told(pair.percent),
            "kappa": told(pair.kappa),
            "why": pair.kappa.why,
            "figure": rows([Mark(pair.kappa, "diamond", "kappa", "kappa")], *_AXIS),
            "link": address("agreement", project, dimension=name, first=pair.first, second=pair.second),
        }
        for pair in agreed.pairs
    ]
    return sorted(found, key=lambda row: (_least(row["pair"].kappa.value), row["pair"].percent.value))


def _least(value: float) -> float:
    return 2.0 if value != value else value  # what is not defined comes last


def _matrix(own: Confusion) -> dict[str, Any]:
    most = max((count for row in own.counts for count in row), default=0)
    return {
        "own": own,
        "total": sum(map(sum, own.counts)),
        "rows": [
            {
                "name": name,
                "cells": [
                    {"count": count, "share": round(100 * count / most) if most else 0, "same": i == j}
                    for j, count in enumerate(row)
                ],
                "sum": sum(row),
            }
            for i, (name, row) in enumerate(zip(own.dimension.categories, own.counts, strict=True))
        ],
        "sums": [sum(column) for column in zip(*own.counts, strict=True)],
        "kappa": told(own.pair.kappa),
        "percent": told(own.pair.percent),
    }
