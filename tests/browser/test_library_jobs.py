"""Jobs on the Library page in a real Chromium: started, watched, stopped, resumed, also after the server was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.actions import wait_until
from tests.browser.looking import picture
from tests.browser.serving import SCRIPTED, served


def open_jobs(page: Any, site: str) -> None:
    page.goto(f"{site}/library")
    page.wait_for_selector("#library-jobs .jobs")


def start_reason(page: Any, samples: int) -> None:
    page.click("#start-reason > button")
    page.fill("#job-limit input", str(samples))
    page.fill("#job-gammas textarea, #job-gammas input", "0.5, 0.667")
    page.click("#job-ask")


def percent(page: Any) -> int:
    bar = page.locator("#library-jobs .job [role=progressbar]")
    return int(bar.get_attribute("aria-valuenow")) if bar.count() else 0


def wait_for_chains(page: Any, more_than: int = 0) -> None:
    page.wait_for_selector("#library-jobs .job.running .stage:has-text('chains:')", timeout=40_000)
    wait_until(lambda: percent(page) > more_than, 40)


@pytest.mark.timeout(240)
def test_a_reason_job_is_watched_stopped_resumed_and_survives_reload_and_a_killed_server(
    chromium: Any, home: Path, tmp_path: Path
) -> None:
    settings = {**SCRIPTED, "database_url": f"sqlite:///{tmp_path / 'own.db'}"}
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    with served(home, **settings, scripted_delay=0.04) as (site, process):
        open_jobs(page, site)
        assert "No jobs yet" in page.inner_text("#library-jobs")
        start_reason(page, 40)
        page.wait_for_selector("#jobs-told:has-text('is queued')")
        page.click("#job-ask")  # a second click starts no twin
        page.wait_for_selector("#jobs-told:has-text('does the same')")
        wait_for_chains(page)
        page.reload()
        wait_for_chains(page)
        page.wait_for_selector("#library-jobs .stage:has-text('left')")
        picture(page, "library-jobs")
        page.focus("#library-jobs [data-act=stop]")
        page.keyboard.press("Enter")
        page.wait_for_selector("#library-jobs .job.stopped", timeout=30_000)
        page.click("#library-jobs [data-act=resume]")
        wait_for_chains(page)
        process.kill()
        process.wait(10)
    with served(home, **settings, scripted_delay=0) as (site, _):
        open_jobs(page, site)
        page.wait_for_selector("#library-jobs .job.interrupted")
        assert page.locator("#library-jobs .job").count() == 1
        page.click("#library-jobs [data-act=resume]")
        page.wait_for_selector("#library-jobs .job.done", timeout=60_000)
        page.wait_for_selector("#library-cache td:has-text('scripted')")
        stage = page.inner_text("#library-jobs .job.done .stage")
        assert "answers and" in stage
        assert stage.endswith("chains are there")
    context.close()
    assert problems == []
