"""Step 1 in a real Chromium: variants and strategies, the item map, the nearest items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.actions import (
    address,
    choose,
    chosen,
    expected,
    open_map,
    open_page,
    slide,
    wait_until,
)
from tests.browser.serving import SCRIPTED, server

Command = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("variant", "strategy", "columns"),
    [
        ("id", "rerank", ["Relevance", "Recency"]),
        ("text", "mix-then-retrieve", ["Relevance", "Recency"]),
        ("concat", "retrieve-then-mix", ["Text", "Collaborative"]),
        ("concat+ssl", "recent", ["Relevance", "Recency"]),
    ],
)
def test_variant_and_strategy_are_live_and_give_the_command_lines_list(
    page: Any, site: str, command: Command, variant: str, strategy: str, columns: list[str]
) -> None:
    open_page(page, site)
    slide(page, "gamma", 0.3)
    choose(page, "variant", variant)
    choose(page, "strategy", strategy)
    sample = ("--user", "15", "--item", "1", "--gamma", "0.3")
    record = command("predict", *sample, "--variant", variant, "--strategy", strategy)
    wait_until(lambda: chosen(page) == expected(record))
    assert [head.split()[0] for head in page.locator("#retrieve h3").all_inner_texts()] == columns
    wait_until(lambda: page.is_disabled("#gamma input[type=range]") == (strategy != "rerank"))
    assert page.is_disabled("#beta input[type=range]") == (strategy != "rerank")
    assert page.input_value("#gamma input[type=range]") == "0.3"
    assert ("does not apply" in page.inner_text("#gamma")) == (strategy != "rerank")
    assert page.locator("#rerank svg.strip").count() == (strategy == "rerank")
    wait_until(lambda: f"strategy={strategy}" in address(page))
    open_page(page, site, address(page).split("?", 1)[1])
    assert chosen(page) == expected(record)
    assert page.is_checked(f"#variant input[value='{variant}']")
    assert page.is_disabled("#gamma input[type=range]") == (strategy != "rerank")
    assert "Table 6" in page.get_attribute(f"#variant label:has(input[value='{variant}'])", "title")


def test_the_map_is_fetched_once_per_variant_and_only_when_its_fold_is_opened(page: Any, site: str) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "/map/" in request.url else None)
    open_page(page, site)
    slide(page, "gamma", 0.5)
    wait_until(lambda: page.input_value("#gamma input[type=number]") == "0.5")
    assert fetched == []
    open_map(page)
    assert [url.rsplit("/", 1)[1] for url in fetched] == ["concat%2Bssl"]
    before = page.evaluate("document.querySelector('.map-marks').toDataURL()")
    slide(page, "gamma", 1)
    wait_until(lambda: page.evaluate("document.querySelector('.map-marks').toDataURL()") != before)
    assert len(fetched) == 1
    choose(page, "variant", "id")
    wait_until(lambda: "without a signal" in page.inner_text(".map-unplaced"))
    assert [url.rsplit("/", 1)[1] for url in fetched] == ["concat%2Bssl", "id"]
    assert page.inner_text("#nearest h3").startswith("Nearest to Toy Story (1995)")
    page.click(".map-legend button >> nth=0")
    assert page.get_attribute(".map-legend button >> nth=0", "aria-pressed") == "true"


def test_the_nearest_items_of_any_item_are_shown_by_a_click_the_keyboard_or_a_link(page: Any, site: str) -> None:
    open_page(page, site)
    item = page.locator("#retrieve .near-of").nth(3)
    title = item.inner_text()
    item.click()
    page.wait_for_selector("#nearest table")
    wait_until(lambda: page.inner_text("#nearest h3") == f"Nearest to {title}")
    assert page.locator("#nearest tbody tr").count() == 10
    wait_until(lambda: "near=" in address(page))
    open_page(page, site, address(page).split("?", 1)[1])
    page.wait_for_selector("#nearest table")
    assert page.inner_text("#nearest h3") == f"Nearest to {title}"
    page.click("#nearest p .near-of")
    wait_until(lambda: "Toy Story (1995) the target" in page.inner_text("#nearest h3"))
    wait_until(lambda: "near=" not in address(page))
    page.focus(".map-marks")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    first = chosen(page)[0][0]
    wait_until(lambda: page.inner_text(".map-read").startswith(first))
    page.keyboard.press("Enter")
    wait_until(lambda: page.inner_text("#nearest h3") == f"Nearest to {first}")
    page.hover(".map-marks")
    page.mouse.down()
    page.mouse.up()
    wait_until(lambda: page.locator(".map-tip").is_visible())
    dot = page.inner_text(".map-tip").split(" · ")[0]
    wait_until(lambda: page.inner_text("#nearest h3").startswith(f"Nearest to {dot}"))


def test_a_map_that_was_never_made_says_the_command(chromium: Any, home: Any) -> None:
    page = chromium.new_page()  # of its own: the browser logs the answer's status as an error
    with server(home, **SCRIPTED | {"map": '{"limit": 1}'}, scripted_delay=0) as site:
        open_page(page, site)
        page.click("#near-fold > button")
        page.wait_for_selector(".map-state:has-text('--until map')")
        page.wait_for_selector("#nearest table")
    page.close()
