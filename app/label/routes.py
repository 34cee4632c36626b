"""The routes of ``/labels/``: what each takes and gives. Each hands on to a service, which checks the role."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from app.label.access import somebody
from app.label.http import Asked, Route, answered, set_cookie
from app.label.service import LabellingService
from app.label.task_view import rules_view
from backend.labelling import ChainFilter, Judgement, Project
from storage.labels.logins import LIFETIME
from storage.labels.values import Nothing


class Body(BaseModel):
    """What is sent: nothing but what it names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Login(Body):
    name: str = Field(max_length=200)
    password: str = Field(max_length=2000)


class Passwords(Body):
    old: str = Field(max_length=2000)
    new: str = Field(max_length=2000)


class NewProject(Body):
    project: Project
    members: tuple[str, ...] = ()


class Preview(Body):
    """Either a whole project, or what of it decides which chains there are."""

    dataset: str = ""
    chains: ChainFilter = ChainFilter()
    project: Project | None = None


class Changed(Body):
    """What is None stays as it is."""

    name: str | None = None
    overlap: int | None = None
    minutes: int | None = None
    gold: float | None = None
    qualification: int | None = None
    pass_share: float | None = None
    guidelines: str | None = None
    open: bool | None = None
    members: tuple[str, ...] | None = None


class Empty(Body):
    pass


class OfProject(Body):
    project: str


class OfTask(Body):
    task: str
    author: str | None = None


class OfLabel(Body):
    label: str


class Skipped(Body):
    task: str
    reason: str = Field(max_length=2000)


class Draft(Body):
    task: str
    judgement: Judgement
    seconds: float = Field(ge=0, allow_inf_nan=False)
    version: int = Field(ge=0)


class Submission(Draft):
    submission: str


def routes(service: LabellingService) -> tuple[Route, ...]:
    """All of them."""
    return (*_session_routes(service), *_project_routes(service), *_work_routes(service))


def _session_routes(service: LabellingService) -> tuple[Route, ...]:
    def login(asked: Asked) -> Response:
        given = asked.read(Login)
        token, account = service.log_in(asked.account, given.name, given.password)
        told = answered({"account": account.model_dump()})
        return set_cookie(told, token, asked.secure, int(LIFETIME.total_seconds()))

    def logout(asked: Asked) -> Response:
        asked.read(Empty)
        service.log_out(asked.account, asked.token)
        return set_cookie(answered({"account": None}), "", asked.secure, 0)

    def password(asked: Asked) -> Any:
        given = asked.read(Passwords)
        service.change_password(asked.account, given.old, given.new, asked.token or "")
        return {"account": somebody(asked.account).model_dump()}

    def me(asked: Asked) -> Any:
        account = service.me(asked.account)
        return {"account": account.model_dump() if account else None}

    return (
        Route("POST", "login", login, service.log_in),
        Route("POST", "logout", logout, service.log_out),
        Route("POST", "password", password, service.change_password),
        Route("GET", "me", me, service.me),
    )


def _project_routes(service: LabellingService) -> tuple[Route, ...]:
    def listed(asked: Asked) -> Any:
        found = service.projects(asked.account)
        return {"projects": [plain(own) | {"project": rules_view(own.project, asked.account)} for own in found]}

    def create(asked: Asked) -> Any:
        given = asked.read(NewProject)
        return {"key": service.create_project(asked.account, given.project, given.members)}

    def preview(asked: Asked) -> Any:
        given = asked.read(Preview)
        dataset = given.dataset or service.workspace.settings.dataset
        wanted = given.project or Project(name="preview", dataset=dataset, chains=given.chains)
        return service.preview(asked.account, wanted)

    def one(asked: Asked) -> Any:
        return service.project(asked.account, asked.path["key"])

    def members(asked: Asked) -> Any:
        return {"members": service.members(asked.account, asked.path["key"])}

    def change(asked: Asked) -> Any:
        given = asked.read(Changed)
        values = given.model_dump(exclude={"open", "members"}, exclude_none=True)
        service.update_project(asked.account, asked.path["key"], values, given.open, given.members)
        return service.project(asked.account, asked.path["key"])

    return (
        Route("GET", "projects", listed, service.projects),
        Route("POST", "projects", create, service.create_project, status=201),
        Route("POST", "projects/preview", preview, service.preview),
        Route("GET", "projects/{key}", one, service.project),
        Route("POST", "projects/{key}", change, service.update_project),
        Route("GET", "projects/{key}/members", members, service.members),
    )


def _work_routes(service: LabellingService) -> tuple[Route, ...]:
    def next_task(asked: Asked) -> Any:
        found = service.next(asked.account, asked.read(OfProject).project)
        if isinstance(found, Nothing):
            return {"nothing": found.reason, "says": found.says, "skipped": found.skipped, "until": plain(found.until)}
        return {"task": service.view(somebody(asked.account), found)}

    def task(asked: Asked) -> Any:
        unblinded = asked.query.get("unblinded") == "1"
        found = service.task(asked.account, asked.path["task"], unblinded)
        return service.view(somebody(asked.account), found, unblinded)

    def draft(asked: Asked) -> Any:
        given = asked.read(Draft)
        saved = service.draft(asked.account, given.task, given.judgement, given.seconds, given.version)
        return plain(saved)

    def submit(asked: Asked) -> Any:
        given = asked.read(Submission)
        done = service.submit(
            asked.account, given.task, given.judgement, given.seconds, given.version, given.submission
        )
        return answered(plain(done), 422 if done.problems else 200)

    def skip(asked: Asked) -> Any:
        given = asked.read(Skipped)
        return plain(service.skip(asked.account, given.task, given.reason))

    def requeue(asked: Asked) -> Any:
        given = asked.read(OfTask)
        return plain(service.requeue(asked.account, given.task, given.author))

    def undo(asked: Asked) -> Any:
        found = service.undo(asked.account, asked.read(OfProject).project)
        return {"task": service.view(somebody(asked.account), found) if found else None}

    def reopen(asked: Asked) -> Any:
        found = service.reopen(asked.account, asked.read(OfLabel).label)
        return {"task": service.view(somebody(asked.account), found)}

    def leave(asked: Asked) -> Any:
        service.leave(asked.account, asked.read(OfLabel).label)
        return {}

    def mine(asked: Asked) -> Any:
        return {"labels": [plain(own) for own in service.own_labels(asked.account, asked.needed("project"))]}

    def history(asked: Asked) -> Any:
        found = service.history(asked.account, asked.needed("label"))
        return {"history": [version.model_dump(mode="json") for version in found]}

    return (
        Route("POST", "next", next_task, service.next, quick=True),
        Route("GET", "tasks/{task}", task, service.task, quick=True),
        Route("POST", "draft", draft, service.draft, quick=True),
        Route("POST", "submit", submit, service.submit, quick=True),
        Route("POST", "skip", skip, service.skip, quick=True),
        Route("POST", "requeue", requeue, service.requeue, quick=True),
        Route("POST", "undo", undo, service.undo, quick=True),
        Route("POST", "reopen", reopen, service.reopen, quick=True),
        Route("POST", "leave", leave, service.leave, quick=True),
        Route("GET", "mine", mine, service.own_labels, quick=True),
        Route("GET", "history", history, service.history, quick=True),
    )


def plain(value: Any) -> Any:
    """Dataclasses, models and times in JSON's own types."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value
