"""What can be fetched beside the other pages, each by its own query: the view as a file."""

from __future__ import annotations

from fastapi import FastAPI, Request

from app.library.export_page import library_page
from app.library.service import LibraryService
from app.predict.service import PredictService
from app.shared.export import Carried, Carry, add_export
from app.shared.export_view import players_of, safe_name
from app.shared.per_dataset import PerDataset
from app.shared.views_export import library_record, stories_record, story_record, users_record, what_if_record
from app.shared.views_export_page import stories_page, story_page, users_page, what_if_page
from app.stories.service import StoryService
from app.users.address import UsersQuery
from app.users.service import UsersService
from app.what_if.service import WhatIfService
from app.what_if.view import Session
from storage.workspace import Workspace


def add_views(app: FastAPI, workspace: Workspace, stories: StoryService) -> None:
    """``/export/users``: the list, or one user; ``/export/what-if``; ``/export/stories``: the list, or one
    story; ``/export/library``.
    """
    add_export(app, "users", _users(workspace))
    add_export(app, "what-if", _what_if(workspace))
    add_export(app, "library", _library(workspace))
    add_export(app, "stories", lambda request: _stories(stories, workspace, request))


def _users(workspace: Workspace) -> Carry:
    services = PerDataset(workspace, lambda own: (UsersService(own), own))

    def carry(request: Request) -> Carried:
        query = UsersQuery.parse(request.query_params)
        service, own = services.of(query.dataset)
        return Carried(
            safe_name(service.data.meta.name, *(("user", query.user) if query.user else ("users",))),
            lambda: users_record(service, query),
            lambda made: users_page(service, query, players_of(own), made),
        )

    return carry


def _what_if(workspace: Workspace) -> Carry:
    services = PerDataset(workspace, _what_if_service)

    def carry(request: Request) -> Carried:
        service, predict = services.of(request.query_params.get("dataset", ""))
        view = service.look(service.open(request.query_params), Session())
        record = what_if_record(predict.pipeline, view)
        asked = view.what_if
        return Carried(
            safe_name(view.data.meta.name, "user", asked.user, "item", asked.item, "what-if", asked.id),
            lambda: record,
            lambda made: what_if_page(view, record, made),
        )

    return carry


def _what_if_service(own: Workspace) -> tuple[WhatIfService, PredictService]:
    predict = PredictService(own)
    return WhatIfService(own, predict), predict


def _library(workspace: Workspace) -> Carry:
    services = PerDataset(workspace, lambda own: (LibraryService(own), own))

    def carry(request: Request) -> Carried:
        service, own = services.of(request.query_params.get("dataset", ""))
        address = f"/library?dataset={own.other}" if own.other else "/library"
        return Carried(
            safe_name(service.dataset().meta.name, "library"),
            lambda: library_record(service),
            lambda made: library_page(service, players_of(own), address, made),
        )

    return carry


def _stories(service: StoryService, workspace: Workspace, request: Request) -> Carried:
    key, base = request.query_params.get("story", ""), str(request.base_url).rstrip("/")
    if not key:
        shipped, told = service.shipped(), service.told()
        return Carried(
            safe_name("stories"),
            lambda: stories_record(shipped, told),
            lambda made: stories_page(shipped, told, players_of(workspace), made),
        )
    listed = service.find(key)
    return Carried(
        safe_name("story", listed.key),
        lambda: story_record(listed, base),
        lambda made: story_page(listed, base, players_of(workspace), made),
    )
