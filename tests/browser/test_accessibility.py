"""axe-core finds nothing serious on any page, light and dark, wide and narrow."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

# An edit of every kind of control.
EDITS = quote('{"removed":["1265"],"hint":"own","sentence":"They fell asleep.","settings":{"k":4}}')
# Each page, and what is there once it is drawn.
PAGES = {
    "/": "#merge .panel, #merge > *",
    f"/what-if?user=15&item=1&edits={EDITS}": "#what-if-history tr.removed",
    "/users": "#users-list .users",
    "/users?user=15": "svg.timeline",
    "/evaluate?limit=30": "#evaluate-exhibit table.exhibit",
    "/evaluate?limit=30&view=slices": "#evaluate-exhibit section",
    "/evaluate?limit=30&view=pair&first=UserMean&second=ItemMean&show=both": "#evaluate-behind section",
    "/stories": ".story-list, .empty",
    "/library": "#library-own .artifact",
}
WINDOWS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "narrow": (390, 844, "light")}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("path", PAGES)
def test_nothing_serious(path: str, window: str, chromium: Any, site: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, height, scheme = WINDOWS[window]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{site}{path}")
    page.wait_for_selector(PAGES[path], state="attached")
    page.wait_for_selector(".top nav")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    context.close()
    serious = [
        (rule["id"], [node["html"][:200] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []
