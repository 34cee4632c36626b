"""The samples behind a point of a figure or a side of a pair, each with a link to its prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluate.address import EvaluateQuery
from app.evaluate.view import State, SystemPair
from app.shared.address import SampleAddress
from backend.evaluation.paper.exhibits import Figure
from backend.evaluation.paper.figures import FULL, TUNINGS
from backend.pipeline import Recipe
from backend.settings import Settings

Int64 = NDArray[np.int64]
PER_PAGE = 25


@dataclass(frozen=True)
class BehindRow:
    """One sample. ``scores``: of the systems of :class:`Behind`; ``p_r``, ``var_r``: of the chains; NaN where they are
    not known.
    """

    user: str
    item: str
    label: str
    liked: bool
    scores: tuple[float, ...]
    p_r: float
    var_r: float
    request: SampleAddress


@dataclass(frozen=True)
class Behind:
    """One page of the samples that ``what`` tells of, and how many there are in all. ``systems``: whose scores are
    shown: the one that the point is of, then the page's two.
    """

    what: str
    systems: tuple[str, ...]
    total: int
    page: int
    pages: int
    rows: tuple[BehindRow, ...]


def behind(state: State, query: EvaluateQuery, settings: Settings) -> Behind | None:
    """Returns None where the page's address names no point, or one that is gone."""
    point = _point(state, query)
    if point is None:
        return None
    what, places, system = point
    pages = max(1, -(-len(places) // PER_PAGE))
    page = min(query.page, pages)
    chains = state.evaluation.ways[FULL].responses
    systems = tuple(dict.fromkeys(filter(None, (system, query.first, query.second))))
    numbers = np.stack([*(state.system(name, query).scores for name in systems), chains.p_r, chains.var_r])
    samples, data = state.evaluation.samples, state.data
    rows = []
    for place in places[(page - 1) * PER_PAGE : page * PER_PAGE].tolist():
        item, liked = int(samples.items[place]), bool(samples.labels[place])
        user_id, item_id = data.user_ids[int(samples.users[place])], data.item_ids[item]
        request = _request(state, query, settings, user_id, item_id)
        *scores, p_r, var_r = numbers[:, place].tolist()
        rows.append(BehindRow(user_id, item_id, data.item_label(item), liked, tuple(scores), p_r, var_r, request))
    return Behind(what, systems, len(places), page, pages, tuple(rows))


def side_words(query: EvaluateQuery) -> dict[str, str]:
    """The sides of a pair, in words."""
    return {
        "first": f"{query.first} is right, {query.second} is wrong",
        "second": f"{query.second} is right, {query.first} is wrong",
        "both": "both are right",
        "neither": "neither is right",
    }


def _point(state: State, query: EvaluateQuery) -> tuple[str, Int64, str] | None:
    """Says what the samples are, where they stand in the list, and which system the point is of (empty for none)."""
    if not query.show:
        return None
    shown, point = state.exhibit(query), query.point
    if isinstance(shown, SystemPair) and shown.wins is not None:
        return side_words(query)[query.show], getattr(shown.wins, query.show), ""
    if not isinstance(shown, Figure) or point is None:
        return None
    series = shown.series(point[0], point[1])
    if series is None or point[2] >= len(series.spans):
        return None
    name = (series.words or ("",) * len(series.spans))[point[2]] or str(point[2] + 1)
    words = series.behind_words[point[2]] if series.behind_words else name
    by_strategy = TUNINGS[series.key][1] if series.key in TUNINGS else {}
    system = series.key if series.key in state.evaluation.all else by_strategy.get(name, "")
    said = f"{system}, {words}" if system == series.key else words
    return f"{shown.title}: {said}", series.behind(point[2]), system


def _request(state: State, query: EvaluateQuery, settings: Settings, user: str, item: str) -> SampleAddress:
    """The same prediction on the Predict page, with every choice named."""
    merging = state.merging(query)
    named = {"gamma": state.evaluation.chosen.gamma, "knowledge": "paper"} | merging.model_dump()
    return SampleAddress.of(user, item, Recipe.from_settings(settings, **named))
