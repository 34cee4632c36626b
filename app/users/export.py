"""The list of users, or one user, as a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastapi import Request

from app.shared.export import Exported, document, model_facts, recipe_facts, safe_name, still
from app.shared.frame import Players, players_of
from app.shared.per_dataset import PerDataset
from app.users import drawing
from app.users.address import UsersQuery
from app.users.service import PredictionRow, UsersService
from backend.datasets import Dataset
from backend.numbers import json_ready
from storage.workspace import Workspace

_STYLES = ("library/page.css", "users/page.css")


def exporter(workspace: Workspace) -> Callable[[Request], Exported]:
    """Exports what the page's own address shows."""
    services = PerDataset(workspace, lambda workspace: (UsersService(workspace), workspace))

    def export(request: Request) -> Exported:
        query = UsersQuery.parse(request.query_params)
        service, workspace = services.of(query.dataset)
        return Exported(
            safe_name(service.data.meta.name, *(("user", query.user) if query.user else ("users",))),
            lambda: users_record(service, query),
            lambda made: users_page(service, query, players_of(workspace), made),
        )

    return export


def users_record(service: UsersService, query: UsersQuery) -> dict[str, Any]:
    """Returns the page of the list of users that the query shows, or its one user."""
    return json_ready(_one_user(service, query) if query.user else _all_users(service, query))


def users_page(service: UsersService, query: UsersQuery, players: Players, made: str) -> str:
    """The list of users, or one user, as the page's address shows it."""
    return _user_page(service, query, players, made) if query.user else _list_page(service, query, players, made)


def _all_users(service: UsersService, query: UsersQuery) -> dict[str, Any]:
    page = service.users(query)
    return {
        "dataset": service.data.meta.name, "query": query.model_dump(), "total": page.total, "found": page.found,
        "page": page.page, "pages": page.pages,
        "users": [asdict(row) | {"first": _day(row.first), "last": _day(row.last)} for row in page.rows],
    }  # fmt: skip


def _one_user(service: UsersService, query: UsersQuery) -> dict[str, Any]:
    """``timeline``: oldest first; ``predictions``: the rows of the page, in its order; ``selected``: the item whose
    picks the page shows."""
    profile, told, predictions, data = (
        service.profile(query),
        service.timeline(query),
        service.predictions(query),
        service.data,
    )
    selected = predictions.selected
    record = asdict(profile) | {"facts": dict(profile.facts), "first": _day(profile.first), "last": _day(profile.last)}
    record.pop("code")
    when = told.when.tolist() if told.time_ordered else [None] * len(told.items)
    rated = zip(told.items.tolist(), told.rating.tolist(), when, told.genre.tolist(), strict=True)
    return {
        "dataset": data.meta.name,
        "query": query.model_dump(),
        "recipe": predictions.recipe.hash,
        "profile": record,
        "timeline": [
            _item(data, item) | {"rating": rating, "rated": _day(seconds), "category": told.genres[genre]}
            for item, rating, seconds, genre in rated
        ],
        "predictions": [_prediction(row, data) for row in predictions.rows],
        "cached": len(predictions.every),
        "page": predictions.page,
        "pages": predictions.pages,
        "selected": selected.item if selected else None,
        "picks": [
            _item(data, one.item) | {"rating": float(told.rating[one.place]), "rated": _day(when[one.place])}
            | dict(zip((f"{name}_rank" for name in selected.channels), (one.first, one.second), strict=True))
            for one in selected.picked
        ] if selected else [],
    }  # fmt: skip


def _prediction(row: PredictionRow, data: Dataset) -> dict[str, Any]:
    return {
        "item": row.item, "title": row.label, "part": row.part, "rated": _day(row.when), "rating": row.rating,
        "liked": row.liked, "p_g": row.p_g, "p_r": row.p_r, "p_final": row.p_final, "error": row.error,
        "answers": row.answers, "chains": row.chains,
        "picked": [data.item_ids[one.item] for one in row.picked],
    }  # fmt: skip


def _item(data: Dataset, item: int) -> dict[str, Any]:
    return {"item": data.item_ids[item], "title": data.item_label(item)}


def _day(seconds: int | None) -> str | None:
    """Writes seconds as ``2016-09-30`` (UTC)."""
    return None if seconds is None else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _list_page(service: UsersService, query: UsersQuery, players: Players, made: str) -> str:
    page, meta = service.users(query), service.data.meta
    shown = f"sorted by {query.column}{', largest first' if query.falling else ''}" if query.sort else "in their order"
    ids = f", ids with {query.find}" if query.find else ""
    return document(
        "users",
        "the users of a dataset",
        [("users", "", still(drawing.users_list(page)))],
        [("shown", f"page {page.page} of {page.pages}, {shown}{ids}")],
        address=query.link(),
        made=made,
        meta=meta,
        players=players,
        styles=_STYLES,
    )


def _user_page(service: UsersService, query: UsersQuery, players: Players, made: str) -> str:
    profile, told, predictions = service.profile(query), service.timeline(query), service.predictions(query)
    data, recipe = service.data, predictions.recipe
    parts = {
        "profile": drawing.user_profile(profile, query, data),
        "timeline": drawing.user_timeline(told, query, predictions.selected, data, still=True),
        "predictions": drawing.user_predictions(predictions, profile, lambda row: service.predict_request(query, row)),
        "picks": drawing.user_picks(told, predictions.selected, recipe.retrieval.k, data),
    }
    return document(
        f"user {query.user}",
        "one user, with every cached prediction",
        [(name, "", still(html)) for name, html in parts.items() if html],
        [*recipe_facts(recipe), *model_facts(players.models), ("recipe", recipe.hash)],
        address=query.link(),
        made=made,
        meta=data.meta,
        players=players,
        styles=_STYLES,
    )
