"""The Library page's jobs and the plan of ``precompute``, each a pure function of what the service found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from app.library.drawing import duration
from app.shared.jobs import Entry
from app.shared.templating import render
from backend.what_if import Edits
from storage.database.tables import utc_now
from storage.jobs.kinds import EvaluateParams, Params, PrecomputeParams, PredictParams, ReasonParams
from storage.precompute.plan import Planned

# state -> (sign, word); colour is never the only sign
_STATES = {
    "queued": ("…", "waiting"),
    "running": ("▸", "running"),
    "done": ("✓", "done"),
    "stopped": ("■", "stopped"),
    "failed": ("✗", "failed"),
    "interrupted": ("‖", "interrupted"),
}
_PLANNED = {"ready": "ready", "shipped": "shipped with the program", "begun": "begun", "damaged": "damaged"}


def jobs_list(entries: Sequence[Entry]) -> str:
    """Every job that is listed, with what can be done with it."""
    return render("library/jobs.html", rows=[_row(entry) for entry in entries])


def plan_table(planned: Sequence[Planned]) -> str:
    """What ``precompute`` would make, and why."""
    rows = [
        {"kind": item.node.stage.kind, "state": _PLANNED.get(item.state, "to be made"), "why": item.why,
         "runs": item.will_run}
        for item in planned
    ]  # fmt: skip
    tunes = any(item.will_run and item.node.stage.extra for item in planned)
    return render("library/plan.html", rows=rows, missing=sum(item.will_run for item in planned), tunes=tunes)


def told(message: str, problem: bool = False) -> str:
    """One line about what was just asked for."""
    return render("library/told.html", message=message, problem=problem)


def _row(entry: Entry) -> dict[str, Any]:
    job, report = entry.job, entry.job.report
    sign, word = _STATES[job.state]
    took = (job.ended_at or utc_now()) - job.started_at if job.started_at else None
    return {
        "entry": entry,
        "job": job,
        "sign": sign,
        "word": "stopping" if job.live and job.stop_asked else word,
        "title": _title(entry.params) if entry.params else f"{job.kind}, of another version of the program",
        "link": _link(entry.params, entry.dataset),
        "percent": None if report.fraction is None else round(100 * report.fraction),
        "counted": f"{report.finished:,} of {report.total:,}" if report.total else "",
        "when": _moment(job.created_at),
        "took": duration(took.total_seconds()) if took else "",
    }


def _title(params: Params) -> str:
    if isinstance(params, PrecomputeParams):
        return f"precompute, until {params.until}" if params.until else "precompute, all stages"
    if isinstance(params, EvaluateParams):
        return f"evaluate the systems on {_some(params)}"
    if isinstance(params, ReasonParams):
        some = _some(params)
        chains = f"{params.traces} chain{'s' * (params.traces != 1)}" if params.traces else "answers only"
        gammas = ", ".join(f"{gamma:.3g}" for gamma in params.gammas)
        return f"reason about {some}, gamma {gammas}, knowledge {', '.join(params.knowledge)}, {chains}"
    if isinstance(params, PredictParams):
        what = "what-if" if params.edited else "prediction"
        return f"{what} for user {params.user}, item {params.item}"
    return type(params).__name__


def _some(params: ReasonParams | EvaluateParams) -> str:
    one = params.limit == 1
    ships, _, part = params.samples.partition("-")
    which = f"that ship{'s' * one}" if ships == "shipped" else f"of {params.samples}"
    which = f"of {part} {which}" if part else which
    return f"{f'{params.limit:,}' if params.limit else 'all'} sample{'s' * (not one)} {which}"


def _link(params: Params | None, dataset: str = "") -> str:
    """Where a prediction, a what-if, or what was evaluated is to be seen."""
    if isinstance(params, EvaluateParams):
        named = {"samples": params.samples, "limit": params.limit, "dataset": dataset}
        return "/evaluate?" + urlencode({name: value for name, value in named.items() if value})
    if not isinstance(params, PredictParams):
        return ""
    query: dict[str, Any] = {"user": params.user, "item": params.item} | ({"dataset": dataset} if dataset else {})
    if not params.edited:
        return "/?" + urlencode(query | _named(params, _PREDICT))
    # Of another target it is not known any more whose past was told: no link is better than a wrong one.
    return (
        ""
        if Edits.read(params.edited).target
        else "/what-if?" + urlencode(query | _named(params, _WHAT_IF) | {"edits": params.edited})
    )


_PREDICT = ("variant", "strategy", "gamma", "beta", "k", "knowledge", "traces", "max_tokens", "seed")
_WHAT_IF = (*_PREDICT, "order", "template", "temperature", "top_p")


def _named(params: PredictParams, names: tuple[str, ...]) -> dict[str, Any]:
    """Choices of a job's recipe, by their names; an older version of the program may not have known one."""
    choices = {name: value for stage in params.recipe.values() for name, value in stage.items()}
    return {name: choices[name] for name in names if name in choices}


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"
