"""The Users page in a real Chromium: every control, links and Back, the numbers of Predict; and that it fits."""

from __future__ import annotations

from typing import Any

from tests.browser.actions import address, ask, open_page, wait_until

TARGETS = "#user-predictions .predictions tbody tr"


def open_users(page: Any, site: str, query: str = "") -> None:
    page.goto(f"{site}/users{query}")
    settle(page)


def settle(page: Any) -> None:
    """Until what is asked for is shown, and nothing is pending."""
    page.wait_for_selector("#users-list .users, #user-profile .users, #users-list .error")
    page.wait_for_function("!document.querySelector('.users-panel .pending, .users-panel .pulse')")


def names(page: Any) -> list[str]:
    return [str(name) for name in page.locator("#users-list tbody a.name").all_inner_texts()]


def column(page: Any, label: str) -> list[str]:
    cells = page.locator(f"#users-list td[data-label='{label}']").all_inner_texts()
    return [str(cell).strip() for cell in cells]


def sort_by(page: Any, name: str) -> None:
    before = address(page)
    page.click(f"[data-go=sort-{name}]")
    wait_until(lambda: address(page) != before)
    way = "descending" if "sort=-" in address(page) else "ascending"
    page.wait_for_selector(f"th[aria-sort={way}] [data-go=sort-{name}]")


def test_the_list_sorts_turns_finds_and_goes_back(page: Any, site: str) -> None:
    page.goto(site)
    page.wait_for_selector("#target .lead")
    page.click("nav[aria-label=Pages] a:has-text('Users')")
    settle(page)
    assert page.inner_text("#users-list h1") == "671 users"
    assert names(page)[:3] == ["User 1", "User 2", "User 3"]
    sort_by(page, "ratings")
    ratings = [int(cell.replace(",", "")) for cell in column(page, "ratings")]
    assert names(page)[0] == "User 547"
    assert (ratings[0], ratings) == (2391, sorted(ratings, reverse=True))
    sort_by(page, "ratings")
    assert column(page, "ratings")[0] == "20"
    for name in ("mean", "liked", "first", "last", "genre", "predictions", "user"):
        sort_by(page, name)
    page.click("[data-go=last]")
    page.wait_for_selector("text=page 14 of 14")
    page.go_back()
    page.wait_for_selector("text=page 1 of 14")
    assert "sort=user" in address(page)
    page.fill("#find-input", "54")
    page.wait_for_selector("#users-list h1:has-text('of 671 users')")
    assert "find=54" in address(page)
    assert all("54" in name for name in names(page))
    page.fill("#find-input", "nobody")
    page.wait_for_selector("#users-list .empty:has-text('no id with “nobody”')")
    page.click("#users-list [data-go=clear]")
    page.wait_for_selector("#users-list h1:has-text('671 users')")
    page.wait_for_function("document.querySelector('#find-input').value === ''")


def test_a_user_s_predictions_are_those_of_predict_and_lead_there(page: Any, site: str, command: Any) -> None:
    for item in ("1", "2"):  # of a user whom no other test asks about
        open_page(page, site, f"user=47&item={item}")
        ask(page)
    page.click("#target .lead a")
    settle(page)
    assert address(page).endswith("/users?user=47")
    page.wait_for_selector(TARGETS)
    record = command("predict", "--user", "47", "--item", "1")
    row = page.locator(TARGETS, has_text="Toy Story (1995)")
    said = [cell.strip() for cell in row.locator("td.p").all_inner_texts()]
    assert said == [f"{record[name]:.2f}" for name in ("p_g", "p_r", "p_final")]
    assert row.locator("td[data-label=truth]").inner_text().startswith("Yes" if record["label"] else "No")
    row.locator("a.name").click()
    page.wait_for_selector("#user-picks h2:has-text('Toy Story (1995)')")
    picked = page.locator("#user-picks tbody th").all_inner_texts()
    assert [text.split("\n")[0] for text in picked] == [line["title"] for line in record["history"]]
    assert page.locator("#user-timeline svg.timeline .pick-rank").count() == len(record["history"])
    assert page.locator("#user-timeline svg.timeline .target-star").count() == 1

    page.click("[data-go=axis-order]")
    page.wait_for_selector("[data-go=axis-order][aria-current]")
    page.wait_for_selector("#user-timeline svg.timeline .target-star")
    page.click("[data-go=sort-error]")
    page.wait_for_selector("th[aria-sort=descending] [data-go=sort-error]")
    assert page.evaluate("document.activeElement.dataset.go") == "sort-error", "the keyboard stays where it was"
    errors = [float(text.split()[0]) for text in page.locator(f"{TARGETS} td[data-label=error]").all_inner_texts()]
    assert errors == sorted(errors, reverse=True)
    page.click("[data-go=show-partial]")
    page.wait_for_selector("#user-predictions .empty:has-text('of this kind')")
    page.go_back()
    page.wait_for_selector(TARGETS)
    page.click("[data-go='gamma-0.8']")
    page.wait_for_selector("#user-predictions .empty:has-text('under other ones, 2 of')")
    page.click("[data-go='gamma-0.667']")
    page.wait_for_selector(TARGETS)
    page.click("[data-go=knowledge-none]")
    page.wait_for_selector("#user-predictions:has-text('0 of 6 chains')")
    page.click("[data-go=knowledge-paper]")
    page.locator(TARGETS, has_text="Toy Story (1995)").locator("a.open").click()
    page.wait_for_selector("#target .lead")
    assert page.inner_text("#target .lead b") == "Toy Story (1995)"
    page.wait_for_selector(f"#merge:has-text('{record['p_final']:.2f}')")


def test_a_link_opens_its_view_and_what_cannot_be_shown_is_said(page: Any, site: str) -> None:
    open_users(page, site, "?user=547&axis=order")
    assert page.inner_text("#user-profile h1") == "User 547"
    assert page.locator("#user-timeline svg.timeline path.g").count() == 10
    assert page.locator("[data-go=axis-order][aria-current]").count() == 1
    page.focus("svg.timeline")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#user-timeline .point-read:has-text('1 of 2,391: ')")
    box = page.locator("svg.timeline").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#user-timeline .point-read:not(:has-text('1 of 2,391: ')):has-text('of 2,391: ')")
    assert page.locator("svg.timeline .looked-at").count() == 1
    page.click("#user-profile [data-go=back]")
    page.wait_for_selector("#users-list h1:has-text('671 users')")
    assert page.locator("#user-profile section, #user-timeline section, #user-predictions section").count() == 0
    page.go_back()
    page.wait_for_selector("#user-profile h1:has-text('User 547')")
    open_users(page, site, "?user=%3Cimg%20src=x%20onerror=alert(1)%3E")
    assert "<img src=x onerror=alert(1)>" in page.inner_text("#users-list .error")
    page.click("#users-list [data-go=back]")
    page.wait_for_selector("#users-list h1:has-text('671 users')")
    open_users(page, site, "?sort=nothing")
    assert "nothing" in page.inner_text("#users-list .error")


def test_the_keyboard_alone_opens_a_user(page: Any, site: str) -> None:
    open_users(page, site)
    page.focus("#users-list [data-go=sort-ratings]")
    page.keyboard.press("Enter")
    page.wait_for_selector("th[aria-sort=descending]")
    page.focus("#users-list tbody tr:first-child a.name")
    page.keyboard.press("Enter")
    page.wait_for_selector("#user-profile h1:has-text('User 547')")
