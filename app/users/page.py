"""``/users``: everybody in a list; one user with history, habit and every cached prediction. Runs no model."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from app.shared import frame
from app.shared.per_dataset import PerDataset
from app.shared.templating import asset
from app.users import drawing
from app.users.address import PATH, UsersQuery
from app.users.service import UsersService
from backend.errors import RallrecError

ROUTE = PATH
_SCRIPT = asset("users/page.js")
_TIMELINE_SCRIPT = asset("users/timeline.js")
_FIND_SCRIPT = asset("users/find.js")
# Nothing from outside goes through the template; the script sets the value as a property.
_FIND = """
<search class="find"><label for="find-input">Find a user: part of an id</label>
<input id="find-input" type="search" autocomplete="off" spellcheck="false"></search>
"""
_PLAIN: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "preprocess": False,
    "postprocess": False,
    "api_visibility": "private",
}
_MAX_PAGES = 1000


@dataclass(frozen=True)
class UsersLayout:
    """The parts of the page that are drawn, in their order; then two values that are not seen: the address that is
    shown, and what the timeline shows."""

    header: gr.HTML
    find: gr.HTML
    table: gr.HTML
    profile: gr.HTML
    timeline: gr.HTML
    predictions: gr.HTML
    picks: gr.HTML
    now: gr.Textbox
    drawn: gr.Textbox

    def all(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]

    def later(self) -> list[Any]:
        """What reading the cache fills."""
        return [self.table, self.timeline, self.predictions, self.picks, self.drawn]


class Latest:
    """By open page, the address that it was asked for last: what was read for an earlier one is not shown any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, str] = OrderedDict()

    def set(self, page: str, address: str) -> None:
        with self._lock:
            self._pages[page] = address
            self._pages.move_to_end(page)
            while len(self._pages) > _MAX_PAGES:
                self._pages.popitem(last=False)

    def is_now(self, page: str, address: str) -> bool:
        return self._pages.get(page, address) == address


def page(services: PerDataset[UsersService]) -> None:
    """Lay out the page in the current Blocks and wire it."""
    header = gr.HTML(frame.header(ROUTE, "", ""))
    find = gr.HTML(
        "", html_template=_FIND, js_on_load=_FIND_SCRIPT, elem_id="users-find", elem_classes="panel",
        apply_default_css=False,
    )  # fmt: skip
    table = _panel("users-list", frame.pending("Reading the dataset …"))
    profile = _panel("user-profile")
    timeline = _panel("user-timeline", script=_SCRIPT + _TIMELINE_SCRIPT, server_functions=[_pointing(services)])
    predictions, picks = _panel("user-predictions"), _panel("user-picks")
    now, drawn = (gr.Textbox(visible="hidden", elem_id=f"users-{name}") for name in ("now", "drawn"))
    _wire(services, UsersLayout(header, find, table, profile, timeline, predictions, picks, now, drawn))


def _wire(services: PerDataset[UsersService], layout: UsersLayout) -> None:
    latest = Latest()

    def opened(request: gr.Request) -> list[Any]:
        """The state of a page is its URL."""
        return moved(request, f"?{request.query_params}", "")

    def moved(request: gr.Request, address: str, before: str) -> list[Any]:
        latest.set(str(request.session_hash), address)
        return [*_top(services, address), *_draw(services, address, before), address, gr.skip()]

    def selected(event: gr.EventData, request: gr.Request, before: str) -> list[Any]:
        # Anybody can send anything here: what is no address leads to the list.
        address = getattr(event, "query", "")
        drawn = moved(request, address if isinstance(address, str) else "", str(before or ""))
        return [gr.skip(), *drawn[1:]]

    def read(request: gr.Request, address: str, drawn: str) -> list[Any]:
        address, nothing = str(address or ""), [gr.skip()] * len(layout.later())
        drawn_later = _later(services, address, str(drawn or ""))
        return drawn_later if latest.is_now(str(request.session_hash), address) else nothing

    inputs = [layout.now, layout.drawn]
    loaded = gr.context.Context.root_block.load(opened, None, layout.all(), **_PLAIN)  # type: ignore[union-attr]
    loaded.then(read, inputs, layout.later(), **_PLAIN)
    boxes = (layout.find, layout.table, layout.profile, layout.timeline, layout.predictions, layout.picks)
    picked = gr.on(
        [box.select for box in boxes], selected, layout.now, layout.all(), trigger_mode="always_last", **_PLAIN
    )
    picked.then(read, inputs, layout.later(), **_PLAIN)


def _top(services: PerDataset[UsersService], address: str) -> list[Any]:
    """Draws the header and the box to find users."""
    try:
        query = UsersQuery.parse(address)
        meta = services.of(query.dataset).data.meta
    except RallrecError:  # said where the list would be
        return [frame.header(ROUTE, "", "", services.choices()), ""]
    return [frame.header(ROUTE, meta.title, meta.licence, services.choices(query.dataset)), query.find]


def _draw(services: PerDataset[UsersService], address: str, before: str) -> list[Any]:
    """Draws list, profile, timeline, predictions and picks as far as no look-up is needed; what stays is left alone."""
    skip: Any = gr.skip()
    try:
        query = UsersQuery.parse(address)
        service = services.of(query.dataset)
        if not query.user:
            by_count = query.show == "predicted" or query.column == "predictions"
            if by_count and not service.counted:
                return [frame.pending("Counting cached predictions …"), "", "", "", ""]
            return [drawing.users_list(service.users(query, count=False)), "", "", "", ""]
        changed = _changed(query, before)
        waiting = frame.pending("Looking up what is cached …")
        if "user" not in changed:
            return ["", skip, skip, skip if changed <= _VIEW else waiting, skip]
        profile = drawing.user_profile(service.profile(query), query, service.data)
        timeline = drawing.user_timeline(service.timeline(query), query, None, service.data)
        return ["", profile, timeline, waiting, ""]
    except RallrecError as error:
        return [drawing.problem(str(error)), "", "", "", ""]


# What of an address changes neither the user nor which predictions are looked up.
_VIEW = frozenset({"sort", "show", "item", "axis", "find", "page"})


def _changed(query: UsersQuery, before: str) -> set[str]:
    """Which parts of the address differ from the one that was shown before; all where that was none of a user."""
    try:
        old = UsersQuery.parse(before)
    except RallrecError:
        old = UsersQuery()
    return {name for name, value in query if value != getattr(old, name)}


def _later(services: PerDataset[UsersService], address: str, drawn: str) -> list[Any]:
    """Draws the list once predictions are counted, or a user's predictions and what was picked for one of them."""
    skip: Any = gr.skip()
    try:
        query = UsersQuery.parse(address)
        service = services.of(query.dataset)
        if not query.user:
            # Also where nothing new was counted: the answer to an earlier address can come after a later one's.
            return [_counted(service, query), skip, skip, skip, ""]
        profile, told = service.profile(query), service.timeline(query)
    except RallrecError:  # said at once
        return [skip, skip, skip, skip, ""]
    try:
        predictions = service.predictions(query)
    except RallrecError as error:
        return [skip, skip, frame.error_box(str(error)), "", ""]
    table = drawing.user_predictions(predictions, profile, lambda row: service.predict_request(query, row))
    chosen = predictions.selected
    shows = f"{query.user} {query.axis} {predictions.recipe.hash} {chosen.row if chosen else ''}"
    if shows == drawn:
        return [skip, skip, table, skip, shows]
    timeline = drawing.user_timeline(told, query, chosen, service.data)
    return [
        skip,
        timeline,
        table,
        drawing.user_picks(told, chosen, predictions.recipe.retrieval.k, service.data),
        shows,
    ]


def _counted(service: UsersService, query: UsersQuery) -> str:
    """Draws the list with its predictions counted, or says why they cannot be."""
    try:
        return drawing.users_list(service.users(query))
    except RallrecError as error:
        return drawing.users_list(service.users(query, count=False), str(error))


def _pointing(services: PerDataset[UsersService]) -> Callable[[Any], dict[str, Any] | None]:
    def point(question: Any) -> dict[str, Any] | None:
        """Which rating is at ``place``, or nearest to ``x`` and ``y``, on the timeline of an ``address``."""
        # Anybody can send anything here: what is no question finds nothing.
        given = question if isinstance(question, dict) else {}
        numbers = [given.get(name) for name in ("place", "x", "y")]
        place, x, y = (float(n) if isinstance(n, (int, float)) and abs(n) < 1e9 else None for n in numbers)
        if not isinstance(given.get("address"), str):
            return None
        try:
            query = UsersQuery.parse(given["address"])
            where = (x, y) if x is not None and y is not None else None if place is None else int(place)
            service = services.of(query.dataset)
            told = service.timeline(query)
            return None if where is None else drawing.timeline_point(told, query.axis, where, service.data)
        except RallrecError:
            return None

    return point


def _panel(name: str, value: str = "", script: str = _SCRIPT, **more: Any) -> gr.HTML:
    classes = ["panel", "users-panel"]
    return gr.HTML(value, elem_id=name, elem_classes=classes, js_on_load=script, apply_default_css=False, **more)
