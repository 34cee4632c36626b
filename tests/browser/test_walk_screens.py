"""Every control of the screens beside Predict, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.actions import address, wait_until
from tests.browser.walking import COMMON, Step, copies, exports, leads, navigates, reads, scrolls, toggles, walk

# Of a user whom no other test asks about.
USER, ITEM = "23", "1"
SETTINGS = {
    "k": "4", "temperature": "0.9", "seed": "3", "gamma": "0.3", "beta": "0.5", "traces": "3", "max_tokens": "32",
    "top_p": "0.5", "alpha": "0.5", "epsilon": "0.1",
}  # fmt: skip


def clicks(selector: str, sign: str) -> Step:
    """What is seen after a click, and was not before."""

    def step(page: Any) -> None:
        assert page.locator(sign).count() == 0
        page.locator(selector).first.click()
        page.wait_for_selector(sign)

    return step


def enters(selector: str, text: str, sign: str) -> Step:
    def step(page: Any) -> None:
        assert page.locator(sign).count() == 0
        field = page.locator(selector).first
        field.fill(text)
        field.press("Enter")
        page.wait_for_selector(sign)

    return step


def takes(selector: str, text: str) -> Step:
    """A field of a form, whose effect is what is started with it."""
    return lambda page: page.locator(selector).first.fill(text)


def finds(name: str, title: str, sign: str) -> dict[str, Step]:
    def search(page: Any) -> None:
        page.fill(f"#{name}-input", title)
        page.wait_for_selector(f"#{name}-list li:only-child:has-text('{title}')")

    return {f"#{name}-input": search, f"#{name}-list li": clicks(f"#{name}-list li", sign)}


# What-if


def puts_back(page: Any) -> None:
    page.click("[data-do=clear]")
    wait_until(lambda: page.locator(".edit").count() == 0)


def sets_each(page: Any) -> None:
    """Every setting that is a list: its last choice, or its first where that one is chosen."""
    for name in page.eval_on_selector_all("select[data-do=set]", "all => all.map(one => one.id)"):
        values = page.eval_on_selector_all(f"#{name} option", "all => all.map(one => one.value)")
        page.select_option(f"#{name}", values[-1] if page.input_value(f"#{name}") != values[-1] else values[0])
        page.wait_for_selector(f".field.changed #{name}")


def types_each(page: Any) -> None:
    names = page.eval_on_selector_all("input[data-do=set]", "all => all.map(one => one.dataset.name)")
    assert sorted(names) == sorted(SETTINGS)
    for name in names:
        enters(f"#set-{name}", SETTINGS[name], f".field.changed #set-{name}")(page)


def takes_each_back(page: Any) -> None:
    back = page.locator("button[data-do=set]")
    while left := back.count():
        back.last.click()
        wait_until(lambda left=left: back.count() < left)


def asks(page: Any) -> None:
    page.click("#ask")
    page.wait_for_selector("#status:has-text('✓')", timeout=30_000)


def opens_kept(page: Any) -> None:
    page.locator("#what-if-kept a:has-text('walked')").first.click()
    page.wait_for_selector("#what-if-question b:has-text('walked')")


WHAT_IF: dict[str, Step] = {
    **navigates("/what-if"),
    "[data-do=remove]": clicks("[data-do=remove]", "tr.removed"),
    "[data-do=rate]": enters("[data-do=rate]", "1", "tr.rated"),
    "[data-do=restore]": clicks("tr.rated [data-do=restore]", "#what-if-history:not(:has(tr.rated))"),
    "[data-do=clear]": puts_back,
    **finds("add", "Matrix, The (1999)", "tr:is(.added, .moved)"),
    "[data-do=place]": enters("[data-do=place]", "1", ".edit:has-text('at place 1')"),
    **finds("target-of", "Blade Runner (1982)", ".edit:has-text('asked about Blade Runner')"),
    "button[data-do=target]": clicks("button[data-do=target]", "body:not(:has(button[data-do=target]))"),
    "#set-hint": lambda page: page.select_option("#set-hint", "own"),
    "[data-do=sentence]": enters("[data-do=sentence]", "They slept.", ".entered:has-text('They slept.')"),
    "button[data-do=hint]": clicks("button[data-do=hint]", "#what-if-settings:not(:has([data-do=sentence]))"),
    "details.more > summary": lambda page: page.click("details.more > summary"),
    "select[data-do=set]": sets_each,
    "input[data-do=set]": types_each,
    "button[data-do=set]": takes_each_back,
    "#ask": asks,
    **COMMON,
    "details.prompt summary": toggles("details.prompt summary", ".diff"),
    "#what-if-prompt button.copy": copies("#what-if-prompt button.copy"),
    "details.edit-prompt summary": clicks("details.edit-prompt summary", "#prompt-text:visible"),
    "#prompt-text": takes("#prompt-text", "Will they? Yes or No."),
    "[data-do=prompt]": clicks("[data-do=prompt]", ".by-hand"),
    "[data-do=written]": clicks("[data-do=written]", "#what-if-prompt:not(:has(.by-hand))"),
    "#what-if-chains button.copy": copies("#what-if-chains button.copy"),
    "#what-if-chains .text": reads("#what-if-chains .text"),
    "#keep-name": takes("#keep-name", "walked"),
    "[data-do=keep]": clicks("[data-do=keep]", "#what-if-kept a:has-text('walked')"),
    "#what-if-kept a": opens_kept,
    "[data-do=delete]": clicks("li:has-text('walked') [data-do=delete]", "#what-if-kept .notice"),
    "[data-do=undelete]": clicks("[data-do=undelete]", "#what-if-kept a:has-text('walked')"),
    ".exports a": exports,
    "#what-if-question a": leads("#what-if-question a", "#target .lead"),
}


def test_every_control_of_what_if_does_something(page: Any, site: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site}/what-if?user={USER}&item={ITEM}")
    page.wait_for_selector("#what-if-history tbody tr")
    walk(page, WHAT_IF, elsewhere=["#stop"])


# Users


def goes(key: str) -> Step:
    """A link within the page: it is marked as where one is, and the address follows."""

    def step(page: Any) -> None:
        names = page.eval_on_selector_all(f"[data-go^='{key}']", "all => all.map(one => one.dataset.go)")
        for name in [*names[1:], names[0]]:
            page.click(f"[data-go='{name}']")
            page.wait_for_selector(f"[data-go='{name}'][aria-current]")
            wait_until(lambda: not page.locator(".users-panel .pulse").count())

    return step


def sorts(page: Any) -> None:
    for name in page.eval_on_selector_all("[data-go^=sort-]", "all => all.map(one => one.dataset.go)"):
        page.click(f"[data-go={name}]")
        page.wait_for_selector(f"th[aria-sort]:has([data-go={name}])")


def turns(key: str, sign: str) -> Step:
    return clicks(f"[data-go={key}]", f"text=page {sign} of 14")


def finds_users(page: Any) -> None:
    page.fill("#find-input", "nobody")
    page.wait_for_selector("#users-list .empty")


def points(page: Any) -> None:
    page.focus("svg.timeline")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#user-timeline .point-read:has-text(' of ')")


def marks(page: Any) -> None:
    page.locator("[data-go^=item-]").first.click()
    wait_until(lambda: "item=" in address(page))
    page.wait_for_selector("#user-predictions tr.selected")


def shows_none(page: Any) -> None:
    goes("show-")(page)
    page.click("[data-go=show-partial]")


USERS: dict[str, Step] = {
    **navigates("/users"),
    "[data-go^=show-]": goes("show-"),
    ".exports a": exports,
    "#find-input": finds_users,
    "[data-go=clear]": clicks("[data-go=clear]", "#users-list h1:text-is('671 users')"),
    "[data-go^=sort-]": sorts,
    "[data-go=next]": turns("next", "2"),
    "[data-go=last]": turns("last", "14"),
    "[data-go=previous]": turns("previous", "13"),
    "[data-go=first]": turns("first", "1"),
    "[role=region][tabindex='0']": scrolls,
    "a.name[data-go=user]": clicks("a.name[data-go=user]", "#user-profile h1"),
    "[data-go=back]": clicks("[data-go=back]", "#users-list h1"),
}
ONE_USER: dict[str, Step] = {
    **navigates("/users"),
    "[data-go^=axis-]": goes("axis-"),
    ".exports a": exports,
    "svg.timeline": points,
    "[data-go^=sort-]": sorts,
    "[data-go^=item-]": marks,
    **COMMON,
    "a.open": leads("a.open", "#target .lead"),
    "[data-go^=show-]": shows_none,
    "[data-go=clear]": clicks("[data-go=clear]", "#user-predictions table"),
    "[data-go^=gamma-]": goes("gamma-"),
    "#user-predictions .empty a[href^='/?']": leads("#user-predictions .empty a[href^='/?']", "#target .lead"),
    "[data-go^=knowledge-]": goes("knowledge-"),
    "[data-go=others]": clicks("[data-go=others]", "#users-list h1"),
}


def test_every_control_of_users_does_something(page: Any, site: str, command: Callable[..., Any]) -> None:
    page.goto(f"{site}/users")
    page.wait_for_selector("#users-list tbody tr")
    walk(page, USERS, elsewhere=ONE_USER)
    command("predict", "--user", USER, "--item", ITEM)
    page.goto(f"{site}/users?user={USER}")
    page.wait_for_selector("#user-predictions tbody tr")
    walk(page, ONE_USER, elsewhere=USERS)


# Stories


def starts_a_story(page: Any) -> None:
    page.click(".story-record")
    assert page.evaluate("document.activeElement.matches('.story-recorder textarea')")


def adds_views(page: Any) -> None:
    """Of another page: what was written is there too."""
    assert page.input_value(".story-recorder textarea") == "One."
    for number in (1, 2):
        page.fill(".story-recorder textarea", f"Sentence {number}.")
        page.click("text=Add this view")
        wait_until(lambda number=number: page.inner_text(".story-recorder b").startswith(str(number)))


def takes_back(page: Any) -> None:
    page.click("text=Take back the last")
    wait_until(lambda: page.input_value(".story-recorder textarea") == "Sentence 2.")
    page.click("text=Add this view")


def keeps(page: Any) -> None:
    page.click("text=Keep the story")
    page.wait_for_selector(".story-steps p:visible:has-text('Sentence 1.')")


def opens_its_view(page: Any) -> None:
    with page.expect_popup() as opened:
        page.click(".story-open")
    opened.value.wait_for_selector(".stories")
    opened.value.close()


def writes(page: Any) -> None:
    page.fill(".story-recorder textarea", "One.")
    page.reload()  # loses nothing
    page.wait_for_selector(".story-recorder")


def discards(page: Any) -> None:
    page.click("text=Discard")
    assert page.locator(".story-recorder").count() == 0
    starts_a_story(page)


STORIES: dict[str, Step] = {
    **navigates("/stories"),
    ".exports a": exports,
    ".story-record": starts_a_story,
    ".story-recorder .drop": discards,
    ".story-recorder textarea": writes,
    "[aria-label='Name of the story']": takes("[aria-label='Name of the story']", "Walked"),
    ".story-recorder .add": adds_views,
    ".story-recorder .undo": takes_back,
    ".story-recorder .keep": keeps,
    ".story-views iframe": lambda page: page.frame_locator("iframe:visible").locator(".stories").wait_for(),
    ".story-next": clicks(".story-next", ".story-count:has-text('2 of 2')"),
    ".story-back": clicks(".story-back", ".story-count:has-text('1 of 2')"),
    ".story-open": opens_its_view,
    ".story header a": lambda page: page.click(".story header a"),
    ".story-list a": clicks(".story-list a:has-text('Walked')", ".story h1:has-text('Walked')"),
}


def test_every_control_of_stories_does_something(page: Any, site: str) -> None:
    page.goto(f"{site}/stories")
    page.wait_for_selector(".stories")
    walk(page, STORIES)
