"""Who and what can be picked on the Predict page. Knows no Gradio and no HTML."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from backend.datasets import Dataset
from storage.workspace import Workspace

# More choices in a list than this make every event of the page slower, and nobody reads them.
_MAX_HITS = 50


class Choices:
    """Of the settings' dataset. Methods may be called from any thread; they raise ``UsageError`` for unknown ids.

    Prepared samples, whose answers and chains ship, are marked as ready.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find_users(self, text: str = "") -> list[tuple[str, str]]:
        """(what to show, id) of users with samples whose id holds ``text``, 50 at most, prepared ones first."""
        data = self._data
        counts = np.diff(data.user_ptr).tolist()
        users = [
            user
            for code, user in enumerate(data.user_ids)
            if counts[code] > data.meta.rules.min_history and text.lower() in user.lower()
        ]
        users.sort(key=lambda user: user not in self._prepared)  # stable: each half stays in id order
        return [self.user_choice(user) for user in users[:_MAX_HITS]]

    def user_choice(self, user: str) -> tuple[str, str]:
        """(what to show, id) of one user."""
        rows = self._data.user_rows(self._data.user_code(user))
        return f"User {user} · {rows.stop - rows.start:,} ratings{_ready(user in self._prepared)}", user

    def find_items(self, user: str, text: str = "") -> list[tuple[str, str]]:
        """(what to show, id) of items whose title holds ``text``, 50 at most.

        First those that make samples of this user, prepared ones before the others, newest first; then, where ``text``
        is not empty, the rest of the catalogue, most rated first.
        """
        data, typed = self._data, text.lower()
        rows = data.user_rows(data.user_code(user))
        samples_of_user = data.item_index[rows.start + data.meta.rules.min_history : rows.stop][::-1].tolist()
        hits = [code for code in samples_of_user if typed in self._titles[code]]
        if typed:
            rated = set(data.item_index[rows].tolist())
            hits += [code for code in data.most_interacted if code not in rated and typed in self._titles[code]]
        ready = self._prepared.get(user, ())
        items = sorted((data.item_ids[code] for code in hits), key=lambda item: item not in ready)
        return [self.item_choice(user, item) for item in items[:_MAX_HITS]]

    def item_choice(self, user: str, item: str) -> tuple[str, str]:
        """(what to show, id) of one item, for a user."""
        label = self._data.item_label(self._data.item_code(item))
        return f"{label}{_ready(item in self._prepared.get(user, ()))}", item

    @property
    def _data(self) -> Dataset:
        return self._workspace.dataset()

    @cached_property
    def _prepared(self) -> dict[str, set[str]]:
        """By user id, the items of the prepared samples: what the models say of them is there already."""
        prepared: dict[str, set[str]] = {}
        for user, item in self._workspace.prepared_samples():
            prepared.setdefault(user, set()).add(item)
        return prepared

    @cached_property
    def _titles(self) -> list[str]:
        return [self._data.item_label(code).lower() for code in range(self._data.n_items)]


def _ready(prepared: bool) -> str:
    return " · ready" if prepared else ""
