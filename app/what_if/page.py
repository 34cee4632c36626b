"""``/what-if``: a question with parts of it changed, asked again, before and after side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from app.shared import frame
from app.shared.per_dataset import PerDataset
from app.shared.picker import join_within, picker, split_within
from app.shared.templating import asset
from app.what_if import drawing
from app.what_if.service import MAX_LINK, WhatIfService
from app.what_if.view import WhatIfSession, WhatIfView
from backend.errors import RallrecError
from backend.what_if import MAX_PROMPT

ROUTE = "/what-if"
_SCRIPT = asset("what_if/editor.js")
_MAX_VALUE = 1000
# Enough that one that is too long is told so, and never cut.
_MAX_TEXT = 10 * MAX_PROMPT
# Browser code that makes the address what the page shows; every edit is a step that Back undoes. A link of which part
# could not be shown stays as it was.
_SHOW = f"(link) => {{ rallrec.showWhatIf(link, true, {MAX_LINK}); }}"
_SHOW_OPENED = f"(link) => {{ if (link) rallrec.showWhatIf(link, false, {MAX_LINK}); }}"
_LIVE: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}


@dataclass(frozen=True)
class WhatIfPanels:
    """The parts of the page that handlers redraw, in the order of :meth:`all`."""

    status: gr.HTML
    question: gr.HTML
    history: gr.HTML
    settings: gr.HTML
    numbers: gr.HTML
    chosen: gr.HTML
    prompts: gr.HTML
    chains: gr.HTML
    keep: gr.HTML
    kept: gr.HTML

    def all(self) -> list[gr.HTML]:
        return [getattr(self, field.name) for field in fields(self)]

    def answers(self) -> list[gr.HTML]:
        """What running models change."""
        return [self.status, self.numbers, self.prompts, self.chains]

    def acting(self) -> list[gr.HTML]:
        """Those with controls of their own."""
        return [self.question, self.history, self.settings, self.prompts, self.keep, self.kept]


@dataclass(frozen=True)
class WhatIfLayout:
    """All that is wired. ``link``: the query of what is shown, kept in step by the handlers; ``opened``: the same for
    the address of a page just opened, empty where that stays as it is."""

    header: gr.HTML
    notice: gr.HTML
    link: gr.Textbox
    opened: gr.Textbox
    add: gr.HTML
    target: gr.HTML
    ask: gr.Button
    stop: gr.Button
    panels: WhatIfPanels


def page(services: PerDataset[WhatIfService]) -> None:
    """Lay out the page in the current Blocks and wire it."""
    layout = _lay_out(services)
    _wire_opening(services, layout)
    _wire_editor(services, layout)
    _wire_runs(services, layout)


def _lay_out(services: PerDataset[WhatIfService]) -> WhatIfLayout:
    header = gr.HTML(frame.header(ROUTE, "", ""))

    def find_items(text: str, within: str) -> list[tuple[str, str]]:
        dataset, user = split_within(within)
        return services.of(dataset).find_items(text, user)

    notice = _panel("what-if-notice")
    link, opened = (gr.Textbox(visible="hidden", elem_id=f"what-if-{name}") for name in ("link", "opened"))
    question = _panel("what-if-question", _SCRIPT)
    with gr.Row(elem_classes="what-if"):
        with gr.Column(scale=2, min_width=330, elem_classes="editor"):
            history = _panel("what-if-history", _SCRIPT)
            add = picker("add", "Add to the past, as the newest: type a title", find_items)
            target = picker("target-of", "Ask about another item: type a title", find_items)
            settings = _panel("what-if-settings", _SCRIPT)
        with gr.Column(scale=3, min_width=330):
            with gr.Row(elem_classes="asking"):
                ask = gr.Button("Ask both models", variant="primary", elem_id="ask", scale=0, min_width=180)
                stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=90)
                status = _panel("status")
            numbers, keep = _panel("what-if-numbers"), _panel("what-if-keep", _SCRIPT)
            chosen, prompts = _panel("what-if-chosen"), _panel("what-if-prompt", _SCRIPT)
    chains, kept = _panel("what-if-chains"), _panel("what-if-kept", _SCRIPT)
    panels = WhatIfPanels(status, question, history, settings, numbers, chosen, prompts, chains, keep, kept)
    return WhatIfLayout(header, notice, link, opened, add, target, ask, stop, panels)


def _wire_opening(services: PerDataset[WhatIfService], layout: WhatIfLayout) -> None:
    panels = layout.panels

    def opened(request: gr.Request) -> list[Any]:
        """The state of a page is its URL. What of it cannot be shown is said above the rest, which is."""
        dataset = request.query_params.get("dataset", "")
        try:
            service = services.of(dataset)
            view, left = service.look_at(request.query_params, service.session(str(request.session_hash)))
            meta = view.data.meta
            header = frame.header(ROUTE, meta.title, meta.licence, services.choices(dataset))
            players = view.models["tuned"], view.models["reasoning"]
            notice = frame.left_out_box(left) + frame.notice(view.cast, *players, order_note=meta.order_note)
            within = gr.update(value="", within=join_within(dataset, view.what_if.user))
            return [header, notice, view.link, "" if left else view.link, within, within, *_draw(view)]
        except RallrecError as error:
            nothing = [""] * len(panels.all())
            skipped = [gr.skip(), "", gr.skip(), gr.skip()]
            header = frame.header(ROUTE, "", "", services.choices())
            return [header, frame.error_box(str(error)), *skipped, *nothing]

    outputs = [layout.header, layout.notice, layout.link, layout.opened, layout.add, layout.target, *panels.all()]
    loaded = gr.context.Context.root_block.load(  # type: ignore[union-attr]
        opened, None, outputs, show_progress="hidden", api_visibility="private"
    )
    loaded.then(None, layout.opened, None, js=_SHOW_OPENED)


def _wire_editor(services: PerDataset[WhatIfService], layout: WhatIfLayout) -> None:
    panels = layout.panels
    outputs = [layout.link, *panels.all()]

    def drawn(
        request: gr.Request, link: str, change: Callable[[WhatIfService, WhatIfSession], WhatIfView]
    ) -> list[Any]:
        """The page after a change; where there is none to be made, why not, and the rest left as it is."""
        try:
            service, session = _opened(services, request, link)
            if session.view is None:  # the server was started anew, or the page forgotten
                service.look(service.open(link), session)
            view = change(service, session)
            return [view.link, *_draw(view)]
        except RallrecError as error:
            return [gr.skip(), frame.error_box(str(error)), *[gr.skip()] * (len(panels.all()) - 1)]

    def acted(event: gr.EventData, request: gr.Request, link: str) -> list[Any]:
        do, name, value = (str(getattr(event, part, "") or "") for part in ("do", "name", "value"))
        do, name, value = do[:_MAX_VALUE], name[:_MAX_VALUE], value[: _MAX_TEXT if do == "prompt" else _MAX_VALUE]
        return drawn(request, link, lambda service, session: _change(service, session, do, name, value))

    def added(event: gr.EventData, request: gr.Request, link: str) -> list[Any]:
        return drawn(request, link, lambda service, session: service.act("add", str(event.id), "", session))

    def aimed(event: gr.EventData, request: gr.Request, link: str) -> list[Any]:
        return drawn(request, link, lambda service, session: service.act("target", str(event.id), "", session))

    # Each click counts: none is left out because another is under way.
    plain = _LIVE | {"trigger_mode": "multiple"}
    for triggers, handler in (
        ([panel.select for panel in panels.acting()], acted),
        ([layout.add.select], added),
        ([layout.target.select], aimed),
    ):
        event = gr.on(triggers, handler, layout.link, outputs, **plain)
        event.then(None, layout.link, None, js=_SHOW)


def _wire_runs(services: PerDataset[WhatIfService], layout: WhatIfLayout) -> None:
    panels = layout.panels

    def asked(request: gr.Request, link: str) -> Iterator[list[Any]]:
        """Ask what is missing before and after, and follow it; the page may meanwhile be edited further."""
        try:
            service, session = _opened(services, request, link)
            if session.view is None:
                service.look(service.open(link), session)
            for view in service.follow(session):
                yield _draw_answers(view)
        except RallrecError as error:
            yield [frame.error_box(str(error)), *[gr.skip()] * (len(panels.answers()) - 1)]

    def stopped(request: gr.Request, link: str) -> None:
        service, session = _opened(services, request, link)
        service.stop(session)

    layout.ask.click(
        asked, layout.link, panels.answers(),
        show_progress="hidden", concurrency_limit=32, trigger_mode="multiple", api_visibility="private",
    )  # fmt: skip
    layout.stop.click(stopped, layout.link, None, **_LIVE)


def _opened(services: PerDataset[WhatIfService], request: gr.Request, link: str) -> tuple[WhatIfService, WhatIfSession]:
    """The service of the dataset that the page's link names, and what it remembers of the page."""
    service = services.of(dict(parse_qsl(link)).get("dataset", ""))
    return service, service.session(str(request.session_hash))


def _change(service: WhatIfService, session: WhatIfSession, do: str, name: str, value: str) -> WhatIfView:
    if do == "keep":
        return service.keep(value, session)
    if do == "delete":
        return service.delete(name, session)
    if do == "undelete":
        return service.restore(session)
    return service.act(do, name, value, session)


def _draw(view: WhatIfView) -> list[Any]:
    """For ``WhatIfPanels.all()``."""
    status, numbers, prompts, chains = _draw_answers(view)
    return [
        status,
        drawing.question(view),
        drawing.history(view),
        drawing.settings(view),
        numbers,
        drawing.chosen(view),
        prompts,
        chains,
        drawing.keep_bar(view),
        drawing.kept_list(view),
    ]


def _draw_answers(view: WhatIfView) -> list[Any]:
    """For ``WhatIfPanels.answers()``."""
    return [drawing.status(view), drawing.numbers(view), drawing.prompts(view), drawing.chains(view)]


def _panel(name: str, script: str | None = None) -> gr.HTML:
    return gr.HTML("", elem_id=name, elem_classes="panel", js_on_load=script, apply_default_css=False)
