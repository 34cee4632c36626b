"""The routes of ``/labels/`` for reviewers and admins. As in :mod:`app.label.routes`, the service checks the role."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response
from pydantic import Field

from app.label.http import Asked, Route, answered
from app.label.reviewing import ReviewingService
from app.label.routes import Body, plain
from backend.labelling import Judgement


class Resolution(Body):
    task: str
    judgement: Judgement
    seconds: float = Field(0, ge=0, allow_inf_nan=False)


class Known(Body):
    """``judgement``: None makes an ordinary task of it again."""

    task: str
    judgement: Judgement | None
    qualification: bool = False


class NewAccount(Body):
    name: str = Field(max_length=200)
    password: str = Field(max_length=2000)
    role: str


class ChangedAccount(Body):
    """What is None stays as it is."""

    role: str | None = None
    password: str | None = Field(None, max_length=2000)
    disabled: bool | None = None


def review_routes(service: ReviewingService) -> tuple[Route, ...]:
    """All of them."""
    return (*_task_routes(service), *_account_routes(service))


def _task_routes(service: ReviewingService) -> tuple[Route, ...]:
    def side_by_side(asked: Asked) -> Any:
        found = service.side_by_side(asked.account, asked.needed("task"))
        return {
            "task": found.task.id,
            "project": {"key": found.task.key} | found.task.project.model_dump(mode="json"),
            "chains": [
                plain(chain) | {"steps": [{"id": step.id, "text": step.text} for step in found.task.steps]}
                for chain in found.task.chains
            ],
            "setting": plain(found.task.setting),
            "labels": [
                label.model_dump(mode="json", exclude={"project", "chains", "setting"}) for label in found.labels
            ],
            "resolved": found.resolved.model_dump(mode="json", exclude={"project", "chains", "setting"})
            if found.resolved
            else None,
            "gold": plain(found.gold),
            "qualification": found.qualification,
        }

    def resolve(asked: Asked) -> Response:
        given = asked.read(Resolution)
        done = service.resolve(asked.account, given.task, given.judgement, given.seconds)
        return answered(plain(done), 422 if done.problems else 200)

    def gold(asked: Asked) -> Any:
        given = asked.read(Known)
        service.set_gold(asked.account, given.task, given.judgement, given.qualification)
        return {"task": given.task, "gold": given.judgement is not None, "qualification": given.qualification}

    return (
        Route("GET", "side_by_side", side_by_side, service.side_by_side),
        Route("POST", "resolve", resolve, service.resolve),
        Route("POST", "gold", gold, service.set_gold),
    )


def _account_routes(service: ReviewingService) -> tuple[Route, ...]:
    def listed(asked: Asked) -> Any:
        return {"accounts": [plain(own) for own in service.accounts(asked.account)]}

    def names(asked: Asked) -> Any:
        return {"people": [plain(own) for own in service.names(asked.account)]}

    def add(asked: Asked) -> Any:
        given = asked.read(NewAccount)
        return {"account": plain(service.add_account(asked.account, given.name, given.password, given.role))}

    def change(asked: Asked) -> Any:
        given = asked.read(ChangedAccount)
        service.change_account(asked.account, asked.path["name"], **given.model_dump())
        return {"name": asked.path["name"]}

    def audit(asked: Asked) -> Any:
        return {"changes": [plain(change) for change in service.audit(asked.account, asked.query.get("about"))]}

    return (
        Route("GET", "accounts", listed, service.accounts),
        Route("GET", "people", names, service.names),
        Route("POST", "accounts", add, service.add_account, status=201),
        Route("POST", "accounts/{name}", change, service.change_account),
        Route("GET", "audit", audit, service.audit),
    )
