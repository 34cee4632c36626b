"""What is fetched beside the Predict page in a real Chromium: marks at asked values, the command line, exports."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.actions import address, ask, chosen, expected, open_page, slide, wait_until
from tests.browser.conftest import HOSTILE
from tests.browser.looking import picture

Command = Callable[..., dict[str, Any]]
SAMPLE = ("--user", "15", "--item", "17")
QUERY = "user=15&item=17"


def ticks(page: Any, name: str) -> list[str]:
    return [str(one) for one in page.eval_on_selector_all(f"#{name} .ticks button", "all => all.map(one => one.title)")]


def export(page: Any, ending: str, folder: Path) -> str:
    with page.expect_download() as waiting:
        page.click(f"a[data-export][href*='predict.{ending}']")
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == f"rallrec-ml-latest-small-user-15-item-17.{ending}"
    return path.read_text("utf-8")


def test_asked_values_are_marked_and_a_mark_goes_there(page: Any, site: str, command: Command) -> None:
    command("predict", *SAMPLE, "--gamma", "0.5")
    open_page(page, site, QUERY)
    wait_until(lambda: len(ticks(page, "gamma")) > 0)
    place = [title.startswith("gamma 0.5") for title in ticks(page, "gamma")].index(True)
    tick = page.locator("#gamma .ticks button").nth(place)
    box, rail = tick.bounding_box(), page.locator("#gamma input[type=range]").bounding_box()
    assert abs(box["x"] - (rail["x"] + 8 + (rail["width"] - 16) * 0.5)) < 4
    tick.focus()
    page.keyboard.press("Enter")
    record = command("predict", *SAMPLE, "--gamma", "0.5")
    wait_until(lambda: chosen(page) == expected(record))
    wait_until(lambda: "From the cache" in page.inner_text("#status"))
    wait_until(lambda: "gamma=0.5&" in address(page))
    wait_until(lambda: any(title.startswith("K 10") for title in ticks(page, "k")))
    wait_until(lambda: ticks(page, "traces") == ["chains 1 to 6: asked before, the answers are there"])


def test_what_is_asked_now_is_marked_once_it_is_answered(page: Any, site: str) -> None:
    open_page(page, site, "user=15&item=21&gamma=0.9")
    page.wait_for_timeout(500)
    assert ticks(page, "k") == []
    ask(page)
    wait_until(lambda: any(title.startswith("K 10") for title in ticks(page, "k")))


def test_the_command_and_the_exports_are_of_the_view_as_it_is(
    page: Any, site: str, command: Command, tmp_path: Path
) -> None:
    open_page(page, site, QUERY)
    slide(page, "gamma", 0.25)
    slide(page, "alpha", 0.4)
    wait_until(lambda: "--gamma 0.25 " in page.text_content(".command code"))
    assert "--alpha 0.4 " in page.text_content(".command code")
    slide(page, "k", 4)  # exported at once, before the address has settled
    shown = json.loads(export(page, "json", tmp_path))
    command_record = command("predict", *SAMPLE, "--gamma", "0.25", "--alpha", "0.4", "--k", "4")  # asks
    assert (shown["k"], shown["cached"], "label" in shown) == (4, False, False)
    assert shown["history"] == command_record["history"]
    page.check("#truth input")
    told = json.loads(export(page, "json", tmp_path))
    assert told == command_record | {"cached": True}


def test_an_exported_page_opens_from_the_disk_and_asks_for_nothing(
    page: Any, site: str, chromium: Any, command: Command, tmp_path: Path
) -> None:
    record = command("predict", *SAMPLE)
    open_page(page, site, QUERY)
    export(page, "html", tmp_path)
    [path] = tmp_path.glob("*.html")
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light")):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        alone, heard = context.new_page(), []
        alone.on("request", lambda request, heard=heard: heard.append(request.url))
        alone.on("console", lambda message, heard=heard: heard.append(message.text))
        alone.goto(path.as_uri())
        assert heard == [path.as_uri()]
        assert f"= {record['p_final']:.4f}" in alone.inner_text(".formula")
        assert alone.evaluate("document.documentElement.scrollWidth") <= width
        light = alone.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert light == (scheme == "light")
        alone.locator(".chain a.cited").first.click()
        assert re.search(r"#(past-\d+|question)$", alone.url)
        picture(alone, f"export-{width}-{scheme}", full_page=True)
        alone.emulate_media(media="print", color_scheme="dark")
        assert alone.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        context.close()


def test_hostile_titles_are_text_in_an_exported_page(chromium: Any, hostile_site: str) -> None:
    page = chromium.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    html = page.request.get(f"{hostile_site}/export/predict.html?user=1&item=9").text()
    page.set_content(html)
    assert HOSTILE in page.inner_text("#question .lead")
    assert page.locator("img").count() == 0
    assert said == []
    page.close()


def test_another_choice_is_shown_beside_the_pages_own_and_is_part_of_the_link(
    page: Any, site: str, command: Command
) -> None:
    open_page(page, site, f"{QUERY}&k=5")
    page.click(".against summary")
    page.select_option(".against select", "recent")
    page.wait_for_selector(".against-told table")

    def shown(place: int) -> list[str]:
        return [
            str(t) for t in page.locator(f".against-told table >> nth={place} >> td:nth-child(2)").all_inner_texts()
        ]

    for k in ("5", "3"):
        slide(page, "k", int(k))
        lists = [command("predict", *SAMPLE, "--k", k, "--strategy", way)["history"] for way in ("rerank", "recent")]
        wait_until(lambda lists=lists: [shown(0), shown(1)] == [[row["title"] for row in listed] for listed in lists])
    wait_until(lambda: "against=recent" in address(page) and "k=3&" in address(page))
    page.reload()
    page.wait_for_selector(".against-told table")
    assert page.input_value(".against select") == "recent"
    page.click(".against summary")
    wait_until(lambda: "against" not in address(page))
