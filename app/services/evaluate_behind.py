"""The samples behind a point of a figure or a side of a pair, each with a link to its prediction."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from app.services.evaluate_query import EvaluateQuery
from app.services.evaluate_state import Pair, State
from app.services.predict_view import Request
from backend.evaluation.exhibits import Figure
from backend.settings import Settings

Int64 = NDArray[np.int64]
PER_PAGE = 25


@dataclass(frozen=True)
class BehindRow:
    """One sample. ``first``, ``second``: the scores of the page's two systems; ``p_r``, ``var_r``: of the chains; NaN
    where they are not known.
    """

    user: str
    item: str
    label: str
    liked: bool
    first: float
    second: float
    p_r: float
    var_r: float
    request: Request


@dataclass(frozen=True)
class Behind:
    """One page of the samples that ``what`` tells of, and how many there are in all."""

    what: str
    total: int
    page: int
    pages: int
    rows: tuple[BehindRow, ...]


def behind(state: State, query: EvaluateQuery, settings: Settings) -> Behind | None:
    """None where the page's address asks for none, or the point is gone."""
    found = _places(state, query)
    if found is None:
        return None
    what, places = found
    pages = max(1, -(-len(places) // PER_PAGE))
    page = min(query.page, pages)
    looked = state.own.found["full-paper"].looked
    systems = (state.system(name, query).scores for name in (query.first, query.second))
    numbers = np.stack([*systems, looked.p_r, looked.var_r])
    own, data = state.own.samples, state.data
    rows = []
    for place in places[(page - 1) * PER_PAGE : page * PER_PAGE].tolist():
        item = int(data.item_index[own.rows[place]])
        user_id, item_id = data.user_ids[int(own.users[place])], data.item_ids[item]
        request = _request(state, query, settings, user_id, item_id)
        label, liked = data.item_label(item), bool(own.labels[place])
        first, second, p_r, var_r = numbers[:, place].tolist()
        rows.append(BehindRow(user_id, item_id, label, liked, first, second, p_r, var_r, request))
    return Behind(what, len(places), page, pages, tuple(rows))


def _places(state: State, query: EvaluateQuery) -> tuple[str, Int64] | None:
    if not query.show:
        return None
    shown, point = state.exhibit(query), query.point
    if isinstance(shown, Pair) and shown.contest is not None:
        return side_words(query)[query.show], getattr(shown.contest, query.show)
    if not isinstance(shown, Figure) or point is None:
        return None
    series = shown.series(point[0], point[1])
    if series is None or point[2] >= len(series.spans):
        return None
    words = series.words[point[2]] if series.words else str(point[2] + 1)
    return f"{shown.title}: {words}", series.behind(point[2])


def side_words(query: EvaluateQuery) -> dict[str, str]:
    """The sides of a pair, in words."""
    return {
        "first": f"{query.first} is right, {query.second} is wrong",
        "second": f"{query.second} is right, {query.first} is wrong",
        "both": "both are right",
        "neither": "neither is right",
    }


def _request(state: State, query: EvaluateQuery, settings: Settings, user: str, item: str) -> Request:
    """What the Predict page shows of the same prediction: every choice is named."""
    merging = state.merging(query)
    named = {own.name: getattr(settings, own.name) for own in fields(Request) if hasattr(settings, own.name)}
    named |= {"gamma": state.own.chosen.gamma, "knowledge": "paper"}
    return Request(user=user, item=item, **named | {"alpha": merging.alpha, "epsilon": merging.epsilon})
