"""The What-if page's panels: nothing from outside becomes markup, and every number and mark is the one of its side."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from app.what_if import drawing
from app.what_if.drawing import PromptLine, diff_lines
from app.what_if.edits import Plain
from app.what_if.view import WhatIfSide, WhatIfView
from backend.datasets import Dataset
from backend.engines.scripted import ScriptedEngine
from backend.pipeline import Pipeline, Recipe
from backend.prompting import Prompt
from backend.types import Answer, Trace
from backend.what_if import Edits
from storage.kept.what_ifs import KeptWhatIf, WhatIf
from tests.app.shared.test_hostile import HOSTILE, PLAIN
from tests.app.views import ParsedHtml, dataset_of, snapshot_of
from tests.conftest import random_space

PANELS: dict[str, Callable[[WhatIfView], str]] = {
    "question": drawing.question, "status": drawing.status, "numbers": drawing.numbers, "chosen": drawing.chosen,
    "prompts": drawing.prompts, "chains": drawing.chains, "keep bar": drawing.keep_bar, "kept list": drawing.kept_list,
    "history": drawing.history, "settings": drawing.settings,
}  # fmt: skip


class Read(ParsedHtml):
    """The editor's attributes hold item ids and sentences, too: words, not markup."""

    WORDS = (*ParsedHtml.WORDS, "data-name", "data-key", "value", "href")


def every_edit(data: Dataset, chosen: list[int], new: int, text: str) -> Edits:
    ids = [data.item_ids[code] for code in chosen]
    return Edits.read(
        {
            "removed": [ids[0], ids[3]],
            "rated": [{"item": ids[1], "rating": 0.5}],
            "added": [{"item": ids[3], "rating": 5}, {"item": data.item_ids[new], "rating": 4.5, "place": 2}],
            "target": ids[2],
            "hint": "own",
            "sentence": text.replace("\u0000", "") or "-",
            "settings": {"k": 7, "temperature": 0.9, "template": "answered"},
        }
    )


def view_of(data: Dataset, text: str, edits: Edits | None = None, **more: Any) -> WhatIfView:
    """The last sample of the data, with both sides answered; by default under every kind of edit."""
    pipeline = Pipeline(data, random_space(data.n_items, 3), ScriptedEngine(), ScriptedEngine())
    user, item, recipe = int(data.user_index[-1]), int(data.item_index[-1]), Recipe().replacing(k=6, traces=2)
    question = pipeline.question(user, item, recipe)
    new = next(code for code in range(data.n_items) if data.find_row(user, code) is None)
    edits = every_edit(data, [row.item for row in question.chosen], new, text) if edits is None else edits
    what_if = WhatIf.of(data.meta, data.user_ids[user], data.item_ids[item], recipe, edits)
    sides = []
    for side_question, used, said in ((question, recipe, 0.2), (None, what_if.edited_recipe, 0.7)):
        side_question = side_question or pipeline.question(user, item, used, edits)
        taken = pipeline.with_answers(pipeline.unasked(side_question, used), [Answer(said, 9, 0.1)] * 3)
        traces = [Trace(n, f"{text} thinks</think>Yes", said + n / 10, 7, 0.5, "stop") for n in range(2)]
        sides.append(WhatIfSide(taken.taking_traces(traces)))
    kept = KeptWhatIf("abcdefabcdef", what_if, text, datetime(2026, 11, 25, tzinfo=UTC))
    second = replace(kept, id="0123456789ab", what_if=replace(what_if, user=text, item=text))
    given = {
        "what_if": what_if, "data": data, "plain": Plain(data, question.past, what_if.item, recipe),
        "before": sides[0], "after": sides[1], "models": {"tuned": text, "reasoning": text}, "cast": "", "step": 0.5,
        "link": "user=1&item=2", "plain_link": "user=1&item=2", "kept": kept, "others": (kept, second), "deleted": kept,
    }  # fmt: skip
    return WhatIfView(**given | more)  # type: ignore[arg-type]


def sendable(text: str) -> str:
    """The text in one line, as an edited prompt can hold it."""
    return "".join(sign for sign in " ".join(text.split()) if unicodedata.category(sign) != "Cc") or "-"


def every_view(small: Dataset, text: str) -> dict[str, WhatIfView]:
    data = dataset_of(small, text)
    done = view_of(data, text)
    nobody = WhatIfSide(replace(done.after.prediction, answers=(None,) * 3, reason_prompt=None, traces=(None,) * 2))
    views = {
        "done": done,
        "unedited": view_of(data, text, Edits(), kept=None, others=()),
        "not asked": replace(done, after=nobody, kept=None, too_long=True),
        "other run": replace(done, other_run=True),
        "own prompt": view_of(
            data, text, Edits.read({"hint": "own", "sentence": text.strip("\0") or "-", "prompt": sendable(text)})
        ),
    }
    for status in ("queued", "running", "failed", "stopped"):
        run = snapshot_of(nobody.prediction, text, status)
        views[status] = replace(done, after=replace(nobody, run=run))
    return views


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_shown_as_text_and_changes_no_element(small: Dataset, hostile: str) -> None:
    plain, attacked = every_view(small, PLAIN), every_view(small, hostile)
    shown = set()
    for state, view in attacked.items():
        for name, draw in PANELS.items():
            plain_read, read = Read(draw(plain[state])), Read(draw(view))
            assert read.elements == plain_read.elements, f"{name} of {state}"
            assert (read.open, read.odd) == ([], []), f"{name} of {state}"
            if any(" ".join(hostile.split()) in " ".join(words.split()) for words in read.words):
                shown.add(name)
    if "\u0000" not in hostile:
        assert shown >= {"question", "chosen", "prompts", "chains", "keep bar", "kept list", "history", "settings"}


def test_every_panel_is_well_formed_and_loads_nothing(small: Dataset) -> None:
    for state, view in every_view(small, PLAIN).items():
        for name, draw in PANELS.items():
            reading = ParsedHtml(draw(view))
            assert (reading.open, reading.odd) == ([], []), f"{name} of {state}"
            for tag, attributes in reading.elements:
                assert tag not in ("script", "iframe", "link", "object", "embed", "img", "style", "base", "form")
                for attribute, value in attributes:
                    assert not attribute.startswith("on")
                    assert attribute != "href" or value.startswith(("/?", "/what-if?", "/export/what-if.")), value


def test_the_numbers_are_of_their_side_and_the_difference_is_after_minus_before(small: Dataset) -> None:
    html = drawing.numbers(view_of(small, "x"))
    rows = [
        [cell.strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)][1:]
        for row in re.findall(r"<tr(?: class=\"final\")?>\s*<td class=\"who.*?</tr>", html, re.DOTALL)
    ]
    # P_G is 0.2 and 0.7 in every order; the chains say 0.2, 0.3 and 0.7, 0.8: mean .25 and .75, variance .0025.
    assert rows[0] == ["0.20", "0.70", "▲ +0.50"]
    assert rows[1][2] == '<span class="soft">no change</span>'
    assert rows[2] == ["0.25", "0.75", "▲ +0.50"]
    assert rows[3] == ["0.0025", "0.0025", '<span class="soft">no change</span>']
    # Eq. 10: (0.1 * p_r / 0.0035 + p_g / 0.001) / (0.1 / 0.0035 + 1 / 0.001): 0.20139 and 0.70139.
    assert rows[4] == ["0.20", "0.70", "▲ +0.50"]
    words = " ".join(" ".join(ParsedHtml(html).words).split())
    assert "No becomes Yes : " in words
    assert "rises by 0.50" in words


def test_what_is_not_asked_has_no_number_and_no_difference(small: Dataset) -> None:
    view = every_view(small, PLAIN)["not asked"]
    words = " ".join(" ".join(ParsedHtml(drawing.numbers(view)).words).split())
    assert "becomes" not in words
    assert "▲" not in words
    assert "Ask both models" in words
    assert "after, 5 model calls" in " ".join(ParsedHtml(drawing.status(view)).words)
    assert "No chains yet" in drawing.chains(view)


def test_what_left_entered_or_has_another_rating_is_marked(small: Dataset) -> None:
    view = view_of(small, "x")
    before, after = (side.prediction.question for side in (view.before, view.after))
    lists = [
        re.findall(r'<li class="([^"]*)"><span class="title">(.*?)</span>', part)
        for part in drawing.chosen(view).split("<h4>")[1:]
    ]
    codes = [[row.item for row in question.chosen] for question in (before, after)]
    for side, far_side, kind, rows in ((0, 1, "left", lists[0]), (1, 0, "entered", lists[1])):
        expected = []
        for code in codes[side]:
            ratings = [question.past.rating_of(code) for question in (before, after)]
            mark = kind if code not in codes[far_side] else "re-rated" if ratings[0] != ratings[1] else ""
            expected.append((mark, small.item_label(code)))
        assert rows == expected
    assert {mark for mark, _ in lists[0]} >= {"left", ""}
    assert "entered" in {mark for mark, _ in lists[1]}


def test_the_editor_says_what_was_made_of_every_item(small: Dataset) -> None:
    view = view_of(small, "x")
    html = drawing.history(view)
    rows = re.findall(r'<tr class="(\w*)[^"]*">.*?<span class="title">(.*?)</span>', html, re.DOTALL)
    said = {title: state for state, title in rows}
    assert set(said.values()) >= {"removed", "rated", "added", "moved", "asked"}
    chosen = [small.item_label(row.item) for row in view.before.prediction.question.chosen]
    assert [said[title] for title in chosen[:4]] == ["removed", "rated", "asked", "moved"]
    html = drawing.settings(view)
    assert html.count('class="field changed"') == 3
    assert "was 6</button>" in html
    assert '<option value="answered" selected>' in html
    assert 'min="1" max="100" step="1" value="7"' in html


def test_edits_are_told_in_words(small: Dataset) -> None:
    view = view_of(small, "Say so.")
    labels = [small.item_label(row.item) for row in view.before.prediction.question.chosen]
    words = drawing.edits_in_words(view.what_if.edits, small)
    assert words[:3] == [f"without {labels[0]}", f"{labels[1]} rated 0.5", f"{labels[3]} moved as the newest, rated 5"]
    assert words[3].endswith("added at place 3, rated 4.5")
    assert words[4:] == [f"asked about {labels[2]}", 'hint "Say so."', "K 7", "temperature 0.9", "template answered"]
    assert drawing.edits_in_words(Edits.read({"removed": ["gone"], "hint": "none"}), small) == [
        "without gone",
        "no hint",
    ]


def prompt_words(view: WhatIfView) -> str:
    return " ".join(" ".join(ParsedHtml(drawing.prompts(view)).words).split())


def unedited(small: Dataset) -> WhatIfView:
    view = view_of(small, "x", Edits(), kept=None, others=())
    return replace(view, after=view.before)


def with_prompt(view: WhatIfView, text: str | None) -> WhatIfView:
    """The view with the text of its prompt edited, and nothing else changed."""
    edits = view.what_if.edits.model_copy(update={"prompt": text})
    question = replace(view.after.prediction.question, edits=edits)
    prompt = view.after.prediction.written_prompt if text is None else Prompt(text)
    after = WhatIfSide(replace(view.after.prediction, question=question, reason_prompt=prompt))
    return replace(view, what_if=replace(view.what_if, edits=edits), after=after)


def test_an_edited_prompt_is_in_the_field_and_in_the_diff_and_can_be_taken_back(small: Dataset) -> None:
    plain = unedited(small)
    assert "Edited by hand" not in prompt_words(plain)
    html = drawing.prompts(plain)
    assert (html.count('data-do="prompt"'), html.count('data-do="written"')) == (1, 0)
    assert f'spellcheck="false">\n{escape(plain.draft)}</textarea>' in html
    edited = with_prompt(plain, plain.draft + "\nBe <i>brief</i>.")
    html = drawing.prompts(edited)
    assert html.count('data-do="written"') == 1
    assert html.count("Be &lt;i&gt;brief&lt;/i&gt;.") == 3  # in the field, as what is copied, and in the diff
    assert '<div class="entered">' in html
    assert '<div class="left">' not in html
    assert "Edited by hand" in prompt_words(edited)
    assert "no longer follows" not in prompt_words(edited)
    assert "checked against the history" in drawing.chains(edited)
    assert drawing.edits_in_words(edited.what_if.edits, small) == ["the prompt edited by hand"]


def test_an_edited_prompt_says_where_it_no_longer_follows_history_and_hint(small: Dataset) -> None:
    plain = unedited(small)
    rows = plain.before.prediction.question.chosen
    out, rated = (small.item_label(row.item) for row in rows[:2])
    changes: dict[str, Any] = {"removed": [small.item_ids[rows[0].item]], "hint": "yes"}
    changes["rated"] = [{"item": small.item_ids[rows[1].item], "rating": 1.5}]
    changed = view_of(small, "x", Edits.read(changes))
    [joined] = {line.label for line in changed.after.prediction.question.lines} - {
        line.label for line in plain.before.prediction.question.lines
    }
    words = prompt_words(with_prompt(changed, plain.draft + "\nBe brief."))
    told = re.search(
        r"no longer follows the history. Not in it, or told otherwise there: (.*?)\. Still in it, and in the "
        r"history no more: (.*?)\. The hint “(.*?)” is not in it",
        words,
    )
    assert told is not None, words
    assert set(told[1].split(", ")) == {joined, rated}
    assert set(told[2].split(", ")) == {out, rated}
    assert told[3] == "Another one think the answer might be Yes."
    # One made from the present history follows it, whatever the numbers of its lines.
    fresh = re.sub(r"(?m)^(\d+)\. ", lambda match: f"{int(match[1]) + 7}. ", changed.draft)
    assert fresh != changed.draft
    assert "no longer follows" not in prompt_words(with_prompt(changed, fresh))


def test_the_field_begins_without_a_hint_that_is_not_known_and_says_so(small: Dataset) -> None:
    plain = unedited(small)
    nobody = WhatIfSide(replace(plain.after.prediction, answers=(None,) * 3, reason_prompt=None, traces=(None,) * 2))
    waits = replace(plain, before=nobody, after=nobody)
    hint = "Another one think the answer might be No."
    assert [line for line in waits.draft.split("\n") if line] == [
        line for line in plain.draft.split("\n") if line and line != hint
    ]
    assert hint in plain.draft
    assert "is not in this text" in prompt_words(waits)
    assert 'class="copy' not in drawing.prompts(waits)
    assert "is not in this text" not in prompt_words(plain)


def test_a_line_that_only_got_another_number_is_the_same() -> None:
    before = "Past:\n1. A\n2. B\n3. C\nWill they like D?"
    after = "Past:\n1. B\n2. C\nWill they like D?\nYes."
    assert diff_lines(before, after) == [
        PromptLine("same", "Past:"), PromptLine("left", "1. A"),
        PromptLine("same", "1. B", "2"), PromptLine("same", "2. C", "3"),
        PromptLine("same", "Will they like D?"), PromptLine("entered", "Yes."),
    ]  # fmt: skip


def test_a_line_of_the_history_that_stands_elsewhere_moved() -> None:
    lines = diff_lines("1. A\n2. B\n3. C", "1. C\n2. A\n3. B")
    assert sorted((line.kind, line.text, line.was) for line in lines) == [
        ("moved", "1. C", "3"), ("same", "2. A", "1"), ("same", "3. B", "2"),
    ]  # fmt: skip


@given(*[st.lists(st.sampled_from(["x", "y", "1. a", "2. a", "2. b", "3. b", ""]), max_size=8)] * 2)
def test_a_diff_tells_the_whole_text_after_and_the_same_text_as_such(before: list[str], after: list[str]) -> None:
    lines = diff_lines("\n".join(before), "\n".join(after))
    told = [line.text for line in lines if line.kind != "left"]
    assert told == "\n".join(after).splitlines()
    assert all(line.kind == "same" and not line.was for line in diff_lines("\n".join(after), "\n".join(after)))
    gone = [line.text for line in lines if line.kind == "left"]
    assert all(line in before for line in gone)
