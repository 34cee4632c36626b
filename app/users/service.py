"""The Users page's questions: who is there, how one rates, and what is cached of one's predictions.

Knows no Gradio and no HTML. No model is ever run from here.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.shared.address import SampleAddress
from app.users.address import UsersQuery
from app.users.people import Profiles, Timeline, UserPage, UserProfile, UserTable
from backend.datasets import Dataset, Split, build_samples, split
from backend.errors import UsageError
from backend.pipeline import Prediction, Recipe
from storage.results.lookup import look_up_all
from storage.results.requests import AnsweredSamples
from storage.results.unknown import only_unknown
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
        """Returns a page of the list. Without ``count``, predictions are those of the last count, or not known:
        counting takes a moment where many came since."""
        return self._table.page(query, self._answered.counts(read=count))

    @property
    def counted(self) -> bool:
        """Says whether predictions have been counted before."""
        return self._answered.counts(read=False) is not None

    def profile(self, query: UsersQuery) -> UserProfile:
        """Raises ``UsageError`` for a user who is not there."""
        return self._profiles.profile(self.data.user_code(query.user))

    def timeline(self, query: UsersQuery) -> Timeline:
        """Raises ``UsageError`` for a user who is not there."""
        return self._profiles.timeline(self.data.user_code(query.user))

    def predictions(self, query: UsersQuery) -> Predictions:
        """Raises ``UsageError`` for a user who is not there, and what reading the cache raises."""
        return self._predictions.of(query, self.data.user_code(query.user))

    def predict_request(self, query: UsersQuery, row: PredictionRow) -> SampleAddress:
        """Returns the question of the Predict page that shows the same prediction. Every choice is named, so that it
        stays the same when the settings change."""
        return SampleAddress.of(query.user, row.item, self._predictions.recipe(query), self._workspace.other)

    @cached_property
    def _table(self) -> UserTable:
        return UserTable(self.data)

    @cached_property
    def _profiles(self) -> Profiles:
        return Profiles(self.data, self._table)


# Rows that are shown at a time.
PREDICTIONS_A_PAGE = 100
# Samples that are looked up together, and (user, recipe) pairs whose rows are kept.
_TOGETHER, _KEPT = 50, 200


@dataclass(frozen=True)
class Picked:
    """A past item that retrieval chose: its code, its place in the user's history (from 0, oldest first), and its rank
    (from 1) in the first and second channel, None where it is not in that channel."""

    item: int
    place: int
    first: int | None
    second: int | None


@dataclass(frozen=True)
class PredictionRow:
    """One cached prediction. Probabilities are NaN where not everything that they are made of is cached.

    ``row``: the target's interaction; ``place``: in the user's history, from 0; ``part``: of the split; ``when``: its
    seconds, None without times; ``channels``: the names of the two channels that ``picked`` ranks in; ``answers``,
    ``chains``: how many are cached, and are asked for in all; ``unknown``: they are of unknown precision.
    """

    row: int
    place: int
    part: str
    item: str
    label: str
    when: int | None
    rating: float
    liked: bool
    p_g: float
    p_r: float
    p_final: float
    answers: tuple[int, int]
    chains: tuple[int, int]
    channels: tuple[str, str]
    picked: tuple[Picked, ...]
    unknown: bool = False

    @property
    def complete(self) -> bool:
        return not math.isnan(self.p_final)

    @property
    def error(self) -> float:
        """How far P_final is from the truth (0 or 1)."""
        return abs(float(self.liked) - self.p_final)

    @property
    def wrong(self) -> bool:
        return self.complete and (self.p_final > 0.5) != self.liked

    @property
    def disagree(self) -> bool:
        """Whether M_G and M_R are on different sides of 0.5."""
        return not math.isnan(self.p_g + self.p_r) and (self.p_g > 0.5) != (self.p_r > 0.5)


@dataclass(frozen=True)
class Predictions:
    """``rows``: a page of those that the query shows, in its order; ``page`` and ``pages`` count from 1; ``every``: all
    that are cached under the recipe, newest target first; ``elsewhere``: samples that M_G answered under other settings
    only. ``selected``: whose retrieval the timeline marks.
    """

    query: UsersQuery
    recipe: Recipe
    rows: tuple[PredictionRow, ...]
    every: tuple[PredictionRow, ...]
    elsewhere: int
    selected: PredictionRow | None
    page: int = 1
    pages: int = 1


class UserPredictions:
    """Looks up and keeps rows. Safe to call from any thread."""

    def __init__(self, workspace: Workspace, answered: AnsweredSamples) -> None:
        self._workspace, self._answered = workspace, answered
        self._lock = threading.Lock()
        self._complete: OrderedDict[tuple[int, str], dict[int, PredictionRow]] = OrderedDict()

    def of(self, query: UsersQuery, user: int) -> Predictions:
        """Returns the cached predictions of a user code. Raises ``NotPreparedError``, ``StorageError``,
        ``CorruptCacheError``."""
        recipe = self.recipe(query)
        samples = self._answered.of_user(user).tolist()
        every = tuple(sorted(self._rows(user, samples, recipe), key=lambda row: -row.row))
        shown = _sorted(filter(_KINDS[query.show], every), query)
        pages = max(1, -(-len(shown) // PREDICTIONS_A_PAGE))
        page = min(query.page, pages)
        rows = tuple(shown[(page - 1) * PREDICTIONS_A_PAGE : page * PREDICTIONS_A_PAGE])
        chosen = next((row for row in every if row.item == query.item), None)
        selected = chosen or (every[0] if every and not query.item else None)
        return Predictions(query, recipe, rows, every, len(samples) - len(every), selected, page, pages)

    def recipe(self, query: UsersQuery) -> Recipe:
        """Returns the settings' recipe with the query's choices."""
        return self._workspace.recipe(gamma=query.gamma, knowledge=query.knowledge or None)

    def _rows(self, user: int, samples: Sequence[int], recipe: Recipe) -> list[PredictionRow]:
        """Returns a row for each sample of which something is cached under the recipe. Complete ones are looked up
        once."""
        with self._lock:
            known = self._complete.setdefault((user, recipe.hash), {})
            self._complete.move_to_end((user, recipe.hash))
            while len(self._complete) > _KEPT:
                self._complete.popitem(last=False)
        pipeline, data, rows = self._workspace.pipeline(), self._workspace.dataset(), dict(known)
        missing = [sample for sample in samples if sample not in known]
        unknown = only_unknown(self._workspace)
        for start in range(0, len(missing), _TOGETHER):
            some = missing[start : start + _TOGETHER]
            questions = [pipeline.question(user, int(data.item_index[sample]), recipe) for sample in some]
            for sample, prediction in zip(some, look_up_all(pipeline, questions, recipe, unknown=unknown), strict=True):
                row = _row(data, sample, self._split.name_of(sample) or "", prediction)
                if row.answers[0]:
                    rows[sample] = row
                if row.complete and not row.unknown:
                    known[sample] = row
        answered = set(samples)
        return [row for sample, row in rows.items() if sample in answered]

    @cached_property
    def _split(self) -> Split:
        data = self._workspace.dataset()
        return split(build_samples(data), data, self._workspace.settings.split)


def _row(data: Dataset, row: int, part: str, prediction: Prediction) -> PredictionRow:
    question, past = prediction.question, prediction.question.history_rows
    # Of an item that was rated twice, the later rating counts, as in retrieval.
    places = {int(item): place for place, item in enumerate(data.item_index[past.start : past.stop])}
    return PredictionRow(
        row=row,
        place=row - past.start,
        part=part,
        item=data.item_ids[question.item],
        label=data.item_label(question.item),
        when=int(data.timestamp[row]) if data.meta.time_ordered else None,
        rating=float(data.rating[row]),
        liked=bool(data.labels[row]),
        p_g=prediction.p_g,
        p_r=prediction.p_r,
        p_final=prediction.p_final,
        unknown=prediction.unknown,
        answers=(sum(one is not None for one in prediction.answers), len(prediction.answers)),
        chains=(sum(one is not None for one in prediction.traces), len(prediction.traces)),
        channels=question.channels.names,
        picked=tuple(
            Picked(one.item, places[one.item], one.relevance_rank, one.recency_rank) for one in question.chosen
        ),
    )


_KINDS: dict[str, Callable[[PredictionRow], bool]] = {
    "all": lambda _row: True,
    "wrong": lambda row: row.wrong,
    "disagree": lambda row: row.disagree,
    "partial": lambda row: not row.complete,
}
_KEYS: dict[str, Callable[[PredictionRow], Any]] = {
    "item": lambda row: row.label.lower(),
    "when": lambda row: row.row,
    "truth": lambda row: row.rating,
    "p_g": lambda row: row.p_g,
    "p_r": lambda row: row.p_r,
    "p_final": lambda row: row.p_final,
    "error": lambda row: row.error,
}


def kinds(rows: Sequence[PredictionRow]) -> dict[str, int]:
    """Counts how many rows each filter shows."""
    return {name: sum(map(fits, rows)) for name, fits in _KINDS.items()}


def _sorted(rows: Iterable[PredictionRow], query: UsersQuery) -> list[PredictionRow]:
    """Sorts rows as the query says. Rows without the value come last, either way; equal ones stay newest first."""
    if not query.column:
        return list(rows)
    if query.column not in _KEYS:
        raise UsageError(f"{query.column} is no column of predictions", fix="mend the link")
    key = _KEYS[query.column]
    rows = list(rows)
    known = [row for row in rows if key(row) == key(row)]  # NaN is not equal to itself
    return sorted(known, key=key, reverse=query.falling) + [row for row in rows if key(row) != key(row)]
