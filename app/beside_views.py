"""What can be fetched beside the other pages, each by its own query: the view as a file."""

from __future__ import annotations

from fastapi import FastAPI, Request

from app.beside_export import Carried, add_export
from app.rendering.export_views import users_page
from app.services.export import players_of, safe_name
from app.services.export_views import users_record
from app.services.side_by_side import PerDataset
from app.services.users import UsersService
from app.services.users_query import UsersQuery
from storage.workspace import Workspace


def add_views(app: FastAPI, workspace: Workspace) -> None:
    """``/export/users``: the list of users, or one user."""
    users = PerDataset(workspace, lambda own: (UsersService(own), own))

    def carry_users(request: Request) -> Carried:
        query = UsersQuery.parse(request.query_params)
        service, own = users.of(query.dataset)
        name = safe_name(service.data.meta.name, *(("user", query.user) if query.user else ("users",)))
        return Carried(
            name,
            lambda: users_record(service, query),
            lambda made: users_page(service, query, players_of(own), made),
        )

    add_export(app, "users", carry_users)
