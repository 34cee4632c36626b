"""Nothing from outside becomes markup: hostile text leaves every panel and every export of every screen its elements.

A screen's builder draws each of its panels, in every state, with one text in all places where text can come from
outside. A new panel is added to its screen's builder, and is then covered here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from markupsafe import Markup

from app.evaluate import drawing as evaluate
from app.evaluate.address import EvaluateQuery
from app.evaluate.samples_behind import Behind, BehindRow
from app.predict.export import predict_page
from app.shared.address import LeftOut
from app.shared.export import document, still
from app.shared.frame import Players, left_out_box
from app.stories import drawing as stories
from app.stories.export import stories_page, story_page
from app.stories.service import StoryEntry
from backend.datasets import Dataset
from backend.evaluation.drawing import draw_panel, draw_table
from backend.evaluation.paper.exhibits import Column, ResultTable, TableLine
from backend.evaluation.paper.figures import sliced
from backend.evaluation.paper.slices import by_group
from backend.stories import Story, StoryStep
from tests.app.views import HOSTILE, PLAIN, ParsedHtml, dataset_of, every_panel, every_view

Panels = dict[str, str]
NEVER = ("script", "iframe", "link", "object", "embed", "img", "style", "base")
# Nothing that an address can hold makes it another scheme.
ADDRESS = re.compile(r"(http://here)?[/#]?[\w./-]*(\?[\w%.+=&~/-]*)?")
# A timeline has a path for each genre, and equal texts are fewer genres; a figure breaks a long name into lines.
OF_ANOTHER_SHAPE = ("timeline", "figure")
# These say the time that has passed.
TIMED = ("run_status",)


def predict(small: Dataset, text: str) -> Panels:
    views = every_view(small, text)
    panels = {f"{name} of {state}": html for state, view in views.items() for name, html in every_panel(view).items()}
    return panels | {"left out": left_out_box([LeftOut(text, text)])}


def what_if(small: Dataset, text: str) -> Panels:
    from tests.app.what_if import test_what_if_drawing as drawn

    views = drawn.every_view(small, text)
    return {f"{name} of {state}": draw(view) for state, view in views.items() for name, draw in drawn.PANELS.items()}


def users(small: Dataset, text: str) -> Panels:
    from tests.app.users.test_users_drawing import every_panel

    return every_panel(small, text)


def evaluation(small: Dataset, text: str) -> Panels:
    query, request = EvaluateQuery(), every_view(small, text)["done"].request
    row = BehindRow(text, text, text, True, (0.4, 0.6), 0.5, float("nan"), request)
    groups = by_group("genre", text, [(text, [0, 1]), ("short", [1])])
    panel = sliced([7, 8], [1, 0], {"RALLRec": [0.9, 0.2], text: [0.1, 0.3]}, groups)
    line = TableLine(text, text, missing=text, run=text, about=text)
    return {
        "behind": evaluate.evaluate_behind(Behind(text, (text, text), 1, 1, 1, (row,)), query),
        "figure": draw_panel(panel, lambda _panel, _series, _point: f"/evaluate?show={quote(text)}"),
        "table": draw_table(ResultTable("t", text, text, (Column("auc", text, about=text),), (line,))),
    }


def told_stories(_small: Dataset, text: str) -> Panels:
    told = story(text)
    return {"list": stories.story_list([told], [told]), "presenter": stories.presenter(told, 1)}


def library(_small: Dataset, text: str) -> Panels:
    from tests.app.library.test_jobs_drawing import every_panel as jobs
    from tests.app.library.test_library_drawing import every_panel as panels

    return panels(text) | {f"job {name}": html for name, html in jobs(text).items()}


def label(_small: Dataset, text: str) -> Panels:
    from tests.app.label.test_label_drawing import every_view

    return dict(every_view(text))


def exports(small: Dataset, text: str) -> Panels:
    """Whole pages, and every panel as a page for reading holds it."""
    view, data = every_view(small, text)["done"], dataset_of(small, text)
    record = {"models": {"tuned": {"name": text}}, "recipe": text}
    players, told = Players("untuned", text, text, {}), story(text)
    whole = document(
        text, text, [(PLAIN, text, Markup(""))], [(text, text)],
        address=text, made=text, meta=data.meta, players=Players("", text, text, {}),
    )  # fmt: skip
    pages = {
        "document": whole,
        "predict": predict_page(view, record, text),
        "story": story_page(told, "http://here", players, text),
        "stories": stories_page([told], [told], players, text),
    }
    parts = [users(small, text), evaluation(small, text), told_stories(small, text), library(small, text)]
    parts.append({name: html for name, html in what_if(small, text).items() if name.endswith(" of done")})
    return pages | {f"still {name}": still(html) for panels in parts for name, html in panels.items()}


def story(text: str) -> StoryEntry:
    steps = tuple(StoryStep(view=f"/?user={n}", sentence=f"{text} {n}") for n in (1, 2))
    return StoryEntry("k", Story(title=text, about=text, steps=steps), "2026-01-01 00:00 UTC")


SCREENS: dict[str, Callable[[Dataset, str], Panels]] = {
    draw.__name__: draw for draw in (predict, what_if, users, evaluation, told_stories, library, label, exports)
}


Readings = dict[str, ParsedHtml]


def read(panels: Panels) -> Readings:
    return {name: ParsedHtml(html) for name, html in panels.items()}


@pytest.fixture(scope="module")
def plain(small: Dataset) -> Callable[[str], Panels]:
    """The panels of a screen with an innocent text, drawn once."""
    return cache(lambda screen: SCREENS[screen](small, PLAIN))


@pytest.fixture(scope="module")
def plain_readings(plain: Callable[[str], Panels]) -> Callable[[str], Readings]:
    """The same, read once."""
    return cache(lambda screen: read(plain(screen)))


def shape(reading: ParsedHtml, like: ParsedHtml) -> list[Any]:
    """The elements and their attributes, with the values of those that do not hold the text in ``like``."""
    others = [*(dict(attributes) for _, attributes in like.elements), *({} for _ in reading.elements)]
    return [
        (tag, [(name, None if PLAIN in (alike.get(name) or "") else value) for name, value in attributes])
        for (tag, attributes), alike in zip(reading.elements, others, strict=False)
    ]


def saying(readings: Readings, text: str) -> set[str]:
    """The panels where the text can be read, in any of their states."""
    words_of_text = " ".join(text.split())
    return {
        name.partition(" of ")[0]
        for name, reading in readings.items()
        if any(words_of_text in " ".join(words.split()) for words in reading.words)
    }


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("screen", SCREENS)
def test_hostile_text_is_shown_as_text_and_changes_no_element(
    small: Dataset, plain_readings: Callable[[str], Readings], screen: str, hostile: str
) -> None:
    innocent, attacked = plain_readings(screen), read(SCREENS[screen](small, hostile))
    assert list(attacked) == list(innocent)
    for name, reading in attacked.items():
        if not any(drawn in name for drawn in OF_ANOTHER_SHAPE):
            assert shape(reading, innocent[name]) == shape(innocent[name], innocent[name]), name
        assert (reading.open, reading.odd) == (innocent[name].open, innocent[name].odd), name
        assert_quiet(reading, name, screen)
    if "\u0000" not in hostile:
        assert saying(attacked, hostile) == saying(innocent, PLAIN)


def assert_quiet(reading: ParsedHtml, name: str, screen: str) -> None:
    """Nothing is loaded or run, and no link leads to where none should."""
    for tag, attributes in reading.elements:
        assert tag not in NEVER or (tag == "style" and screen == "exports"), name
        for attribute, value in attributes:
            assert not attribute.startswith("on"), name
            assert attribute not in ("src", "srcset", "action", "srcdoc"), name
            assert attribute != "href" or ADDRESS.fullmatch(value or ""), f"{value} in {name}"
            assert "url(" not in (value or ""), name


@pytest.mark.parametrize("screen", SCREENS)
def test_every_panel_is_well_formed_and_pure(
    small: Dataset, plain: Callable[[str], Panels], plain_readings: Callable[[str], Readings], screen: str
) -> None:
    again = SCREENS[screen](small, PLAIN)
    for name, reading in plain_readings(screen).items():
        html = plain(screen)[name]
        assert reading.open == [], name
        assert reading.odd == (["doctype html"] if html.startswith("<!doctype") else []), name
        assert_quiet(reading, name, screen)
        assert name.startswith(TIMED) or again[name] == html, name


def test_what_is_compared_would_notice(small: Dataset) -> None:
    html = every_panel(every_view(small, PLAIN)["done"])["target_card"]
    before = ParsedHtml(html)
    for hostile in (HOSTILE[0], HOSTILE[1], HOSTILE[3], HOSTILE[4]):
        after = ParsedHtml(html.replace(PLAIN, hostile))
        assert (after.elements, after.odd, after.open) != (before.elements, before.odd, before.open)
