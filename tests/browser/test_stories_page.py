"""Stories in a real Chromium: one that ships, presented with the keyboard, and one that is told and shared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import HOSTILE
from tests.browser.looking import picture
from tests.browser.serving import server

SHOWN = "iframe:not([hidden])"


@pytest.fixture(scope="module")
def shipped_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The program as it ships: real results out of the bundle; nothing here loads a model."""
    home: Path = tmp_path_factory.mktemp("as-shipped")
    with server(home) as url:
        yield url


def test_a_story_that_ships_is_presented_with_the_arrow_keys(page: Any, shipped_site: str) -> None:
    page.goto(f"{shipped_site}/stories")
    page.wait_for_selector(".story-list")
    assert page.locator(".story-list li").count() >= 5
    page.click("a:has-text('Consistent chains win')")
    page.frame_locator(SHOWN).locator("#ask-panel.looked-at").wait_for(timeout=30_000)
    assert page.locator(".story-count").inner_text() == "1 of 4"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    merged = page.frame_locator(SHOWN).locator("#merge.looked-at")
    merged.wait_for(timeout=30_000)
    said = page.locator(".story-steps li:not([hidden])").inner_text()
    # What the sentence says is what the view shows.
    assert f"P_final is {merged.locator('.big > b').inner_text()}" in said
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.story-count').textContent === '4 of 4'")
    assert page.url.endswith("story=consistent&step=4")
    assert page.locator(".story-next").is_disabled()
    picture(page, "story")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".story-count").inner_text() == "3 of 4"


def test_a_story_is_told_kept_and_opened_by_its_link(page: Any, site: str, chromium: Any) -> None:
    page.goto(f"{site}/stories")
    page.click(".story-record")
    page.goto(f"{site}/library")
    page.wait_for_selector("#library-own .artifact")
    page.get_by_text("Add this view").click()
    assert "Write a sentence first" in page.inner_text(".story-said")
    page.fill(".story-recorder textarea", HOSTILE)
    page.reload()
    page.wait_for_selector(".story-recorder")
    assert page.input_value(".story-recorder textarea") == HOSTILE  # a reload loses nothing
    page.get_by_text("Add this view").click()
    page.fill("[aria-label='Name of the story']", HOSTILE)
    page.get_by_text("Keep the story").click()
    page.wait_for_url("**/stories?story=*")
    page.wait_for_selector(".story-steps p")
    assert page.locator(".story-steps p").inner_text() == HOSTILE
    assert page.locator(".story-recorder").count() == 0

    phone = chromium.new_context(viewport={"width": 390, "height": 844})
    reader = phone.new_page()
    reader.goto(page.url)
    reader.wait_for_selector(".story h1")
    assert reader.inner_text(".story h1") == HOSTILE
    assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture(reader, "story-narrow")
    phone.close()


def test_a_link_to_no_story_says_so(page: Any, site: str) -> None:
    page.goto(f"{site}/stories?story=%3Cb%3Enope")
    page.wait_for_selector("#stories .error")
    assert "Unknown story '<b>nope'" in page.inner_text("#stories .error")
