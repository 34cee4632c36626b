"""The views of the Users page as a page that asks for nothing: its own panels, without what needs the app."""

from __future__ import annotations

from app.rendering import users
from app.rendering.export import document, model_facts, recipe_facts, source_facts
from app.rendering.page import notice
from app.rendering.still import still
from app.services.export import Players
from app.services.user_predictions import Predictions
from app.services.user_profile import Profile, Timeline
from app.services.user_table import UserPage
from app.services.users import UsersService
from app.services.users_query import UsersQuery
from backend.datasets import Dataset

_USERS = ("library.css", "users.css")


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
