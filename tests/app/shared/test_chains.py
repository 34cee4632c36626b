"""A chain in steps, with its cited titles marked; and that what is drawn can be copied as it was written."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from app.predict.drawing import ask_panel, reason_panel, rerank_panel, target_card
from app.shared.chains import MARKS, Written, read, written
from backend.datasets import Dataset
from backend.engines import THINK_CLOSE
from backend.pipeline import Prediction
from backend.prompting import HistoryLine, split_steps
from backend.types import Trace
from tests.app.views import PANELS, ParsedHtml, prediction_of, view_of

TARGET = HistoryLine("Heat (1995)", ("Crime",))
PAST = (HistoryLine("Alien (1979)", ("Horror",), 4.5), HistoryLine("Net, The (1995)", (), 2.0))
TEXT = "They gave Alien (1979) 4.5. Net, The (1995) got 5 and Rocky (1976) got 4. So Heat (1995) is fine."


def chain_of(text: str) -> Written:
    return written(0, Trace(0, text, 0.5, 9, 1.0, "stop"), None, False, PAST, TARGET)


def text_of(chain: Written) -> str:
    return "".join(piece.text for step in chain.steps for piece in step.pieces)


class CopiedText(HTMLParser):
    """What the copy button of the first chain of a panel takes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self._depth = "", 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth or "data-said" in dict(attrs):
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        self._depth -= bool(self._depth)

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.text += data


def saying(small: Dataset, text: str) -> Prediction:
    """A prediction whose first chain says ``text``."""
    done = prediction_of(small, "text")
    return replace(done, traces=(Trace(0, text, 0.5, 9, 1.0, "stop"), *done.traces[1:]))


def test_titles_are_marked_by_what_the_prompt_says_of_them() -> None:
    steps = read(TEXT, PAST, TARGET)
    kinds = [[(piece.text, piece.kind) for piece in step.pieces if piece.kind] for step in steps]
    assert kinds == [
        [("Alien (1979)", "cited")],
        [("Net, The (1995)", "misquoted"), ("Rocky (1976)", "invented")],
        [("Heat (1995)", "cited")],
    ]
    assert [piece.label for step in steps for piece in step.pieces if piece.kind] == [
        "Alien (1979)", "Net, The (1995)", "", "Heat (1995)",
    ]  # fmt: skip


def test_what_is_wrong_is_said_in_words_beside_the_mark() -> None:
    flags = [step.flags for step in read(TEXT, PAST, TARGET)]
    assert flags == [
        (),
        (
            (MARKS["misquoted"], "Net, The (1995): the prompt says 2, not 5"),
            (MARKS["invented"], "Rocky (1976) is not in the prompt"),
        ),
        (),
    ]


def test_a_title_written_in_another_way_still_means_its_line() -> None:
    [step] = read("The Net (1995) got 2.", PAST, TARGET)
    assert [(piece.text, piece.kind, piece.label) for piece in step.pieces if piece.kind] == [
        ("The Net (1995)", "cited", "Net, The (1995)")
    ]


def test_a_title_that_a_step_ends_in_is_marked_in_both() -> None:
    past = (HistoryLine("Stop. Or My Mom Will Shoot (1992)", (), 1.0),)
    steps = read("They gave Stop. Or My Mom Will Shoot (1992) 1.", past, TARGET)
    assert len(steps) == 2
    assert [[piece.text for piece in step.pieces if piece.kind] for step in steps] == [
        ["Stop. "], ["Or My Mom Will Shoot (1992)"],
    ]  # fmt: skip


def test_a_text_without_titles_and_no_text() -> None:
    [step] = read("Nothing here.", PAST, TARGET)
    assert [(piece.kind, piece.text) for piece in step.pieces] == [("", "Nothing here.")]
    assert read("", PAST, TARGET) == ()


def test_steps_are_those_of_the_thinking() -> None:
    drawn = ["".join(piece.text for piece in step.pieces).strip() for step in chain_of(f"{TEXT}\n</think>\n\nNo").steps]
    assert drawn == [step.text for step in split_steps(TEXT)]


@given(
    st.lists(st.sampled_from([TEXT, "\n", " ", "Alien\n(1979) 4.", "</think>", "Yes", "1. Alien (1979): 3"])).map(
        "".join
    )
)
def test_steps_closing_and_conclusion_are_the_whole_chain(text: str) -> None:
    chain = chain_of(text)
    drawn = text_of(chain) + chain.closing + chain.conclusion
    assert drawn.strip() == text.strip()
    if text.split(THINK_CLOSE)[0].strip():
        assert drawn == text.rstrip() or not chain.conclusion


def test_a_chain_being_written_is_in_steps_and_cites_nothing_yet() -> None:
    chain = written(2, None, "They gave Alien (1979) 4.5. Net, The", True, PAST, TARGET)
    assert (chain.number, chain.writing, chain.verdict) == (3, True, "")
    assert [[(piece.kind, piece.text) for piece in step.pieces] for step in chain.steps] == [
        [("", "They gave Alien (1979) 4.5. ")], [("", "Net, The")],
    ]  # fmt: skip


def test_a_copied_chain_is_the_chain_as_it_was_written(small: Dataset) -> None:
    text = "1. They gave <b>Rocky</b> (1976) 4.\n\n2. So: no.\n</think>\n\nNo"
    html = reason_panel(view_of(saying(small, text), small, "text"))
    article = re.findall(r"<article.*?</article>", html, re.DOTALL)[0]
    assert CopiedText(article).text.strip() == text
    assert "is not in the prompt" in article


def test_a_copied_prompt_is_the_prompt(small: Dataset) -> None:
    view = view_of(prediction_of(small, "text"), small, "text")
    assert view.prediction.reason_prompt
    assert CopiedText(ask_panel(view)).text == view.prediction.reason_prompt.text


def test_a_cited_past_item_links_to_its_row_and_the_target_to_the_question(small: Dataset) -> None:
    question = prediction_of(small, "text").question
    row = question.chosen[1]
    prediction = saying(small, f"{small.item_label(row.item)} and {question.subject.target.label}. </think>Yes")
    view = view_of(prediction, small, "text")
    links = [dict(a)["href"] for tag, a in ParsedHtml(reason_panel(view)).elements if tag == "a"]
    assert links == [f"#past-{row.item}", "#question"]
    ids = [dict(a).get("id") for _, a in ParsedHtml(rerank_panel(view) + target_card(view)).elements]
    assert {link[1:] for link in links} <= set(ids)


def test_a_stale_chain_links_only_to_rows_that_are_still_there(small: Dataset) -> None:
    stale = saying(small, f"{small.item_label(prediction_of(small, 'text').question.chosen[0].item)}. </think>Yes")
    [gone, *others] = stale.question.chosen
    now = replace(stale, traces=(None,) * 4, question=replace(stale.question, chosen=tuple(others)))
    html = reason_panel(view_of(now, small, "text", stale=stale))
    assert f"past-{gone.item}" not in html
    assert f'<span class="cited" title="this title is in the prompt">{small.item_label(gone.item)}</span>' in html


def test_two_chains_can_be_compared_and_one_cannot(small: Dataset) -> None:
    done = prediction_of(small, "text")
    assert 'class="pair"' in reason_panel(view_of(done, small, "text"))
    half = replace(done, traces=(done.traces[0], None, None, None))
    html = reason_panel(view_of(half, small, "text"))
    assert 'class="pair"' not in html
    assert "data-compare" not in html


def test_a_still_view_has_nothing_to_press(small: Dataset) -> None:
    view = view_of(prediction_of(small, "text"), small, "text", still=True)
    pressed = {"target_card", "retrieve_panel", "rerank_panel", "ask_panel", "reason_panel"}
    for name in (*pressed, "merge_panel"):
        draw = PANELS[name]
        assert "button" not in {tag for tag, _ in ParsedHtml(draw(view)).elements}, name
        live = {tag for tag, _ in ParsedHtml(draw(replace(view, still=False))).elements}
        assert ("button" in live) == (name in pressed)
