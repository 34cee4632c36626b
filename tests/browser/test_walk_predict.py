"""Every control of the Predict page in a real Chromium, and its numbers under random settings against the command's."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.knobs import KNOBS
from backend.prompting import KNOWLEDGE_WORDINGS
from backend.representation import VARIANTS
from backend.retrieval import STRATEGIES, exact_gamma
from tests.browser.actions import address, ask, choose, chosen, expected, open_map, open_page, slide, wait_until
from tests.browser.walking import COMMON, Step, changed, copies, leads, navigates, reads, toggles, walk

Command = Callable[..., dict[str, Any]]
# Of a user whom no other test asks about.
USER = "23"


def value(page: Any, name: str, kind: str = "number") -> str:
    return str(page.input_value(f"#{name} input[type={kind}]"))


def slides(name: str, to: float, panel: str) -> dict[str, Step]:
    """A slider and its number box: both move the other one and redraw the panel, and back again."""

    def rail(page: Any) -> None:
        before = value(page, name)
        changed(page, panel, lambda: slide(page, name, to))
        wait_until(lambda: float(value(page, name)) == to)
        changed(page, panel, lambda: slide(page, name, float(before)))

    def box(page: Any) -> None:
        before = value(page, name)
        for position in (f"{to:g}", before):
            changed(page, panel, lambda position=position: enter(page, f"#{name} input[type=number]", position))
            wait_until(lambda position=position: float(value(page, name, "range")) == float(position))

    return {f"#{name} input[type=range]": rail, f"#{name} input[type=number]": box}


def enter(page: Any, selector: str, text: str) -> None:
    page.fill(selector, text)
    page.keyboard.press("Tab")


def chooses(name: str, panel: str) -> dict[str, Step]:
    """A radio: each choice redraws the panel, and the first one is put back."""

    def step(page: Any) -> None:
        first = page.input_value(f"#{name} input:checked")
        values = page.eval_on_selector_all(f"#{name} input", "all => all.map(one => one.value)")
        for choice in [one for one in values if one != first] + [first]:
            changed(page, panel, lambda choice=choice: choose(page, name, choice))

    return {f"#{name} input[type=radio]": step}


def picks(name: str, text: str, listed: str, lead: str) -> dict[str, Step]:
    """A search box: what is typed is listed, what is clicked is shown."""

    def search(page: Any) -> None:
        page.click(f"#{name}-input")
        page.keyboard.type(text)
        wait_until(lambda: page.locator(f"#{name}-list li").first.inner_text().startswith(listed))

    def pick(page: Any) -> None:
        page.locator(f"#{name}-list li").first.click()
        wait_until(lambda: lead in page.inner_text("#target .lead"))

    return {f"#{name}-input": search, f"#{name}-list li": pick}


def gets_to_know(page: Any) -> None:
    page.click(".first-visit button")
    assert page.locator(".first-visit").is_hidden()


def exports(ending: str, sign: str) -> Step:
    def step(page: Any) -> None:
        with page.expect_download() as waiting:
            page.click(f"a[data-export][href*='predict.{ending}']")
        assert sign in Path(waiting.value.path()).read_text("utf-8")

    return step


def folds(page: Any) -> None:
    for number, inside in enumerate(("#retrieve", "#rerank", "#ask-panel", "#reason", "#merge"), start=1):
        toggles(f"button.label-wrap:has-text('{number} ·')", inside)(page)


def shows_near(panel: str) -> Step:
    def step(page: Any) -> None:
        button = page.locator(f"{panel} .near-of").last
        title = button.inner_text()
        button.click()
        wait_until(lambda: page.inner_text("#nearest h3").startswith(f"Nearest to {title}"))

    return step


def steps_on_the_map(page: Any) -> None:
    page.focus("canvas.map-marks")
    page.keyboard.press("ArrowRight")
    wait_until(lambda: page.inner_text(".map-read") != "")


def redraws_the_map(buttons: str) -> Step:
    drawn = "document.querySelector('.map-dots').toDataURL()"

    def step(page: Any) -> None:
        for button in page.locator(buttons).all():
            before = page.evaluate(drawn)
            button.click()
            wait_until(lambda before=before: page.evaluate(drawn) != before)
        assert page.locator(".map-legend button[aria-pressed=true]").count() == ("genre" in buttons)

    return step


def chooses_another(page: Any) -> None:
    for name in ("recent", "text"):
        changed(page, ".against-told", lambda name=name: page.select_option(".against select", name))
        wait_until(lambda name=name: f"against={name}" in address(page))


def goes_to_a_mark(page: Any) -> None:
    slide(page, "k", 4)
    wait_until(lambda: len(chosen(page)) == 4)
    page.locator("#k .ticks button").first.click()
    wait_until(lambda: value(page, "k") == "10" and len(chosen(page)) == 10)
    for name in ("gamma", "traces"):
        page.locator(f"#{name} .ticks button").first.wait_for()


def seeds(page: Any) -> None:
    changed(page, "#status", lambda: enter(page, "#seed input", "7"))
    changed(page, "#status", lambda: enter(page, "#seed input", "0"))


def compares(page: Any) -> None:
    for number in (2, 3):
        page.click(f"#reason [data-chain='{number}'] [data-compare]")
    wait_until(lambda: page.inner_text(".pair header b") == "Chains 2 and 3")


def closes(page: Any) -> None:
    page.click(".pair [data-close]")
    wait_until(lambda: page.locator(".pair:visible").count() == 0)


def follows_a_citation(inside: str) -> Step:
    def step(page: Any) -> None:
        link = page.locator(f"{inside} a.cited").first
        title = link.inner_text()
        link.click()
        wait_until(lambda: title in page.evaluate("document.activeElement.innerText"))

    return step


def tells_the_truth(page: Any) -> None:
    page.check("#truth input")
    wait_until(lambda: page.locator("#merge .truth").count() == 1)
    page.uncheck("#truth input")
    wait_until(lambda: page.locator("#merge .truth").count() == 0)


PREDICT: dict[str, Step] = {
    # Before both models were asked.
    **navigates("/"),
    ".first-visit a": leads(".first-visit a", ".stories"),
    ".first-visit button": gets_to_know,
    **picks("user", USER, f"User {USER} ", f"user {USER},"),
    **picks("item", "jumanji", "Jumanji (1995)", "Jumanji (1995)"),
    "#target .lead a": leads("#target .lead a", "#user-profile h1"),
    "a.what-if-link": leads("a.what-if-link", "#what-if-history tbody tr"),
    ".command summary": lambda page: page.click(".command summary"),
    "button[aria-label='Copy the command line']": copies("button[aria-label='Copy the command line']"),
    "#ask": lambda page: ask(page),
    # What they said.
    **COMMON,
    "a[data-export][href*='.html']": exports("html", "<!doctype html>"),
    "a[data-export][href*='.json']": exports("json", '"p_final"'),
    ":not(#near-fold) > button.label-wrap": folds,
    **chooses("variant", "#retrieve"),
    **chooses("strategy", "#retrieve"),
    ".against summary": lambda page: page.click(".against summary"),
    ".against select": chooses_another,
    "#near-fold > button.label-wrap": open_map,
    "#retrieve .near-of": shows_near("#retrieve"),
    "#rerank .near-of": shows_near("#rerank"),
    "#nearest .near-of": shows_near("#nearest"),
    "canvas.map-marks": steps_on_the_map,
    "[data-zoom]": redraws_the_map("[data-zoom]"),
    "[data-genre]": redraws_the_map("[data-genre] >> nth=0"),
    **slides("gamma", 0.1, "#rerank"),
    **slides("beta", 0.5, "#rerank"),
    **slides("k", 3, "#rerank"),
    ".ticks button": goes_to_a_mark,
    "#rerank a.without": leads("#rerank a.without", "#what-if-history tr.removed"),
    **chooses("knowledge", "#ask-panel"),
    "details.prompt summary": toggles("details.prompt summary", "details.prompt pre"),
    "button[aria-label='Copy the prompt']": copies("button[aria-label='Copy the prompt']"),
    "details.prompt pre": reads("details.prompt pre"),
    **slides("traces", 3, "#reason"),
    **slides("max_tokens", 16, "#status"),
    "#seed input": seeds,
    "[data-compare]": compares,
    ".pair a.cited": follows_a_citation(".pair"),
    ".pair [data-close]": closes,
    "#reason .chain button.copy": copies("#reason .chain button.copy"),
    "#reason .chain .text": reads("#reason .chain .text"),
    ".chains a.cited": follows_a_citation(".chains"),
    **slides("alpha", 0.8, "#merge"),
    **slides("epsilon", -1, "#merge"),
    ".formula": reads(".formula"),
    "#truth input": tells_the_truth,
}


def test_every_control_of_predict_does_something(page: Any, site: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, site)
    page.wait_for_selector(".first-visit:visible")
    walk(page, PREDICT, elsewhere=["#stop"])  # a run as quick as the ones here may end before it is stopped


def drawn(seed: int) -> dict[str, Any]:
    """A random setting of every knob, as the command takes it."""
    rng = random.Random(seed)

    def at(name: str, most: float = math.inf) -> float:
        low, high, step = KNOBS[name].slider or ()
        return round(low + step * rng.randint(0, round((min(high, most) - low) / step)), 3)

    return {
        "variant": rng.choice(VARIANTS),
        "strategy": rng.choice(["rerank", rng.choice(STRATEGIES)]),
        "gamma": exact_gamma(at("gamma")), "beta": at("beta"), "k": int(at("k")),
        "knowledge": rng.choice(KNOWLEDGE_WORDINGS), "traces": int(at("traces", 8)),
        "max_tokens": int(at("max_tokens", 256)), "seed": rng.randint(0, 9), "alpha": at("alpha"),
        "epsilon": 10 ** at("epsilon"),
    }  # fmt: skip


def set_to(page: Any, setting: dict[str, Any]) -> None:
    """Move the page's controls there, in a random order."""
    names = list(setting)
    random.Random(str(setting)).shuffle(names)
    names.sort(key=lambda name: name == "strategy")  # last: gamma and beta can be moved under rerank alone
    choose(page, "strategy", "rerank")
    for name in names:
        if name in ("variant", "strategy", "knowledge"):
            choose(page, name, setting[name])
        elif name == "seed":
            enter(page, "#seed input", str(setting["seed"]))
        else:
            slide(page, name, math.log10(setting[name]) if name == "epsilon" else setting[name])


def test_ten_random_settings_show_the_numbers_of_the_command(page: Any, site: str, command: Command) -> None:
    open_page(page, site, f"user={USER}&item=1")
    for seed in range(10):
        setting = drawn(seed)
        options = [part for name, value in setting.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        record = command("predict", "--user", USER, "--item", "1", *options)
        assert record["cached"] is False, "two of them are the same"
        set_to(page, setting)
        final = f"= {record['p_final']:.4f}"
        wait_until(
            lambda final=final: page.locator(f"#merge:not(:has(.stale)) .formula:has-text('{final}')").count() == 1
        )
        assert chosen(page) == expected(record)
        assert number(page, "#ask-panel .big b") == f"{record['p_g']:.2f}"
        assert number(page, "#reason .big b") == f"{record['p_r']:.2f}"
        assert number(page, "#p-final") == f"{record['p_final']:.2f}"
        assert page.locator("#ask-panel td.n").all_inner_texts() == [
            f"{p:.2f}" for p in (answer["p_yes"] for answer in record["answers"])
        ]
        shown = [f"{trace['p_yes']:.2f}" for trace in record["traces"]]
        assert page.locator("#reason .chain footer b").all_inner_texts() == shown
        assert page.inner_text("#ask-panel pre").strip() == record["prompt"]


def number(page: Any, selector: str) -> str:
    return str(page.locator(selector).first.inner_text())
