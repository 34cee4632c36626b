"""An open page, light and dark, wide and narrow: it fits, axe-core finds nothing serious, and a picture of it is kept.

The pictures are in ``var/screenshots``, or in the folder that the environment variable ``SCREENSHOTS`` names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.browser.conftest import SCREENSHOTS

# Width, height, colour scheme, and the rules of axe-core: all of them, or those that darkness can change.
WINDOWS: dict[str, tuple[int, int, str, list[str] | None]] = {
    "light": (1280, 900, "light", None),
    "dark": (1280, 900, "dark", ["color-contrast", "link-in-text-block"]),
    "narrow": (390, 844, "light", None),
}


def problems_of(page: Any, name: str, windows: Iterable[str] = WINDOWS) -> list[Any]:
    """What is wrong with the page as it is now, in each of the windows; it is left as wide and as light as it was."""
    found: list[Any] = []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for window in windows:
        width, height, scheme, rules = WINDOWS[window]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)
        page.screenshot(path=SCREENSHOTS / f"{name}-{window}.png", full_page=True)
        if (taken := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append((name, window, f"is {taken} pixels wide"))
        found += [(name, window, *problem) for problem in serious(page, rules)]
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    return found


def serious(page: Any, rules: list[str] | None = None) -> list[tuple[str, list[str]]]:
    """What axe-core, or these of its rules, has to say against the page that is serious or worse."""
    from axe_playwright_python.sync_playwright import Axe

    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = rules
    violations = Axe().run(page, options=options).response["violations"]
    return [
        (rule["id"], [node["html"][:200] for node in rule["nodes"]])
        for rule in violations
        if rule["impact"] in ("serious", "critical")
    ]
