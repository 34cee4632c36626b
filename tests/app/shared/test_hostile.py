"""Nothing from outside becomes markup: hostile text everywhere leaves every panel the elements it has."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.shared.frame import ROUTES
from backend.datasets import Dataset
from tests.app.views import Reading, every_panel, every_view

PLAIN = "plain"
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
# Places in the page, and the exports.
OWN_LINK = re.compile(r"#(past-\d+|question)|export/predict\.(html|json)")
# Where the text itself is meant to be read, panel by panel.
SAYS_IT = {
    "header", "notice", "error", "target_card", "retrieve_panel", "nearest_panel", "rerank_panel", "ask_panel",
    "reason_panel",
}  # fmt: skip


def without_queries(found: Reading) -> list[Any]:
    """The elements; of a link, where it leads apart from what it asks for there, which is encoded."""
    for _, attributes in found.elements:
        assert all(re.fullmatch(r"[^?]*(\?[\w%.+=&~-]*)?", value) for name, value in attributes if name == "href")
    return [
        (tag, [(name, value.partition("?")[0] if name == "href" else value) for name, value in attributes])
        for tag, attributes in found.elements
    ]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_shown_as_text_and_changes_no_element(small: Dataset, hostile: str) -> None:
    plain, attacked = every_view(small, PLAIN), every_view(small, hostile)
    shown = set()
    for state, view in attacked.items():
        before = every_panel(plain[state])
        for name, html in every_panel(view).items():
            wanted, found = Reading(before[name]), Reading(html)
            assert without_queries(found) == without_queries(wanted), f"{name} of {state}"
            assert (found.open, found.odd) == ([], []), f"{name} of {state}"
            if any(hostile.strip() in words.replace("\ufffd", "\u0000") for words in found.words):
                shown.add(name)
    if "\u0000" not in hostile:
        assert shown >= SAYS_IT


def test_what_is_compared_would_notice(small: Dataset) -> None:
    html = every_panel(every_view(small, PLAIN)["done"])["target_card"]
    before = Reading(html)
    for hostile in (HOSTILE[0], HOSTILE[1], HOSTILE[3], HOSTILE[4]):
        after = Reading(html.replace(PLAIN, hostile))
        assert (after.elements, after.odd, after.open) != (before.elements, before.odd, before.open)


def test_every_panel_is_well_formed_and_pure(small: Dataset) -> None:
    first, second = every_view(small, PLAIN), every_view(small, PLAIN)
    for state, view in first.items():
        drawn = every_panel(view)
        for name, html in drawn.items():
            found = Reading(html)
            assert (found.open, found.odd) == ([], []), f"{name} of {state}"
        assert every_panel(view) == drawn
        pure = {name: html for name, html in every_panel(second[state]).items() if name not in ("run_status",)}
        assert pure == {name: drawn[name] for name in pure}


def test_no_panel_loads_or_runs_anything(small: Dataset) -> None:
    for state, view in every_view(small, PLAIN).items():
        for name, html in every_panel(view).items():
            for tag, attributes in Reading(html).elements:
                assert tag not in ("script", "iframe", "link", "object", "embed", "img", "style", "base", "form")
                for attribute, value in attributes:
                    assert not attribute.startswith("on"), f"{name} of {state}"
                    assert attribute != "src"
                    assert (
                        attribute != "href"
                        or value.partition("?")[0] in dict(ROUTES)
                        or re.fullmatch(r"#(past-\d+|question)|export/predict\.(html|json)", value)
                    )
                    assert "url(" not in (value or "")
