"""The Library page's panels, each a pure function of what the services found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from app.library.view import ArtifactEntry, Cache, DatasetEntry, Facts, ModelEntry, Shelf
from app.shared.jobs import Entry as JobEntry
from app.shared.templating import render, significant
from backend.engines import SCRIPTED
from backend.knobs import KNOBS
from backend.what_if import Edits
from storage.database.tables import utc_now
from storage.doctor.findings import Finding
from storage.inventory import Space
from storage.jobs.kinds import EvaluateParams, JobParams, PredictParams
from storage.precompute.plan import Planned

# What an artifact is for, by its kind.
ABOUT = {
    "descriptions": "What the describing model wrote about each item (eq. 1). The other text vectors are made of it.",
    "title-vectors": "One vector per item from its title and categories: the encoder's final hidden states (eq. 2).",
    "description-vectors": "One vector per item from its description: the encoder's final hidden states (eq. 2).",
    "collaborative": "One vector per item from who has rated what, by LightGCN on the training interactions (eq. 4).",
    "aligned": "The text vectors, taken by a small projector to where the collaborative vectors lie (eqs. 5 and 6).",
    "space": "All vectors of an item side by side, each part of length 1 (eq. 7). Retrieval compares these.",
    "index": "Finds the nearest of all items, for each embedding variant of Table 6.",
    "map": "Where each item lies on a flat picture of the space, for each embedding variant.",
    "retrieval-report": "How well past items that each strategy and variant finds foretell the target's label, "
    "by a vote of their labels alone: no language model is asked.",
}
# state -> (sign, word); colour is never the only sign
_STATES = {
    "ready": ("✓", "ready"),
    "shipped": ("✓", "shipped with the program"),
    "making": ("▸", "being made"),
    "interrupted": ("‖", "interrupted"),
    "missing": ("○", "missing"),
    "damaged": ("✗", "damaged"),
    "prepared": ("✓", "prepared"),
    "disk": ("✓", "on disk"),
    "fetched": ("○", "fetched at first use"),
    "hub": ("○", "asked of the hub at first use"),
    "server": ("○", "run by a server"),
    SCRIPTED.name: ("✓", "stand-in, no weights"),
}
_MADE = ("ready", "shipped")
_DATASET_STATES = _STATES | {
    "shipped": ("○", "ships with the program, prepared at first use"),
    "missing": ("○", "needs its files"),
}
_ROLES = {
    "tuned": "answers at once: M_G",
    "reasoning": "writes chains, then answers: M_R",
    "encoder": "turns item texts into vectors (eq. 2)",
    "describer": "writes the descriptions (eq. 1)",
}
# Column names that say more in words.
_COLUMNS = {"gauc": "per-user AUC", "auc": "AUC", "recall_at_10": "recall at 10"}
_CURVES = {"loss": "Training loss", "recall": "Validation recall", "held_out_loss": "Loss on held-out items"}


def own_artifacts(shelf: Shelf, opened: str) -> str:
    """Draws the plan of the page's dataset. ``opened`` is the key of the open fold, from the page's link."""
    return render(
        "library/own.html",
        folds=[_fold(entry, opened, shelf.dataset) for entry in shelf.own],
        command=shelf.command,
        problem=shelf.problem,
        unknown=opened if opened and opened not in {entry.key for entry in (*shelf.own, *shelf.others)} else "",
        made=sum(entry.state in _MADE for entry in shelf.own),
        size=size(sum(entry.bytes or 0 for entry in shelf.own if entry.state in _MADE)),
    )


def other_artifacts(shelf: Shelf, opened: str) -> str:
    """Draws what else the store holds."""
    total = sum(entry.bytes or 0 for entry in shelf.others)
    folds = [_fold(entry, opened, shelf.dataset) for entry in shelf.others]
    return render("library/others.html", folds=folds, size=size(total or None))


def datasets_table(entries: Sequence[DatasetEntry]) -> str:
    """Lists every known dataset."""
    rows = [
        {"entry": entry, "state": _state(entry.state, _DATASET_STATES), "size": size(entry.bytes)} for entry in entries
    ]
    return render("library/datasets.html", rows=rows)


def models_table(entries: Sequence[ModelEntry]) -> str:
    """Lists who plays each role."""
    rows = [
        {"entry": entry, "state": _state(entry.state), "size": size(entry.bytes), "does": _ROLES.get(entry.role, "")}
        for entry in entries
    ]
    return render("library/models.html", rows=rows)


def cache_table(cache: Cache) -> str:
    """Lists what is cached of each model."""
    rows = [{"entry": entry, "latest": moment(entry.latest)} for entry in cache.models]
    return render("library/cache.html", cache=cache, rows=rows, size=size(cache.bytes))


def looked(when: str, space: Space | None = None) -> str:
    """Says when the page's content was read, and how much room there was then."""
    sizes = (size(space.bytes), size(space.free)) if space else ("", "")
    return render("library/looked.html", when=when, folder=space.folder if space else "", sizes=sizes)


def size(count: int | None) -> str:
    """Writes bytes in words (12 bytes, 3.4 MB); the text is empty where they are not known."""
    if count is None:
        return ""
    if count < 1000:
        return f"{count} bytes"
    value, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def duration(seconds: float | None) -> str:
    """Writes seconds in words (< 0.1 s, 0.4 s, 12 s, 3 min 20 s, 2 h 5 min); empty where they are not known."""
    if seconds is None:
        return ""
    if seconds < 0.05:
        return "< 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(when: str) -> str:
    """Writes ``2026-11-22T21:23:30Z`` as ``2026-11-22 21:23``, and anything else as it is."""
    day, marked, clock = when.partition("T")
    return f"{day} {clock[:5]}" if marked and clock.endswith("Z") else when


def cell(value: Any) -> str:
    """Writes a value of any table: numbers with four decimals, whole ones with their thousands, a dash for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _fold(entry: ArtifactEntry, opened: str, dataset: str) -> dict[str, Any]:
    """Returns one artifact as the templates draw it on the page of a dataset."""
    shape = f"{entry.rows:,}" if entry.rows is not None else ""
    if shape and entry.dimensions is not None:
        shape = f"{shape} × {entry.dimensions:,}"
    return {
        "entry": entry,
        "open": entry.key == opened,
        "about": ABOUT.get(entry.kind, ""),
        "state": _state(entry.state),
        "done": entry.state in _MADE,
        "shape": shape,
        "size": size(entry.bytes),
        "seconds": duration(entry.seconds),
        "made": moment(entry.made),
        "recipe": {name: value for name, value in entry.recipe.items() if name != "inputs"},
        "files": [{"name": f.name, "size": size(f.bytes), "sha256": f.sha256[:12]} for f in entry.files],
        "facts": _facts(entry.facts) if entry.facts else None,
        "part": entry.facts.part if entry.facts else "",
        "inputs": [
            {"input": made_from, "link": _open(made_from.key, dataset) if made_from.key else ""}
            for made_from in entry.inputs
        ],
        "reader": _open(entry.place, entry.reader) if entry.reader else "",
        "cosines": [_cosine(entry.facts, name) for name in ("held_out_pairs", "held_out_random")],
    }


def _open(key: str, dataset: str) -> str:
    """Returns the link to a fold of a dataset's page."""
    return "?" + urlencode(({"dataset": dataset} if dataset else {}) | {"artifact": key}, quote_via=quote)


def _facts(facts: Facts) -> dict[str, Any]:
    table = facts.table
    curves = [
        {"title": _CURVES.get(curve.name, curve.name.replace("_", " ")), "drawing": drawing, "best": best}
        for curve in facts.curves
        if (drawing := training_curve(curve.values, facts.best_epoch))
        for best in [_at(curve.values, facts.best_epoch)]
    ]
    return {
        "numbers": facts.numbers,
        "descriptions": facts.descriptions,
        "curves": curves,
        "epochs": max((len(curve.values) for curve in facts.curves), default=0),
        "best_epoch": facts.best_epoch,
        "columns": [
            {"name": _COLUMNS.get(name, name.replace("_", " ")), "n": _numeric(table.rows, name)}
            for name in table.columns
        ]
        if table
        else [],
        "rows": [[cell(row.get(name)) for name in table.columns] for row in table.rows] if table else [],
    }


def _cosine(facts: Facts | None, name: str) -> str:
    value = facts.numbers.get(name, math.nan) if facts else math.nan
    return "–" if math.isnan(value) else f"{value:.3f}".replace("-", "−")


def _at(values: Sequence[float | None], epoch: int) -> float | None:
    return values[epoch - 1] if 0 < epoch <= len(values) else None


def _numeric(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    return all(isinstance(row.get(column), (int, float, type(None))) for row in rows)


def _state(state: str, words: Mapping[str, tuple[str, str]] = _STATES) -> dict[str, str]:
    sign, word = words.get(state, ("", state))
    return {"name": state, "sign": sign, "word": word}


# state -> (sign, word); colour is never the only sign
_JOB_STATES = {
    "queued": ("…", "waiting"),
    "running": ("▸", "running"),
    "done": ("✓", "done"),
    "stopped": ("■", "stopped"),
    "failed": ("✗", "failed"),
    "interrupted": ("‖", "interrupted"),
}
_PLANNED = {"ready": "ready", "shipped": "shipped with the program", "begun": "begun", "damaged": "damaged"}


def jobs_list(entries: Sequence[JobEntry]) -> str:
    """Lists the jobs, each with what can be done with it."""
    return render("library/jobs.html", rows=[_row(entry) for entry in entries])


def plan_table(planned: Sequence[Planned]) -> str:
    """Lists what ``precompute`` would make, and why."""
    rows = [
        {"kind": item.node.stage.kind, "state": _PLANNED.get(item.state, "to be made"), "why": item.why,
         "runs": item.will_run}
        for item in planned
    ]  # fmt: skip
    tunes = any(item.will_run and item.node.stage.extra for item in planned)
    return render("library/plan.html", rows=rows, missing=sum(item.will_run for item in planned), tunes=tunes)


def told(message: str, problem: bool = False) -> str:
    """Draws one line about what was just asked for."""
    return render("library/told.html", message=message, problem=problem)


def _row(entry: JobEntry) -> dict[str, Any]:
    job, report = entry.job, entry.job.report
    sign, word = _JOB_STATES[job.state]
    took = (job.ended_at or utc_now()) - job.started_at if job.started_at else None
    return {
        "entry": entry,
        "job": job,
        "sign": sign,
        "word": "stopping" if job.live and job.stop_asked else word,
        "title": entry.params.title if entry.params else f"{job.kind}, of another version of the program",
        "link": _link(entry.params, entry.dataset),
        "percent": None if report.fraction is None else round(100 * report.fraction),
        "counted": f"{report.finished:,} of {report.total:,}" if report.total else "",
        "when": _moment(job.created_at),
        "took": duration(took.total_seconds()) if took else "",
    }


def _link(params: JobParams | None, dataset: str = "") -> str:
    """Returns the address where a prediction, a what-if or an evaluation can be seen; empty for other jobs."""
    if isinstance(params, EvaluateParams):
        named = {"samples": params.samples, "limit": params.limit, "dataset": dataset}
        return "/evaluate?" + urlencode({name: value for name, value in named.items() if value})
    if not isinstance(params, PredictParams):
        return ""
    query: dict[str, Any] = {"user": params.user, "item": params.item} | ({"dataset": dataset} if dataset else {})
    if not params.edited:
        return "/?" + urlencode(query | _named(params))
    # Of another target it is not known any more whose past was told: no link is better than a wrong one.
    return (
        ""
        if Edits.read(params.edited).target
        else "/what-if?" + urlencode(query | _named(params, *_WHAT_IF) | {"edits": params.edited})
    )


_WHAT_IF = ("order", "template", "temperature", "top_p")


def _named(params: PredictParams, *more: str) -> dict[str, Any]:
    """The knobs of a job's recipe, by their names; an older version of the program may not have known one."""
    choices = {name: value for stage in params.recipe.values() for name, value in stage.items()}
    names = dict.fromkeys([*KNOBS, *more])
    return {name: choices[name] for name in names if name in choices}


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


# state -> (sign, word); colour is never the only sign
_FINDING_STATES = {"ok": ("✓", "ok"), "missing": ("✗", "missing"), "optional": ("○", "can do without")}


def doctor_panel(findings: Sequence[Finding] | None, when: str = "") -> str:
    """Lists every finding with what to do about it, and ``when`` it was looked for. None means that the look goes
    on."""
    rows = [
        {"finding": one, "sign": _FINDING_STATES[one.state][0], "word": _FINDING_STATES[one.state][1]}
        for one in findings or ()
    ]
    missing = [one.name for one in findings or () if one.state == "missing"]
    return render("library/doctor.html", rows=rows, missing=missing, when=when)


# One viewBox for all curves; CSS sizes them.
_W, _H, _LEFT, _RIGHT, _TOP, _BOTTOM = 320, 110, 40, 12, 10, 22


def training_curve(values: Sequence[float | None], best: int) -> Markup:
    """Draws the values of epochs 1, 2, ... with ``best`` marked; empty where none of them is known."""
    known = [(epoch, value) for epoch, value in enumerate(values, start=1) if value is not None]
    if not known:
        return Markup("")
    low, high = min(value for _, value in known), max(value for _, value in known)
    wide, tall = _W - _LEFT - _RIGHT, _H - _TOP - _BOTTOM

    def x(epoch: int) -> float:
        return _LEFT + wide * ((epoch - 1) / (len(values) - 1) if len(values) > 1 else 0.5)

    def y(value: float) -> float:
        return _TOP + tall * ((high - value) / (high - low) if high > low else 0.5)

    line = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in known)
    scale = "".join(
        f'<line x1="{_LEFT}" y1="{y(value):.1f}" x2="{_W - _RIGHT}" y2="{y(value):.1f}" class="rule"/>'
        f'<text x="{_LEFT - 5}" y="{y(value) + 3:.1f}" text-anchor="end">{significant(value)}</text>'
        for value in dict.fromkeys((low, high))
    )
    at = dict(known).get(best)
    mark = said = ""
    if at is not None:
        mark = (
            f'<line x1="{x(best):.1f}" y1="{_TOP}" x2="{x(best):.1f}" y2="{_TOP + tall}" class="best-rule"/>'
            f'<circle cx="{x(best):.1f}" cy="{y(at):.1f}" r="4" class="best"/>'
        )
        said = f"; {significant(at)} at epoch {best}, the best"
    return Markup(
        f'<svg class="curve training" viewBox="0 0 {_W} {_H}" role="img" '
        f'aria-label="Over {len(values)} epochs, between {significant(low)} and {significant(high)}{said}">{scale}'
        f'{_epochs(len(values), best if mark else 0, x)}<polyline points="{line}" class="line"/>{mark}</svg>'
    )


def _epochs(last: int, best: int, x: object) -> Markup:
    """Writes the first, the best and the last epoch below the curve; an end that the best would overlap is left out."""
    assert callable(x)
    shown = {1: "start", last: "end"} if last > 1 else {1: "middle"}
    if best:
        shown = {epoch: anchor for epoch, anchor in shown.items() if abs(x(epoch) - x(best)) > 34}
        shown[best] = "start" if x(best) < _LEFT + 34 else "end" if x(best) > _W - _RIGHT - 34 else "middle"
    return Markup("").join(
        Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}{}</text>').format(
            x(epoch), _H - 7, anchor, "best: " if epoch == best else "epoch " if epoch == 1 else "", epoch
        )
        for epoch, anchor in shown.items()
    )
