"""Live runs that do not get to their end by themselves: their server is killed, or somebody stops them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from storage import open_database
from storage.database.tables import TraceRow
from storage.jobs.store import STATES, JobStore
from tests.browser.actions import open_page, wait_until
from tests.browser.looking import picture
from tests.browser.serving import SCRIPTED, served, server

LINK = "user=15&item=2&k=4&traces=6"


def chains(url: str) -> dict[str, Any]:
    """Key -> when it was stored, of every chain in the database."""
    database = open_database(url)
    with database.session(read_only=True) as session:
        created = {row.key: row.created_at for row in session.scalars(select(TraceRow))}
    database.close()
    return created


def jobs(url: str) -> list[Any]:
    database = open_database(url)
    recent = JobStore(database).recent(9, {"predict": STATES})
    database.close()
    return recent


@pytest.mark.timeout(180)
def test_a_run_whose_server_was_killed_is_shown_as_interrupted_and_one_click_resumes_it(
    chromium: Any, home: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    settings = {**SCRIPTED, "database_url": url}
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    with served(home, **settings, scripted_delay=0.25) as (site, process):
        open_page(page, site, LINK)
        page.click("#ask")
        wait_until(lambda: bool(chains(url)), 60)
        process.kill()
        process.wait(10)
    kept = chains(url)
    assert 0 < len(kept) < 6, "it was killed in the middle"
    [job] = jobs(url)
    assert (job.kind, job.state) == ("predict", "running"), "a killed process tells nothing"

    with served(home, **settings, scripted_delay=0.01) as (site, _):
        open_page(page, site, LINK)
        said = f"A run of this prediction was interrupted at {len(kept)} of 6 chains. Ask resumes it"
        page.wait_for_selector(f"#status:has-text('{said}')")
        assert page.locator("#reason .chain footer").count() >= len(kept)
        assert [stored.state for stored in jobs(url)] == ["interrupted"]
        page.locator("#ask-panel").scroll_into_view_if_needed()
        picture(page, "predict-interrupted")
        page.click("#ask")
        page.wait_for_selector("#status:has-text('✓')", timeout=30_000)
        after = chains(url)
        assert len(after) == 6
        assert {key: after[key] for key in kept} == kept, "what was finished was not run again"
        [same] = jobs(url)
        assert (same.number, same.state, same.report.finished, same.report.total) == (job.number, "done", 9, 9)
    context.close()


@pytest.fixture(scope="module")
def slow_site(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A run takes a minute here, so that it is still going on after whatever a test does first."""
    url = f"sqlite:///{tmp_path_factory.mktemp('slow') / 'own.db'}"
    with server(home, **SCRIPTED, database_url=url, scripted_delay=2) as site:
        yield site


def test_a_page_that_is_opened_while_its_prediction_is_answered_sees_it_written_and_only_its_owner_stops_it(
    chromium: Any, slow_site: str
) -> None:
    mine, strangers = chromium.new_context(), chromium.new_context()
    first, stranger = mine.new_page(), strangers.new_page()
    open_page(first, slow_site, LINK)
    first.click("#ask")
    first.wait_for_selector("#reason .chain.writing")
    first.close()

    open_page(stranger, slow_site, LINK)
    stranger.wait_for_selector("#reason .chain.writing")
    stranger.click("#stop")
    stranger.wait_for_selector("text=Somebody else started this run")
    assert stranger.locator("#reason .chain.writing").count()

    again = mine.new_page()
    open_page(again, slow_site, LINK)
    again.wait_for_selector("#reason .chain.writing")
    again.click("#stop")
    again.wait_for_selector("#status:has-text('Stopped')")
    stranger.wait_for_selector("#status:has-text('Stopped')")
    mine.close()
    strangers.close()


def test_a_what_if_is_stopped(page: Any, slow_site: str) -> None:
    page.goto(f"{slow_site}/what-if?user=15&item=3")
    page.wait_for_selector("#what-if-history tbody tr")
    page.click("[data-do=remove] >> nth=0")
    page.wait_for_selector("tr.removed")
    page.click("#ask")
    page.wait_for_selector("#status .pulse")
    page.click("#stop")
    page.wait_for_selector("#status:has-text('Stopped')")
