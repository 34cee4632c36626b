"""``/labels/view``: what ``/label`` shows, as HTML text, for whoever is logged in. Changes nothing but a reviewer's
label, which is no longer blind once they have seen everything about its task (``unblinded=1``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from app.label.drawing import own, people, projects, task
from app.label.drawing.frame import address, frame
from app.label.http import COOKIE, status_of
from app.label.results_views import RESULTS
from app.label.services import Services
from app.shared.frame import error_box
from backend.datasets import DATASETS
from backend.errors import NotLoggedInError, RallrecError, UnknownNameError
from backend.labelling import Account, Project, rubric
from storage.labels.roles import may

# The policy says what is so anyway: a text that a model wrote is text.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
Query = Mapping[str, str]


Drawn = Callable[[Services, Account | None, Query], str]


def add_label_views(app: FastAPI, services: Services) -> None:
    """Mount the route. Somebody who must log in first is shown how; for other refusals the status says which."""

    @app.get("/labels/view", include_in_schema=False)
    async def view(request: Request) -> Response:
        return await run_in_threadpool(_answer, services, request.cookies.get(COOKIE), dict(request.query_params))


def _answer(services: Services, token: str | None, query: Query) -> Response:
    account, name, status = None, "", 200
    shown = query.get("view") or ("work" if query.get("project") else "projects")
    try:
        account = services.labelling.who(token)
        if account and query.get("project"):
            name = services.labelling.rules(account, query["project"]).name
        if shown not in VIEWS:
            raise UnknownNameError("view of /label", shown, VIEWS)
        body = VIEWS[shown](services, account, query)
    except NotLoggedInError:
        body = _projects(services, account, query)
    except RallrecError as error:
        body, status = error_box(str(error)), status_of(error)
    whole = frame(account, shown, query.get("project", "") if name else "", name, body)
    return HTMLResponse(whole, status_code=status, headers=_HEADERS)


def _projects(services: Services, account: Account | None, query: Query) -> str:
    told = projects.project_list(services.labelling.projects(account), account)
    if may(account, "projects"):
        services.labelling.warm(account)
    if account:
        return told
    wanted = {name: value for name, value in query.items() if name in ("project", "task", "label")}
    view = query.get("view") or ("work" if wanted else "projects")
    return told + people.login(address(view, wanted.pop("project", ""), **wanted))


def _progress(services: Services, account: Account | None, query: Query) -> str:
    return projects.progress(services.labelling.project(account, query.get("project", "")))


def _work(services: Services, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    rules = services.labelling.rules(account, key)
    if query.get("nothing"):
        return task.nothing(query["nothing"], query.get("until", ""), query.get("skipped", ""), key)
    if not query.get("task"):
        return task.fetching()
    assert account is not None
    unblinded = query.get("unblinded") == "1"
    found = services.labelling.view(account, services.labelling.task(account, query["task"], unblinded), unblinded)
    return task.work(found, rubric(rules.rubric), account, edits=query.get("edit") == "1")


def _mine(services: Services, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    return own.own_labels(services.labelling.own_labels(account, key), key)


def _history(services: Services, account: Account | None, query: Query) -> str:
    key, label = query.get("project", ""), query.get("label", "")
    version = services.labelling.rules(account, key).rubric
    mine = next((one for one in services.labelling.own_labels(account, key) if one.label == label), None)
    return own.versions(services.labelling.history(account, label), rubric(version), key, mine)


def _project(services: Services, account: Account | None, query: Query) -> str:
    key = query.get("project", "")
    names = [own.name for own in services.reviewing.names(account) if own.role != "viewer"]
    if not key:
        services.labelling.warm(account)
        project = Project(name="-", dataset=services.labelling.workspace.settings.dataset)
        return projects.project_form(project, "", [], names, _datasets(project.dataset), is_open=True)
    told = services.labelling.project(account, key)
    project = Project.model_validate(told["project"])
    members = services.labelling.members(account, key)
    return projects.project_form(project, key, members, names, _datasets(project.dataset), is_open=told["open"])


def _people(services: Services, account: Account | None, _query: Query) -> str:
    return people.everybody(services.reviewing.accounts(account), account)


def _account(services: Services, account: Account | None, query: Query) -> str:
    return people.own_account(account) if account else _projects(services, account, query)


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
    **RESULTS,
}
