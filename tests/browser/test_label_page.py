"""The labelling page in a real Chromium: its parts, its modes, and what those who run it do."""

from __future__ import annotations

from typing import Any

from backend.labelling import Project
from storage.labels import projects
from tests.browser.labelling import (
    PASSWORD,
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
from tests.browser.looking import problems_of

# The views that are looked at beside the two kinds of task, and in which windows.
VIEWS: dict[str, tuple[str, ...]] = {
    "projects": ("light",),
    "project": ("light", "narrow"),
    "mine": ("light",),
    "progress": ("light",),
    "account": ("light",),
    "people": ("light", "dark", "narrow"),
}


def test_the_pointer_does_all_of_it_too_and_enter_still_submits(page: Any, label_site: LabelSite) -> None:
    key, task = begin(page, label_site, "By pointer", 2)
    for step in steps_of(page):
        page.click(f".row[data-row='{step}'] [data-value=neutral]")
    for row in page.locator(".row.scale").all():
        row.locator("[data-value='3']").hover()
        anchor = row.locator("[data-value='3']").get_attribute("aria-label")
        assert row.locator(".anchor").inner_text() == anchor[3:]
        row.locator("[data-value='3']").click()
    page.mouse.move(0, 0)
    assert page.inner_text(".row.scale:first-child .anchor").startswith("About half of the claims")
    page.focus(".row.scale:first-child [data-value='3']")
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".row.scale:first-child .anchor").startswith("Almost all claims")
    assert "Almost all claims" in page.inner_text(".anchors li.now")
    page.click("[data-flag]")
    page.click("[data-row=verdict] [data-value=yes]")
    page.click("[data-row=confidence] [data-value='2']")
    assert page.inner_text(".lacks") == ""
    page.keyboard.press("Enter")
    next_after(page, task)
    [label] = label_site.labels(key)
    assert label.judgement.missing_step
    assert set(label.judgement.scales.values()) == {3}


def test_what_lacks_is_said_where_it_lacks(page: Any, label_site: LabelSite) -> None:
    key, _ = begin(page, label_site, "Lacking", 2)
    steps = steps_of(page)
    page.keyboard.press("b")
    for _ in steps:
        page.keyboard.press("j")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.wait_for_selector(f".row.lacking[data-row='{steps[0]}'].current")
    assert page.inner_text(".lacks").startswith("A bad step needs")
    assert page.locator(".row.lacking").count() == len(steps) + 6
    page.keyboard.press("a")
    assert saved(page)
    assert [label.status for label in label_site.labels(key)] == ["draft"]


def test_the_history_is_found_and_pointed_at(page: Any, label_site: LabelSite) -> None:
    begin(page, label_site, "History")
    rows = page.locator(".past tbody tr")
    every = rows.count()
    shown = page.locator(".past tbody tr.shown")
    assert 0 < shown.count() < every
    dates = page.locator(".past td.when").all_inner_texts()
    assert dates == sorted(dates, reverse=True)
    page.keyboard.press("/")
    title = shown.last.locator("td").first.inner_text().removeprefix("◆ ").split("\n")[0]
    page.keyboard.type(title)
    page.wait_for_function("document.querySelectorAll('.past tbody tr:not([hidden])').length === 1")
    assert page.inner_text(".past-count") == "1 found"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('.row')"), "Escape leaves the field"
    page.fill("#find-past", "")
    page.check("#only-retrieved")
    assert page.locator(".past tbody tr:not([hidden])").count() == shown.count()


def test_a_skipped_task_is_passed_on_and_comes_back(page: Any, label_site: LabelSite) -> None:
    key, task = begin(page, label_site, "Skipped")
    page.keyboard.press("s")
    page.keyboard.press("2")
    page.wait_for_selector(".nothing")
    assert "You skipped 1" in page.inner_text(".nothing")
    [label] = label_site.labels(key)
    assert (label.status, label.skip_reason) == ("skipped", "I know this too little")
    page.click(".nothing a:has-text('Your labels')")
    page.click(".label-mine button:has-text('Put back')")
    page.wait_for_selector("tr[data-status=draft]")
    assert open_task(page, label_site.url, key) == task


def test_a_task_that_is_put_off_comes_back_after_the_others(page: Any, label_site: LabelSite) -> None:
    _, first = begin(page, label_site, "Put off", 2)
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.keyboard.press("l")
    next_after(page, first)
    second = task_of(page)
    say_all(page)
    page.keyboard.press("Enter")
    next_after(page, second)
    assert task_of(page) == first
    assert chosen(page, steps_of(page)[0]) == "good"


def test_two_chains_are_compared(page: Any, label_site: LabelSite) -> None:
    key, task = begin(page, label_site, "Pairs", None, mode="pair")
    second = page.locator("[data-row=preferred] [role=radio]").nth(1).get_attribute("data-value")
    assert page.locator(".pair-chain").count() == 2
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    next_after(page, task)
    [label] = label_site.labels(key)
    assert label.judgement.preferred == second == label.chains[1].id


def test_behind_the_first_bad_step_nothing_is_asked(page: Any, label_site: LabelSite) -> None:
    key, task = begin(page, label_site, "First error", 2, first_error=True)
    page.keyboard.press("b")
    page.keyboard.press("f")
    page.keyboard.press("j")
    for number in "44444":
        page.keyboard.press(number)
    page.keyboard.press("y")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    next_after(page, task)
    [label] = label_site.labels(key)
    assert [step.value for step in label.judgement.steps.values()] == ["bad"]


def test_a_reviewer_may_see_everything_and_the_label_says_so(page: Any, label_site: LabelSite) -> None:
    key, task = begin(page, label_site, "Reviewed", who="rita")
    assert page.query_selector(".hidden-facts") is None
    page.click(".show-all")
    page.wait_for_selector(".hidden-facts")
    assert "What happened" in page.inner_text(".hidden-facts")
    assert task_of(page) == task
    say_all(page)
    page.keyboard.press("Enter")
    next_after(page, task)
    [label] = label_site.labels(key, "rita")
    assert not label.blind


def test_a_reviewer_makes_a_project_with_its_chains_counted_live(page: Any, label_site: LabelSite) -> None:
    log_in(page, label_site.url, "rita")
    page.goto(f"{label_site.url}/label?view=project")
    page.wait_for_selector("[data-count]:text-is('24 tasks: 24 chains of 8 samples')")
    page.fill("#limit", "5")
    page.wait_for_selector("[data-count]:text-is('15 tasks: 15 chains of 5 samples')")
    page.select_option("#mode", "pair")
    page.wait_for_selector("[data-count]:text-is('15 pairs: 15 chains of 5 samples')")
    page.fill("#per-sample", "2")
    page.wait_for_selector("[data-count]:text-is('5 pairs: 10 chains of 5 samples')")
    page.fill("#per-sample", "1")
    page.wait_for_selector("form p:has(button.primary) [data-none]:has-text('No task fits')")
    assert page.inner_text("[data-count]") == "0 pairs: 0 chains of 0 samples"
    page.select_option("#mode", "chain")
    page.wait_for_selector("[data-count]:text-is('5 tasks: 5 chains of 5 samples')")
    assert page.inner_text("[data-none]") == ""
    page.fill("#project-name", "From the form")
    page.fill("#gold", "10")
    page.check("input[name=members][value=bob]")
    page.fill("#guidelines-text", "Be strict.")
    page.click("button:has-text('Make the project')")
    row = page.locator("tr[data-project]:has-text('From the form')")
    row.wait_for()
    key = row.get_attribute("data-project")
    made: Project = projects.project(label_site.database, key)
    assert (made.gold, made.guidelines, made.chains.limit, made.blind) == (0.1, "Be strict.", 5, True)
    assert projects.members(label_site.database, key) == ["bob"]
    row.locator("text=Change").click()
    page.uncheck("input[name=open]")
    page.click("button:has-text('Keep the changes')")
    page.wait_for_selector(f"tr[data-project='{key}']:has-text('closed')")
    assert projects.project(label_site.database, key).gold == 0.1


def test_nobody_logged_in_reads_counts_and_is_told_so(page: Any, label_site: LabelSite) -> None:
    key = label_site.project("Public", chains=one_chain_of_each(3))
    page.goto(f"{label_site.url}/label?project={key}&view=mine")
    page.wait_for_selector(".label-projects .notice:has-text('Nobody is logged in')")
    assert "0 of 3" in page.inner_text(f"tr[data-project='{key}']")
    assert page.query_selector(".work, .label-mine") is None
    page.fill("#login-name", "ann")
    page.fill("#login-password", PASSWORD)
    page.click("button:has-text('Log in')")
    page.wait_for_selector(".label-mine")
    page.click(".label-me")
    page.click("text=Log out")
    page.wait_for_selector(".label-projects .notice:has-text('Nobody is logged in')")


def test_every_view_fits_and_nothing_serious_is_found(page: Any, label_site: LabelSite) -> None:
    chain, pair = label_site.project("Axe", guidelines="Look twice."), label_site.project("Axe, pairs", mode="pair")
    log_in(page, label_site.url, "root")
    open_task(page, label_site.url, chain)
    for pressed in ("b", "h", "j", "g", "d"):
        page.keyboard.press(pressed)
    saved(page)
    problems = problems_of(page, "label-work")
    page.keyboard.press("?")
    problems += problems_of(page, "label-keys", within="dialog[open]")
    open_task(page, label_site.url, pair)
    problems += problems_of(page, "label-pair")
    for view, windows in VIEWS.items():
        page.goto(f"{label_site.url}/label?view={view}{'' if view == 'project' else f'&project={chain}'}")
        page.wait_for_selector(".label-frame")
        problems += problems_of(page, f"label-{view}", windows)
    assert problems == []
