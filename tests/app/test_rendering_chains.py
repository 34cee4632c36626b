"""A chain's text with its cited titles marked."""

from __future__ import annotations

from app.rendering.chains import marked, written
from backend.prompting import HistoryLine
from backend.types import Trace

TARGET = HistoryLine("Heat (1995)", ("Crime",))
PAST = (HistoryLine("Alien (1979)", ("Horror",), 4.5), HistoryLine("Net, The (1995)", (), 2.0))
TEXT = "They gave Alien (1979) 4.5, Net, The (1995) got 5 and Rocky (1976) got 4. So Heat (1995) is fine."


def test_titles_are_marked_by_what_the_prompt_says_of_them() -> None:
    kinds = {text: kind for kind, text in marked(TEXT, PAST, TARGET) if kind}
    assert kinds == {
        "Alien (1979)": "cited", "Net, The (1995)": "misquoted", "Rocky (1976)": "invented", "Heat (1995)": "cited",
    }  # fmt: skip
    assert "".join(text for _, text in marked(TEXT, PAST, TARGET)) == TEXT


def test_a_text_without_titles_and_no_text() -> None:
    assert marked("Nothing here.", PAST, TARGET) == (("", "Nothing here."),)
    assert marked("", PAST, TARGET) == ()


def test_a_title_over_a_line_break_loses_no_text() -> None:
    text = "Alien\n(1979) and Alien  (1979) and Alien (1979)."
    assert "".join(piece for _, piece in marked(text, PAST, TARGET)) == text


def test_a_finished_chain_is_split_and_a_growing_one_is_not_judged() -> None:
    trace = Trace(2, f"{TEXT}\n</think>\n\nYes", 0.9, 40, 1.0, "stop")
    done = written(2, trace, None, False, PAST, TARGET)
    assert (done.number, done.conclusion, done.verdict, done.writing) == (3, "Yes", "yes", False)
    grows = written(0, None, "They gave Alien (19", True, PAST, TARGET)
    assert (grows.thinking, grows.verdict, grows.writing) == ((("", "They gave Alien (19"),), "", True)
    assert written(0, None, None, True, PAST, TARGET).thinking == ()
