"""The views of ``/label`` that show what comes of labelling, by their names in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.label.drawing import results_adjudicate, results_agreement, results_export, results_insight
from app.label.services import Services
from backend.labelling import Account, rubric
from backend.labelling.ratings import STEPS
from storage.labels.roles import may

Query = Mapping[str, str]


def _agreement(services: Services, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    found = services.results.report(account, key)
    names = [agreed.dimension.name for agreed in found.dimensions]
    dimension = query.get("dimension") or (STEPS if STEPS in names else next(iter(names), ""))
    matrix = None
    if query.get("first") and query.get("second"):
        matrix = services.results.confusion(account, key, dimension, query["first"], query["second"])
    return results_agreement.agreement(found, key, dimension, matrix)


def _disputed(services: Services, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    found = services.results.disputed(account, key)
    return results_agreement.disputes(found, key, unresolved=query.get("open") == "1")


def _adjudicate(services: Services, account: Account | None, query: Query) -> str:
    """Without a task: the most disputed one that nobody resolved yet; where there is none, the list says so."""
    key, task = query.get("project", ""), query.get("task", "")
    every = services.results.disputed(account, key)
    waiting = [dispute.task for dispute in every if not dispute.resolved]
    if not task and not waiting:
        return results_agreement.disputes(every, key, unresolved=True)
    found = services.reviewing.side_by_side(account, task or waiting[0])
    upcoming = next((other for other in waiting if other != found.task.id), "")
    return results_adjudicate.adjudicate(found, rubric(found.task.project.rubric), upcoming)


def _insight(services: Services, account: Account | None, query: Query) -> str:
    return results_insight.insight(services.results.insight(account, query.get("project", "")))


def _export(services: Services, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    counts = services.results.counts(account, key)
    return results_export.exports(key, counts, everything=may(account, "review"), imports=may(account, "administer"))


RESULTS: dict[str, Callable[[Services, Account | None, Query], str]] = {
    "agreement": _agreement,
    "disputed": _disputed,
    "adjudicate": _adjudicate,
    "insight": _insight,
    "export": _export,
}
