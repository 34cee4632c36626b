"""The Users page's panels, each a pure function of what the service found."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

import numpy as np

from app.predict import choices
from app.predict.view import Request
from app.shared.templating import render, symbol
from app.users import timeline as users_drawings
from app.users.address import UsersQuery, short_gamma
from app.users.predictions import PredictionRow, Predictions, kinds
from app.users.profile import Profile, Timeline
from app.users.table import UserPage
from backend.datasets import Dataset
from backend.prompting import KNOWLEDGE_WORDINGS
from backend.retrieval import PAPER_GAMMAS

# (column, heading, numeric); text is sorted upwards at first, numbers downwards.
_USER_HEADS = (
    ("user", "user", False), ("ratings", "ratings", True), ("mean", "mean", True), ("liked", "liked", True),
    ("first", "first rating", True), ("last", "last rating", True), ("genre", "main genres", False),
    ("predictions", "predictions", True),
)  # fmt: skip
_PREDICTION_HEADS = (
    ("item", "target", False), ("when", "rated", True), ("truth", "truth", True), ("p_g", "p_g", True),
    ("p_r", "p_r", True), ("p_final", "p_final", True), ("error", "error", True),
)  # fmt: skip
_PROBABILITIES = ("p_g", "p_r", "p_final")
_KINDS = {
    "all": ("all", "everything that is cached"),
    "wrong": ("wrong", "the merged prediction is on the wrong side of 0.5"),
    "disagree": ("M_G and M_R disagree", "they are on different sides of 0.5"),
    "partial": ("incomplete", "not all answers or chains are cached"),
}


def users_list(page: UserPage, problem: str = "") -> str:
    """A page of all users. ``problem``: why predictions cannot be counted."""
    query = page.query
    most = max((row.ratings for row in page.rows), default=1)
    rows = [
        {
            "row": row,
            "link": UsersQuery(user=row.user, dataset=query.dataset).link(),
            "width": 100 * row.ratings / most,
            "first": day(row.first),
            "last": day(row.last),
        }
        for row in page.rows
    ]
    shown = [
        {"words": words, "link": query.link(show=name, page=1), "current": query.show == name, "key": f"show-{name}"}
        for name, words in (("all", "all users"), ("predicted", "with predictions"))
    ]
    return render(
        "users/list.html",
        problem=problem,
        page=page,
        rows=rows,
        heads=_heads(query, _USER_HEADS),
        shown=shown,
        turn=_turns(query, page.page, page.pages),
        everybody=everybody(query),
    )


def everybody(query: UsersQuery) -> str:
    """The address of all users of a query's dataset."""
    return UsersQuery(dataset=query.dataset).link()


def user_profile(profile: Profile, query: UsersQuery, data: Dataset) -> str:
    """Who it is, and how they rate against everybody."""
    return render(
        "users/profile.html",
        everybody=everybody(query),
        query=query,
        profile=profile,
        meta=data.meta,
        rule=data.meta.label_rule.describe(),
        first=day(profile.first),
        last=day(profile.last),
        drawing=users_drawings.histogram(profile.values, profile.own, profile.all),
    )


def user_timeline(
    told: Timeline, query: UsersQuery, selected: PredictionRow | None, data: Dataset, *, still: bool = False
) -> str:
    """The whole history, and what retrieval picked of it for the selected prediction. ``still``: for reading alone."""
    counts = np.bincount(told.genre, minlength=len(told.genres)).tolist()
    legend = [
        {"name": name, "count": counts[place], "mark": users_drawings.shape(place)}
        for place, name in enumerate(told.genres)
        if counts[place]
    ]
    axis = query.axis if told.time_ordered else "order"
    return render(
        "users/timeline.html",
        told=told,
        noun=data.meta.item_noun,
        category_noun=data.meta.category_noun,
        order_note=data.meta.order_note,
        count=len(told.items),
        axes=[
            {"words": words, "link": query.link(axis=name), "current": axis == name, "key": f"axis-{name}"}
            for name, words in (("time", "by time"), ("order", "by order"))
        ],
        crowded=axis == "time" and users_drawings.crowded(told),
        drawing=users_drawings.timeline_drawing(told, axis, selected, still=still),
        legend=legend,
        selected=selected,
        key=users_drawings.mark_keys(),
    )


def timeline_point(told: Timeline, axis: str, where: int | tuple[float, float], data: Dataset) -> dict[str, Any] | None:
    """The rating at a place of the history, or nearest to a point of the drawing: where it stands, and words.

    None where there is none.
    """
    x, y = users_drawings.places(told, axis)
    if not len(x):
        return None
    if isinstance(where, int):
        place = min(max(where, 0), len(x) - 1)
    else:
        place = int(np.argmin((x - where[0]) ** 2 + (y - where[1]) ** 2))
    item, when = int(told.items[place]), [day(int(told.when[place]))] if told.time_ordered else []
    rated = f"{told.rating[place]:g} of {told.rating_max:g} {data.meta.rating_unit}"
    words = [data.item_label(item), rated, *when, ", ".join(data.categories[item])]
    said = f"{place + 1:,} of {len(x):,}: " + " · ".join(filter(None, words))
    return {"place": place, "x": round(float(x[place]), 1), "y": round(float(y[place]), 1), "text": said}


def user_picks(told: Timeline, selected: PredictionRow | None, k: int, data: Dataset) -> str:
    """The past items in the selected prediction's prompt, with who picked them; empty where none is selected."""
    if selected is None:
        return ""
    return render(
        "users/picks.html",
        selected=selected,
        k=k,
        timed=told.time_ordered,
        picks=_picks(told, selected, data),
        about=[choices.channel(name, data.meta) for name in selected.channels],
    )


def user_predictions(found: Predictions, profile: Profile, open_in_predict: Callable[[PredictionRow], Request]) -> str:
    """What is cached, with the truth beside it."""
    query, every = found.query, found.every
    recipe = found.recipe
    selected = found.selected
    counts = kinds(every)
    gamma, strategy = recipe.retrieval.gamma, recipe.retrieval.strategy
    gammas = dict.fromkeys([*PAPER_GAMMAS, gamma])
    return render(
        "users/predictions.html",
        profile=profile,
        least=profile.least,
        found=found,
        heads=_heads(query, _PREDICTION_HEADS),
        rows=[
            {
                "own": own,
                "when": day(own.when),
                "selected": selected is not None and own.row == selected.row,
                "select": query.link(item=own.item),
                "predict": predict_link(open_in_predict(own)),
                "bars": [("tuned", own.p_g), ("reasoning", own.p_r), ("merged", own.p_final)],
            }
            for own in found.rows
        ],
        kinds=[
            {
                "words": words, "title": title, "count": counts[name], "current": query.show == name,
                "link": query.link(show=name, page=1), "key": f"show-{name}",
            }
            for name, (words, title) in _KINDS.items()
        ],
        knowledge=[
            {"words": name, "link": query.link(knowledge=name, page=1), "current": recipe.prompting.knowledge == name,
             "key": f"knowledge-{name}"}
            for name in KNOWLEDGE_WORDINGS
        ],
        gammas=[
            {"words": PAPER_GAMMAS.get(value, short_gamma(value)), "link": query.link(gamma=value, page=1),
             "current": value == gamma, "key": f"gamma-{short_gamma(value)}"}
            for value in sorted(gammas)
        ] if strategy == "rerank" else [],
        summary=_summary(every),
        turn=_turns(query, found.page, found.pages),
        everything=query.link(show="all", page=1),
        others=UsersQuery(show="predicted", dataset=query.dataset).link(),
        dataset=query.dataset,
    )  # fmt: skip


def pending(what: str) -> str:
    """That something is being looked up."""
    return render("users/pending.html", what=what)


def problem(message: str) -> str:
    """An error in place of everything, and the way back."""
    return render("users/problem.html", message=message)


def predict_link(request: Request) -> str:
    """The address of the Predict page that shows exactly this."""
    named = asdict(request) | {"gamma": short_gamma(request.gamma)}
    return "/?" + urlencode({name: value for name, value in named.items() if value != ""})


def day(seconds: int | None) -> str:
    """``2016-09-30`` (UTC); empty where there is no time."""
    return "" if seconds is None else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _heads(query: UsersQuery, heads: tuple[tuple[str, str, bool], ...]) -> list[dict[str, Any]]:
    """The headings of a table as links: the first click on one sorts by it, the second turns that round."""
    return [
        {
            "name": name,
            "words": symbol(name, focusable=False) if name in _PROBABILITIES else words,
            "n": numeric,
            "sorted": ("descending" if query.falling else "ascending") if query.column == name else "",
            "link": query.link(sort=_next_sort(query, name, numeric), page=1),
        }
        for name, words, numeric in heads
    ]


def _next_sort(query: UsersQuery, name: str, numeric: bool) -> str:
    falling = not query.falling if query.column == name else numeric
    return f"-{name}" if falling else name


def _turns(query: UsersQuery, now: int, last: int) -> list[dict[str, Any]]:
    """To the first, previous, next and last page; no link where one is there already."""
    turns = (("first", 1), ("previous", now - 1), ("next", now + 1), ("last", last))
    return [
        {"words": words, "key": words, "link": query.link(page=to) if 1 <= to <= last and to != now else ""}
        for words, to in turns
    ]


def _picks(told: Timeline, selected: PredictionRow, data: Dataset) -> list[dict[str, Any]]:
    first, second = selected.channels
    return [
        {
            "label": data.item_label(one.item),
            "rating": float(told.rating[one.place]),
            "when": day(int(told.when[one.place])) if told.time_ordered else "",
            "genres": ", ".join(data.categories[one.item]),
            "first": one.first,
            "second": one.second,
            "from": " and ".join(name for name, rank in ((first, one.first), (second, one.second)) if rank),
        }
        for one in selected.picked
    ]


def _summary(every: tuple[PredictionRow, ...]) -> dict[str, Any] | None:
    """Over the complete predictions: how many are right, by each of the three, and the mean error."""
    done = [own for own in every if own.complete]
    if not done:
        return None
    right = {
        symbol(name): sum((getattr(own, name) > 0.5) == own.liked for own in done)
        for name in _PROBABILITIES
        if not all(math.isnan(getattr(own, name)) for own in done)
    }
    return {"count": len(done), "right": right, "error": sum(own.error for own in done) / len(done)}
