"""The What-if page in a real Chromium: from Predict with its view, an edit, both answers, kept, found by its link."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.actions import address, ask, chosen, open_page, slide, wait_until
from tests.browser.conftest import HOSTILE

Command = Callable[..., dict[str, Any]]


def open_what_if(page: Any, site: str, query: str = "user=15&item=1") -> None:
    page.goto(f"{site}/what-if?{query}")
    page.wait_for_selector("#what-if-history tbody tr")


def titles(page: Any, side: str) -> list[str]:
    """What is in the prompt of one side."""
    return list(page.locator(f"#what-if-chosen section[aria-label^={side}] li .title").all_inner_texts())


def number(page: Any, symbol: int, side: str) -> str:
    """P_G (0), its variance (1), P_R (2), its variance (3) or P_final (4) of one side."""
    return str(page.locator(f"#what-if-numbers tbody tr >> nth={symbol} >> td[data-side={side}]").inner_text())


def test_what_if_the_most_relevant_item_were_not_there(page: Any, chromium: Any, site: str, command: Command) -> None:
    open_page(page, site, "user=15&item=10&k=5")
    ask(page)
    first = chosen(page)[0][0]
    page.locator("#rerank a.without").first.click()
    page.wait_for_selector("#what-if-history tr.removed")
    assert first in page.inner_text("#what-if-history tr.removed")
    assert "k=5" in address(page)
    assert titles(page, "Before")[0] == first
    assert first not in titles(page, "After")
    assert len(titles(page, "After")) == 5
    record = command("predict", "--user", "15", "--item", "10", "--k", "5")
    assert number(page, 4, "before") == f"{record['p_final']:.2f}"
    assert number(page, 4, "after") == "–"
    page.wait_for_selector("#status:has-text('after, 9 model calls')")

    page.click("#ask")
    page.wait_for_selector("#status:has-text('After:')")
    page.wait_for_selector("#status:has-text('✓')", timeout=30_000)
    assert re.match(r"(Yes|No) (stays|becomes) (Yes|No):", page.inner_text(".verdict-line"))
    assert number(page, 4, "before") == f"{record['p_final']:.2f}"
    after = [number(page, symbol, "after") for symbol in range(5)]
    edits = parse_qs(urlsplit(address(page)).query)["edits"][0]
    told = command("predict", "--user", "15", "--item", "10", "--k", "5", "--edits", edits)
    assert (after[0], after[2], after[4]) == tuple(f"{told[name]:.2f}" for name in ("p_g", "p_r", "p_final"))
    assert re.fullmatch(r"0\.\d\d|1\.00", after[4])
    assert page.locator("#what-if-chains section[aria-label^=After] .chain footer").count() == 6
    assert first in " ".join(page.locator("#what-if-prompt .left").all_inner_texts())

    page.fill("#keep-name", "Without <b>the best</b>")
    page.press("#keep-name", "Enter")
    page.wait_for_selector("#what-if-kept a:has-text('Without <b>the best</b>')")
    wait_until(lambda: "id=" in address(page))
    context = chromium.new_context()
    second_page = context.new_page()
    second_page.goto(address(page))
    second_page.wait_for_selector("#what-if-history tr.removed")
    assert "Without <b>the best</b>" in second_page.inner_text("#what-if-question")
    assert [number(second_page, symbol, "after") for symbol in range(5)] == after
    assert "✓" in second_page.inner_text("#status")
    context.close()
    # Predict knows nothing of it.
    assert command("predict", "--user", "15", "--item", "10", "--k", "5") == record
    page.click("#what-if-question a")
    page.wait_for_selector("#target .lead")
    assert chosen(page)[0][0] == first
    assert page.inner_text("#p-final") == f"{record['p_final']:.2f}"


def test_an_edit_by_keyboard_keeps_the_focus_and_back_undoes_it(page: Any, site: str) -> None:
    open_what_if(page, site)
    button = page.locator("#what-if-history button[data-do=remove]").first
    key = button.get_attribute("data-key")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#what-if-history tr.removed")
    wait_until(lambda: page.evaluate("document.activeElement.dataset.key") == key)
    wait_until(lambda: "edits=" in address(page))
    rating = page.locator("#what-if-history input[data-do=rate]").first
    rating.fill("1")
    rating.press("Enter")
    page.wait_for_selector("#what-if-history tr.rated")
    wait_until(lambda: "rated" in address(page))
    page.go_back()
    page.wait_for_selector("#what-if-history tr.removed")
    wait_until(lambda: page.locator("#what-if-history tr.rated").count() == 0)
    page.click("[data-do=clear]")
    wait_until(lambda: page.locator("#what-if-history tr.removed").count() == 0)
    wait_until(lambda: "edits=" not in address(page))


def test_every_other_control_changes_the_question_and_takes_it_back(page: Any, site: str) -> None:
    open_what_if(page, site, "user=15&item=2")
    page.fill("#add-input", "matrix, the")
    page.locator("#add-list li:has-text('Matrix, The (1999)')").click()
    page.wait_for_selector("#what-if-history tr:is(.added, .moved)")
    place = page.locator("#what-if-history input[data-do=place]")
    place.fill("1")
    place.press("Enter")
    page.wait_for_selector(".edit:has-text('at place 1')")
    page.fill("#target-of-input", "blade run")
    page.locator("#target-of-list li:has-text('Blade Runner (1982)')").click()
    page.wait_for_selector(".edit:has-text('asked about Blade Runner (1982)')")
    page.select_option("#set-hint", "own")
    sentence = page.locator("[data-do=sentence]")
    sentence.fill("They fell asleep.")
    sentence.press("Enter")
    page.wait_for_selector("#what-if-prompt .entered:has-text('They fell asleep.')")
    page.select_option("#set-template", "paper" if page.input_value("#set-template") == "answered" else "answered")
    page.wait_for_selector(".edit:has-text('template')")
    for name, value in (("k", "4"), ("temperature", "0.9"), ("seed", "3")):
        page.fill(f"#set-{name}", value)
        page.press(f"#set-{name}", "Enter")
        page.wait_for_selector(f".field.changed #set-{name}")
    assert len(titles(page, "After")) == 4
    page.fill("#set-k", "0")
    page.press("#set-k", "Enter")
    page.wait_for_selector("#status .error:has-text('k is')")
    open_what_if(page, site, address(page).split("?", 1)[1])
    assert page.locator(".edit").count() == 7
    while page.locator(".field.changed button").count():
        left = page.locator(".field.changed").count()
        page.locator(".field.changed button").first.click()
        wait_until(lambda left=left: page.locator(".field.changed").count() < left)
    assert page.locator(".edit").count() == 1


def test_the_prompt_is_edited_by_hand_asked_sent_by_its_link_and_taken_back(
    page: Any, site: str, command: Command
) -> None:
    sample = ("--user", "15", "--item", "2", "--k", "4")
    command("predict", *sample)
    open_what_if(page, site, "user=15&item=2&k=4")
    page.wait_for_selector("#status:has-text('✓')")
    edit, field = page.locator(".edit-prompt > summary"), page.locator("#prompt-text")
    edit.focus()
    page.keyboard.press("Enter")
    written = field.input_value()
    assert written == command("predict", *sample)["prompt"]
    # What cannot be sent is said, and nothing that was typed is lost.
    field.fill("x" * 20_001)
    page.click("[data-do=prompt]")
    page.wait_for_selector("#status .error:has-text('it has 20001 characters')")
    wait_until(lambda: page.evaluate("document.querySelector('#status .error').getBoundingClientRect().top") > -1)
    assert len(field.input_value()) == 20_001
    edited = f"{written}\n{HOSTILE}"
    field.fill(edited)
    page.locator("#what-if-history button[data-do=remove]").first.click()
    page.wait_for_selector("#what-if-history tr.removed")
    wait_until(lambda: field.input_value() == edited)
    page.click("[data-do=clear]")
    wait_until(lambda: page.locator(".edit").count() == 0)
    page.click("[data-do=prompt]")
    page.wait_for_selector(".edit:has-text('the prompt edited by hand')")
    [entered] = page.locator("#what-if-prompt .entered").all_inner_texts()
    assert entered.endswith(HOSTILE)
    assert not field.is_visible()
    wait_until(lambda: page.evaluate("document.activeElement.dataset.key") == "edit the prompt")
    page.wait_for_selector("#status:has-text('after, 6 model calls')")
    page.click("#ask")
    page.wait_for_selector("#status:has-text('After:')")
    page.wait_for_selector("#status:has-text('✓')", timeout=30_000)
    edits = parse_qs(urlsplit(address(page)).query)["edits"][0]
    told = command("predict", *sample, "--edits", edits)
    assert (told["cached"], told["prompt"], told["edits"]) == (True, edited, {"prompt": edited})
    assert number(page, 4, "after") == f"{told['p_final']:.2f}"
    assert page.locator("#what-if-prompt img").count() == 0

    # It stays when the history moves on, and says that it does not follow.
    first = titles(page, "Before")[0]
    page.locator("#what-if-history button[data-do=remove]").first.click()
    page.wait_for_selector(f".by-hand:has-text('no longer follows the history'):has-text('{first}')")
    assert field.input_value() == edited
    wait_until(lambda: "removed" in address(page))
    open_what_if(page, site, address(page).split("?", 1)[1])
    assert page.locator(".edit").count() == 2
    page.click("[data-do=written]")
    wait_until(lambda: page.locator(".edit").count() == 1)
    assert page.locator(".by-hand").count() == 0


def test_a_kept_one_is_deleted_with_a_way_back(page: Any, site: str) -> None:
    open_what_if(page, site, "user=15&item=2&edits=%7B%22hint%22%3A%22no%22%7D")
    page.fill("#keep-name", "to be deleted")
    page.click("[data-do=keep]")
    row = page.locator("#what-if-kept li:has-text('to be deleted')")
    row.locator("[data-do=delete]").click()
    page.wait_for_selector("#what-if-kept .notice")
    assert row.count() == 0
    page.click("[data-do=undelete]")
    row.wait_for()


def test_the_pages_carry_the_view_between_them(page: Any, site: str) -> None:
    open_page(page, site, "user=15&item=1")
    slide(page, "k", 4)
    wait_until(lambda: "k=4" in address(page))
    page.click("nav[aria-label=Pages] a:has-text('What-if')")
    page.wait_for_selector("#what-if-history tbody tr")
    assert len(titles(page, "Before")) == 4
    page.locator("#what-if-history button[data-do=remove]").first.click()
    page.wait_for_selector("#what-if-history tr.removed")
    page.click("nav[aria-label=Pages] a:has-text('Predict')")
    page.wait_for_selector("#target .lead")
    assert "edits" not in address(page)
    wait_until(lambda: len(chosen(page)) == 4)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("user=15&item=1&edits=%7B", "edits cannot be read"),
        ("user=99999&item=1", "No user '99999'"),
    ],
)
def test_a_wrong_link_says_what_is_wrong_and_leaves_a_usable_page(page: Any, site: str, query: str, said: str) -> None:
    open_what_if(page, site, query)
    assert said in page.inner_text("#what-if-notice .error")
    assert ("What if user 15, asked about Toy Story (1995)" in page.inner_text("#what-if-question")) is (
        "user=15" in query
    )
    assert address(page).endswith(f"?{query}")
    page.locator("#what-if-history button[data-do=remove]").first.click()
    page.wait_for_selector("#what-if-history tr.removed")
    wait_until(lambda: not page.locator(".left-out").is_visible())
    assert not address(page).endswith(f"?{query}")
    page.go_back()
    page.wait_for_selector("#what-if-notice .error")
    assert address(page).endswith(f"?{query}")


def test_titles_and_sentences_are_shown_as_text_whatever_they_hold(page: Any, hostile_site: str) -> None:
    open_what_if(page, hostile_site, "user=1&item=9")
    page.locator("#what-if-history button[data-do=remove]").first.click()
    page.wait_for_selector("#what-if-history tr.removed")
    page.select_option("#set-hint", "own")
    page.fill("[data-do=sentence]", HOSTILE)
    page.press("[data-do=sentence]", "Enter")
    page.wait_for_selector("#what-if-prompt .entered:has-text('onerror')")
    page.fill("#keep-name", HOSTILE)
    page.press("#keep-name", "Enter")
    page.wait_for_selector("#what-if-kept li")
    for panel in ("question", "history", "chosen", "prompt", "kept"):
        assert HOSTILE in page.inner_text(f"#what-if-{panel}"), panel
        assert page.locator(f"#what-if-{panel} img").count() == 0, panel
    assert page.input_value("[data-do=sentence]") == HOSTILE
