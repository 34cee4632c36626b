"""An open page, light and dark, wide and narrow: it fits, and axe-core finds nothing serious.

Pictures of what tests look at are kept where the environment variable ``SCREENSHOTS`` names a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Rules of axe-core that look at colours, which are half of its work. A width changes none of them.
_COLOURS = ["color-contrast", "link-in-text-block"]
ALL: dict[str, Any] = {}
COLOURS_ALONE: dict[str, Any] = {"runOnly": _COLOURS}
ALL_BUT_COLOURS: dict[str, Any] = {"rules": {rule: {"enabled": False} for rule in _COLOURS}}
# Width, height, colour scheme, and which rules of axe-core.
WINDOWS: dict[str, tuple[int, int, str, dict[str, Any]]] = {
    "light": (1280, 900, "light", ALL),
    "dark": (1280, 900, "dark", COLOURS_ALONE),
    "narrow": (390, 844, "light", ALL_BUT_COLOURS),
}


def picture(page: Any, name: str, **how: Any) -> None:
    """Keep a picture of the page, if anybody wants pictures."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", **how)


def problems_of(page: Any, name: str, windows: Iterable[str] = WINDOWS, within: str | None = None) -> list[Any]:
    """What is wrong with the page as it is now, in each of the windows; it is left as wide and as light as it was.

    ``within``: what axe-core looks at alone, where it has seen the rest already.
    """
    found: list[Any] = []
    for window in windows:
        width, height, scheme, rules = WINDOWS[window]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)
        picture(page, f"{name}-{window}", full_page=True)
        if (taken := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append((name, window, f"is {taken} pixels wide"))
        found += [(name, window, *problem) for problem in serious(page, rules, within)]
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    return found


def serious(page: Any, rules: dict[str, Any] = ALL, within: str | None = None) -> list[tuple[str, list[str]]]:
    """What axe-core, by these of its rules, has to say against the page that is serious or worse."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page, within, {"resultTypes": ["violations"]} | rules).response["violations"]
    return [
        (rule["id"], [node["html"][:200] for node in rule["nodes"]])
        for rule in violations
        if rule["impact"] in ("serious", "critical")
    ]
