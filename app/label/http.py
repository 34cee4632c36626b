"""Labelling over HTTP, under ``/labels/``: JSON in and out, each request on behalf of whoever is logged in.

A route says in the type of ``account`` which action of ``storage.labels.roles`` it is (:class:`Allowed`): others are
refused before anything of theirs is read. The service checks it too, for whoever calls it in another way. What is sent
is a :class:`SentBody`; an error becomes an answer in :mod:`app.shared.errors`.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import IO, Annotated, Any, Self

import anyio
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.label.access import check
from app.label.service import LabelService
from app.label.task_view import rules_view
from app.label.views import page
from app.shared.errors import HEADERS, problem
from backend.errors import DataError, UsageError
from backend.labelling import Account, ChainFilter, Judgement, Project
from backend.labelling import agreement as agreement_report
from backend.labelling import insight as insight_report
from backend.labelling.formats import read_labels
from storage.labels.accounts import LIFETIME
from storage.labels.values import Nothing
from storage.workspace import Workspace

COOKIE = "rallrec_session"
# A corrected chain and a comment in the longest of alphabets; an import is larger.
MOST_BYTES, MOST_IMPORTED = 1_000_000, 200_000_000
JSON, LINES = "application/json", "application/x-ndjson"
# Short questions that are answered at the same time. With more threads, the one that holds the database's lock waits
# for its turn at the interpreter behind those that wait for that lock, and all are slower.
_AT_ONCE = 4
_PIECE = 1 << 18
# Whose label it is stands beside these: they are the task's.
_OF_TASK = {"project", "chains", "setting"}

router = APIRouter(prefix="/labels", include_in_schema=False)


def add_labels(app: FastAPI, workspace: Workspace) -> None:
    """Mount the routes, with one service and one queue of short questions for all of them."""
    app.state.labels, app.state.label_turns = LabelService(workspace), anyio.CapacityLimiter(_AT_ONCE)
    app.include_router(router)

    @app.exception_handler(UnacceptableError)
    async def refuse(_request: Request, error: UnacceptableError) -> Response:
        return problem(str(error), error.status)


class UnacceptableError(Exception):
    """What is sent is of another type (415), or more (413) than the route takes: nothing of it is looked at."""

    def __init__(self, words: str, status: int) -> None:
        self.status = status
        super().__init__(words)


# --- what routes depend on ---


@dataclass(frozen=True)
class Allowed:
    """The rule of a route: who may call it, and of which content type what they POST is.

    It takes these types alone, because another site's page cannot send them in somebody's name.
    """

    action: str
    takes: str = JSON

    def account(self, request: Request) -> Account | None:
        """Who asks, None where nobody is logged in. Raises ``AccessError`` for those who may not."""
        if request.method == "POST" and _content_type(request) != self.takes:
            raise UnacceptableError(f"What is sent here is {self.takes}", 415)
        service: LabelService = request.app.state.labels
        account = service.who(request.cookies.get(COOKIE))
        check(account, self.action)
        return account


Anybody = Annotated[Account | None, Depends(Allowed("counts").account)]
SomeAccount = Annotated[Account, Depends(Allowed("account").account)]
Onlooker = Annotated[Account, Depends(Allowed("project").account)]
Labeller = Annotated[Account, Depends(Allowed("label").account)]
Reader = Annotated[Account, Depends(Allowed("agreement").account)]
Reviewer = Annotated[Account, Depends(Allowed("review").account)]
Manager = Annotated[Account, Depends(Allowed("projects").account)]
Admin = Annotated[Account, Depends(Allowed("administer").account)]
Importer = Annotated[Account, Depends(Allowed("administer", takes=LINES).account)]


class SentBody(BaseModel):
    """What is sent as JSON: nothing but what the model names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    async def sent(cls, request: Request) -> Self:
        """The body of a request; an empty one is ``{}``. Raises ``UsageError`` that names the first wrong part."""
        try:
            return cls.model_validate_json(await _body(request, MOST_BYTES) or b"{}")
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the body"
            raise UsageError(f"{where}: {first['msg']}", expected=f"{', '.join(cls.model_fields)}") from error


def sent(body: type[SentBody]) -> Any:
    """What is sent, as this model."""
    return Depends(body.sent)


async def sent_lines(request: Request) -> bytes:
    """The body of an import."""
    return await _body(request, MOST_IMPORTED)


async def label_service(request: Request) -> LabelService:
    service: LabelService = request.app.state.labels
    return service


async def turn(request: Request) -> AsyncIterator[None]:
    """Waits until fewer than :data:`_AT_ONCE` short questions are being answered."""
    async with request.app.state.label_turns:
        yield


@dataclass(frozen=True)
class Needed:
    """A part of the query that a route cannot do without."""

    name: str

    async def value(self, request: Request) -> str:
        """Raises ``UsageError`` where it is missing."""
        if not (value := request.query_params.get(self.name)):
            raise UsageError(f"{self.name} is missing", expected=f"?{self.name}=...")
        return value


Service = Annotated[LabelService, Depends(label_service)]
Turn = Annotated[None, Depends(turn, scope="function")]
ProjectKey = Annotated[str, Depends(Needed("project").value)]
TaskId = Annotated[str, Depends(Needed("task").value)]
LabelId = Annotated[str, Depends(Needed("label").value)]
FormatName = Annotated[str, Depends(Needed("format").value)]


def answered(value: Any, status: int = 200) -> Response:
    """JSON, never kept by a browser. Dataclasses, models and times become JSON's own types."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    return Response(text, status_code=status, media_type=JSON, headers=HEADERS)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip()


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise UnacceptableError(f"At most {most:,} bytes can be sent", 413)
    return bytes(body)


# --- accounts ---


class Login(SentBody):
    name: str = Field(max_length=200)
    password: str = Field(max_length=2000)


class Passwords(SentBody):
    old: str = Field(max_length=2000)
    new: str = Field(max_length=2000)


class NewAccount(Login):
    role: str


class ChangedAccount(SentBody):
    """What is None stays as it is."""

    role: str | None = None
    password: str | None = Field(None, max_length=2000)
    disabled: bool | None = None


class Empty(SentBody):
    pass


@router.post("/login")
def login(request: Request, service: Service, account: Anybody, given: Annotated[Login, sent(Login)]) -> Response:
    token, account = service.log_in(account, given.name, given.password)
    return _with_cookie(request, answered({"account": account}), token, int(LIFETIME.total_seconds()))


@router.post("/logout")
def logout(request: Request, service: Service, account: Anybody, _given: Annotated[Empty, sent(Empty)]) -> Response:
    service.log_out(account, request.cookies.get(COOKIE))
    return _with_cookie(request, answered({"account": None}), "", 0)


def _with_cookie(request: Request, response: Response, token: str, seconds: int) -> Response:
    """The session's cookie: scripts cannot read it, other sites' pages cannot send it with a POST."""
    response.set_cookie(
        COOKIE, token, max_age=seconds, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )
    return response


@router.post("/password")
def password(
    request: Request, service: Service, account: SomeAccount, given: Annotated[Passwords, sent(Passwords)]
) -> Response:
    service.change_password(account, given.old, given.new, request.cookies.get(COOKIE) or "")
    return answered({"account": account})


@router.get("/me")
def me(account: Anybody) -> Response:
    return answered({"account": account})


@router.get("/accounts")
def accounts(service: Service, account: Admin) -> Response:
    return answered({"accounts": service.accounts(account)})


@router.post("/accounts")
def add_account(service: Service, account: Admin, given: Annotated[NewAccount, sent(NewAccount)]) -> Response:
    return answered({"account": service.add_account(account, given.name, given.password, given.role)}, 201)


@router.post("/accounts/{name}")
def change_account(
    service: Service, account: Admin, name: str, given: Annotated[ChangedAccount, sent(ChangedAccount)]
) -> Response:
    service.change_account(account, name, **given.model_dump())
    return answered({"name": name})


@router.get("/people")
def people(service: Service, account: Manager) -> Response:
    return answered({"people": service.names(account)})


@router.get("/audit")
def audit(service: Service, account: Admin, about: str | None = None) -> Response:
    return answered({"changes": service.audit(account, about)})


# --- projects ---


class NewProject(SentBody):
    project: Project
    members: tuple[str, ...] = ()


class Preview(SentBody):
    """Either a whole project, or what of it decides which chains there are."""

    dataset: str = ""
    chains: ChainFilter = ChainFilter()
    project: Project | None = None


class ChangedProject(SentBody):
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


@router.get("/projects")
def projects(service: Service, account: Anybody) -> Response:
    listed = [_plain(project) | {"project": rules_view(project.project, account)}
              for project in service.projects(account)]  # fmt: skip
    return answered({"projects": listed})


@router.post("/projects")
def create_project(service: Service, account: Manager, given: Annotated[NewProject, sent(NewProject)]) -> Response:
    return answered({"key": service.create_project(account, given.project, given.members)}, 201)


@router.post("/projects/preview")
def preview(service: Service, account: Manager, given: Annotated[Preview, sent(Preview)]) -> Response:
    dataset = given.dataset or service.workspace.settings.dataset
    return answered(
        service.preview(account, given.project or Project(name="preview", dataset=dataset, chains=given.chains))
    )


@router.get("/projects/{key}")
def project(service: Service, account: Onlooker, key: str) -> Response:
    return answered(service.project(account, key))


@router.post("/projects/{key}")
def change_project(
    service: Service, account: Manager, key: str, given: Annotated[ChangedProject, sent(ChangedProject)]
) -> Response:
    values = given.model_dump(exclude={"open", "members"}, exclude_none=True)
    service.update_project(account, key, values, given.open, given.members)
    return answered(service.project(account, key))


@router.get("/projects/{key}/members")
def members(service: Service, account: Manager, key: str) -> Response:
    return answered({"members": service.members(account, key)})


# --- work on tasks ---


class OfProject(SentBody):
    project: str


class OfTask(SentBody):
    task: str
    author: str | None = None


class OfLabel(SentBody):
    label: str


class Skipped(SentBody):
    task: str
    reason: str = Field(max_length=2000)


class Draft(SentBody):
    task: str
    judgement: Judgement
    seconds: float = Field(ge=0, allow_inf_nan=False)
    version: int = Field(ge=0)


class Submission(Draft):
    submission: str


@router.post("/next")
def next_task(
    service: Service, account: Labeller, given: Annotated[OfProject, sent(OfProject)], _turn: Turn
) -> Response:
    task = service.next(account, given.project)
    if isinstance(task, Nothing):
        return answered({"nothing": task.reason, "says": task.says, "skipped": task.skipped, "until": task.until})
    return answered({"task": service.view(account, task)})


@router.get("/tasks/{task}")
def open_task(service: Service, account: Labeller, task: str, _turn: Turn, unblinded: str = "") -> Response:
    shown = unblinded == "1"
    return answered(service.view(account, service.task(account, task, shown), shown))


@router.post("/draft")
def draft(service: Service, account: Labeller, given: Annotated[Draft, sent(Draft)], _turn: Turn) -> Response:
    return answered(service.draft(account, given.task, given.judgement, given.seconds, given.version))


@router.post("/submit")
def submit(
    service: Service, account: Labeller, given: Annotated[Submission, sent(Submission)], _turn: Turn
) -> Response:
    submitted = service.submit(account, given.task, given.judgement, given.seconds, given.version, given.submission)
    return answered(submitted, 422 if submitted.problems else 200)


@router.post("/skip")
def skip(service: Service, account: Labeller, given: Annotated[Skipped, sent(Skipped)], _turn: Turn) -> Response:
    return answered(service.skip(account, given.task, given.reason))


@router.post("/requeue")
def requeue(service: Service, account: Labeller, given: Annotated[OfTask, sent(OfTask)], _turn: Turn) -> Response:
    return answered(service.requeue(account, given.task, given.author))


@router.post("/undo")
def undo(service: Service, account: Labeller, given: Annotated[OfProject, sent(OfProject)], _turn: Turn) -> Response:
    task = service.undo(account, given.project)
    return answered({"task": service.view(account, task) if task else None})


@router.post("/reopen")
def reopen(service: Service, account: Labeller, given: Annotated[OfLabel, sent(OfLabel)], _turn: Turn) -> Response:
    return answered({"task": service.view(account, service.reopen(account, given.label))})


@router.post("/leave")
def leave(service: Service, account: Labeller, given: Annotated[OfLabel, sent(OfLabel)], _turn: Turn) -> Response:
    service.leave(account, given.label)
    return answered({})


@router.get("/mine")
def mine(service: Service, account: Labeller, project: ProjectKey, _turn: Turn) -> Response:
    return answered({"labels": service.own_labels(account, project)})


@router.get("/history")
def history(service: Service, account: Labeller, label: LabelId, _turn: Turn) -> Response:
    return answered({"history": service.history(account, label)})


# --- review ---


class Resolution(SentBody):
    task: str
    judgement: Judgement
    seconds: float = Field(0, ge=0, allow_inf_nan=False)


class KnownAnswer(SentBody):
    """``judgement``: None makes an ordinary task of it again."""

    task: str
    judgement: Judgement | None
    qualification: bool = False


@router.get("/side_by_side")
def side_by_side(service: Service, account: Reviewer, task: TaskId) -> Response:
    beside = service.side_by_side(account, task)
    steps = [{"id": step.id, "text": step.text} for step in beside.task.steps]
    resolved = beside.resolved
    return answered(
        {
            "task": beside.task.id,
            "project": {"key": beside.task.key} | _plain(beside.task.project),
            "chains": [_plain(chain) | {"steps": steps} for chain in beside.task.chains],
            "setting": beside.task.setting,
            "labels": [label.model_dump(mode="json", exclude=_OF_TASK) for label in beside.labels],
            "resolved": resolved.model_dump(mode="json", exclude=_OF_TASK) if resolved else None,
            "gold": beside.gold,
            "qualification": beside.qualification,
        }
    )


@router.post("/resolve")
def resolve(service: Service, account: Reviewer, given: Annotated[Resolution, sent(Resolution)]) -> Response:
    submitted = service.resolve(account, given.task, given.judgement, given.seconds)
    return answered(submitted, 422 if submitted.problems else 200)


@router.post("/gold")
def set_gold(service: Service, account: Reviewer, given: Annotated[KnownAnswer, sent(KnownAnswer)]) -> Response:
    service.set_gold(account, given.task, given.judgement, given.qualification)
    return answered({"task": given.task, "gold": given.judgement is not None, "qualification": given.qualification})


# --- results ---


@router.get("/agreement")
def agreement(service: Service, account: Reader, project: ProjectKey) -> Response:
    return answered(agreement_report.record(service.report(account, project)))


@router.get("/disputed")
def disputed(service: Service, account: Reviewer, project: ProjectKey) -> Response:
    return answered({"tasks": [dispute.record for dispute in service.disputed(account, project)]})


@router.get("/insight")
def insight(service: Service, account: Reader, project: ProjectKey) -> Response:
    return answered(insight_report.record(service.insight(account, project)))


@router.get("/export")
def export(service: Service, account: Reader, project: ProjectKey, format: FormatName, status: str = "") -> Response:
    made = service.export(account, project, format, status or "submitted")
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return StreamingResponse(_pieces(made.content), media_type=made.media_type, headers=headers)


@router.post("/import")
def take_over(service: Service, account: Importer, content: Annotated[bytes, Depends(sent_lines)]) -> Response:
    try:
        counts = service.take_over(account, read_labels(io.BytesIO(content), "what was sent"))
    except DataError as error:
        raise UsageError(error.problem, expected=error.expected, fix=error.fix) from error
    says = f"{counts.new:,} labels are new, {counts.same:,} were here already"
    left_out = len(counts.conflicting)
    says += f"; {left_out:,} say something else than here and were left out." if left_out else "."
    return answered(_plain(counts) | {"says": says})


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    with content:
        while piece := content.read(_PIECE):
            yield piece


# --- the page ---


@router.get("/view")
def view(request: Request, service: Service, account: Anybody) -> Response:
    """What ``/label`` shows, as HTML. Changes nothing but a reviewer's label, which is no longer blind once they have
    seen everything about its task (``unblinded=1``).
    """
    html, status = page(service, account, dict(request.query_params))
    # The policy says what is so anyway: a text that a model wrote is text.
    return HTMLResponse(html, status_code=status, headers=HEADERS)
