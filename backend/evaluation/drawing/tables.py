"""A table as HTML: our numbers with their intervals, the paper's beside them, and what to run for what is missing."""

from __future__ import annotations

from functools import cache
from math import isfinite
from pathlib import Path

from markupsafe import Markup

from backend.evaluation.paper.exhibits import Column, ResultTable, TableLine


def draw_table(table: ResultTable) -> Markup:
    """Rows of systems; the best of each column is marked by a star, not by weight alone."""
    has_paper = any(line.paper for line in table.lines)
    heads = Markup("").join(
        Markup('<th scope="col" class="n"{}>{}{}</th>').format(_title(column.about), column.name, _arrow(column))
        for column in table.columns
    )
    best = {column.key: table.best(column) for column in table.columns}
    rows = Markup("").join(_row(table, line, best) for line in table.lines)
    grey = Markup('<p class="soft">In italics: the paper’s number, of its own models and samples.</p>')
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{title}, table"><table class="exhibit">'
        '<thead><tr><th scope="col"><span class="unseen">system</span></th>{heads}</tr></thead>'
        "<tbody>{rows}</tbody></table></div>{note}"
    ).format(title=table.title, heads=heads, rows=rows, note=grey if has_paper else "")


@cache
def styles() -> str:
    """The style sheet that tables and figures need, wherever they are."""
    return (Path(__file__).parent / "exhibits.css").read_text("utf-8")


def _row(table: ResultTable, line: TableLine, best: dict[str, str]) -> Markup:
    name = Markup('<th scope="row" data-line="{}"{}>{}</th>').format(line.key, _title(line.about), line.name)
    if line.missing and not line.values:
        run = Markup(" <code>{}</code>").format(line.run) if line.run else ""
        theirs = ", ".join(
            f"{column.name} {line.paper[column.key]:.4f}" for column in table.columns if column.key in line.paper
        )
        paper = Markup(' <span class="paper">{}</span>').format(theirs) if theirs else ""
        return Markup('<tr>{}<td colspan="{}" class="gap">{}{}{}</td></tr>').format(
            name, len(table.columns), line.missing, run, paper
        )
    cells = Markup("").join(_cell(line, column, best[column.key] == line.key) for column in table.columns)
    return Markup("<tr>{}{}</tr>").format(name, cells)


def _cell(line: TableLine, column: Column, is_best: bool) -> Markup:
    value = line.values.get(column.key)
    shown = "–" if value is None or not isfinite(value) else f"{value:,.{column.digits}f}"
    low, high = line.intervals.get(column.key, (float("nan"), float("nan")))
    bounds = f"{low:.{column.digits}f} to {high:.{column.digits}f}" if isfinite(low) and isfinite(high) else ""
    spread = line.spreads.get(column.key)
    if spread is not None and isfinite(spread):
        bounds = f"± {spread:.{column.digits}f} over {line.runs} runs"
    star = Markup('<span class="best" title="best here">★</span>') if is_best else ""
    paper = line.paper.get(column.key)
    theirs = "" if paper is None else (f"{paper:.4f}" if abs(paper) < 1 else f"{paper:,.2f}")
    return Markup('<td class="n" data-label="{}">{}<b>{}</b>{}{}</td>').format(
        column.name, star, shown, Markup("<small>{}</small>").format(bounds) if bounds else "",
        Markup('<small class="paper">{}</small>').format(theirs) if theirs else "",
    )  # fmt: skip


def _title(words: str) -> Markup:
    return Markup(' title="{}"').format(words) if words else Markup("")


def _arrow(column: Column) -> Markup:
    words = {"high": ("↑", "higher is better"), "low": ("↓", "lower is better")}.get(column.better)
    return Markup(' <span title="{1}" aria-label="{1}">{0}</span>').format(*words) if words else Markup("")
