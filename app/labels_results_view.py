"""The views of ``/label`` that show what comes of labelling, by their names in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.rendering.labelling import results_adjudicate, results_agreement, results_export, results_insight
from app.services.labelling import LabellingService
from app.services.labelling.results import ResultsService
from app.services.labelling.reviewing import ReviewingService
from backend.labelling import Account, rubric
from backend.labelling.ratings import STEPS
from storage.labels.roles import may

Query = Mapping[str, str]
View = Callable[[LabellingService, Account | None, Query], str]


def results_views(service: ResultsService, reviewing: ReviewingService) -> dict[str, View]:
    """Each draws its HTML for whoever asks, or raises ``RallrecError``."""

    def agreement(_: LabellingService, account: Account | None, query: Query) -> str:
        key = query.get("project", "")
        found = service.report(account, key)
        names = [agreed.dimension.name for agreed in found.dimensions]
        dimension = query.get("dimension") or (STEPS if STEPS in names else next(iter(names), ""))
        matrix = None
        if query.get("first") and query.get("second"):
            matrix = service.confusion(account, key, dimension, query["first"], query["second"])
        return results_agreement.agreement(found, key, dimension, matrix)

    def disputed(_: LabellingService, account: Account | None, query: Query) -> str:
        key = query.get("project", "")
        found = service.disputed(account, key)
        return results_agreement.disputes(found, key, unresolved=query.get("open") == "1")

    def adjudicate(_: LabellingService, account: Account | None, query: Query) -> str:
        key, task = query.get("project", ""), query.get("task", "")
        waiting = [dispute.task for dispute in service.disputed(account, key) if not dispute.resolved]
        if not task:
            if not waiting:
                return results_agreement.disputes(service.disputed(account, key), key, unresolved=True)
            task = waiting[0]
        found = reviewing.side_by_side(account, task)
        return results_adjudicate.adjudicate(
            found, rubric(found.task.project.rubric), next((other for other in waiting if other != task), "")
        )

    def seen(_: LabellingService, account: Account | None, query: Query) -> str:
        return results_insight.insight(service.insight(account, query.get("project", "")))

    def export(_: LabellingService, account: Account | None, query: Query) -> str:
        key = query.get("project", "")
        return results_export.exports(
            key,
            service.counts(account, key),
            everything=may(account, "review"),
            imports=may(account, "administer"),
        )

    return {
        "agreement": agreement,
        "disputed": disputed,
        "adjudicate": adjudicate,
        "insight": seen,
        "export": export,
    }
