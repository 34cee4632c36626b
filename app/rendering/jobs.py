"""The Library page's jobs and the plan of ``precompute``, each a pure function of what the service found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from app.rendering.library import duration
from app.rendering.templating import render
from app.services.jobs import Entry
from storage.jobs.kinds import EvaluateParams, Params, PrecomputeParams, PredictParams, ReasonParams
from storage.models import utc_now
from storage.precompute import Planned

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
    return render("library_jobs.html", rows=[_row(entry) for entry in entries])


def plan_table(planned: Sequence[Planned]) -> str:
    """What ``precompute`` would make, and why."""
    rows = [
        {"kind": item.node.stage.kind, "state": _PLANNED.get(item.state, "to be made"), "why": item.why,
         "runs": item.will_run}
        for item in planned
    ]  # fmt: skip
    tunes = any(item.will_run and item.node.stage.extra for item in planned)
    return render("library_plan.html", rows=rows, missing=sum(item.will_run for item in planned), tunes=tunes)


def told(message: str, problem: bool = False) -> str:
    """One line about what was just asked for."""
    return render("library_told.html", message=message, problem=problem)


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
        "link": _link(entry.params),
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
        chains = f"{params.traces} chains" if params.traces else "answers only"
        gammas = ", ".join(f"{gamma:.3g}" for gamma in params.gammas)
        return f"reason about {some}, gamma {gammas}, knowledge {', '.join(params.knowledge)}, {chains}"
    if isinstance(params, PredictParams):
        return f"prediction for user {params.user}, item {params.item}"
    return type(params).__name__


def _some(params: ReasonParams | EvaluateParams) -> str:
    which = "samples that ship" if params.samples == "shipped" else f"samples of {params.samples}"
    return f"{params.limit:,} {which}" if params.limit else f"all {which}"


def _link(params: Params | None) -> str:
    """Where a prediction is to be seen."""
    if not isinstance(params, PredictParams):
        return ""
    retrieval, prompting, reasoning = (params.recipe.get(part, {}) for part in ("retrieval", "prompting", "reasoning"))
    query = {"user": params.user, "item": params.item}
    query |= {name: retrieval[name] for name in ("variant", "strategy", "gamma", "beta", "k") if name in retrieval}
    query |= {name: prompting[name] for name in ("knowledge",) if name in prompting}
    query |= {name: reasoning[name] for name in ("traces", "max_tokens", "seed") if name in reasoning}
    return "/?" + urlencode(query)


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"
