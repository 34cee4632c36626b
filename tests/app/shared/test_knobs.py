"""The table of knobs: a config's field and one row are all that a knob needs to be everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr
import pytest
import typer
from typer.testing import CliRunner

from app.library.panels import _reason_form
from app.predict.export import predict_page
from app.predict.layout import lay_out
from app.predict.service import PredictService, PredictServices
from app.predict.view import PredictSession
from app.shared.address import SampleAddress
from app.shared.controls import check_bounds
from app.shared.jobs import JobsService
from app.shared.runs import RunQueue
from app.shared.templating import symbol
from app.what_if import drawing as what_if_drawing
from app.what_if.service import WhatIfService
from app.what_if.view import WhatIfSession
from backend.errors import UsageError
from backend.knobs import KNOBS, Knob
from backend.pipeline import Recipe
from backend.record import prediction_record
from backend.settings import Settings
from scripts import predict
from scripts.options import with_knobs
from storage.jobs.kinds import ReasonParams
from storage.workspace import Workspace

# A number with a slider, and a choice: both are fields of a config that no row names yet.
NUMBER = Knob(
    "top_p", float, label="Nucleus (ν) of the chains", short="nucleus", help="Nucleus of the chains, 0 to 1.",
    symbol="ν", text="nu, the nucleus that words are drawn from.", slider=(0.05, 1, 0.05), job=True,
)  # fmt: skip
CHOICE = Knob(
    "combine", str, label="An item in both channels keeps", short="combine", help="What it keeps: max or sum.",
    symbol="⊕", text="combine, what an item in both channels keeps.", only="rerank", job=True,
)  # fmt: skip
ADDED = [(NUMBER, 0.8, gr.Slider), (CHOICE, "sum", gr.Radio)]


@pytest.fixture(params=ADDED, ids=lambda case: case[0].name)
def added(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Knob, Any, type]]:
    monkeypatch.setitem(KNOBS, request.param[0].name, request.param[0])
    what_if_drawing._range.cache_clear()
    yield request.param
    what_if_drawing._range.cache_clear()


def test_a_row_is_a_control_of_the_page(added: tuple[Knob, Any, type], workspace: Workspace) -> None:
    knob, _, component = added
    with gr.Blocks():
        layout = lay_out(PredictServices(workspace), workspace.settings)
    control = layout.controls[knob.name]
    assert (type(control), control.label, control.elem_id) == (component, knob.label, knob.name)
    assert list(layout.controls) == list(SampleAddress.names())
    if knob.slider:
        assert (control.minimum, control.maximum, control.step) == knob.slider
    else:
        assert [value for _, value in control.choices] == ["max", "sum"]


def test_a_row_is_part_of_the_link(added: tuple[Knob, Any, type], service: PredictService) -> None:
    knob, value, _ = added
    request = service.opened({"user": "7", "item": "901", knob.name: str(value)})
    assert request.choices[knob.name] == value
    assert dict(parse_qsl(request.query()))[knob.name] == str(value)
    assert service.request(dict(parse_qsl(request.query()))) == request
    view = service.look(request, PredictSession())
    assert view.prediction.recipe.named[knob.name] == value
    if knob.slider:
        with pytest.raises(UsageError, match=f"{knob.name} is 7"):
            check_bounds(request.choices | {knob.name: 7.0}, Settings())
        with pytest.raises(UsageError, match=f"{knob.name} is 'x'"):
            service.request({knob.name: "x"})


def test_a_row_is_an_option_of_the_command(added: tuple[Knob, Any, type]) -> None:
    knob, value, _ = added
    seen: dict[str, Any] = {}

    def command(user: str, recipe: dict[str, Any], count: int = 3) -> None:
        seen.update(user=user, recipe=recipe, count=count)

    app = typer.Typer()
    app.command()(with_knobs(command))
    help_text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert f"--{knob.name.replace('_', '-')}" in help_text
    assert knob.help in help_text
    assert CliRunner().invoke(app, ["15", f"--{knob.name.replace('_', '-')}", str(value)]).exit_code == 0
    assert seen["recipe"] == dict.fromkeys(KNOBS) | {knob.name: value}
    assert (
        SampleAddress(choices={knob.name: value})
        .command("rallrec predict")
        .endswith(f" --{knob.name.replace('_', '-')} {value} --json")
    )


def test_a_row_is_in_the_record_and_in_the_export(
    added: tuple[Knob, Any, type], service: PredictService, request_of: Callable[..., SampleAddress]
) -> None:
    knob, value, _ = added
    view = service.look(request_of(**{knob.name: value}), PredictSession())
    record = prediction_record(service.pipeline, view.prediction, cached=False)
    assert record[knob.name] == value
    html = predict_page(replace(view, still=True), json.loads(json.dumps(record)), "today")
    assert f"{knob.name}={value}" in html
    assert f"{knob.short} {value}" in html or f"top-p {value}" in html


def test_a_row_is_in_the_glossary_and_on_the_what_if_page(
    added: tuple[Knob, Any, type], workspace: Workspace, service: PredictService
) -> None:
    knob, value, _ = added
    assert knob.text in str(symbol(knob.name))
    assert knob.symbol in str(symbol(knob.name))
    what_ifs = WhatIfService(workspace, service)
    view = what_ifs.look(what_ifs.open({"user": "7", "item": "901", knob.name: str(value)}), WhatIfSession())
    assert f'data-name="{knob.name}"' in what_if_drawing.settings(view)
    assert dict(parse_qsl(view.link))[knob.name] == str(value)


def test_a_row_is_in_the_form_of_a_job_and_reaches_the_job(added: tuple[Knob, Any, type], workspace: Workspace) -> None:
    knob, value, _ = added
    jobs = JobsService(workspace, RunQueue(workspace.worker))
    with gr.Blocks():
        form = _reason_form(jobs)
    assert (form[knob.name].label, form[knob.name].value) == (knob.label, Recipe().named[knob.name])
    given = {"samples": "test", "limit": 1, "gammas": "0.5", "knowledge": ["none"], "traces": 0, knob.name: value}
    job = jobs.reason(given, "me")
    jobs.close()
    assert isinstance(job.params, ReasonParams)
    assert job.params.choices == {knob.name: value}
    assert "choices" not in job.params.model_copy(update={"choices": {}}).json_text


@pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
def test_a_row_fits_its_config(knob: Knob) -> None:
    field = Recipe.field(knob.name)
    assert knob.kind is (field.annotation if field.annotation in (int, float) else str)
    assert KNOBS[knob.name] is knob
    if knob.slider:
        ends = (10.0**end if knob.exponent else end for end in knob.slider[:2])
        for end in ends:
            Recipe().replacing(**{knob.name: knob.kind(end)})


def test_the_command_has_an_option_for_every_row() -> None:
    assert set(KNOBS) <= set(predict.predict.__annotations__)
