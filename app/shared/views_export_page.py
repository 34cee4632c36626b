"""The views of Users, What-if and Stories as pages that ask for nothing: each page's own panels, without what needs
the app.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from app.shared.export_page import document, model_facts, recipe_facts, source_facts
from app.shared.export_view import Players
from app.shared.frame import notice
from app.shared.still import still
from app.shared.templating import render
from app.stories import drawing as stories
from app.stories.service import Listed
from app.users import drawing as users
from app.users.address import UsersQuery
from app.users.predictions import Predictions
from app.users.profile import Profile, Timeline
from app.users.service import UsersService
from app.users.table import UserPage
from app.what_if import drawing as what_if
from app.what_if.view import View
from backend.datasets import Dataset

_USERS = ("library/page.css", "users/page.css")
_WHAT_IF = ("what_if/page.css",)


def users_page(service: UsersService, query: UsersQuery, players: Players, made: str) -> str:
    """The list of users, or one user, as the page's address shows it."""
    if not query.user:
        return _list_page(service.users(query), service.data, players, made)
    profile, told, found = service.profile(query), service.timeline(query), service.predictions(query)
    return _user_page(service, query, (profile, told, found), players, made)


def _list_page(page: UserPage, data: Dataset, players: Players, made: str) -> str:
    query, meta = page.query, data.meta
    shown = f"sorted by {query.column}{', largest first' if query.falling else ''}" if query.sort else "in their order"
    return document(
        "users",
        "the users of a dataset",
        [("users", "", still(users.users_list(page)))],
        [
            ("shown", f"page {page.page} of {page.pages}, {shown}{f', ids with {query.find}' if query.find else ''}"),
            *source_facts(query.link(), made, meta),
        ],
        meta,
        notice=notice(players.cast, players.tuned, players.reasoning, order_note=meta.order_note),
        styles=_USERS,
    )


def _user_page(
    service: UsersService, query: UsersQuery, own: tuple[Profile, Timeline, Predictions], players: Players, made: str
) -> str:
    (profile, told, found), data = own, service.data
    table = users.user_predictions(found, profile, lambda row: service.predict_request(query, row))
    picks = users.user_picks(told, found.selected, found.recipe.retrieval.k, data)
    parts = {
        "profile": users.user_profile(profile, query, data),
        "timeline": users.user_timeline(told, query, found.selected, data, still=True),
        "predictions": table,
        "picks": picks,
    }
    return document(
        f"user {query.user}",
        "one user, with every cached prediction",
        [(name, "", still(html)) for name, html in parts.items() if html],
        [
            *recipe_facts(found.recipe),
            *model_facts(players.models),
            ("recipe", found.recipe.hash),
            *source_facts(query.link(), made, data.meta),
        ],
        data.meta,
        notice=notice(players.cast, players.tuned, players.reasoning, order_note=data.meta.order_note),
        styles=_USERS,
    )


def what_if_page(view: View, record: Mapping[str, Any], made: str) -> str:
    """The question, what is changed of it, and before and after side by side. ``record``: the view's own."""
    meta, before, after = view.data.meta, view.before.prediction, view.after.prediction
    sections = (
        ("question", "", what_if.question),
        ("numbers", "Before and after in numbers", what_if.numbers),
        ("chosen", "What entered the prompt", what_if.chosen),
        ("prompt", "The prompt, line by line", what_if.prompts),
        ("chains", "The reasoning model's chains", what_if.chains),
    )
    changed = recipe_facts(after.recipe) if before.recipe != after.recipe else []
    same = dict(recipe_facts(before.recipe))
    return document(
        f"what if, user {view.what_if.user}, {view.data.item_label(before.question.item)}",
        "a question with parts of it changed, before and after",
        [(name, heading, still(draw(view))) for name, heading, draw in sections],
        [
            *same.items(),
            *((f"{name}, after", said) for name, said in changed if said != same[name]),
            *model_facts(record["before"]["models"]),
            ("recipe", before.recipe.hash),
            *([("recipe, after", after.recipe.hash)] if changed else []),
            ("edits", view.what_if.edits.canonical),
            *source_facts(f"/what-if?{view.link}", made, meta),
        ],
        meta,
        notice=notice(view.cast, *view.models.values(), order_note=meta.order_note),
        complete=not any(side.missing for side in view.sides),
        styles=_WHAT_IF,
    )


def story_page(listed: Listed, base: str, players: Players, made: str) -> str:
    """A story told: every step with its sentence and a link to its view. ``base``: where the app is."""
    steps = [{"sentence": step.sentence, "link": base + step.view} for step in listed.story.steps]
    html = render("stories/export.html", story=listed.story, told=listed.told, steps=steps)
    facts = source_facts(f"{base}/stories?story={listed.key}", made, None)
    said = notice(players.cast, players.tuned, players.reasoning)
    return document(listed.story.title, "a story, step by step", [("story", "", Markup(html))], facts, notice=said)


def stories_page(shipped: list[Listed], told: list[Listed], players: Players, made: str) -> str:
    """All stories."""
    html = still(stories.story_list(shipped, told))
    return document(
        "stories", "walkthroughs of its views", [("stories", "", html)], source_facts("/stories", made, None),
        notice=notice(players.cast, players.tuned, players.reasoning), styles=("stories/page.css",),
    )  # fmt: skip
