"""Results of labelling in a browser: a dispute is found, resolved and made gold, and axe finds nothing serious."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.labelling import Label
from storage import open_database
from storage.labels import accounts
from storage.labels.taking_over import take_over
from tests.backend.labelling.making import judgement, label
from tests.browser.labelling import PASSWORD, log_in
from tests.browser.looking import problems_of
from tests.browser.serving import SCRIPTED, server

VIEWS = ("agreement&dimension=validity&first=ann&second=bob", "disputed", "adjudicate", "insight", "export")


def labels() -> Iterator[Label]:
    """Four tasks of ann and bob, who disagree about the last one and agree about the others."""
    for place in range(4):
        for author in ("ann", "bob"):
            torn = place == 3 and author == "bob"
            said = judgement("gbg", 2, "no") if torn else judgement("ggg", 3 + place % 3)
            yield label(f"{place}" * 24, author, said, gold=False)


@pytest.fixture(scope="module")
def labelled(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"sqlite:///{tmp_path_factory.mktemp('labels') / 'labels.db'}"
    database = open_database(url)
    for name, role in {"rita": "reviewer", "root": "admin"}.items():
        accounts.add_account(database, name, PASSWORD, role)
    take_over(database, labels())
    database.close()
    with server(home, **SCRIPTED, database_url=url) as site:
        yield site


def open_view(page: Any, site: str, view: str, name: str = "rita") -> None:
    log_in(page, site, name)
    page.goto(f"{site}/label?project=spring&view={view}")
    page.wait_for_selector(".results")


def test_a_dispute_is_resolved_and_made_gold(page: Any, labelled: str) -> None:
    open_view(page, labelled, "disputed")
    page.click(".disputed tbody tr:first-child a")
    page.wait_for_selector(".resolve-form")
    assert page.locator(".resolve-steps .apart").count() == 1
    assert page.locator(".resolve-steps input[value=good]:checked").count() == 2, "what both said alike is filled in"
    assert page.locator(".tags-of:visible").count() == 0
    page.click(".resolve-form .primary")
    assert page.evaluate("document.activeElement.closest('fieldset').className") == "asked apart", (
        "what lacks has the focus"
    )
    page.check(".resolve-steps .apart input[value=bad]")
    page.check(".resolve-steps .apart .tags-of input[value=invented_fact]")
    for scale in page.locator(".asked.line.apart").all():
        scale.locator("input").first.check()
    page.fill("#resolved-comment", "Ronin is no comedy <b>")
    page.click(".resolve-form .primary")
    page.wait_for_selector("text=Resolved by rita")
    assert page.input_value("#resolved-comment") == "Ronin is no comedy <b>"
    page.reload()
    page.wait_for_selector(".resolve-steps .apart input[value=bad]:checked")
    assert page.is_checked(".resolve-steps .apart .tags-of input[value=invented_fact]")
    page.click("button:has-text('Make it gold')")
    page.wait_for_selector("button:has-text('Make it an ordinary task again')")
    page.click("nav.label-tabs a:has-text('Agreement')")
    page.wait_for_selector("h3:has-text('Gold tasks')")


def test_every_view_fits_and_nothing_serious_is_found(page: Any, labelled: str) -> None:
    problems = []
    for view in VIEWS:
        open_view(page, labelled, view)
        problems += problems_of(page, f"label-results-{view}")
    assert problems == []
