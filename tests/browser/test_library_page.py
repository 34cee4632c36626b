"""The Library page in a real Chromium: folds, links and refresh."""

from __future__ import annotations

from typing import Any

KINDS = [
    "descriptions", "title-vectors", "description-vectors", "collaborative", "aligned", "space", "index",
]  # fmt: skip


def open_library(page: Any, site: str, query: str = "") -> None:
    page.goto(f"{site}/library{query}")
    page.wait_for_selector("#library-own .artifact")


def opened(page: Any) -> list[str]:
    return [
        str(fold)
        for fold in page.evaluate("[...document.querySelectorAll('details[open]')].map(d => d.dataset.artifact)")
    ]


def in_view(page: Any, key: str) -> bool:
    box = page.locator(f"details[data-artifact='{key}'] > summary").bounding_box()
    return bool(box and 0 <= box["y"] < page.viewport_size["height"])


def wait_for(page: Any, truth: str) -> None:
    page.wait_for_function(truth, timeout=10_000)


def test_a_fold_is_a_link_and_back_and_refresh_keep_to_it(page: Any, site: str) -> None:
    page.goto(site)
    page.wait_for_selector("#target .lead")
    page.click("nav[aria-label=Pages] a:has-text('Library')")
    page.wait_for_selector("#library-own .artifact")
    assert page.locator(".nav-holder:visible").count() == 0
    listed = page.eval_on_selector_all("#library-own details", "all => all.map(one => one.dataset.artifact)")
    assert [kind for kind in listed if kind in KINDS] == KINDS
    assert opened(page) == []

    page.focus("details[data-artifact=aligned] > summary")
    page.keyboard.press("Enter")
    wait_for(page, "location.search === '?artifact=aligned'")
    assert page.locator("details[data-artifact=aligned] svg.training").count() == 2

    page.click("details[data-artifact=aligned] a[data-open=collaborative]")
    wait_for(page, "location.search === '?artifact=collaborative'")
    assert opened(page) == ["collaborative"]
    assert in_view(page, "collaborative")

    before = page.inner_text("#looked")
    page.wait_for_timeout(1100)  # its clock has whole seconds
    page.click("#refresh")
    wait_for(page, f"document.querySelector('#looked').innerText !== {before!r}")
    wait_for(page, "document.querySelectorAll('details[open]').length === 1")
    assert opened(page) == ["collaborative"]

    page.go_back()
    wait_for(page, "document.querySelector('details[data-artifact=aligned]')?.open === true")
    page.click("details[data-artifact=aligned] > summary")
    wait_for(page, "location.search === ''")


def test_a_deep_link_opens_its_fold_in_view_and_an_unknown_one_is_said(page: Any, site: str) -> None:
    open_library(page, site, "?artifact=index")
    wait_for(page, "scrollY > 0")
    assert opened(page) == ["index"]
    assert in_view(page, "index")
    open_library(page, site, "?artifact=%3Cimg%20src=x%20onerror=alert(1)%3E")
    assert "<img src=x onerror=alert(1)>" in page.inner_text("#library-own .notice")
    assert opened(page) == []
