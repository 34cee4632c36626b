"""Results of labelling in a browser: a dispute is found, resolved and made gold; a file is taken along and imported;
no view has anything serious to be said against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.labelling import Label
from storage import open_database
from storage.labels import accounts
from storage.labels.taking_over import take_over
from tests.backend.labelling.making import judgement, label
from tests.browser.serving import SCRIPTED, server

PASSWORD = "a long password"
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
    done = page.context.request.post(f"{site}/labels/login", data={"name": name, "password": PASSWORD})
    assert done.ok, done.text()
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


def test_labels_are_taken_along_and_imported_twice_add_nothing(page: Any, labelled: str, tmp_path: Path) -> None:
    open_view(page, labelled, "export", "root")
    with page.expect_download() as download:
        page.click("a[aria-label='Canonical JSON lines, submitted']")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "chains-of-spring-submitted.jsonl"
    assert {json.loads(line)["author"] for line in file.read_text("utf-8").splitlines()} == {"ann", "bob"}
    page.click("[data-import]")
    page.wait_for_selector(".import-said:has-text('Choose a file first')")
    page.set_input_files("#import-file", file)
    page.click("[data-import]")
    page.wait_for_selector(".import-said:has-text('0 labels are new, 8 were here already')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious(scheme: str, chromium: Any, labelled: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    serious = []
    for view in VIEWS:
        page.set_viewport_size({"width": 1280, "height": 900})
        open_view(page, labelled, view)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{view} is wider than the window"
            found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
            serious += [
                (view, width, rule["id"], [node["html"][:200] for node in rule["nodes"]])
                for rule in found
                if rule["impact"] in ("serious", "critical")
            ]
    context.close()
    assert serious == []
