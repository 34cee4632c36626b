"""The Users page's questions: who is there, how one rates, and what is cached of one's predictions.

Knows no Gradio and no HTML. No model is ever run from here.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property

from app.predict.view import Request
from app.users.address import UsersQuery
from app.users.predictions import PredictionRow, Predictions, UserPredictions
from app.users.profile import Profile, Profiles, Timeline
from app.users.table import UserPage, UserTable
from backend.datasets import Dataset
from storage.results.answered_samples import AnsweredSamples
from storage.workspace import Workspace


class UsersService:
    """One per app and dataset. Methods may be called from any thread; they raise ``RallrecError`` for bad input."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._answered = AnsweredSamples(workspace)
        self._predictions = UserPredictions(workspace, self._answered)

    @property
    def data(self) -> Dataset:
        return self._workspace.dataset()

    def users(self, query: UsersQuery, count: bool = True) -> UserPage:
        """The list. Without ``count``, predictions are those of the last count, or not known: counting takes a moment
        where many came since."""
        return self._table.page(query, self._answered.counts(read=count))

    @property
    def counted(self) -> bool:
        """Whether predictions have been counted before."""
        return self._answered.counts(read=False) is not None

    def profile(self, query: UsersQuery) -> Profile:
        """Raises ``UsageError`` for a user who is not there."""
        return self._profiles.profile(self.data.user_code(query.user))

    def timeline(self, query: UsersQuery) -> Timeline:
        """Raises ``UsageError`` for a user who is not there."""
        return self._profiles.timeline(self.data.user_code(query.user))

    def predictions(self, query: UsersQuery) -> Predictions:
        """Raises ``UsageError`` for a user who is not there, and what reading the cache raises."""
        return self._predictions.of(query, self.data.user_code(query.user))

    def predict_request(self, query: UsersQuery, row: PredictionRow) -> Request:
        """What the Predict page shows of the same prediction: every choice is named, whatever the settings become."""
        settings, retrieval = self._workspace.settings, self._predictions.recipe(query).retrieval
        names = [name.name for name in fields(Request) if name.name != "dataset" and hasattr(settings, name.name)]
        named = {name: getattr(settings, name) for name in names}
        named |= {"gamma": retrieval.gamma, "knowledge": query.knowledge or settings.knowledge}
        return Request(user=query.user, item=row.item, dataset=self._workspace.other, **named)

    @cached_property
    def _table(self) -> UserTable:
        return UserTable(self.data)

    @cached_property
    def _profiles(self) -> Profiles:
        return Profiles(self.data, self._table)
