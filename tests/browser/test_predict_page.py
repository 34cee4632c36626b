"""The Predict page in a real Chromium: every control, against the numbers of the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from tests.browser.actions import (
    address,
    ask,
    chosen,
    expected,
    open_map,
    open_page,
    slide,
    wait_until,
)
from tests.browser.conftest import HOSTILE
from tests.browser.serving import SCRIPTED, server

Command = Callable[..., dict[str, Any]]


def test_the_first_page_opens_on_a_real_sample_without_asking_a_model(page: Any, site: str) -> None:
    page.goto(site)
    page.wait_for_selector("#target .lead")
    assert re.match(r"Will user \d+, who has [\d,]+ earlier ratings, like .+\?", page.inner_text("#target .lead"))
    assert "Not asked yet" in page.inner_text("#status") or "From the cache" in page.inner_text("#status")


def test_the_retrieval_sliders_redraw_eq_8_with_the_command_lines_numbers(
    page: Any, site: str, command: Command
) -> None:
    open_page(page, site)
    options: dict[str, str] = {}
    for name, value, option in (
        ("gamma", 0.25, "0.25"),
        ("gamma", 0.667, str(2 / 3)),
        ("beta", 0.5, "0.5"),
        ("k", 4, "4"),
        ("k", 25, "25"),
    ):
        slide(page, name, value)
        options[f"--{name}"] = option
        record = command("predict", "--user", "15", "--item", "1", *chain.from_iterable(options.items()))
        wait_until(lambda record=record: chosen(page) == expected(record))


def test_an_item_that_enters_or_leaves_is_marked(page: Any, site: str) -> None:
    open_page(page, site)
    before = {title for title, _ in chosen(page)}
    slide(page, "gamma", 0.1)
    wait_until(lambda: "left:" in page.inner_text("#rerank"))
    new = {row.inner_text() for row in page.query_selector_all("#rerank tr.entered td:nth-child(2)")}
    assert {title.replace(" + new", "") for title in new} == {title for title, _ in chosen(page)} - before


def test_a_prediction_streams_its_chains_and_ends_in_the_command_lines_numbers(
    page: Any, site: str, command: Command
) -> None:
    # Of a sample that no other test asks about: what is cached is not written again.
    open_page(page, site, "user=30&item=2")
    page.click("#ask")
    page.wait_for_selector("#reason .chain.writing")
    page.wait_for_selector("#status:has-text('Computed in')", timeout=30_000)
    record = command("predict", "--user", "30", "--item", "2")
    assert record["cached"] is True
    assert page.inner_text("#p-final") == f"{record['p_final']:.2f}"
    drawn = [footer.inner_text() for footer in page.query_selector_all("#reason .chain footer b")]
    assert drawn == [f"{trace['p_yes']:.2f}" for trace in record["traces"]]
    assert page.inner_text("#ask-panel mark") in record["prompt"]
    assert page.inner_text("#ask-panel pre").strip() == record["prompt"]
    assert page.locator("#reason .verdict.none").count() == sum(t["verdict"] == "no_answer" for t in record["traces"])


def test_the_merge_sliders_fill_in_eq_10_with_the_command_lines_numbers(page: Any, site: str, command: Command) -> None:
    command("predict", "--user", "15", "--item", "2")
    open_page(page, site, "user=15&item=2")
    options: dict[str, str] = {}
    for name, value, option in (
        ("alpha", 0.8, "0.8"),
        ("alpha", 0.0, "0"),
        ("alpha", 0.3, "0.3"),
        ("epsilon", -1.0, "0.1"),
        ("epsilon", -5.5, str(10**-5.5)),
    ):
        slide(page, name, value)
        options[f"--{name}"] = option
        record = command("predict", "--user", "15", "--item", "2", *chain.from_iterable(options.items()))
        wait_until(lambda record=record: f"= {record['p_final']:.4f}" in page.inner_text("#merge .formula"))


def test_stop_keeps_what_had_finished_and_asking_again_goes_on(page: Any, home: Any) -> None:
    with server(home, **SCRIPTED, scripted_delay=0.5) as site:
        open_page(page, site, "user=15&item=3")
        page.click("#ask")
        page.wait_for_selector("#reason .chain.writing")
        page.click("#stop")
        page.wait_for_selector("#status:has-text('Stopped')", timeout=5_000)
        assert "finished" in page.inner_text("#reason")
        assert page.locator("#merge .empty").count() == 1
        slide(page, "max_tokens", 16)  # shorter chains, so that the second run is quick
        wait_until(lambda: "Not asked yet" in page.inner_text("#status"))
        ask(page)
        assert page.locator("#reason .chain footer").count() == 6
        page.goto("about:blank")  # a page that outlives its server is told so in the console


def test_a_page_that_is_opened_while_its_prediction_is_answered_watches_it(page: Any, chromium: Any, site: str) -> None:
    open_page(page, site, "user=15&item=9&traces=9")
    page.click("#ask")
    page.wait_for_selector("#reason .chain.writing")
    watcher = chromium.new_context().new_page()
    open_page(watcher, site, "user=15&item=9&traces=9")
    for watched in (watcher, page):
        watched.wait_for_selector("#p-final, #merge .big", timeout=30_000)
        assert watched.locator("#reason .chain footer").count() == 9
    watcher.context.close()


def test_closing_the_tab_loses_nothing(chromium: Any, site: str, command: Command) -> None:
    context = chromium.new_context()
    page = context.new_page()
    open_page(page, site, "user=15&item=6")
    page.click("#ask")
    page.wait_for_selector("#reason .chain.writing")
    context.close()
    wait_until(lambda: command("predict", "--user", "15", "--item", "6")["cached"], 30)


def test_answers_of_another_setting_are_greyed_and_cached_ones_come_back_at_once(page: Any, site: str) -> None:
    open_page(page, site, "user=15&item=10")
    ask(page)
    final = page.inner_text("#p-final")
    slide(page, "k", 3)
    wait_until(lambda: page.locator("#merge .stale").count() == 1)
    assert "Ask again" in page.inner_text("#ask-panel")
    assert "Ask again" in page.inner_text("#reason")
    assert "K 10" in page.inner_text("#merge .stale-note")
    slide(page, "k", 10)
    wait_until(lambda: page.locator("#merge .stale").count() == 0)
    assert page.inner_text("#p-final") == final


def test_a_deep_link_opens_the_view_it_was_copied_from(page: Any, site: str, command: Command) -> None:
    open_page(page, site, "user=15&item=1")
    slide(page, "gamma", 0.3)
    slide(page, "k", 6)
    slide(page, "epsilon", -2)
    wait_until(lambda: all(part in address(page) for part in ("k=6&", "gamma=0.3&", "epsilon=0.01")))
    open_page(page, site, address(page).split("?", 1)[1])
    record = command("predict", "--user", "15", "--item", "1", "--gamma", "0.3", "--k", "6", "--epsilon", "0.01")
    wait_until(lambda: chosen(page) == expected(record))
    assert page.input_value("#epsilon input[type=number]") == "-2"
    assert page.input_value("#k input[type=number]") == "6"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("user=99999&item=1", "No user '99999'"),
        ("user=15&item=1&gamma=7", "gamma is 7"),
    ],
)
def test_a_wrong_link_says_what_is_wrong_and_leaves_a_usable_page(page: Any, site: str, query: str, said: str) -> None:
    page.goto(f"{site}/?{query}")
    page.wait_for_selector("#notice .error")
    assert said in page.inner_text("#notice .error")
    page.wait_for_selector("#target .lead")
    assert ("user 15" in page.inner_text("#target .lead").lower()) is ("user=15" in query)
    # The link to be mended is there until something is changed.
    page.wait_for_timeout(600)
    assert address(page).endswith(f"?{query}")
    page.click("#item-input")
    page.wait_for_selector("#item-list li")
    page.locator("#item-list li").first.click()
    wait_until(lambda: not page.locator("#notice .left-out").is_visible())
    assert not address(page).endswith(f"?{query}")


def test_users_and_items_are_found_by_typing_and_chosen_by_keyboard(page: Any, site: str) -> None:
    open_page(page, site)
    page.focus("#item-input")
    page.keyboard.type("blade run")
    page.wait_for_selector("#item-list li:has-text('Blade Runner (1982)')")
    wait_until(lambda: page.locator("#item-list li").count() == 1)
    page.keyboard.press("Enter")
    wait_until(lambda: "Blade Runner" in page.inner_text("#target .lead"))
    page.focus("#user-input")
    page.keyboard.type("62")
    page.wait_for_selector("#user-list li:has-text('User 62 ')")
    wait_until(lambda: all("62" in row for row in page.locator("#user-list li").all_inner_texts()))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    wait_until(lambda: "user 62," in page.inner_text("#target .lead"))
    wait_until(lambda: "user=62&" in address(page))
    page.go_back()
    wait_until(lambda: page.locator("#target .lead:has-text('user 15,')").count() == 1)


def test_the_truth_is_told_on_request_only(page: Any, site: str, command: Command) -> None:
    record = command("predict", "--user", "15", "--item", "2")
    open_page(page, site, "user=15&item=2")
    assert "Truth" not in page.inner_text("#merge")
    page.check("#truth input")
    wait_until(lambda: f"Truth: {'Yes' if record['label'] else 'No'}" in page.inner_text("#merge"))


def test_an_arrow_key_moves_a_slider(page: Any, site: str) -> None:
    open_page(page, site)
    page.focus("#k input[type=range]")
    page.keyboard.press("ArrowRight")
    wait_until(lambda: len(chosen(page)) == 11)


def test_titles_are_shown_as_text_whatever_they_hold(page: Any, hostile_site: str) -> None:
    open_page(page, hostile_site, "user=1&item=9")
    ask(page)
    page.focus("#item-input")
    page.wait_for_selector("#item-list li")
    assert HOSTILE in page.locator("#item-list li").first.inner_text()
    open_map(page)
    page.focus(".map-marks")
    page.keyboard.press("ArrowRight")
    wait_until(lambda: HOSTILE in page.inner_text(".map-read"))
    assert HOSTILE in page.inner_text(".map-tip")
    assert "<b>Drama</b>" in page.inner_text(".map-legend")
    assert page.locator("#map img, #map b").count() == 0
    for panel in ("#target", "#retrieve", "#nearest", "#rerank", "#ask-panel", "#reason"):
        assert HOSTILE in page.inner_text(panel), panel
        assert page.locator(f"{panel} img").count() == 0, panel
    assert page.input_value("#item-input").startswith(HOSTILE)


def test_a_wrong_setting_is_said_where_it_is_seen_and_mended_by_the_next_move(page: Any, site: str) -> None:
    open_page(page, site)
    page.fill("#seed input", "-4")
    page.keyboard.press("Tab")
    page.wait_for_selector("#status .error:has-text('seed')")
    page.fill("#seed input", "4")
    page.keyboard.press("Tab")
    wait_until(lambda: page.locator("#status .error").count() == 0)


def test_a_first_visit_is_told_what_to_try_and_only_once(page: Any, site: str) -> None:
    page.goto(site)
    hint = page.locator(".first-visit")
    hint.wait_for(state="visible")
    hint.get_by_text("Got it").click()
    assert hint.is_hidden()
    page.reload()
    page.wait_for_selector("#merge *", state="attached")
    page.wait_for_timeout(300)
    assert hint.is_hidden()
