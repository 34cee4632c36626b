"""Every control of the Library page, in a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.browser.actions import choose
from tests.browser.serving import SCRIPTED, server
from tests.browser.walking import Step, changed, exports, leads, navigates, reads, scrolls, toggles, walk


def looks_again(page: Any) -> None:
    page.wait_for_timeout(1000)  # its clock has whole seconds
    changed(page, "#looked", lambda: page.click("#refresh"))


def opens(fold: str, inside: str) -> dict[str, Step]:
    button = f"{fold} > button.label-wrap"

    def step(page: Any) -> None:
        toggles(button, inside)(page)
        page.click(button)

    return {button: step}


def plans(page: Any) -> None:
    changed(page, "#job-plan", lambda: page.click("[role=option]:has-text('describe')"))


def takes(selector: str, text: str) -> Step:
    return lambda page: page.fill(selector, text)


def asks(page: Any) -> None:
    """The form's choices are what the job is named by."""
    page.click("#job-ask")
    page.wait_for_selector("#jobs-told:has-text('is queued')")
    title = page.inner_text("#library-jobs .job .what")
    for said in ("1 sample that ships", "gamma 0.25", "paper, none", "2 chains"):
        assert said in title, title


def scores(page: Any) -> None:
    """It ends at once: what is cached of three samples is looked up, and its name leads to the page that shows it."""
    page.click("#job-score")
    page.wait_for_selector("#library-jobs .job.done .what:has-text('3 samples that ship')", timeout=60_000)
    link = "#library-jobs a[href='/evaluate?samples=shipped&limit=3']"
    assert page.inner_text(link) == "evaluate the systems on 3 samples that ship"
    leads(link, "#evaluate-exhibit section")(page)
    page.wait_for_selector("#library-jobs .job")


def examines(page: Any) -> None:
    """It looks when it is opened, and again with Refresh."""
    page.click("#doctor > button.label-wrap")
    page.wait_for_selector("#library-doctor td:has-text('faiss-cpu')", timeout=20_000)
    assert "missing" not in page.inner_text("#library-doctor tr:has(td:has-text('vectors'))")
    page.wait_for_timeout(1000)  # its clock has whole seconds
    changed(page, "#library-doctor", lambda: page.click("#refresh"))


def stops(page: Any) -> None:
    page.click("[data-act=stop]")
    page.wait_for_selector("#library-jobs .job.stopped", timeout=20_000)


def resumes(page: Any) -> None:
    page.click("[data-act=resume]")
    page.wait_for_selector("#library-jobs .job.done", timeout=40_000)


def unfolds(page: Any) -> None:
    page.click("details[data-artifact=aligned] > summary")
    page.wait_for_function("location.search === '?artifact=aligned'")


def jumps(page: Any) -> None:
    page.click("details[open] a[data-open=collaborative]")
    page.wait_for_function("document.querySelector('details[data-artifact=collaborative]').open")
    page.click("#library-own details:has(code[tabindex]) > summary")


LIBRARY: dict[str, Step] = {
    **navigates("/library"),
    "#refresh": looks_again,
    ".exports a": exports,
    **opens("#start-precompute", "#job-plan"),
    "#job-until input": lambda page: page.click("#job-until input"),
    "[role=option]": plans,
    "#job-make": lambda page: changed(page, "#jobs-told", lambda: page.click("#job-make")),
    **opens("#start-reason", "#job-limit"),
    "#job-samples input": lambda page: choose(page, "job-samples", "shipped"),
    "#job-limit input": takes("#job-limit input", "1"),
    "#job-gammas :is(input, textarea)": takes("#job-gammas :is(input, textarea)", "0.25"),
    "#job-knowledge input": lambda page: page.check("#job-knowledge input >> nth=2"),
    "#job-traces input": takes("#job-traces input[type=number]", "2"),
    "#job-ask": asks,
    "[data-act=stop]": stops,
    "[data-act=resume]": resumes,
    **opens("#start-evaluate", "#job-first"),
    "#job-list input": lambda page: choose(page, "job-list", "shipped"),
    "#job-first input": takes("#job-first input", "3"),
    "#job-score": scores,
    "#library-jobs a": reads("#library-jobs a"),
    "#doctor > button.label-wrap": examines,
    "details.artifact > summary": unfolds,
    "a[data-open]": jumps,
    "[role=region][tabindex='0']": scrolls,
    "code[tabindex]": reads("code[tabindex]"),
}


def test_every_control_of_the_library_does_something(page: Any, home: Path, tmp_path: Path) -> None:
    settings = {**SCRIPTED, "database_url": f"sqlite:///{tmp_path / 'own.db'}", "scripted_delay": 0}
    with server(home, **settings) as site:
        page.goto(f"{site}/library")
        page.wait_for_selector("#library-own .artifact")
        walk(page, LIBRARY)
        page.goto("about:blank")
