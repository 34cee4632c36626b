"""The Users page's panels, each a pure function of what the service found.

The templates escape text from outside; the SVG drawings are trusted markup that is made of numbers only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from app.shared import choices
from app.shared.address import SampleAddress
from app.shared.controls import short_gamma
from app.shared.templating import render, symbol
from app.users.address import UsersQuery
from app.users.people import Timeline, UserPage, UserProfile
from app.users.service import PredictionRow, Predictions, kinds
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
    """Draws a page of all users. ``problem`` says why predictions cannot be counted."""
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


def user_profile(profile: UserProfile, query: UsersQuery, data: Dataset) -> str:
    """Draws who the user is, and how they rate compared with everybody."""
    return render(
        "users/profile.html",
        everybody=everybody(query),
        query=query,
        profile=profile,
        meta=data.meta,
        rule=data.meta.label_rule.describe(),
        first=day(profile.first),
        last=day(profile.last),
        drawing=histogram(profile.values, profile.own, profile.all),
    )


def user_timeline(
    told: Timeline, query: UsersQuery, selected: PredictionRow | None, data: Dataset, *, still: bool = False
) -> str:
    """Draws the whole history and what retrieval picked of it for the selected prediction. ``still`` makes it for
    reading only."""
    counts = np.bincount(told.genre, minlength=len(told.genres)).tolist()
    legend = [
        {"name": name, "count": counts[place], "mark": shape(place)}
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
        crowded=axis == "time" and crowded(told),
        drawing=timeline_drawing(told, axis, selected, still=still),
        legend=legend,
        selected=selected,
        key=mark_keys(),
    )


def timeline_point(told: Timeline, axis: str, where: int | tuple[float, float], data: Dataset) -> dict[str, Any] | None:
    """Finds the rating at a place of the history, or the one nearest to a point of the drawing, with its place and
    words.

    None where there is none.
    """
    x, y = places(told, axis)
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
    """Lists the past items in the selected prediction's prompt with the channels that picked them; empty if none is
    selected."""
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


def user_predictions(
    predictions: Predictions, profile: UserProfile, open_in_predict: Callable[[PredictionRow], SampleAddress]
) -> str:
    """Lists the cached predictions with the truth beside them."""
    query, every = predictions.query, predictions.every
    recipe = predictions.recipe
    selected = predictions.selected
    counts = kinds(every)
    gamma, strategy = recipe.retrieval.gamma, recipe.retrieval.strategy
    gammas = dict.fromkeys([*PAPER_GAMMAS, gamma])
    return render(
        "users/predictions.html",
        profile=profile,
        least=profile.least,
        predictions=predictions,
        unknown=any(row.unknown for row in predictions.every),
        heads=_heads(query, _PREDICTION_HEADS),
        rows=[
            {
                "row": row,
                "when": day(row.when),
                "selected": selected is not None and row.row == selected.row,
                "select": query.link(item=row.item),
                "predict": open_in_predict(row).link(),
                "bars": [("tuned", row.p_g), ("reasoning", row.p_r), ("merged", row.p_final)],
            }
            for row in predictions.rows
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
        turn=_turns(query, predictions.page, predictions.pages),
        everything=query.link(show="all", page=1),
        others=UsersQuery(show="predicted", dataset=query.dataset).link(),
        dataset=query.dataset,
    )  # fmt: skip


def problem(message: str) -> str:
    """Draws an error in place of everything, and the way back."""
    return render("users/problem.html", message=message)


def day(seconds: int | None) -> str:
    """Writes seconds as ``2016-09-30`` (UTC); the text is empty where there is no time."""
    return "" if seconds is None else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _heads(query: UsersQuery, heads: tuple[tuple[str, str, bool], ...]) -> list[dict[str, Any]]:
    """Makes the headings of a table links: the first click on one sorts by it, the second reverses the order."""
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
    """Links to the first, previous, next and last page; the page that is shown has no link."""
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
    """Counts, over the complete predictions, how many of each of the three numbers are right, and takes the mean
    error."""
    done = [row for row in every if row.complete]
    if not done:
        return None
    right = {
        symbol(name): sum((getattr(row, name) > 0.5) == row.liked for row in done)
        for name in _PROBABILITIES
        if not all(math.isnan(getattr(row, name)) for row in done)
    }
    return {"count": len(done), "right": right, "error": sum(row.error for row in done) / len(done)}


# How a genre's marks are drawn from their middle, by its place in the list of genres. One path holds all marks of a
# genre: thousands of ratings are ten elements.
_SHAPES = (
    "h0",
    "h0",
    "m-3.3 2.8h6.6l-3.3-6z",
    "m-3.3-2.8h6.6l-3.3 6z",
    "m0-3.8 3.8 3.8-3.8 3.8-3.8-3.8z",
    "m-3.4 0h6.8m-3.4-3.4v6.8",
    "m-2.6-2.6 5.2 5.2m0-5.2-5.2 5.2",
    "m-2.8 0a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0",
    "m-3.6 0h7.2",
    "h0",
)
_STAR = "m0-8.5 2.5 5.4 5.9.7-4.4 4 1.2 5.8-5.2-2.9-5.2 2.9 1.2-5.8-4.4-4 5.9-.7z"
_W, _H, _LEFT, _RIGHT, _TOP, _BOTTOM = 1000, 300, 34, 14, 16, 30
_GOLDEN = 0.6180339887498949
_DAY = 86_400
_TICKS = 5


def shape(genre: int) -> Markup:
    """Draws a genre's mark alone, for the legend."""
    place = min(genre, len(_SHAPES) - 1)
    return Markup(f'<svg class="mark-key" viewBox="-6 -6 12 12" aria-hidden="true">{_path(place, ["M0 0"])}</svg>')


def mark_keys() -> dict[str, Markup]:
    """Draws the marks of the target and of what either channel picked, each alone, for the legend."""
    drawn = {
        "target": f'<path class="target-star" d="M0 0{_STAR}"/>',
        "first": '<rect x="-7" y="-7" width="14" height="14" class="pick first"/>',
        "second": '<circle r="7" class="pick second"/>',
    }
    box = 'class="mark-key" viewBox="-10 -10 20 20" aria-hidden="true"'
    return {name: Markup(f"<svg {box}>{mark}</svg>") for name, mark in drawn.items()}


def timeline_drawing(told: Timeline, axis: str, selected: PredictionRow | None, *, still: bool = False) -> Markup:
    """Draws every rating, by time or by order, and what retrieval picked for the selected prediction. If ``still``, no
    mark can be stepped to."""
    x, y = places(told, axis)
    paths = []
    for genre in range(len(told.genres)):
        of_genre = np.flatnonzero(told.genre == genre)
        marks = zip(x[of_genre].tolist(), y[of_genre].tolist(), strict=True)
        if len(of_genre):
            place = min(genre, len(_SHAPES) - 1)
            paths.append(_path(place, [f"M{left:.0f} {top:.1f}" for left, top in marks]))
    chosen = _picked(selected, x, y) if selected else ""
    label = f"Timeline of {len(told.items)} ratings{'' if still else '; arrow keys step through them'}"
    role = 'role="img"' if still else 'role="application" tabindex="0"'
    return Markup(
        f'<svg class="timeline" viewBox="0 0 {_W} {_H}" {role} aria-label="{label}" '
        f'data-count="{len(told.items)}">'
        f"{_scale(told)}{_ticks(told, axis)}{''.join(paths)}{chosen}</svg>"
    )


def places(told: Timeline, axis: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Says where each rating stands: x and y, float64[n]. Equal ratings are spread a little up and down, so that fewer
    are hidden."""
    n = len(told.items)
    order = np.arange(n, dtype=np.float64)
    along = (told.when - told.when[0]).astype(np.float64) if axis == "time" and told.time_ordered and n else order
    x = _LEFT + along / (along.max(initial=0.0) or 1.0) * (_W - _LEFT - _RIGHT)
    steps = np.unique(told.rating)
    gap = float(np.diff(steps).min()) if len(steps) > 1 else told.rating_max - told.rating_min
    spread = (order * _GOLDEN % 1.0 - 0.5) * 0.62 * gap
    return x, _y(told, told.rating + spread)


def crowded(told: Timeline) -> bool:
    """Says whether more than half of the ratings lie within a hundredth of the whole time."""
    n = len(told.when)
    span = int(told.when[-1] - told.when[0]) if n else 0
    if not told.time_ordered or n < 10 or not span:
        return False
    ends = np.searchsorted(told.when, told.when + span / 100, side="right")
    return int((ends - np.arange(n)).max()) > n / 2


def histogram(values: Sequence[float], shares: Sequence[float], everybody: Sequence[float]) -> Markup:
    """Draws the share of each rating: a bar for the user, a line across it for everybody."""
    width, height, base = 320, 130, 112
    step = width / max(len(values), 1)
    top = max([*shares, *everybody, 1e-9])
    parts = []
    for place, (value, share, theirs) in enumerate(zip(values, shares, everybody, strict=True)):
        left, tall, line = place * step, share / top * (base - 14), theirs / top * (base - 14)
        parts.append(
            f'<rect x="{left + step * 0.14:.1f}" y="{base - tall:.1f}" width="{step * 0.72:.1f}" height="{tall:.1f}" '
            f'class="own"><title>{value:g}: {share:.0%}; everybody {theirs:.0%}</title></rect>'
            f'<path d="M{left + step * 0.04:.1f} {base - line:.1f}h{step * 0.92:.1f}" class="everybody"/>'
            f'<text x="{left + step / 2:.1f}" y="{height - 5}" text-anchor="middle">{value:g}</text>'
        )
        if share:
            parts.append(
                f'<text x="{left + step / 2:.1f}" y="{base - max(tall, line) - 3:.1f}" text-anchor="middle">'
                f"{share:.0%}</text>"
            )
    return Markup(
        f'<svg class="habit" viewBox="0 0 {width} {height}" role="img" aria-label="Share of each rating">'
        f'<line x1="0" y1="{base}" x2="{width}" y2="{base}" class="rule"/>{"".join(parts)}</svg>'
    )


def _path(place: int, starts: Sequence[str]) -> str:
    marks = "".join(f"{start}{_SHAPES[place]}" for start in starts)
    return f'<path class="g g{place}" d="{marks}"/>'


def _y(told: Timeline, rating: NDArray[np.float64]) -> NDArray[np.float64]:
    # A little room beyond the ends: marks are spread around their rating.
    room = 0.5
    share = (told.rating_max + room - rating) / (told.rating_max - told.rating_min + 2 * room)
    return np.asarray(_TOP + share * (_H - _TOP - _BOTTOM))


def _scale(told: Timeline) -> str:
    whole = np.arange(np.ceil(told.rating_min), np.floor(told.rating_max) + 1)
    whole = whole[:: max(1, len(whole) // 10)]
    return "".join(
        f'<line x1="{_LEFT}" y1="{top:.1f}" x2="{_W - _RIGHT}" y2="{top:.1f}" class="rule"/>'
        f'<text x="{_LEFT - 8}" y="{top + 4:.1f}" text-anchor="end">{value:g}</text>'
        for value, top in zip(whole.tolist(), _y(told, whole).tolist(), strict=True)
    )


def _ticks(told: Timeline, axis: str) -> str:
    n = len(told.items)
    if not n:
        return ""
    if axis == "time" and told.time_ordered:
        first, last = int(told.when[0]), int(told.when[-1])
        shown = "%Y-%m-%d" if last - first > 3 * _DAY else "%Y-%m-%d %H:%M"
        moments = np.linspace(first, last, _TICKS if last > first else 1)
        words = [time.strftime(shown, time.gmtime(moment)) for moment in moments.tolist()]
    else:
        words = [f"{number:.0f}" for number in np.linspace(1, n, min(_TICKS, n)).tolist()]
    anchors = ["start", *["middle"] * max(0, len(words) - 2), "end"]
    at = np.linspace(_LEFT, _W - _RIGHT, len(words)).tolist()
    return "".join(
        f'<text x="{left:.0f}" y="{_H - 8}" text-anchor="{anchor}">{word}</text>'
        for left, word, anchor in zip(at, words, anchors, strict=False)
    )


def _picked(row: PredictionRow, x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    marks = []
    for number, one in enumerate(row.picked, 1):
        left, top = float(x[one.place]), float(y[one.place])
        if one.first:
            marks.append(f'<rect x="{left - 8:.1f}" y="{top - 8:.1f}" width="16" height="16" class="pick first"/>')
        if one.second:
            marks.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="{11 if one.first else 8}" class="pick second"/>')
        marks.append(f'<text x="{left:.1f}" y="{top - 12:.1f}" text-anchor="middle" class="pick-rank">{number}</text>')
    left, top = float(x[row.place]), float(y[row.place])
    return "".join(marks) + f'<path class="target-star" d="M{left:.1f} {top:.1f}{_STAR}"/>'
