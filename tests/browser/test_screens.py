"""Every screen in every window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.actions import ask, open_map, open_page
from tests.browser.looking import problems_of

# An edit of every kind of control.
EDITS = quote('{"removed":["1265"],"hint":"own","sentence":"They fell asleep.","settings":{"k":4}}')


def predict(page: Any, site: str) -> None:
    """With all that can be open."""
    open_page(page, site, "user=15&item=2&against=recent")
    if "From the cache" not in page.inner_text("#status"):
        ask(page)
    open_map(page)
    page.wait_for_selector(".against-told table")
    page.click("#reason [data-chain='1'] [data-compare]")
    page.click("#reason [data-chain='2'] [data-compare]")


def what_if(page: Any, site: str) -> None:
    page.goto(f"{site}/what-if?user=15&item=1&edits={EDITS}")
    page.wait_for_selector("#what-if-history tr.removed")
    if "✓" not in page.inner_text("#status"):
        page.click("#ask")
        page.wait_for_selector("#status:has-text('✓')", timeout=30_000)


def story(page: Any, site: str) -> None:
    told = {
        "title": "Two views",
        "steps": [{"view": "/library", "sentence": "One."}, {"view": "/users", "sentence": "2."}],
    }
    key = page.request.post(f"{site}/story", data=told).json()["story"]
    page.goto(f"{site}/stories?story={key}")
    page.frame_locator("iframe:visible").locator("#library-own .artifact").first.wait_for()


def at(address: str, drawn: str) -> Callable[[Any, str], None]:
    def opened(page: Any, site: str) -> None:
        page.goto(f"{site}{address}")
        page.wait_for_selector(drawn, state="attached")

    return opened


SCREENS = {
    "predict": predict,
    "what-if": what_if,
    "users": at("/users?sort=-ratings", "#users-list .users"),
    "user": at("/users?user=15", "svg.timeline"),
    "stories": at("/stories", ".story-list, .empty"),
    "story": story,
    "evaluate": at("/evaluate?limit=30", "#evaluate-exhibit table.exhibit"),
    "slices": at("/evaluate?limit=30&view=slices", "#evaluate-exhibit section"),
    "pair": at("/evaluate?limit=30&view=pair&first=UserMean&second=ItemMean&show=both", "#evaluate-behind section"),
    "label": at("/label", ".label-projects"),
    "library": at("/library?artifact=descriptions", "#library-own .artifact"),
    "artifact": at("/library?artifact=retrieval-report", "#library-own .artifact"),
}


@pytest.mark.parametrize("screen", SCREENS)
def test_it_fits_and_nothing_serious_is_found(screen: str, page: Any, site: str) -> None:
    SCREENS[screen](page, site)
    page.wait_for_selector(".top nav, .story nav")
    assert problems_of(page, screen) == []
