"""The whole way in a real Chromium, with the keyboard alone: three chains labelled, one of them after a refresh, two
taken back, one edited; then resolved, exported, and imported into an empty database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import open_database
from storage.labels import accounts, records
from tests.browser.labelling import (
    PASSWORD,
    LabelSite,
    chosen,
    log_in,
    next_after,
    one_chain_of_each,
    saved,
    say_all,
    steps_of,
    tab_to,
    task_of,
)
from tests.browser.serving import SCRIPTED, server


@pytest.mark.timeout(240)
def test_three_chains_with_the_keyboard_alone(page: Any, label_site: LabelSite, home: Path, tmp_path: Path) -> None:
    key = label_site.project("By keys", chains=one_chain_of_each(4))
    press = page.keyboard.press
    page.goto(f"{label_site.url}/label?project={key}&view=work")
    page.wait_for_selector("#login-name")
    tab_to(page, "#login-name")
    page.keyboard.type("ann")
    press("Tab")
    page.keyboard.type(PASSWORD)
    press("Enter")

    first = task_of(page)
    steps = steps_of(page)
    press("b")
    press("h")
    press("i")
    press("j")
    for _ in steps[1:]:
        press("g")
    press("2")
    saved(page)
    page.reload()
    assert task_of(page) == first, "one's own draft comes back first"
    assert [chosen(page, step) for step in steps] == ["bad", *["good"] * (len(steps) - 1)]
    tags = page.locator(f".row[data-row='{steps[0]}'] [data-tag][aria-pressed=true]")
    assert tags.evaluate_all("all => all.map((tag) => tag.dataset.tag)") == ["contradicts_history", "invented_fact"]
    assert chosen(page, "scale:groundedness") == "2"
    for number in "3454":
        press(number)
    press("n")
    press("5")
    press("Enter")
    next_after(page, first)

    second = task_of(page)
    say_all(page, number="5")
    press("w")
    page.keyboard.type("Nothing to add.")
    press("Control+Enter")
    next_after(page, second)

    third = task_of(page)
    say_all(page)
    press("Enter")
    next_after(page, third)
    assert len({first, second, third}) == 3
    [one, two, three] = _by_task(label_site, key, first, second, third)
    assert one.judgement.scales == {
        "groundedness": 2, "validity": 3, "coherence": 4, "informativeness": 5, "personalisation": 4,
    }  # fmt: skip
    assert (one.judgement.verdict, one.judgement.confidence) == ("no", 5)
    assert two.judgement.comment == "Nothing to add."
    assert all(label.status == "submitted" and label.blind and label.seconds > 0 for label in (one, two, three))

    _undo_and_edit(page, label_site, key, third, second)
    _resolve(page, label_site, key, first)
    file = _export(page, label_site, key, tmp_path)
    _import(page, label_site, key, file, home, tmp_path)


def _undo_and_edit(page: Any, label_site: LabelSite, key: str, third: str, second: str) -> None:
    press = page.keyboard.press
    press("z")
    page.wait_for_selector(f".work[data-task='{third}']")
    assert chosen(page, "scale:groundedness") == "4", "what was submitted is there to be changed"
    press("z")
    page.wait_for_selector(f".work[data-task='{second}']")
    assert {label.status for label in _by_task(label_site, key, second, third)} == {"draft"}
    for _ in steps_of(page):
        press("j")
    press("1")
    saved(page)
    tab_to(page, "[data-do=submit]")
    press("Enter")
    next_after(page, second)
    page.wait_for_selector(f".work[data-task='{third}']")
    tab_to(page, "[data-do=submit]")
    press("Enter")
    next_after(page, third)
    [two] = _by_task(label_site, key, second)
    assert (two.judgement.scales["groundedness"], two.status, len(two.history)) == (1, "submitted", 1)

    tab_to(page, ".label-tabs a:nth-of-type(2)", "Shift+Tab")
    press("Enter")
    page.wait_for_selector(".label-mine")
    tab_to(page, f"tr[data-label='{two.id}'] button")
    press("Enter")
    page.wait_for_selector(f".work[data-task='{second}'] .edits")
    press("u")
    saved(page)
    tab_to(page, "[data-do=submit]")
    press("Enter")
    next_after(page, second)
    [two] = _by_task(label_site, key, second)
    assert next(iter(two.judgement.steps.values())).value == "unsure"
    assert (two.status, len(two.history)) == ("submitted", 2)


def _resolve(page: Any, label_site: LabelSite, key: str, task: str) -> None:
    log_in(page, label_site.url, "root")
    page.goto(f"{label_site.url}/label?project={key}&view=adjudicate&task={task}")
    page.wait_for_selector(".resolve-form")
    tab_to(page, ".resolve-form input[type=radio]")
    while page.evaluate("document.activeElement.matches('.resolve-form :is(input, summary)')"):
        if page.evaluate("document.activeElement.type === 'radio' && !document.activeElement.checked"):
            page.keyboard.press("Space")
        page.keyboard.press("Tab")
    page.keyboard.type("So it stands.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Change the resolved label")
    [resolved] = records.resolved(label_site.database, key)
    assert (resolved.task, resolved.author, resolved.judgement.comment) == (task, "root", "So it stands.")


def _export(page: Any, label_site: LabelSite, key: str, tmp_path: Path) -> Path:
    page.goto(f"{label_site.url}/label?project={key}&view=export")
    page.wait_for_selector(".formats")
    with page.expect_download() as waiting:
        page.locator(".formats tbody tr").first.locator("a").first.click()
    file = tmp_path / "labels.jsonl"
    waiting.value.save_as(file)
    assert len(file.read_text("utf-8").splitlines()) == 3
    return file


def _import(page: Any, label_site: LabelSite, key: str, file: Path, home: Path, tmp_path: Path) -> None:
    """Into an empty database, behind a server of its own; a second time adds nothing."""
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    other_database = open_database(url)
    accounts.add_account(other_database, "root", PASSWORD, "admin")
    with server(home, **SCRIPTED, traces=3, database_url=url) as site:
        log_in(page, site, "root")
        page.goto(f"{site}/label?view=projects")
        page.wait_for_selector(".label-projects .empty")
        page.click("button[data-import]")
        page.wait_for_selector(".import-said:has-text('Choose a file first')")
        for said in ("3 labels are new", "3 were here already"):
            page.set_input_files("#import-file", file)
            page.click("button[data-import]")
            page.wait_for_selector(f".import-said:has-text('{said}')")
    kept = sorted(label.model_dump_json() for label in records.labels(other_database, key))
    assert kept == sorted(label.model_dump_json() for label in records.labels(label_site.database, key))
    other_database.close()


def _by_task(label_site: LabelSite, key: str, *tasks: str) -> list[Any]:
    kept = {label.task: label for label in label_site.labels(key)}
    return [kept[task] for task in tasks]
