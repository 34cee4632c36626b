"""The Evaluate page's panels, each a pure function of what the service found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, log10
from typing import Any

import numpy as np

from app.evaluate.address import ALPHAS, EPSILONS, FIGURES, PAIR, SIDES, TABLES, EvaluateQuery
from app.evaluate.samples_behind import Behind, side_words
from app.evaluate.view import State, SystemPair
from app.shared.templating import render, significant
from backend.datasets import Dataset
from backend.evaluation.drawing import draw_panel, draw_table
from backend.evaluation.intervals import too_few
from backend.evaluation.metrics import METRICS, metrics_of
from backend.evaluation.paper.exhibits import Figure, Panel, ResultTable, Series
from backend.evaluation.paper.pairs import Difference
from backend.evaluation.paper.systems import LabelledSamples
from storage.evaluation.systems import NAMES
from storage.jobs.store import StoredJob

_SAMPLES = {
    "shipped": "test samples that ship", "shipped-validation": "validation samples that ship",
    "test": "whole test part", "validation": "whole validation part",
}  # fmt: skip
_NAMES = {
    "table-2": "2 general and reasoning", "table-3": "3 retrieval", "table-4": "4 every system", "table-5": "5 KP × CM",
    "table-5-chosen": "5 chosen weights", "table-6": "6 embeddings", "table-7": "7 tokens", "figure-2": "2 length",
    "figure-3": "3 variance", "figure-6": "6 alpha", "figure-7": "7 epsilon", "figure-8": "8 strategies",
    "figure-9": "9 latency", "calibration": "calibration", "risk": "risk and coverage", "slices": "slices",
    "cost": "cost and quality", PAIR: "two systems",
}  # fmt: skip
# Figures whose points set something instead of leading to samples.
_SETS = {"figure-6": "alpha", "figure-7": "epsilon"}
_WEIGHTS = {"now": "now", "chosen": "chosen on validation", "paper": "the paper's"}


def evaluate_bar(query: EvaluateQuery, choice: str, lists: Sequence[str], state: State | None) -> str:
    """The lists of samples, what is known of the chosen one (``choice``), and the tables and figures to look at."""
    evaluation = state.evaluation if state else None
    return render(
        "evaluate/bar.html",
        samples=[
            {"words": _SAMPLES[name], "link": query.link(samples=name, show="", page=1), "key": f"samples-{name}",
             "current": choice == name}
            for name in lists
        ],
        groups=[
            {"name": name, "views": [
                {"words": _NAMES[view], "link": query.viewing(view), "key": f"view-{view}",
                 "current": query.view == view}
                for view in views
            ]}
            for name, views in (("Tables", TABLES), ("Side by side", (PAIR,)), ("Figures", FIGURES))
        ],
        facts=_facts(evaluation.samples) if evaluation else "",
        bar=evaluation.bar_words if evaluation else "",
        flattering=choice.endswith("validation"),
        unknown=evaluation.unknown if evaluation else False,
        left_out=evaluation.left_out if evaluation else 0,
        again=state.again if state else "",
        missing=[one for one in evaluation.systems.values() if one.problem] if evaluation else [],
    )  # fmt: skip


def evaluate_live(state: State, query: EvaluateQuery) -> str:
    """The two sliders, and the weights that can be gone back to."""
    now, usual, merged = state.merging(query), state.usual, state.evaluation.systems["RALLRec+"]
    chosen = f"chosen on validation: {usual.alpha:g}, {significant(usual.epsilon)}"
    presets = [
        *([("chosen", chosen, query.link(alpha=None, epsilon=None))] if state.chosen else []),
        ("paper", "the paper's: 0.1, 0.001", query.link(alpha=0.1, epsilon=1e-3)),
    ]
    return render(
        "evaluate/live.html",
        there=state.live is not None,
        alpha=now.alpha,
        exponent=round(log10(now.epsilon), 2),
        alphas=ALPHAS,
        exponents=tuple(round(log10(end)) for end in EPSILONS),
        presets=presets,
        why=merged.problem,
        run=merged.run,
    )


def evaluate_numbers(state: State, query: EvaluateQuery) -> str:
    """The metrics at the page's alpha and epsilon, beside those at the chosen and the paper's, and of P_G alone."""
    shown, points = metrics_of("weights"), state.numbers(query)

    def row(key: str, words: str, alpha: str, epsilon: str, values: Mapping[str, float]) -> dict[str, Any]:
        told = [
            (metric.name, "–" if isnan(values[metric.key]) else f"{values[metric.key]:.{metric.digits + 1}f}")
            for metric in shown
        ]
        return {"key": key, "words": words, "alpha": alpha, "epsilon": epsilon, "values": told}

    rows = [
        row(key, _WEIGHTS[key], f"{point.alpha:g}", significant(point.epsilon), point.values)
        for key, point in points.items()
    ]
    alone = state.evaluation.scored["RALLRec"].values
    if points and alone:
        rows.append(row("tuned", "P_G alone (RALLRec)", "–", "–", alone))
    return render(
        "evaluate/numbers.html",
        rows=rows,
        metrics=shown,
        count=f"{len(state.evaluation.samples):,}",
        chosen=state.chosen,
    )


def evaluate_exhibit(shown: ResultTable | Figure | SystemPair, state: State, query: EvaluateQuery) -> str:
    """The table, the figure or the pair that the page's view names."""
    said = query.query()
    if isinstance(shown, ResultTable):
        return render("evaluate/exhibit.html", shown=shown, drawn=[draw_table(shown)], single=True, said=said, hint="")
    if isinstance(shown, SystemPair):
        return _pair(shown, query)
    merging = state.merging(query)
    mark = {"figure-6": merging.alpha, "figure-7": merging.epsilon}.get(query.view)

    def link(panel: Panel, series: Series, point: int) -> str:
        if query.view in _SETS:
            return query.link(**{_SETS[query.view]: float(series.x[point])})
        if query.view == "cost":
            return query.link(view=PAIR, first=series.key, show="", page=1)
        return query.link(show=f"{panel.key}:{series.key}:{point}", page=1) if len(series.spans) else ""

    chosen = {query.point[0]: f"{query.point[1]}:{query.point[2]}"} if query.point else {}
    drawn = [draw_panel(panel, link, mark, chosen.get(panel.key, "")) for panel in shown.panels]
    return render("evaluate/exhibit.html", shown=shown, drawn=drawn, single=False, said=said, hint=_hint(query))


def _hint(query: EvaluateQuery) -> str:
    """A sentence that says what a click on a point does."""
    if query.view in _SETS:
        return f"A click on a point sets {_SETS[query.view]} to its value."
    return (
        "A click on a system sets it beside another." if query.view == "cost" else "A click lists the samples behind."
    )


def evaluate_behind(behind: Behind | None, query: EvaluateQuery) -> str:
    """The samples behind the point that the address names; empty where it names none."""
    if behind is None:
        return ""
    turns = (("first", 1), ("previous", behind.page - 1), ("next", behind.page + 1), ("last", behind.pages))
    return render(
        "evaluate/behind.html",
        behind=behind,
        systems=behind.systems,
        rows=[
            {"sample": row, "predict": row.request.link(),
             "judged": [
                 (name, _judged(score, row.liked)) for name, score in zip(behind.systems, row.scores, strict=True)
             ]}
            for row in behind.rows
        ],
        turn=[
            {"words": words, "key": words,
             "link": query.link(page=to) if 1 <= to <= behind.pages and to != behind.page else ""}
            for words, to in turns
        ],
        close=query.link(show="", page=1),
    )  # fmt: skip


def evaluate_job(job: StoredJob | None, data: Dataset) -> str:
    """Stands in place of all tables: a large list is looked up by a job, and the job is so far."""
    live = job is not None and job.live
    return render(
        "evaluate/job.html",
        job=job,
        live=live,
        stage=job.report.stage if job else "",
        percent=None if not job or job.report.fraction is None else round(100 * job.report.fraction),
        dataset=data.meta.title,
    )


def _facts(samples: LabelledSamples) -> str:
    users = len(np.unique(samples.users))
    return f"{len(samples):,} samples of {users:,} users, {int(samples.labels.sum()):,} liked"


def _pair(shown: SystemPair, query: EvaluateQuery) -> str:
    sides = side_words(query)
    counts = [
        {"words": sides[side], "count": len(getattr(shown.wins, side)), "key": f"side-{side}",
         "link": query.link(show=side, page=1), "current": query.show == side}
        for side in SIDES
    ] if shown.wins else []  # fmt: skip
    return render(
        "evaluate/pair.html",
        shown=shown,
        pickers=[
            {"label": label, "chips": [
                {"words": name, "link": query.link(**{label: name}, page=1), "key": f"{label}-{name}",
                 "current": getattr(query, label) == name}
                for name in NAMES
            ]}
            for label in ("first", "second")
        ],
        rows=[_difference(one) for one in shown.differences],
        few=next((too_few(one.users) for one in shown.differences), ""),
        counts=counts,
        said=query.query(),
        same=query.first == query.second,
    )  # fmt: skip


def _difference(difference: Difference) -> dict[str, Any]:
    metric, p = METRICS[difference.metric], difference.p
    form = f"+.{metric.digits}f"
    return {
        "metric": metric.name,
        "method": difference.method,
        "value": f"{difference.value:{form}}",
        "bounds": "" if isnan(difference.low) else f"{difference.low:{form}} to {difference.high:{form}}",
        "p": "–" if isnan(p) else "below 0.001" if p < 1e-3 else f"{p:.3f}",
        "sure": difference.significant,
    }


def _judged(score: float, liked: bool) -> dict[str, Any]:
    return {"score": score, "right": None if isnan(score) else (score > 0.5) == liked}
