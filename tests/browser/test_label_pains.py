"""What users of other tools complain of, as far as a labeller's page can have it; each test is named after one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.actions import wait_until
from tests.browser.labelling import (
    LabelSite,
    begin,
    chosen,
    log_in,
    next_after,
    one_chain_of_each,
    open_task,
    saved,
    say_all,
    steps_of,
    task_of,
)


@pytest.fixture
def unsteady(chromium: Any) -> Iterator[Any]:
    """A browser of its own, whose network or clock fails: the errors that it logs by that are no errors of the page."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


def test_argilla_3098_no_visible_saved_state(page: Any, label_site: LabelSite) -> None:
    begin(page, label_site, "3098")
    assert page.inner_text(".saved") == "Nothing to save yet"
    page.keyboard.press("g")
    assert page.inner_text(".saved") in ("Not saved yet", "Saving")
    assert re.fullmatch(r"Saved \d\d:\d\d:\d\d", saved(page))
    page.keyboard.press("w")
    page.keyboard.type("Half a thou")
    page.wait_for_selector(".saved:not([data-state=saved])")
    saved(page)
    page.reload()
    task_of(page)
    assert page.input_value("#comment") == "Half a thou"
    assert chosen(page, steps_of(page)[0]) == "good"


def test_doccano_718_no_single_key_to_approve_and_advance(page: Any, label_site: LabelSite) -> None:
    _, first = begin(page, label_site, "718", 2)
    say_all(page)
    page.keyboard.press("Enter")
    next_after(page, first)
    assert task_of(page) != first
    assert page.evaluate("document.activeElement.dataset.row") == steps_of(page)[0], "the keys are at its first step"


def test_label_studio_1957_shortcut_collisions(page: Any, label_site: LabelSite) -> None:
    begin(page, label_site, "1957")
    page.keyboard.press("b")  # with error tags in sight
    shortcuts = page.evaluate(
        """() => {
          const all = (root) => [...root.querySelectorAll("[data-key]")].filter((node) => !node.closest("[hidden]"));
          const keys = (nodes) => nodes.map((node) => node.dataset.key);
          const page = keys(all(document).filter((node) => !node.closest(".row, dialog")));
          const rows = [...document.querySelectorAll(".row[data-row]")];
          return rows.map((row) => [...keys(all(row)), ...page, "j", "k", "/"]);
        }"""
    )
    for keys in shortcuts:
        assert sorted(keys) == sorted(set(keys)), "one key means one thing at a time"
    assert max(len(keys) for keys in shortcuts) == 4 + 7 + 7 + 3
    steps = steps_of(page)
    page.keyboard.press("w")
    page.keyboard.type("gnbu 12345 szdmx?/")
    assert page.input_value("#comment") == "gnbu 12345 szdmx?/"
    page.keyboard.press("Escape")
    for modifier in ("Control", "Alt", "Meta"):
        page.keyboard.press(f"{modifier}+u")
    assert [chosen(page, step) for step in steps] == ["bad", *[None] * (len(steps) - 1)], "none of that was a shortcut"
    assert page.query_selector("dialog[open]") is None


def test_doccano_2154_enter_in_a_comment_finishes_the_item(page: Any, label_site: LabelSite) -> None:
    key, task = begin(page, label_site, "2154", 2)
    say_all(page)
    page.keyboard.press("w")
    page.keyboard.type("One line\nand another")
    saved(page)
    assert task_of(page) == task
    assert page.input_value("#comment") == "One line\nand another"
    assert [label.status for label in label_site.labels(key)] == ["draft"]
    page.keyboard.press("Control+Enter")
    next_after(page, task)
    statuses = {label.task: label.status for label in label_site.labels(key)}
    assert statuses[task] == "submitted"


def test_label_studio_6675_lost_labels_after_a_network_failure(unsteady: Any, label_site: LabelSite) -> None:
    page = unsteady.new_page()
    key, first = begin(page, label_site, "6675", 2)
    unsteady.set_offline(True)
    say_all(page, number="2")
    page.wait_for_selector(".saved:has-text('Not saved: will try again')")
    assert label_site.labels(key) == []
    page.keyboard.press("Enter")
    page.wait_for_selector(".saved:has-text('Not sent: will try again')")
    page.close()  # before the network is back

    unsteady.set_offline(False)
    page = unsteady.new_page()
    page.goto(f"{label_site.url}/label?view=projects")
    wait_until(lambda: [label.status for label in label_site.labels(key)] == ["submitted"])
    [label] = label_site.labels(key)
    assert set(label.judgement.scales.values()) == {2}
    assert open_task(page, label_site.url, key) != first
    assert page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('rallrec.label.'))") == []


def test_label_studio_6675_a_reply_that_is_lost_doubles_nothing(unsteady: Any, label_site: LabelSite) -> None:
    key = label_site.project("6675, replies", chains=one_chain_of_each(2))
    page = unsteady.new_page()
    log_in(page, label_site.url, "ann")
    lost = {"draft": 1, "submit": 2}

    def answer(route: Any) -> None:
        name = route.request.url.rsplit("/", 1)[-1]
        taken = route.fetch()
        if not lost[name]:
            route.fulfill(response=taken)
            return
        lost[name] -= 1
        route.abort()

    for name in lost:
        page.route(f"**/labels/{name}", answer)
    task = open_task(page, label_site.url, key)
    page.keyboard.press("g")
    page.wait_for_selector(".saved:has-text('Not saved: will try again')")
    page.keyboard.press("k")
    say_all(page)
    page.keyboard.press("Enter")
    page.wait_for_selector(f".work[data-task]:not([data-task='{task}'])", timeout=15_000)
    assert lost == {"draft": 0, "submit": 0}
    done = [label for label in label_site.labels(key) if label.task == task]
    assert [(label.status, len(label.history)) for label in done] == [("submitted", 0)]
    assert page.query_selector("dialog[open]") is None, "nobody is asked about a conflict with themselves"


def test_two_tabs_never_overwrite_each_other_unasked(unsteady: Any, label_site: LabelSite) -> None:
    key = label_site.project("Two tabs", chains=one_chain_of_each(1))
    first_tab, second_tab = unsteady.new_page(), unsteady.new_page()
    log_in(first_tab, label_site.url, "ann")
    open_task(first_tab, label_site.url, key)
    open_task(second_tab, label_site.url, key)
    first_tab.keyboard.press("g")
    saved(first_tab)
    second_tab.keyboard.press("u")
    second_tab.wait_for_selector("dialog.conflict[open]")
    second_tab.click("[data-keep=theirs]")
    saved(second_tab)
    first = steps_of(second_tab)[0]
    assert chosen(second_tab, first) == "good"
    second_tab.keyboard.press("k")
    second_tab.keyboard.press("n")
    saved(second_tab)
    first_tab.keyboard.press("k")
    first_tab.keyboard.press("u")
    first_tab.wait_for_selector("dialog.conflict[open]")
    first_tab.click("[data-keep=ours]")
    saved(first_tab)
    [label] = label_site.labels(key)
    assert label.judgement.steps[first.removeprefix("step:")].value == "unsure"


def test_the_timer_counts_neither_idle_minutes_nor_a_hidden_tab(unsteady: Any, label_site: LabelSite) -> None:
    page = unsteady.new_page()
    key = label_site.project("Timer", chains=one_chain_of_each(1))
    log_in(page, label_site.url, "ann")
    page.clock.install()
    open_task(page, label_site.url, key)

    def seconds() -> int:
        minutes, rest = page.inner_text(".timer-value").split(":")
        return 60 * int(minutes) + int(rest)

    page.keyboard.press("j")
    before = seconds()
    page.clock.run_for(30_000)
    assert 29 <= seconds() - before <= 31
    page.keyboard.press("j")
    page.clock.run_for(300_000)
    assert 89 <= seconds() - before <= 91, "a minute after the last sign it stands still"
    assert page.is_visible(".timer-idle")
    page.keyboard.press("j")
    before = seconds()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.run_for(30_000)
    assert seconds() - before <= 1
