"""What a person does on the Predict page, and what they read there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def open_page(page: Any, site: str, query: str = "user=15&item=1") -> None:
    page.goto(f"{site}/?{query}")
    page.wait_for_selector("#target .lead")


def address(page: Any) -> str:
    """The address bar; ``page.url`` can miss the last of several quick changes."""
    return str(page.evaluate("location.href"))


def slide(page: Any, name: str, value: float) -> None:
    """Set a slider as a drag does."""
    page.evaluate(
        """([name, value]) => {
          const input = document.querySelector(`#${name} input[type=range]`);
          Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, value);
          input.dispatchEvent(new Event("input", {bubbles: true}));
        }""",
        [name, str(value)],
    )


def ask(page: Any) -> None:
    """Ask what was not asked before, and wait for it. (What takes no time is not called computed.)"""
    page.click("#ask")
    page.wait_for_selector("#status:has-text('✓')", timeout=30_000)


def chosen(page: Any) -> list[tuple[str, str]]:
    """(title, score) of the reranked rows as drawn."""
    rows = page.query_selector_all("#rerank table.bars tbody tr")
    cells = [[cell.inner_text().strip() for cell in row.query_selector_all("td")] for row in rows]
    return [(row[1].replace(" + new", "").strip(), row[3]) for row in cells]


def choose(page: Any, name: str, value: str) -> None:
    page.check(f"#{name} input[value='{value}']")


def open_map(page: Any) -> None:
    """Open the fold of the item map, and wait for its dots and for the nearest items."""
    page.click("#near-fold > button")
    page.wait_for_selector("#nearest table")
    page.wait_for_selector(".map-legend button")


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "the page did not get there in time"
        time.sleep(0.05)


def expected(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["title"], f"{row['score']:.3f}") for row in record["history"]]


def sample_of(record: dict[str, Any]) -> str:
    return f"user={record['user']}&item={record['item']}"
