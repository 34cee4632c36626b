"""The parts of the Library page that follow what happens: the jobs with the forms that start one, and the doctor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.library import drawing
from app.library.address import HERE, LibraryQuery
from app.library.service import DoctorService
from app.shared import frame
from app.shared.controls import options, usual
from app.shared.jobs import Entry, JobsService
from app.shared.per_dataset import PerDataset
from app.shared.visitors import owner_of
from backend.errors import RallrecError
from backend.knobs import KNOBS, Knob
from backend.settings import Settings

# A button names its job and what is to be done with it: a click is the panel's ``select`` event.
_SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) trigger("select", { act: button.dataset.act, job: Number(button.dataset.job) });
});
"""
# Seconds between two looks while something runs. While nothing does, nobody looks.
_LOOK = 1.0
_ALL = "all stages"
# The knobs of the form that asks about many samples which are laid out by hand.
_SEVERAL = ("gamma", "knowledge", "traces")
_LISTS = {
    "shipped": "the test list that ships",
    "shipped-validation": "the validation list that ships",
    "test": "the test part",
    "validation": "the validation part",
}
_SAMPLES = [
    ("the test list that ships", "shipped"),
    ("the test part", "test"),
    ("the validation part", "validation"),
    ("the training part", "train"),
]
_PLAIN: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}


@dataclass(frozen=True)
class Jobs:
    """The panel of jobs, what it says of the last request, and its clock."""

    panel: gr.HTML
    told: gr.HTML
    clock: gr.Timer
    drawn: gr.State
    plan: gr.HTML
    until: gr.Dropdown
    make: gr.Button
    form: dict[str, Any]
    ask: gr.Button
    scored: dict[str, Any]
    score: gr.Button

    def outputs(self) -> list[Any]:
        return [self.panel, self.clock, self.drawn]


@dataclass(frozen=True)
class Rest:
    """The page's other panels, drawn anew by ``draw`` when a job has ended; ``address``: what is given where
    :data:`HERE` asks the browser."""

    panels: list[gr.HTML]
    draw: Callable[[LibraryQuery], list[Any]]
    address: gr.Textbox


def lay_out_jobs(service: JobsService) -> Jobs:
    """Puts the jobs into the current Blocks."""
    panel = _panel("library-jobs", _SCRIPT)
    told = _panel("jobs-told")
    with gr.Accordion("Start a job: make what is missing (rallrec precompute)", open=False, elem_id="start-precompute"):
        with gr.Row(elem_classes="job-form"):
            until = gr.Dropdown([_ALL, *service.stages], value=_ALL, label="Until stage", elem_id="job-until")
            make = gr.Button("Make what is missing", variant="primary", elem_id="job-make", scale=0, min_width=240)
        plan = _panel("job-plan")
    with gr.Accordion(
        "Start a job: ask both models about many samples (rallrec reason)", open=False, elem_id="start-reason"
    ):
        form = _reason_form(service)
        ask = gr.Button("Ask about them", variant="primary", elem_id="job-ask", scale=0, min_width=200)
    with gr.Accordion(
        "Start a job: score every system from what is cached (rallrec evaluate)", open=False, elem_id="start-evaluate"
    ):
        scored = _evaluate_form()
        score = gr.Button("Score them", variant="primary", elem_id="job-score", scale=0, min_width=200)
    clock, drawn = gr.Timer(_LOOK, active=False), gr.State("")
    return Jobs(panel, told, clock, drawn, plan, until, make, form, ask, scored, score)


def wire_jobs(
    service: JobsService, jobs: Jobs, refresh: gr.Button, rest: Rest, lists: Callable[[str], tuple[str, ...]]
) -> None:
    """Connect them; ``refresh`` looks anew. ``lists``: the lists of samples that a dataset has."""
    _follow(service, jobs, refresh, rest)
    _start(service, jobs, rest.address)

    def offered(request: gr.Request) -> list[Any]:
        """The lists that ship are of one dataset."""
        dataset = LibraryQuery.parse(f"?{request.query_params}").dataset
        try:
            there = lists(dataset)
        except RallrecError:  # said by the plan
            there = ()
        choices = [pair for pair in _SAMPLES if pair[1] in there or pair[1] != "shipped"]
        scored = [(_LISTS[name], name) for name in there]
        return [gr.Radio(choices), gr.Radio(scored, value=there[0]) if there else gr.skip()]

    radios = [jobs.form["samples"], jobs.scored["samples"]]
    gr.context.Context.root_block.load(offered, None, radios, **_PLAIN)  # type: ignore[union-attr]


def _follow(service: JobsService, jobs: Jobs, refresh: gr.Button, rest: Rest) -> None:
    """Looks at what runs while it runs, and draws the rest of the page anew when it has ended."""
    panels = rest.panels

    def opened(until: str, request: gr.Request) -> list[Any]:
        return looked(f"?{request.query_params}", until, request)

    def looked(here: str, until: str, request: gr.Request) -> list[Any]:
        return [*_drawn(service, request), _plan(service, until, here)]

    def ticked(here: str, drawn: str, until: str, request: gr.Request) -> list[Any]:
        """Nothing is sent where nothing changed."""
        panel, clock, now = _drawn(service, request)
        if now == drawn:
            return [gr.skip()] * (4 + len(panels))
        if not _live_in(drawn) - _live_in(now):
            return [panel, clock, now, *[gr.skip()] * (1 + len(panels))]
        return [panel, clock, now, _plan(service, until, here), *rest.draw(LibraryQuery.parse(here))]

    shown = [*jobs.outputs(), jobs.plan]
    gr.context.Context.root_block.load(opened, jobs.until, shown, **_PLAIN)  # type: ignore[union-attr]
    refresh.click(looked, [rest.address, jobs.until], shown, js=HERE, **_PLAIN)
    jobs.clock.tick(ticked, [rest.address, jobs.drawn, jobs.until], [*shown, *panels], js=HERE, **_PLAIN)
    planned = [rest.address, jobs.until]
    jobs.until.change(lambda here, until: _plan(service, until, here), planned, jobs.plan, js=HERE, **_PLAIN)


def _start(service: JobsService, jobs: Jobs, address: gr.Textbox) -> None:
    """Wires the forms and the buttons of each job."""

    def act(do: Callable[[], str], request: gr.Request) -> list[Any]:
        try:
            said = drawing.told(do())
        except RallrecError as error:
            said = drawing.told(str(error), problem=True)
        return [*_drawn(service, request), said]

    def picked(event: gr.EventData, request: gr.Request) -> list[Any]:
        """Stops or resumes a job; the service checks who may."""
        number, what, owner = getattr(event, "job", None), getattr(event, "act", None), owner_of(request)

        def do() -> str:
            if what == "resume":
                service.resume(number, owner)
                return f"Job {number} is resumed."
            service.stop(number, owner)
            return f"Job {number} is being stopped. What it finished is kept."

        return act(do, request)

    def made(here: str, until: str, request: gr.Request) -> list[Any]:
        dataset, owner = LibraryQuery.parse(here).dataset, owner_of(request)
        return act(lambda: f"Job {service.precompute(_stage(until), owner, dataset).number} is queued.", request)

    def asked_many(request: gr.Request, here: str, *values: Any) -> list[Any]:
        given, dataset = dict(zip(jobs.form, values, strict=True)), LibraryQuery.parse(here).dataset
        given["limit"] = given["limit"] or None
        return act(lambda: f"Job {service.reason(given, owner_of(request), dataset).number} is queued.", request)

    def scored(here: str, samples: str, limit: float | None, request: gr.Request) -> list[Any]:
        some, dataset, owner = int(limit or 0) or None, LibraryQuery.parse(here).dataset, owner_of(request)
        return act(lambda: f"Job {service.evaluate(samples, some, dataset, owner).number} is queued.", request)

    outputs = [*jobs.outputs(), jobs.told]
    jobs.score.click(scored, [address, *jobs.scored.values()], outputs, js=HERE, **_PLAIN)
    jobs.panel.select(picked, None, outputs, **_PLAIN)
    jobs.make.click(made, [address, jobs.until], outputs, js=HERE, **_PLAIN)
    jobs.ask.click(asked_many, [address, *jobs.form.values()], outputs, js=HERE, **_PLAIN)


def _reason_form(service: JobsService) -> dict[str, Any]:
    """A component for each parameter that is asked for."""
    settings = service.settings
    with gr.Row(elem_classes="job-form"):
        samples = gr.Radio(_SAMPLES, value="test", label="Samples", elem_id="job-samples", elem_classes="segmented")
        limit = gr.Number(20, label="Only so many, the earliest (0: all)", precision=0, minimum=0, elem_id="job-limit")
    with gr.Row(elem_classes="job-form"):
        gammas = gr.Textbox(f"{settings.gamma:.3g}", label="gamma (γ), several with commas", elem_id="job-gammas")
        knowledge = gr.CheckboxGroup(
            list(service.wordings), value=[settings.knowledge], label="Injected knowledge", elem_id="job-knowledge"
        )
        traces = gr.Slider(
            0, 16, value=settings.traces, step=1, label="Chains (0: answers only)", elem_id="job-traces", buttons=[]
        )
        # Several gammas and wordings can be asked at once; of any other knob that jobs have, one value.
        more = {name: _field(knob, settings) for name, knob in KNOBS.items() if knob.job and name not in _SEVERAL}
    return {"samples": samples, "limit": limit, "gammas": gammas, "knowledge": knowledge, "traces": traces, **more}


def _field(knob: Knob, settings: Settings) -> Any:
    """One knob of the form, at the settings' value."""
    value, allowed = usual(knob.name, settings), options(knob.name)
    if allowed:
        return gr.Radio(allowed, value=value, label=knob.label, elem_id=f"job-{knob.name}", elem_classes="segmented")
    return gr.Number(value, label=knob.label, elem_id=f"job-{knob.name}")


def _evaluate_form() -> dict[str, Any]:
    """A component for each parameter that is asked for."""
    parts = [(_LISTS[name], name) for name in ("test", "validation")]
    with gr.Row(elem_classes="job-form"):
        samples = gr.Radio(parts, value="test", label="Samples", elem_id="job-list", elem_classes="segmented")
        limit = gr.Number(0, label="Only so many, the first (0: all)", precision=0, minimum=0, elem_id="job-first")
    return {"samples": samples, "limit": limit}


def _drawn(service: JobsService, request: gr.Request) -> list[Any]:
    """Returns the panel, its clock, and the text by which the next look knows whether anything changed."""
    try:
        entries = service.jobs(owner_of(request))
    except RallrecError as error:
        return [frame.error_box(str(error)), gr.skip(), "error"]
    busy = any(entry.job.live for entry in entries)
    return [drawing.jobs_list(entries), gr.Timer(active=busy), _state_of(entries)]


def _state_of(entries: list[Entry]) -> str:
    """All that the list shows of its jobs but the seconds, which pass by themselves; live ones are marked by a star."""
    return "\n".join(
        f"{'*' * job.live}{job.number} {job.state} {job.stop_asked} {job.report} {entry.waiting}"
        for entry in entries
        for job in [entry.job]
    )


def _live_in(drawn: str) -> set[str]:
    return {line.split()[0] for line in drawn.splitlines() if line.startswith("*")}


def _stage(until: str) -> str:
    return "" if until == _ALL else str(until)


def _plan(service: JobsService, until: str, here: str) -> str:
    try:
        return drawing.plan_table(service.plan(_stage(until), LibraryQuery.parse(here).dataset))
    except RallrecError as error:
        return frame.error_box(str(error))


def _panel(name: str, script: str | None = None, value: str = "") -> gr.HTML:
    return gr.HTML(value, elem_id=name, elem_classes="panel", js_on_load=script, apply_default_css=False)


def doctor_fold(doctors: PerDataset[DoctorService], refresh: gr.Button, address: gr.Textbox) -> None:
    """Lay it out in the current Blocks and wire it."""
    with gr.Accordion("Doctor: what this machine has and what is missing", open=False, elem_id="doctor") as fold:
        panel = gr.HTML(
            drawing.doctor_panel(None), elem_id="library-doctor", elem_classes="panel", apply_default_css=False
        )
    is_open = gr.State(False)

    def looked(here: str) -> str:
        try:
            findings = doctors.of(LibraryQuery.parse(here).dataset).findings()
            return drawing.doctor_panel(findings, time.strftime("%H:%M:%S", time.gmtime()))
        except RallrecError as error:
            return frame.error_box(str(error))

    def opened(here: str) -> tuple[str, bool]:
        return looked(here), True

    def refreshed(here: str, seen: bool) -> Any:
        return looked(here) if seen else gr.skip()

    fold.expand(opened, address, [panel, is_open], js=HERE, **_PLAIN)
    fold.collapse(lambda: False, None, is_open, **_PLAIN)
    refresh.click(refreshed, [address, is_open], panel, js=HERE, **_PLAIN)
