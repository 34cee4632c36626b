"""Reading chains in a real Chromium: following a citation, comparing two chains, copying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.actions import ask, open_page, slide, wait_until
from tests.browser.conftest import HOSTILE

Command = Callable[..., dict[str, Any]]
SAMPLE = "user=15&item=16"


def open_chains(page: Any, site: str, query: str = SAMPLE) -> None:
    open_page(page, site, query)
    if "From the cache" not in page.inner_text("#status"):
        ask(page)


def cited(page: Any, number: int) -> set[str]:
    return set(page.locator(f"#reason [data-chain='{number}'] .cited").all_inner_texts())


def fact(page: Any, name: str) -> str:
    return str(page.inner_text(f".pair dt:text-is('{name}') + dd"))


def test_a_cited_title_leads_to_its_row_and_escape_leads_back(page: Any, site: str) -> None:
    open_chains(page, site)
    link = page.locator("#reason .chain a.cited").first
    title = link.inner_text()
    before = page.evaluate("location.href")
    link.focus()
    page.keyboard.press("Enter")
    wait_until(lambda: page.evaluate("document.activeElement.id").startswith("past-"))
    assert title in page.evaluate("document.activeElement.innerText")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.evaluate("location.href") == before
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.innerText") == title
    page.click("button.label-wrap:has-text('2 ·')")
    wait_until(lambda: page.locator("#rerank table").is_hidden())
    link.click()
    wait_until(lambda: page.evaluate("document.activeElement.id").startswith("past-"))
    assert page.locator("#rerank table").is_visible(), "a step that is folded is unfolded"


def test_two_chains_are_compared_by_what_the_command_line_says_of_them(page: Any, site: str, command: Command) -> None:
    open_chains(page, site)
    traces = command("predict", "--user", "15", "--item", "16")["traces"]
    for this_chain, that_chain in ((1, 4), (2, 3)):
        page.click(f"#reason [data-chain='{this_chain}'] [data-compare]")
        page.click(f"#reason [data-chain='{that_chain}'] [data-compare]")
        wait_until(
            lambda this_chain=this_chain, that_chain=that_chain: (
                page.inner_text(".pair header b") == f"Chains {this_chain} and {that_chain}"
            )
        )
        first, second = traces[this_chain - 1], traces[that_chain - 1]
        values = f"{first['p_yes']:.2f} and {second['p_yes']:.2f}"
        assert fact(page, "P(yes)") == f"{values}: {abs(first['p_yes'] - second['p_yes']):.2f} apart"
        assert ("both" in fact(page, "Verdicts")) == (first["verdict"] == second["verdict"])
        both = cited(page, this_chain) & cited(page, that_chain)
        assert set(fact(page, "Both cite").split("; ")) == (both or {"none"})
        assert set(fact(page, f"Only chain {this_chain} cites").split("; ")) == (
            cited(page, this_chain) - both or {"none"}
        )
        assert page.locator("[data-compare][aria-pressed=true]").count() == 2


def test_a_comparison_outlives_a_redraw_and_ends_where_it_began(page: Any, site: str) -> None:
    open_chains(page, site)
    page.click("#reason [data-chain='1'] [data-compare]")
    assert "Choose another one" in page.inner_text(".pair")
    page.click("#reason [data-chain='2'] [data-compare]")
    slide(page, "k", 3)  # never asked: the chains are drawn anew, greyed
    wait_until(lambda: page.locator("#reason .stale").count() == 1)
    assert page.inner_text(".pair header b") == "Chains 1 and 2"
    slide(page, "k", 10)
    wait_until(lambda: page.locator("#reason .stale").count() == 0)
    page.click(".pair [data-close]")
    assert page.locator(".pair:visible").count() == 0
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Compare chain 2"


def test_prompt_chain_and_command_are_copied_with_and_without_a_clipboard(
    page: Any, site: str, command: Command
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_chains(page, site)
    record = command("predict", "--user", "15", "--item", "16")
    texts = {"the prompt": record["prompt"], "chain 1": record["traces"][0]["text"].strip()}
    for plain_http in (False, True):
        if plain_http:
            page.evaluate("Object.defineProperty(window, 'isSecureContext', {value: false})")
        for what, text in texts.items():
            page.evaluate("navigator.clipboard.writeText('')")
            page.click(f"button[aria-label='Copy {what}']")
            wait_until(lambda text=text: page.evaluate("navigator.clipboard.readText()") == text)
            assert page.inner_text(f"button[aria-label='Copy {what}']") == "Copied ✓"
            wait_until(lambda what=what: page.inner_text(".spoken[role=status]") == f"Copied {what}")
    page.click(".command summary")
    page.click("button[aria-label='Copy the command line']")
    said = "RALLREC_ENGINE=scripted rallrec predict"
    wait_until(lambda: page.evaluate("navigator.clipboard.readText()").startswith(said))


def test_hostile_titles_stay_text_in_a_comparison(page: Any, hostile_site: str) -> None:
    open_chains(page, hostile_site, "user=1&item=9")
    page.click("#reason [data-chain='1'] [data-compare]")
    page.click("#reason [data-chain='2'] [data-compare]")
    wait_until(lambda: HOSTILE in page.inner_text(".pair"))
    assert page.locator(".pair img").count() == 0
