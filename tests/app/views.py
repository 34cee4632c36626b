"""Views made by hand, with one text in every place where text can come from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pandas as pd

from app.predict.drawing import (
    ask_panel,
    merge_panel,
    nearest_panel,
    reason_panel,
    rerank_panel,
    retrieve_panel,
    run_status,
    target_card,
)
from app.predict.neighbours import Explained, Nearest, Neighbour
from app.predict.view import PredictView
from app.shared.address import SampleAddress
from app.shared.frame import error_box, header, notice
from app.shared.runs import Snapshot
from backend.datasets import Dataset
from backend.engines.scripted import ScriptedEngine
from backend.pipeline import Pipeline, Prediction, Recipe
from backend.representation import PARTS, VARIANTS
from backend.retrieval import STRATEGIES, gamma_stretches
from backend.types import Answer, Trace
from tests.conftest import random_space

CHAINS = 4
PLAIN = "innocent"
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)' x='",
    "</td></pre></mark></article><b>",
    "<!-- <![CDATA[ <?php",
    "{{ 7*7 }}{% raw %}${7*7}{{{x}}}",
    "&lt;b&gt;&#60;b&#62;&amp;",
    "javascript:alert(1)//` onfocus=alert(1) autofocus",
    "<svg/onload=alert(1)>",
    "\u202e\u0000<b\u0000>",
    "<" * 50,
]


def dataset_of(small: Dataset, text: str, **meta: Any) -> Dataset:
    """The small dataset with ``text`` in every user id, title, category and word of its description."""
    items = small.items.copy()
    items["title"] = [f"{text} {n}" for n in range(len(items))]
    items["categories"] = pd.Series([(text, f"{text} b")] * len(items), index=items.index)
    items["item"] = [f"{text}{n}" for n in range(len(items))]
    users = small.users.copy()
    users["user"] = [f"{text}{n}" for n in range(len(users))]
    words = dict.fromkeys(
        ("title", "item_noun", "item_noun_plural", "verb_past", "rating_unit", "licence", "name"), text
    )
    return replace(small, meta=small.meta.model_copy(update=words | meta), items=items, users=users)


def prediction_of(data: Dataset, text: str, **recipe: Any) -> Prediction:
    """The last sample, complete: three chains that end in Yes, No and nothing readable, and one that never ends."""
    pipeline = Pipeline(data, random_space(data.n_items, 3), ScriptedEngine(), ScriptedEngine())
    full_recipe = Recipe.model_validate({"reasoning": {"traces": CHAINS}} | recipe)
    question = pipeline.question(int(data.user_index[-1]), int(data.item_index[-1]), full_recipe)
    answers = [Answer(p_yes, 9, 0.1) for p_yes in (0.3, 0.4, 0.6)]
    done = pipeline.with_answers(pipeline.unasked(question, full_recipe), answers)
    ends = ("</think>Yes", "</think>No", f"</think>{text}", "")
    traces = [Trace(n, f"{text} {text}{end}", n / 3, 7, 0.5, "length") for n, end in enumerate(ends)]
    return done.taking_traces(traces)


def view_of(prediction: Prediction, data: Dataset, text: str, **more: Any) -> PredictView:
    question, config = prediction.question, prediction.recipe.retrieval
    codes = [row.item for row in question.chosen]
    both = question.channels
    stretches = gamma_stretches(both.relevant, both.recent, config.k, config.beta, config.combine)
    given = {
        "request": SampleAddress.of(text, text, prediction.recipe).choosing(knowledge=text),
        "command": text,
        "data": data,
        "prediction": prediction,
        "models": {"tuned": text, "reasoning": text},
        "cast": "untuned",
        "stretches": stretches if config.strategy == "rerank" else (),
        "explained": explained_of(list(dict.fromkeys([*both.relevant, *both.recent]))),
        "entered": frozenset(codes[:1]),
        "left": (3, 4),
        "truth": True,
    }
    return PredictView(**given | more)  # type: ignore[arg-type]


def explained_of(items: list[int]) -> Explained:
    """Some cosines, a negative one among them; the first item has no collaborative signal."""
    cosines = {
        item: dict(zip(PARTS, (0.5, -0.25 if place else 0.0, 0.75), strict=True)) for place, item in enumerate(items)
    }
    return Explained(cosines, frozenset(items[:1]))


def nearest_of(prediction: Prediction, variant: str, **more: Any) -> Nearest:
    """A neighbour of every relation to the user."""
    question = prediction.question
    relations = [("target", None), ("later", None), ("unrated", None), ("rated", 4.5)]
    rows = tuple(Neighbour(place, 0.9 - place / 10, *relation) for place, relation in enumerate(relations))
    key = (variant, 5, question.user, question.item)
    return replace(Nearest(key, rows, explained_of([row.item for row in rows])), **more)


def snapshot_of(prediction: Prediction, text: str, status: str, fraction: float | None = 0.5) -> Snapshot:
    return Snapshot(status, text, fraction, 2, 1.25, prediction, dict.fromkeys(range(CHAINS), text), text)


def every_view(small: Dataset, text: str) -> dict[str, PredictView]:
    """A view of every state that the page can be in."""
    data = dataset_of(small, text)
    done = prediction_of(data, text)
    nothing = replace(done, answers=(None,) * 3, reason_prompt=None, traces=(None,) * CHAINS)
    half = replace(done, answers=(done.answers[0], None, None), traces=(done.traces[0], None, None, None))
    unrated = replace(done, question=replace(done.question, label=None))
    untimed = dataset_of(small, text, time_ordered=False)
    views = {
        "done": view_of(done, data, text),
        "nothing": view_of(nothing, data, text, entered=frozenset(), left=()),
        "half": view_of(half, data, text),
        "stale": view_of(nothing, data, text, stale=done),
        "unrated": view_of(unrated, data, text, truth=True),
        "unrevealed": view_of(done, data, text, truth=False),
        "untimed": view_of(done, untimed, text),
        "other run": view_of(nothing, data, text, other_run=True),
    }
    for strategy in STRATEGIES:
        views[strategy] = view_of(prediction_of(data, text, retrieval={"strategy": strategy}), data, text)
    for variant in VARIANTS:
        p = prediction_of(data, text, retrieval={"variant": variant})
        views[f"near by {variant}"] = view_of(p, data, text, nearest=nearest_of(p, variant))
    views["no near items"] = view_of(done, data, text, nearest=nearest_of(done, "id", rows=()))
    views["near items that cannot be found"] = view_of(
        done, data, text, nearest=nearest_of(done, "id", rows=(), problem=text)
    )
    for status in ("queued", "running", "done", "stopped", "failed"):
        views[status] = view_of(half, data, text, run=snapshot_of(half, text, status))
    views["running, no fraction"] = view_of(half, data, text, run=snapshot_of(half, text, "running", None))
    return views


# What draws each panel of the Predict page.
PANELS = {
    draw.__name__: draw
    for draw in (
        target_card, retrieve_panel, nearest_panel, rerank_panel, ask_panel, reason_panel, merge_panel, run_status,
    )
}  # fmt: skip


def every_panel(view: PredictView) -> dict[str, str]:
    meta = view.data.meta
    drawn = {
        "header": header("/", meta.title, meta.licence),
        "notice": notice("untuned", *view.models.values(), order_note=meta.order_note),
        "scripted notice": notice("made up", *view.models.values()),
        "untuned reasoner's notice": notice("untuned reasoner", *view.models.values()),
        "stand-in's notice": notice("stand-in", *view.models.values()),
        "two models' notice": notice("", *view.models.values()),
        "error": error_box(meta.title),
    }
    return drawn | {name: draw(view) for name, draw in PANELS.items()}


def _path(value: str | None) -> str | None:
    """An export's address without its query, which holds words."""
    return value.split("?")[0] if value and re.fullmatch(r"export/[\w.]+\?[\w.=&%+-]*", value) else value


class ParsedHtml(HTMLParser):
    """``elements``: (tag, names of its attributes, values of those that hold no words); ``words``: all text, and
    the values of the attributes that hold words; ``open``: elements that were not closed."""

    WORDS = ("title", "aria-label", "data-without")
    VOID = ("br", "img", "input", "hr", "meta", "link")

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Any] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.odd: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, [(name, None if name in self.WORDS else _path(value)) for name, value in attrs]))
        self.words += [value or "" for name, value in attrs if name in self.WORDS]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.odd.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_decl(self, decl: str) -> None:
        self.odd.append(decl)

    def unknown_decl(self, data: str) -> None:
        self.odd.append(data)

    def handle_pi(self, data: str) -> None:
        self.odd.append(data)


def words(html: str) -> str:
    """What a document says, in one line."""
    return " ".join(" ".join(ParsedHtml(html[html.index("<body") :]).words).split())


def fetched_by(html: str) -> list[str]:
    """Everything in a document that makes a browser fetch, run or send something."""
    fetches = []
    for tag, attributes in ParsedHtml(html).elements:
        if tag in ("script", "link", "img", "iframe", "object", "embed", "base", "form", "button", "input", "source"):
            fetches.append(tag)
        for name, value in attributes:
            link = name == "href" and not (value or "").startswith("#")
            if link or name in ("src", "srcset", "action", "data", "background") or name.startswith("on"):
                fetches.append(f"{tag} {name}={value}")
    return fetches
