"""``/evaluate``: the paper's tables and figures on the samples at hand, live alpha and epsilon, and who is behind a
point. Runs no model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from app.evaluate import drawing
from app.evaluate.address import PATH, SAMPLES, EvaluateQuery
from app.evaluate.service import EvaluateService
from app.evaluate.view import State
from app.shared import frame
from app.shared.frame import pending
from app.shared.per_dataset import PerDataset
from app.shared.sessions import Sessions
from app.shared.templating import asset
from app.shared.visitors import owner_of
from backend.errors import RallrecError

ROUTE = PATH
_SCRIPT = asset("evaluate/page.js")
_PLAIN: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "preprocess": False,
    "postprocess": False,
    "api_visibility": "private",
}
# Tells what was done last, and the address as it is now. The event's own data will not do: of many moves of a slider
# only the last is sent, with the data of an earlier one.
_SAID = "(now) => [`${window.rallrec.evaluating ?? 'link'} ${location.search}`]"
# Seconds between two looks at a job that is watched.
_LOOK = 2.0
# Views that change with alpha and epsilon.
_MOVING = ("figure-6", "figure-7", "calibration", "risk", "slices", "pair")


@dataclass(frozen=True)
class EvaluateLayout:
    """The parts of the page in their order; then the clock that watches a job, and the address that is shown."""

    header: gr.HTML
    bar: gr.HTML
    live: gr.HTML
    numbers: gr.HTML
    exhibit: gr.HTML
    behind: gr.HTML
    clock: gr.Timer
    now: gr.Textbox

    def all(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]


@dataclass
class OpenPage:
    """The address that an open page asked for last, and whether that was drawn at once: what was read for an earlier
    address is not shown any more, and what is there is not sent again. ``slid``: somebody holds a slider, and would
    lose it if it were drawn anew.
    """

    address: str = ""
    drawn: bool = False
    slid: bool = False

    def note(self, address: str, drawn: bool = False, slid: bool = False) -> None:
        self.address, self.drawn, self.slid = address, drawn, slid


def page(services: PerDataset[EvaluateService]) -> None:
    """Lay out the page in the current Blocks and wire it."""
    header = gr.HTML(frame.header(ROUTE, "", ""))
    bar, live, numbers = _panel("evaluate-bar"), _panel("evaluate-live"), _panel("evaluate-numbers")
    exhibit = _panel("evaluate-exhibit", pending("Reading the dataset …"))
    behind = _panel("evaluate-behind")
    now = gr.Textbox(visible="hidden", elem_id="evaluate-now")
    _wire(services, EvaluateLayout(header, bar, live, numbers, exhibit, behind, gr.Timer(_LOOK, active=False), now))


def _wire(services: PerDataset[EvaluateService], layout: EvaluateLayout) -> None:
    pages = Sessions(OpenPage)

    def open_page(request: gr.Request) -> OpenPage:
        return pages.of(str(request.session_hash))

    def evaluate_opened(request: gr.Request) -> list[Any]:
        """The state of a page is its URL."""
        return first(request, f"?{request.query_params}", old=False)

    def first(request: gr.Request, address: str, old: bool) -> list[Any]:
        """All of it where it was looked up lately; else what can be said before that."""
        shown = open_page(request)
        shown.note(address, drawn=True)

        def parts(query: EvaluateQuery) -> list[Any]:
            state = services.of(query.dataset).known(query, old)
            if state is not None:
                return _drawn(services, state, query, address)
            shown.note(address)
            return _waiting(services, query, address, pending("Looking up what is cached …"), gr.skip())

        return _or_problem(parts, address)

    def evaluate_picked(request: gr.Request, said: str) -> list[Any]:
        # Anybody can send anything here: what is no address leads to the beginning.
        how, _, address = said.partition(" ") if isinstance(said, str) else ("", "", "")
        if how == "slide":
            open_page(request).note(address, drawn=True, slid=True)
            return _or_problem(lambda query: _slid(services, query, address), address)
        if how == "start":
            open_page(request).note(address)
            return _or_problem(lambda query: _started(services, query, address, owner_of(request)), address)
        return first(request, address, old=True)

    def evaluate_read(request: gr.Request, address: str) -> list[Any]:
        shown, nothing = open_page(request), [gr.skip()] * len(layout.all())
        if shown.slid or (shown.drawn and _is_fresh(services, shown.address)):
            return nothing
        address = str(address or "")
        parts = _or_problem(lambda query: _looked_up(services, query, address), address)
        return parts if shown.address in ("", address) else nothing

    def evaluate_ticked(request: gr.Request, address: str) -> list[Any]:
        return evaluate_read(request, address)

    loaded = gr.context.Context.root_block.load(evaluate_opened, None, layout.all(), **_PLAIN)  # type: ignore[union-attr]
    loaded.then(evaluate_read, layout.now, layout.all(), **_PLAIN)
    boxes = (layout.bar, layout.live, layout.numbers, layout.exhibit, layout.behind)
    chosen = gr.on(
        [box.select for box in boxes], evaluate_picked, layout.now, layout.all(), js=_SAID,
        trigger_mode="always_last", **_PLAIN,
    )  # fmt: skip
    chosen.then(evaluate_read, layout.now, layout.all(), **_PLAIN)
    layout.clock.tick(evaluate_ticked, layout.now, layout.all(), **_PLAIN)


def _is_fresh(services: PerDataset[EvaluateService], address: str) -> bool:
    try:
        query = EvaluateQuery.parse(address)
        return services.of(query.dataset).known(query) is not None
    except RallrecError:
        return True


def _or_problem(draw: Callable[[EvaluateQuery], list[Any]], address: str) -> list[Any]:
    """Draw what the address asks for. Where that fails, the page says why and offers other samples and views; an
    address that is none leads to the usual ones.
    """
    query = EvaluateQuery()
    try:
        query = EvaluateQuery.parse(address)
        return draw(query)
    except RallrecError as error:
        bar = drawing.evaluate_bar(query, query.samples, SAMPLES, None)
        return [gr.skip(), bar, "", "", frame.error_box(str(error)), "", gr.Timer(active=False), address]


def _looked_up(services: PerDataset[EvaluateService], query: EvaluateQuery, address: str) -> list[Any]:
    """All of it, looked up where need be."""
    service = services.of(query.dataset)
    state = service.known(query) or service.look(query)
    return _watching(services, query, address) if state is None else _drawn(services, state, query, address)


def _drawn(services: PerDataset[EvaluateService], state: State, query: EvaluateQuery, address: str) -> list[Any]:
    """Every part of the page."""
    service = services.of(query.dataset)
    return [
        _header(services, query),
        _bar(service, query, state),
        drawing.evaluate_live(state, query),
        drawing.evaluate_numbers(state, query),
        drawing.evaluate_exhibit(state.exhibit(query), state, query),
        drawing.evaluate_behind(service.behind(state, query), query),
        gr.Timer(active=False),
        address,
    ]


def _slid(services: PerDataset[EvaluateService], query: EvaluateQuery, address: str) -> list[Any]:
    """A slider moved: what depends on it, and the links, which carry its value."""
    skip: Any = gr.skip()
    service = services.of(query.dataset)
    state = service.known(query, old=True)
    if state is None:
        return [skip] * 8
    bar = _bar(service, query, state)
    shown = drawing.evaluate_exhibit(state.exhibit(query), state, query) if query.view in _MOVING else skip
    behind = drawing.evaluate_behind(service.behind(state, query), query) if query.show else skip
    return [skip, bar, skip, drawing.evaluate_numbers(state, query), shown, behind, skip, address]


def _started(services: PerDataset[EvaluateService], query: EvaluateQuery, address: str, owner: str) -> list[Any]:
    services.of(query.dataset).start(query, owner)
    return _watching(services, query, address)


def _watching(services: PerDataset[EvaluateService], query: EvaluateQuery, address: str) -> list[Any]:
    """A large list is looked up by a job: how far it is, or how to start it."""
    service = services.of(query.dataset)
    job = service.job(query)
    clock = gr.Timer(active=job is not None and job.live)
    return _waiting(services, query, address, drawing.evaluate_job(job, service.data), clock)


def _waiting(
    services: PerDataset[EvaluateService], query: EvaluateQuery, address: str, words: str, clock: Any
) -> list[Any]:
    """Words instead of tables and figures."""
    bar = _bar(services.of(query.dataset), query, None)
    return [_header(services, query), bar, "", "", words, "", clock, address]


def _header(services: PerDataset[EvaluateService], query: EvaluateQuery) -> str:
    meta = services.of(query.dataset).data.meta
    return frame.header(ROUTE, meta.title, meta.licence, services.choices(query.dataset))


def _bar(service: EvaluateService, query: EvaluateQuery, state: State | None) -> str:
    return drawing.evaluate_bar(query, service.choice(query).what, service.lists, state)


def _panel(name: str, value: str = "") -> gr.HTML:
    classes = ["panel", "users-panel", "evaluate-panel"]
    return gr.HTML(value, elem_id=name, elem_classes=classes, js_on_load=_SCRIPT, apply_default_css=False)
