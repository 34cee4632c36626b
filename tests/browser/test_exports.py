"""The pages beside Predict as files, in a real Chromium: exported as they are shown, and opened from a disk alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.actions import address, wait_until
from tests.browser.conftest import HOSTILE
from tests.browser.looking import picture

Command = Callable[..., dict[str, Any]]
SAMPLE = ("--user", "19", "--item", "10")


def save(page: Any, words: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.locator(f".exports a:text-is('{words}')").locator("visible=true").first.click()
    path = folder / str(waiting.value.suggested_filename)
    waiting.value.save_as(path)
    return path


def read_alone(chromium: Any, path: Path, name: str) -> str:
    """What the page says without the app: at a desk and on a phone it asks for nothing, and fits."""
    for width, scheme in ((1280, "light"), (390, "dark")):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        alone, heard = context.new_page(), []
        alone.on("request", lambda request, heard=heard: heard.append(request.url))
        alone.on("console", lambda message, heard=heard: heard.append(message.text))
        alone.on("pageerror", lambda error, heard=heard: heard.append(str(error)))
        alone.goto(path.as_uri())
        said = str(alone.inner_text("body"))
        assert heard == [path.as_uri()]
        assert alone.evaluate("document.documentElement.scrollWidth") <= width
        assert alone.locator("button, input, select, iframe, script, [data-go]").count() == 0
        picture(alone, f"export-{name}-{width}-{scheme}", full_page=True)
        context.close()
    assert "Scripted engine." in said
    return said


def test_a_user_and_the_list_as_they_are_shown(
    page: Any, site: str, chromium: Any, command: Command, tmp_path: Path
) -> None:
    record = command("predict", *SAMPLE)
    page.goto(f"{site}/users?user=19")
    page.wait_for_selector("#user-predictions tbody tr")
    page.click("[data-go=axis-order]")  # the links follow
    wait_until(lambda: "axis=order" in address(page))
    told = json.loads(save(page, "JSON", tmp_path).read_text("utf-8"))
    assert told["query"]["axis"] == "order"
    [prediction_row] = [row for row in told["predictions"] if row["item"] == "10"]
    assert (prediction_row["p_g"], prediction_row["p_r"], prediction_row["p_final"]) == (
        record["p_g"],
        record["p_r"],
        record["p_final"],
    )
    said = read_alone(chromium, save(page, "page", tmp_path), "user")
    assert f"{prediction_row['p_final']:.2f}" in said
    assert page.inner_text("#user-profile h1") in said
    page.goto(f"{site}/users?sort=-ratings")
    page.wait_for_selector("#users-list tbody tr")
    said = read_alone(chromium, save(page, "page", tmp_path), "users")
    assert said.index("User 547") < said.index("User 564")
    first = json.loads(save(page, "JSON", tmp_path).read_text("utf-8"))["users"][0]
    assert (first["user"], first["ratings"]) == ("547", 2391)


def test_a_what_if_as_it_is_shown(page: Any, site: str, chromium: Any, command: Command, tmp_path: Path) -> None:
    page.goto(f"{site}/what-if?user=19&item=10&k=5")
    page.wait_for_selector("#what-if-history tbody tr")
    page.locator("[data-do=remove]").first.click()
    page.wait_for_selector("#what-if-history tr.removed")
    page.click("#ask")
    page.wait_for_selector("#status:has-text('Before and after are known')", timeout=60_000)
    told = json.loads(save(page, "JSON", tmp_path).read_text("utf-8"))
    edits = json.dumps(told["edits"])
    assert told["after"] == told["after"] | {
        name: value
        for name, value in command("predict", *SAMPLE, "--k", "5", "--edits", edits).items()
        if name in ("p_g", "p_r", "p_final", "history")
    }
    said = read_alone(chromium, save(page, "page", tmp_path), "what-if")
    assert page.inner_text("#what-if-numbers .verdict-line") in said
    for side in ("before", "after"):
        assert f"{told[side]['p_final']:.2f}" in said
    assert said.count("Chain ") == 12


def test_an_evaluation_as_it_is_shown(page: Any, site: str, chromium: Any, tmp_path: Path) -> None:
    page.goto(f"{site}/evaluate?limit=24&view=pair&first=UserMean&second=ItemMean")
    page.wait_for_selector("#evaluate-exhibit section")
    page.click("[data-go=side-both]")
    page.wait_for_selector("#evaluate-behind h2")
    said = read_alone(chromium, save(page, "page", tmp_path), "evaluate")
    assert page.inner_text("#evaluate-behind h2") in said
    for cell in page.locator("#evaluate-exhibit .differences td").all_inner_texts():
        assert cell in said
    page.goto(f"{site}/evaluate?limit=24&view=table-4")
    page.wait_for_selector("#evaluate-exhibit table")
    said = read_alone(chromium, save(page, "page", tmp_path), "table")
    assert page.locator("#evaluate-exhibit [data-line=UserMean] + td b").inner_text() in said


def test_the_library_as_it_is_shown(page: Any, site: str, chromium: Any, tmp_path: Path) -> None:
    page.goto(f"{site}/library")
    page.wait_for_selector("#library-own [data-artifact]")
    said = read_alone(chromium, save(page, "page", tmp_path), "library")
    shown = page.locator("#library-own [data-artifact]").evaluate_all("all => all.map(one => one.dataset.artifact)")
    told = json.loads(save(page, "JSON", tmp_path).read_text("utf-8"))
    assert [artifact["key"] for artifact in told["artifacts"]] == shown
    for artifact in told["artifacts"]:
        assert artifact["kind"] in said
    assert f"{told['datasets'][0]['interactions']:,}" in said


def test_a_story_as_it_was_told(page: Any, site: str, chromium: Any, tmp_path: Path) -> None:
    steps = [{"view": "/stories", "sentence": f"{HOSTILE} {n}"} for n in (1, 2)]
    key = page.request.post(f"{site}/story", data={"title": HOSTILE, "steps": steps}).json()["story"]
    page.goto(f"{site}/stories?story={key}")
    page.wait_for_selector(".story-count")
    said = read_alone(chromium, save(page, "page", tmp_path), "story")
    assert said.count(HOSTILE) == 3
    assert said.count(f"{site}/stories") >= 2
    told = json.loads(save(page, "JSON", tmp_path).read_text("utf-8"))
    assert [step["link"] for step in told["steps"]] == [f"{site}/stories"] * 2
