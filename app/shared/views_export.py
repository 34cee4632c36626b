"""The views of the Users and What-if pages and of Stories as records: plain objects, ready for JSON, with the numbers
that the page shows.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from app.library.service import LibraryService
from app.shared.export_view import untold
from app.stories.service import Listed
from app.users.address import UsersQuery
from app.users.predictions import PredictionRow
from app.users.service import UsersService
from app.what_if.view import Side, View
from backend.datasets import Dataset
from backend.numbers import json_ready
from backend.pipeline import Pipeline
from backend.record import prediction_record


def users_record(service: UsersService, query: UsersQuery) -> dict[str, Any]:
    """The page of the list of users that the query shows, or its one user."""
    return json_ready(_one_user(service, query) if query.user else _all_users(service, query))


def what_if_record(pipeline: Pipeline, view: View) -> dict[str, Any]:
    """Both sides as ``rallrec predict --json`` prints them, without the truth, and after minus before. Without edits,
    ``after`` is ``before``."""

    def side(own: Side) -> dict[str, Any]:
        return untold(prediction_record(pipeline, own.prediction, cached=not own.missing))

    before, after = side(view.before), side(view.after)
    return json_ready(
        {
            "dataset": view.data.meta.name,
            "user": view.what_if.user,
            "item": view.what_if.item,
            "kept": view.kept.name if view.kept else None,
            "edits": json.loads(view.what_if.edits.canonical),
            "before": before,
            "after": after,
            "differences": {
                name: None if before[name] is None or after[name] is None else after[name] - before[name]
                for name in ("p_g", "var_g", "p_r", "var_r", "p_final")
            },
        }
    )


def story_record(listed: Listed, base: str) -> dict[str, Any]:
    """A story with its steps; ``base``: where the app is, for links that lead there from anywhere."""
    steps = [step.model_dump() | {"link": base + step.view} for step in listed.story.steps]
    return {"story": listed.key, "title": listed.story.title, "about": listed.story.about, "told": listed.told or None,
            "steps": steps}  # fmt: skip


def stories_record(shipped: list[Listed], told: list[Listed]) -> dict[str, Any]:
    """All stories by their titles."""

    def said(own: Listed) -> dict[str, Any]:
        count = len(own.story.steps)
        return {"story": own.key, "title": own.story.title, "about": own.story.about, "steps": count}

    return {"shipped": [said(own) for own in shipped], "told": [said(own) | {"told": own.told} for own in told]}


def library_record(service: LibraryService) -> dict[str, Any]:
    """``artifacts``: what the dataset's pages read, in the order in which it is made; ``others``: the rest."""
    shelf = service.shelf()
    return json_ready({
        "dataset": service.dataset().meta.name, "artifacts": [asdict(own) for own in shelf.own],
        "others": [asdict(own) for own in shelf.others], "datasets": [asdict(own) for own in service.datasets()],
        "models": [asdict(own) for own in service.models()], "cache": asdict(service.cache()),
        "space": asdict(service.space()),
    })  # fmt: skip


def _all_users(service: UsersService, query: UsersQuery) -> dict[str, Any]:
    page = service.users(query)
    return {
        "dataset": service.data.meta.name, "query": asdict(query), "total": page.total, "found": page.found,
        "page": page.page, "pages": page.pages,
        "users": [asdict(row) | {"first": _day(row.first), "last": _day(row.last)} for row in page.rows],
    }  # fmt: skip


def _one_user(service: UsersService, query: UsersQuery) -> dict[str, Any]:
    """``timeline``: oldest first; ``predictions``: the rows of the page, in its order; ``selected``: the item whose
    picks the page shows."""
    profile, told, found, data = (
        service.profile(query),
        service.timeline(query),
        service.predictions(query),
        service.data,
    )
    own = asdict(profile) | {"facts": dict(profile.facts), "first": _day(profile.first), "last": _day(profile.last)}
    own.pop("code")
    when = told.when.tolist() if told.time_ordered else [None] * len(told.items)
    rated = zip(told.items.tolist(), told.rating.tolist(), when, told.genre.tolist(), strict=True)
    return {
        "dataset": data.meta.name,
        "query": asdict(query),
        "recipe": found.recipe.hash,
        "profile": own,
        "timeline": [
            _item(data, item) | {"rating": rating, "rated": _day(seconds), "category": told.genres[genre]}
            for item, rating, seconds, genre in rated
        ],
        "predictions": [_prediction(row, data) for row in found.rows],
        "cached": len(found.every),
        "page": found.page,
        "pages": found.pages,
        "selected": found.selected.item if found.selected else None,
        "picks": [
            _item(data, one.item) | {"rating": float(told.rating[one.place]), "rated": _day(when[one.place])}
            | dict(zip((f"{name}_rank" for name in found.selected.channels), (one.first, one.second), strict=True))
            for one in found.selected.picked
        ] if found.selected else [],
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
    """``2016-09-30`` (UTC)."""
    return None if seconds is None else time.strftime("%Y-%m-%d", time.gmtime(seconds))
