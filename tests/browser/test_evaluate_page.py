"""The Evaluate page in a real Chromium: every table and figure, from a bar to a sample and back, live alpha, Back."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storage.precompute.artifacts import BUNDLE
from storage.shipped import samples_file
from tests.browser.actions import wait_until
from tests.browser.looking import picture
from tests.browser.serving import SCRIPTED, server, variables

COUNT = 24
TABLES = ("table-2", "table-3", "table-5", "table-5-chosen", "table-6", "table-7", "table-4")
FIGURES = {
    "figure-2": 1, "figure-3": 1, "figure-6": 3, "figure-7": 3, "figure-9": 1, "calibration": 2, "risk": 1,
    "slices": 5, "cost": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def evaluated(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home with all that the full method says of the first samples that ship."""
    with samples_file(BUNDLE, "test").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[: COUNT + 1]
    chosen = tmp_path_factory.mktemp("samples") / "first.csv"
    chosen.write_text("\n".join(",".join(line) for line in lines) + "\n", "utf-8")
    command = [sys.executable, "-m", "scripts", "reason", "--samples", str(chosen)]
    for wording in ("none", "paper"):
        command += ["--knowledge", wording]
    subprocess.run(command, env=variables(home, **SCRIPTED, scripted_delay=0), capture_output=True, check=True)
    return home


@pytest.fixture(scope="module")
def filled(evaluated: Path) -> Any:
    with server(evaluated, **SCRIPTED, scripted_delay=0) as url:
        yield url


def open_evaluate(page: Any, site: str, query: str = "") -> None:
    page.goto(f"{site}/evaluate?limit={COUNT}{query}")
    settle(page)


def settle(page: Any) -> None:
    page.wait_for_selector("#evaluate-exhibit section, #evaluate-exhibit .error")
    page.wait_for_function("!document.querySelector('#evaluate-exhibit .pending')")


def show(page: Any, view: str) -> None:
    page.click(f"[data-go=view-{view}]")
    page.wait_for_selector(f"[data-go=view-{view}][aria-current]")
    wait_until(lambda: f"view={view}" in page.url or view == "table-4")
    settle(page)


def weights(page: Any) -> list[str]:
    """alpha, epsilon, AUC, log loss and accuracy as they are now."""
    return [str(cell) for cell in page.locator("#evaluate-numbers [data-weights=now] td").all_inner_texts()]


def test_every_table_and_figure_opens(page: Any, filled: str) -> None:
    page.goto(filled)
    page.wait_for_selector("#target .lead")
    page.click("nav[aria-label=Pages] a:has-text('Evaluate')")
    page.wait_for_url("**/evaluate")
    open_evaluate(page, filled)
    assert f"{COUNT} samples of" in page.inner_text("#evaluate-bar .bar-line")
    for view in TABLES:
        show(page, view)
        assert page.locator("#evaluate-exhibit table.exhibit tbody tr").count() >= 3
    for view, panels in FIGURES.items():
        show(page, view)
        assert page.locator("#evaluate-exhibit svg").count() == panels
    show(page, "figure-8")
    assert page.locator("#evaluate-exhibit svg").count() == 2
    assert "rallrec reason" in page.inner_text("#evaluate-exhibit")
    picture(page, "evaluate", full_page=True)


def test_from_a_bar_to_a_sample_and_back(page: Any, filled: str) -> None:
    open_evaluate(page, filled, "&view=figure-2")
    bar = "[data-go='length:responses:2']"
    page.locator(bar).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#evaluate-behind tbody tr")
    page.wait_for_selector(f"{bar}[aria-current]")
    assert "show=length%3Aresponses%3A2" in page.url
    address, behind = page.url, page.inner_text("#evaluate-behind section")
    target = page.locator("#evaluate-behind tbody a.open").first
    title = target.inner_text()
    target.click()
    page.wait_for_selector("#target .lead")
    page.wait_for_selector(f"#target:has-text('{title}')")
    assert "knowledge=paper" in page.url
    page.wait_for_selector("#p-final")  # all of it is cached: what was evaluated is what is shown
    page.go_back()
    page.wait_for_selector("#evaluate-behind tbody tr")
    assert page.url == address
    settle(page)
    assert page.inner_text("#evaluate-behind section") == behind
    page.click("[data-go=close]")
    page.wait_for_function("!document.querySelector('#evaluate-behind table')")
    assert "show=" not in page.url
    page.go_back()
    page.wait_for_selector("#evaluate-behind tbody tr")


def test_alpha_moves_the_numbers_the_curve_and_the_address(page: Any, filled: str) -> None:
    open_evaluate(page, filled, "&view=figure-7")
    assert weights(page)[:2] == ["0.1", "0.001"]
    curve = page.inner_html("#evaluate-exhibit")
    page.locator("[data-live=alpha]").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    wait_until(lambda: weights(page)[0] == "0.15")
    wait_until(lambda: page.inner_html("#evaluate-exhibit") != curve)
    assert page.evaluate("document.activeElement.dataset.live") == "alpha"  # still in hand
    assert "alpha=0.15" in page.url
    assert "/evaluate?" in page.url
    seen = weights(page)
    page.reload()
    settle(page)
    wait_until(lambda: weights(page) == seen)
    show(page, "table-4")
    assert "alpha=0.15" in page.url  # the links carry it
    show(page, "figure-6")
    page.locator("[data-go='auc:merged:7']").click()
    wait_until(lambda: weights(page)[0] == "0.5")
    page.click("[data-go=preset-paper]")
    wait_until(lambda: weights(page)[:2] == ["0.1", "0.001"])


def test_two_systems_side_by_side(page: Any, filled: str) -> None:
    open_evaluate(page, filled, "&view=pair")
    page.click("[data-go='second-UserMean']")
    page.wait_for_selector("[data-go='second-UserMean'][aria-current]")
    assert page.locator("#evaluate-exhibit .differences tbody tr").count() == 6
    counts = [int(cell) for cell in page.locator("#evaluate-exhibit .columns > div:last-child td").all_inner_texts()]
    assert sum(counts) == COUNT
    most = max(range(4), key=lambda place: counts[place])
    side = ("first", "second", "both", "neither")[most]
    page.click(f"[data-go=side-{side}]")
    page.wait_for_selector("#evaluate-behind tbody tr")
    assert page.inner_text("#evaluate-behind h2") == f"{counts[most]} samples"
    page.click("[data-go='second-LLM']")  # whose answers are not there
    page.wait_for_selector("#evaluate-exhibit code:has-text('rallrec reason --strategy recent')")


def test_a_whole_part_asks_for_a_job_and_a_wrong_address_has_a_way_out(page: Any, filled: str) -> None:
    page.goto(f"{filled}/evaluate?samples=test&limit=501")
    page.wait_for_selector("[data-start]")
    page.goto(f"{filled}/evaluate?view=table-9")
    page.wait_for_selector("#evaluate-exhibit .error")
    assert page.locator("#evaluate-bar .chips a").count() > 10  # the way out
