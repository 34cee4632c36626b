"""A walk over a screen: every control that is seen must have a step, and every step checks what the control did.

A screen's steps are a table from the selector of a control (or of many alike, such as one per row) to a function that
uses it. :func:`walk` looks for controls before and after each step, so one that appears on the way counts too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.browser.actions import wait_until

Step = Callable[[Any], None]

# What a person can click, type into or reach with the Tab key.
INTERACTIVE = (
    "a[href], button, input, select, textarea, summary, iframe, audio, video, [contenteditable], [onclick], "
    "[tabindex]:not([tabindex='-1']), [role=button], [role=link], [role=option], [role=tab], [role=slider], "
    "[role=switch], [role=checkbox], [role=radio], [role=menuitem], [role=spinbutton]"
)
_UNKNOWN = """([interactive, known]) => [...document.querySelectorAll(interactive)]
  .filter((one) => one.checkVisibility({visibilityProperty: true}) && !known.some((each) => one.matches(each)))
  .map((one) => `${one.closest("[id]")?.id}: ${one.outerHTML.slice(0, 160)}`)"""


def walk(page: Any, steps: dict[str, Step], elsewhere: Iterable[str] = ()) -> None:
    """Take each step; fail if a step has nothing to act on, or if a control is seen that no step is for.

    ``elsewhere``: controls that are seen on the way and have a walk of their own.
    """
    known = [*steps, *elsewhere]
    missed = set(without_step(page, known))
    for selector, step in steps.items():
        page.locator(selector).locator("visible=true").first.wait_for(timeout=10_000)
        step(page)
        missed |= set(without_step(page, known))
    assert not missed, "controls without a step:\n" + "\n".join(sorted(missed))


def without_step(page: Any, known: list[str]) -> list[str]:
    """The controls in sight that none of these selectors finds."""
    unknown: list[str] = page.evaluate(_UNKNOWN, [INTERACTIVE, known])
    return unknown


def changed(page: Any, panel: str, act: Callable[[], None]) -> None:
    """Act, and wait until the panel is drawn otherwise."""
    before = page.inner_html(panel)
    act()
    wait_until(lambda: page.inner_html(panel) != before)


def leads(link: str, sign: str) -> Step:
    """A link that goes to where ``sign`` is seen, and Back comes back."""

    def step(page: Any) -> None:
        place = page.url.split("?")[0]
        page.locator(link).first.click()
        page.wait_for_selector(sign)
        page.go_back()
        page.wait_for_function("place => location.href.split('?')[0] === place", arg=place)
        page.wait_for_selector(link)

    return step


def toggles(summary: str, inside: str) -> Step:
    """A fold: one click shows what is inside or hides it, another one takes that back."""

    def step(page: Any) -> None:
        first = page.locator(inside).first.is_visible()
        for now in (not first, first):
            page.locator(summary).first.click()
            wait_until(lambda now=now: page.locator(inside).first.is_visible() == now)

    return step


def copies(button: str) -> Step:
    """A button that says it has copied, once the clipboard has it."""

    def step(page: Any) -> None:
        page.evaluate("navigator.clipboard.writeText('')")
        page.locator(button).first.click()
        wait_until(lambda: page.locator(button).first.inner_text() == "Copied ✓")
        assert page.evaluate("navigator.clipboard.readText()")

    return step


def reads(selector: str) -> Step:
    """Long text that the keyboard scrolls."""

    def step(page: Any) -> None:
        page.locator(selector).locator("visible=true").first.focus()
        assert page.evaluate("selector => document.activeElement.matches(selector)", selector)

    return step


def explains(page: Any) -> None:
    """Every symbol takes the focus and says what it is."""
    for symbol in page.locator("abbr.sym[tabindex]:visible").all():
        assert len(symbol.get_attribute("title")) > 20
    symbol.focus()
    assert page.evaluate("document.activeElement.matches('abbr.sym')")


def scrolls(page: Any) -> None:
    """Every region that can scroll takes the focus and has a name."""
    for region in page.locator("[role=region][tabindex='0']:visible").all():
        region.focus()
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == region.get_attribute("aria-label")


def exports(page: Any) -> None:
    """Both files of the view come, each under a name of its own."""
    for link, sign in zip(
        page.locator(".exports a").locator("visible=true").all()[:2], ("<!doctype html>", "{"), strict=True
    ):
        with page.expect_download() as waiting:
            link.click()
        assert Path(waiting.value.path()).read_text("utf-8").startswith(sign)


# On every screen.
COMMON: dict[str, Step] = {"abbr.sym[tabindex]": explains, "[role=region][tabindex='0']": scrolls}
# One link per screen is followed on each, so that all are.
RING = {
    "/": ("What-if", "#what-if-history tbody tr"),
    "/what-if": ("Users", "#users-list .users"),
    "/users": ("Stories", ".stories"),
    "/stories": ("Library", "#library-own .artifact"),
    "/library": ("Predict", "#target .lead"),
}


def navigates(route: str) -> dict[str, Step]:
    """The step for the links between screens."""
    link = "nav[aria-label=Pages] a"
    name, sign = RING[route]

    def step(page: Any) -> None:
        assert page.inner_text(f"{link}[aria-current=page]") == page.inner_text(f"{link}[href='{route}']")
        leads(f"{link}:has-text('{name}')", sign)(page)

    return {link: step}
