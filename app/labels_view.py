"""``/labels/view``: what ``/label`` shows, as HTML text, for whoever is logged in. Changes nothing but a reviewer's
label, which is no longer blind once they have seen everything about its task (``unblinded=1``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from app.labels_api import COOKIE, status_of
from app.rendering.labelling import own, people, projects, task
from app.rendering.labelling.frame import address, frame
from app.rendering.page import error_box
from app.services.labelling import LabellingService
from app.services.labelling.access import check
from backend.datasets import DATASETS
from backend.errors import NotLoggedInError, RallrecError, UnknownNameError
from backend.labelling import Account, Project, rubric
from storage.labels.accounts import accounts

# The policy says what is so anyway: a text that a model wrote is text.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
Query = Mapping[str, str]
Drawn = Callable[[LabellingService, Account | None, Query], str]


def add_label_views(app: FastAPI, service: LabellingService, more: Mapping[str, Drawn] | None = None) -> None:
    """Mount the route; ``more``: views beside those here. Somebody who must log in first is shown how; for other
    refusals the status says which.
    """

    @app.get("/labels/view", include_in_schema=False)
    async def view(request: Request) -> Response:
        return await run_in_threadpool(
            _answer, service, VIEWS | dict(more or {}), request.cookies.get(COOKIE), dict(request.query_params)
        )


def _answer(service: LabellingService, views: Mapping[str, Drawn], token: str | None, query: Query) -> Response:
    account, name, status = None, "", 200
    shown = query.get("view") or ("work" if query.get("project") else "projects")
    try:
        account = service.who(token)
        if account and query.get("project"):
            name = str(service.project(account, query["project"])["project"]["name"])
        if shown not in views:
            raise UnknownNameError("view of /label", shown, views)
        body = views[shown](service, account, query)
    except NotLoggedInError:
        body = _projects(service, account, query)
    except RallrecError as error:
        body, status = error_box(str(error)), status_of(error)
    whole = frame(account, shown, query.get("project", "") if name else "", name, body)
    return HTMLResponse(whole, status_code=status, headers=_HEADERS)


def _projects(service: LabellingService, account: Account | None, query: Query) -> str:
    told = projects.project_list(service.projects(account), account)
    if account:
        return told
    wanted = {name: value for name, value in query.items() if name in ("project", "task", "label")}
    view = query.get("view") or ("work" if wanted else "projects")
    return told + people.login(address(view, wanted.pop("project", ""), **wanted))


def _progress(service: LabellingService, account: Account | None, query: Query) -> str:
    return projects.progress(service.project(account, query.get("project", "")))


def _work(service: LabellingService, account: Account | None, query: Query) -> str:
    told = service.project(account, query.get("project", ""))
    if query.get("nothing"):
        return task.nothing(query["nothing"], query.get("until", ""), query.get("skipped", ""), told)
    if not query.get("task"):
        return task.fetching()
    assert account is not None
    unblinded = query.get("unblinded") == "1"
    found = service.view(account, service.task(account, query["task"], unblinded), unblinded)
    return task.work(found, rubric(told["project"]["rubric"]), account, edits=query.get("edit") == "1")


def _mine(service: LabellingService, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    return own.own_labels(service.own_labels(account, key), key)


def _history(service: LabellingService, account: Account | None, query: Query) -> str:
    key, label = query.get("project", ""), query.get("label", "")
    version = service.project(account, key)["project"]["rubric"]
    mine = next((one for one in service.own_labels(account, key) if one.label == label), None)
    return own.versions(service.history(account, label), rubric(version), key, mine)


def _project(service: LabellingService, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    check(account, "projects")
    names = [own.account.name for own in accounts(service.database) if own.account.role != "viewer"]
    if not key:
        project = Project(name="-", dataset=service.workspace.settings.dataset)
        return projects.project_form(project, "", [], names, _datasets(project.dataset), is_open=True)
    told = service.project(account, key)
    project = Project.model_validate(told["project"])
    members = service.members(account, key)
    return projects.project_form(project, key, members, names, _datasets(project.dataset), is_open=told["open"])


def _people(service: LabellingService, account: Account | None, query: Query) -> str:
    check(account, "administer")
    return people.everybody(accounts(service.database), account)


def _account(service: LabellingService, account: Account | None, query: Query) -> str:
    return people.own_account(account) if account else _projects(service, account, query)


def _datasets(present: str) -> dict[str, str]:
    return {name: name for name in (present, *(known for known in DATASETS if known != present))}


VIEWS: dict[str, Drawn] = {
    "work": _work,
    "mine": _mine,
    "history": _history,
    "progress": _progress,
    "projects": _projects,
    "project": _project,
    "people": _people,
    "account": _account,
}
