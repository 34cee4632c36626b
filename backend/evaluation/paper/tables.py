"""The paper's tables out of an evaluation. Which systems there are is left to ``storage.evaluation``, how a table looks
to ``backend.evaluation.drawing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from backend.evaluation.intervals import too_few
from backend.evaluation.metrics import METRICS, why_undefined
from backend.evaluation.paper.exhibits import Column, ResultTable, TableLine
from backend.evaluation.paper.published import paper_dataset, paper_line, paper_tokens
from backend.evaluation.paper.systems import Evaluation, SystemMetrics, merged_name, single_name
from backend.representation import VARIANTS

_TOKENS = (Column("tokens", "tokens per response", "", 1), Column("responses", "responses", "", 0))
_WITHOUT, _WITH = "Reasoner, without retrieval", "Reasoner, not told"
# Tables 2 and 3 compare two systems each, the first two lines: by line, what it is called and whose numbers it has.
_RIVALS = {
    "table-2": ("Table 2: a general and a reasoning model, no retrieval", {
        "LLM": ("general model, untuned", "LLM"),
        "Reasoner": ("reasoning model, single run", single_name(_WITHOUT)),
        "ensemble": ("reasoning model, all chains together", _WITHOUT),
    }),
    "table-3": ("Table 3: the reasoning model without and with retrieval", {
        "without": ("without retrieval, single run", single_name(_WITHOUT)),
        "with": ("with retrieval, single run", single_name(_WITH)),
        "without-ensemble": ("without retrieval, all chains together", _WITHOUT),
        "with-ensemble": ("with retrieval, all chains together", _WITH),
    }),
}  # fmt: skip
_SINGLE = (
    "The paper's numbers are means over five runs (section 3): its lines are those of single runs, one chain for every "
    "sample; ± is the standard deviation over the runs. All chains together are the mean of a sample's chains, P_R."
)
# Table 5: by line, its name, what M_R hears of M_G, and whether the merge looks at consistency (CM).
_ABLATION = {
    "neither": ("neither", "none", False),
    "CM": ("CM alone", "none", True),
    "KP": ("KP alone", "paper", False),
    "KP+CM": ("KP and CM (RALLRec+)", "paper", True),
}
# Table 7: by line, its name and the way whose chains are counted.
_WAYS = {
    "recent": ("without retrieval", "reasoner-recent"),
    "with": ("with retrieval", "full-none"),
    "told": ("with retrieval, told P_G", "full-paper"),
}


def all_tables(evaluation: Evaluation) -> tuple[ResultTable, ...]:
    """Tables 2 to 7, the trivial systems in Table 4."""
    scored, split, paper = evaluation.scored, evaluation.split, paper_dataset(evaluation.dataset)
    names, about = list(evaluation.systems), {name: system.about for name, system in evaluation.systems.items()}
    rivals = [
        with_improvement(
            of_systems(
                key,
                title,
                split,
                [(line, name, scored[system]) for line, (name, system) in lines.items()],
                paper,
                (_SINGLE,),
            )
        )
        for key, (title, lines) in _RIVALS.items()
    ]
    fourth = of_systems(
        "table-4", "Table 4: every system", split, [(name, name, scored[name]) for name in names], paper,
        (evaluation.chosen_words,), about,
    )  # fmt: skip
    by_embedding = [(name, name, scored[f"by {name}"]) for name in VARIANTS]
    note = "History by similarity alone (mix-then-retrieve), M_G's first answer."
    sixth = of_systems("table-6", "Table 6: item embeddings", split, by_embedding, paper, (note,))
    ways = [(line, name, evaluation.ways[key]) for line, (name, key) in _WAYS.items()]
    tokens = [(line, name, way.responses.tokens, way.problem, way.run) for line, name, way in ways]
    systems = (*rivals, fourth, *(_ablation(evaluation, weights, paper) for weights in ("paper", "chosen")), sixth)
    if why := why_undefined(evaluation.samples.labels):
        systems = tuple(replace(table, notes=(*table.notes, why)) for table in systems)
    return (*systems, of_tokens(split, tokens, paper))


def of_systems(
    key: str,
    title: str,
    split: str,
    lines: Iterable[tuple[str, str, SystemMetrics]],
    paper: str | None = None,
    notes: Sequence[str] = (),
    about: Mapping[str, str] | None = None,
) -> ResultTable:
    """A table with a line (key, name) for each system; ``paper``: its dataset to be read beside; ``about``: by key."""
    words, lines = about or {}, list(lines)
    columns = tuple(
        Column(metric.key, metric.name, metric.better, metric.digits, metric.about) for metric in METRICS.values()
    )
    made = tuple(
        TableLine(
            line, name, scored.values, scored.intervals, scored.missing, scored.run, paper_line(key, line, paper),
            words.get(line, ""), spreads=scored.spreads, runs=scored.runs,
        )
        for line, name, scored in lines
    )  # fmt: skip
    few = [too_few(scored.users) for _, _, scored in lines if scored.intervals]
    return ResultTable(key, title, split, columns, made, (*notes, *filter(None, few[:1])))


def with_improvement(table: ResultTable) -> ResultTable:
    """Tables 2 and 3: a last line that says by how many percent the second line is better than the first."""
    first, second = table.lines[:2]
    values = {
        column.key: _improvement(first.values[column.key], second.values[column.key], column.better)
        for column in table.columns
        if column.key in first.values and column.key in second.values
    }
    papers = {
        column.key: _improvement(first.paper[column.key], second.paper[column.key], column.better)
        for column in table.columns
        if column.key in first.paper and column.key in second.paper
    }
    known = {name: value for name, value in values.items() if not np.isnan(value)}
    missing = "" if known else "both lines are needed"
    last = TableLine("improvement", "improvement, %", known, missing=missing, paper=papers, compared=False)
    return replace(table, lines=(*table.lines, last))


def of_tokens(split: str, chains: Iterable[tuple[str, str, ArrayLike, str, str]], paper: str | None) -> ResultTable:
    """Table 7: mean tokens per response, a line for each way to ask (key, name, tokens of any shape, missing, run)."""
    lines = []
    for key, name, tokens, missing, run in chains:
        counts = np.asarray(tokens, dtype=np.float64).ravel()
        counts = counts[~np.isnan(counts)]
        values = {"tokens": float(counts.mean()), "responses": float(len(counts))} if len(counts) else {}
        papers = paper_tokens(paper) if key == "recent" else {}
        lines.append(TableLine(key, name, values, missing="" if values else missing, run=run, paper=papers))
    return ResultTable("table-7", "Table 7: tokens per response", split, _TOKENS, tuple(lines))


def _ablation(evaluation: Evaluation, weights: str, paper: str | None) -> ResultTable:
    """Table 5 at the paper's alpha and epsilon, or at the chosen ones."""
    lines = [
        (line, name, evaluation.scored[merged_name(knowledge, weights, consistent)])
        for line, (name, knowledge, consistent) in _ABLATION.items()
    ]
    note = "KP: the injected sentence. Without CM: (alpha P_R + P_G) / (alpha + 1), eq. 10 with no variance in it."
    if weights == "paper":
        title = "Table 5: knowledge injection and consistency, the paper's alpha and epsilon"
        return of_systems("table-5", title, evaluation.split, lines, paper, (note,))
    title = "Table 5: the same, alpha and epsilon chosen on validation samples"
    notes = (note, evaluation.chosen_words)
    # The paper's numbers are those of its Table 5.
    return replace(of_systems("table-5", title, evaluation.split, lines, paper, notes), key="table-5-chosen")


def _improvement(first: float, second: float, better: str) -> float:
    """The change in percent of the first number; it is positive where the second is better."""
    if not first:
        return float("nan")
    change = 100 * (second - first) / first
    return change if better == "high" else -change
