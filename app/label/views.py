"""The views of ``/label`` as HTML text, by their names in the address, for whoever is logged in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.label.drawing import lists, results, work
from app.label.drawing.frame import address, frame
from app.label.service import LabelService
from app.shared.errors import status_of
from app.shared.frame import error_box
from backend.datasets import DATASETS
from backend.errors import NotLoggedInError, RallrecError, UnknownNameError
from backend.labelling import Account, Project, rubric
from backend.labelling.ratings import STEPS
from storage.labels.roles import may

Query = Mapping[str, str]
Drawn = Callable[[LabelService, Account | None, Query], str]


def page(service: LabelService, account: Account | None, query: Query) -> tuple[str, int]:
    """Returns the view that the query names, with its frame, and the HTTP status. Somebody who must log in first is
    shown how; other refusals have a status of their own.
    """
    name, status = "", 200
    view = query.get("view") or ("work" if query.get("project") else "projects")
    try:
        if account and query.get("project"):
            name = service.rules(account, query["project"]).name
        if view not in VIEWS:
            raise UnknownNameError("view of /label", view, VIEWS)
        body = VIEWS[view](service, account, query)
    except NotLoggedInError:
        body = _projects(service, account, query)
    except RallrecError as error:
        body, status = error_box(str(error)), status_of(error)
    return frame(account, view, query.get("project", "") if name else "", name, body), status


def _projects(service: LabelService, account: Account | None, query: Query) -> str:
    html = lists.project_list(service.projects(account), account)
    if may(account, "projects"):
        service.warm(account)
    if account:
        return html
    then = {name: value for name, value in query.items() if name in ("project", "task", "label")}
    view = query.get("view") or ("work" if then else "projects")
    return html + lists.login(address(view, then.pop("project", ""), **then))


def _progress(service: LabelService, account: Account | None, query: Query) -> str:
    return lists.progress(service.project(account, query.get("project", "")))


def _work(service: LabelService, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    rules = service.rules(account, key)
    if query.get("nothing"):
        return work.nothing(query["nothing"], query.get("until", ""), query.get("skipped", ""), key)
    if not query.get("task"):
        return work.fetching()
    assert account is not None
    unblinded = query.get("unblinded") == "1"
    shown = service.view(account, service.task(account, query["task"], unblinded), unblinded)
    return work.work(shown, rubric(rules.rubric), account, edits=query.get("edit") == "1")


def _mine(service: LabelService, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    return lists.own_labels(service.own_labels(account, key), key)


def _history(service: LabelService, account: Account | None, query: Query) -> str:
    key, label = query.get("project", ""), query.get("label", "")
    version = service.rules(account, key).rubric
    mine = next((mine for mine in service.own_labels(account, key) if mine.label == label), None)
    return lists.versions(service.history(account, label), rubric(version), key, mine)


def _project(service: LabelService, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    names = [person.name for person in service.names(account) if person.role != "viewer"]
    if key:
        told = service.project(account, key)
        project, is_open = Project.model_validate(told["project"]), told["open"]
        members = service.members(account, key)
    else:
        service.warm(account)
        project, is_open = Project(name="-", dataset=service.workspace.settings.dataset), True
        members = []
    datasets = {name: name for name in dict.fromkeys((project.dataset, *DATASETS))}
    return lists.project_form(project, key, members, names, datasets, is_open=is_open)


def _people(service: LabelService, account: Account | None, _query: Query) -> str:
    return lists.everybody(service.accounts(account), account)


def _account(service: LabelService, account: Account | None, query: Query) -> str:
    return lists.own_account(account) if account else _projects(service, account, query)


def _agreement(service: LabelService, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    report = service.report(account, key)
    names = [agreed.dimension.name for agreed in report.dimensions]
    dimension = query.get("dimension") or (STEPS if STEPS in names else next(iter(names), ""))
    matrix = None
    if query.get("first") and query.get("second"):
        matrix = service.confusion(account, key, dimension, query["first"], query["second"])
    return results.agreement(report, key, dimension, matrix)


def _disputed(service: LabelService, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    return results.disputes(service.disputed(account, key), key, unresolved=query.get("open") == "1")


def _adjudicate(service: LabelService, account: Account | None, query: Query) -> str:
    """Shows the task of the address, or else the most disputed one that is not resolved; or the list, which says that
    there is none.
    """
    key, task_id = query.get("project", ""), query.get("task", "")
    disputes = service.disputed(account, key)
    waiting = [dispute.task for dispute in disputes if not dispute.resolved]
    if not task_id and not waiting:
        return results.disputes(disputes, key, unresolved=True)
    beside = service.side_by_side(account, task_id or waiting[0])
    upcoming = next((task_id for task_id in waiting if task_id != beside.task.id), "")
    return results.adjudicate(beside, rubric(beside.task.project.rubric), upcoming)


def _insight(service: LabelService, account: Account | None, query: Query) -> str:
    return results.insight(service.insight(account, query.get("project", "")))


def _export(service: LabelService, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    counts = service.counts(account, key)
    return results.exports(key, counts, everything=may(account, "review"), imports=may(account, "administer"))


VIEWS: dict[str, Drawn] = {
    "work": _work,
    "mine": _mine,
    "history": _history,
    "progress": _progress,
    "projects": _projects,
    "project": _project,
    "people": _people,
    "account": _account,
    "agreement": _agreement,
    "disputed": _disputed,
    "adjudicate": _adjudicate,
    "insight": _insight,
    "export": _export,
}
