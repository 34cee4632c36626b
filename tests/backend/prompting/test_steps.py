"""A chain in steps: where they begin and end, and that nothing of it is lost."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.prompting import Step, split_steps

BUNDLED_RESULTS = Path(__file__).parents[3] / "storage" / "bundle" / "results.jsonl.gz"

CASES = {
    "titles with full stops, decimals": (
        "They gave Mr. & Mrs. Smith (2005) 4.5. Dr. Strangelove or: How I Learned (1964) got 3. So yes.",
        ["They gave Mr. & Mrs. Smith (2005) 4.5.",
         "Dr. Strangelove or: How I Learned (1964) got 3.", "So yes."],
    ),
    "titles with marks before their year or inside": (
        "O Brother, Where Art Thou? (2000) got 5. They liked Hot Shots! Part Deux (1993). "
        "Monsters, Inc. (2001) is a 4. L.A. Confidential (1997) and E.T. the Extra-Terrestrial (1982) too. "
        "Godzilla vs. Mothra (1992) no!",
        ["O Brother, Where Art Thou? (2000) got 5.", "They liked Hot Shots! Part Deux (1993).",
         "Monsters, Inc. (2001) is a 4.", "L.A. Confidential (1997) and E.T. the Extra-Terrestrial (1982) too.",
         "Godzilla vs. Mothra (1992) no!"],
    ),
    "questions and exclamations": (
        'Really? Heat (1995) got 5! "Yes." He said "No!" and left... maybe.',
        ["Really?", "Heat (1995) got 5!", '"Yes."', 'He said "No!" and left... maybe.'],
    ),
    "a numbered list, a bullet, sentences inside": (
        "Reasons:\n1. Heat (1995) is good. They gave 5.\n2) Alien (1979) is not\n- so: no\n• or maybe",
        ["Reasons:", "1. Heat (1995) is good.", "They gave 5.", "2) Alien (1979) is not", "- so: no", "• or maybe"],
    ),
    "a list on one line": ("1. Heat is good. 2. Alien is not.", ["1. Heat is good.", "2. Alien is not."]),
    "headings and bold": (
        "### Step one\n**Heat:** liked. **Alien:** not.\n\n---\nSo no",
        ["### Step one", "**Heat:** liked.", "**Alien:** not.\n\n---", "So no"],
    ),
    "abbreviations and initials": (
        "The answer is No. They liked No. 5. So do I. At 5 p.m. They read J. R. R. Tolkien, e.g. this, "
        "i.e. that, etc. And so on.",
        ["The answer is No.", "They liked No. 5.", "So do I.", "At 5 p.m.",
         "They read J. R. R. Tolkien, e.g. this, i.e. that, etc.", "And so on."],
    ),
    "brackets": (
        "They (He did. She did too.) said so. (Not often.) Seven (a.k.a. Se7en) (1995) got 4. If.... (1968) got 3.",
        ["They (He did. She did too.) said so.", "(Not often.)", "Seven (a.k.a. Se7en) (1995) got 4.",
         "If.... (1968) got 3."],
    ),
    "Chinese": (
        "用户喜欢这部电影。他给了4.5分！真的？是的，《你好，李焕英！》(2021)很好。1、喜欢",
        ["用户喜欢这部电影。", "他给了4.5分！", "真的？", "是的，《你好，李焕英！》(2021)很好。", "1、喜欢"],
    ),
    "both scripts": (
        "他喜欢Heat (1995)。Then he left. 对！！Really?! 真的?是的.好",
        ["他喜欢Heat (1995)。", "Then he left.", "对！！", "Really?!", "真的?", "是的.", "好"],
    ),
    "small letters": (
        "they like it. then more? yes! ok, vs. them, 3 hrs. of it",
        ["they like it.", "then more?", "yes!", "ok, vs. them, 3 hrs. of it"],
    ),
    "a wrapped line, a new line": ("Okay, so\nthe user likes it\nThey do", ["Okay, so\nthe user likes it", "They do"]),
    "the tags around a chain's thinking": (
        "<think>\nThey gave Heat (1995) 4. So yes.</think> \n\nYes", ["They gave Heat (1995) 4.", "So yes.", "Yes"],
    ),
    "a thought that ends without a mark": ("用户喜欢<think> so do I</think>No", ["用户喜欢", "so do I", "No"]),
    "marks alone": ("... Yes. --- No", ["... Yes.", "--- No"]),
    "nothing but marks": ("***", ["***"]),
    "nothing": (" \n ", []),
}  # fmt: skip
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet=" .!?…。！？()《》\"'-*1aAZé好\n\t", max_size=60),
    st.lists(
        st.sampled_from([
            "They gave Heat (1995) 4.5.", "Dr. ", "Mr. & Mrs. Smith (2005)", "So yes", ". ", "! ", "\n", "\n\n", "1. ", 
            "- ", "用户喜欢。", "(", ")", "…", "e.g. ", " ",
        ]),
        max_size=20,
    ).map("".join),
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_text_is_split_into_its_sentences_and_items(name: str) -> None:
    text, expected = CASES[name]
    assert [step.text for step in split_steps(text)] == expected


@given(TEXTS)
def test_steps_are_in_order_and_lose_nothing_but_space(text: str) -> None:
    steps, end = split_steps(text), 0
    for step in steps:
        assert end <= step.start < step.end
        assert text[end : step.start].strip() == ""
        assert step.text == text[step.start : step.end] == step.text.strip()
        end = step.end
    assert text[end:].strip() == ""


@given(TEXTS)
def test_ids_are_unique_and_the_same_every_time(text: str) -> None:
    steps = split_steps(text)
    assert len({step.id for step in steps}) == len(steps)
    assert split_steps(text) == steps


@given(TEXTS)
def test_a_step_that_is_split_alone_keeps_its_words_id(text: str) -> None:
    """What is around a step does not name it: only its words do, and how often they came before."""
    for step in split_steps(text):
        alone = split_steps(step.text)
        if len(alone) == 1:
            assert alone[0].id.split("-")[0] == step.id.split("-")[0]


@given(TEXTS)
def test_every_step_says_something_unless_the_whole_text_does_not(text: str) -> None:
    steps = split_steps(text)
    assert all(any(map(str.isalnum, step.text)) for step in steps) or len(steps) == 1


def test_an_id_is_that_of_the_words_whatever_the_space_and_counts_repeats() -> None:
    first = split_steps("They like it. No. They  like\nit.")
    assert [step.text for step in first] == ["They like it.", "No.", "They  like\nit."]
    words, count = first[0].id.split("-")
    assert (len(words), count) == (12, "1")
    assert first[2].id == f"{words}-2"
    assert first[1].id.split("-")[0] != words
    [composed], [combined] = split_steps("Amélie"), split_steps("Ame\u0301lie")
    assert composed.id == combined.id


def test_what_is_said_after_a_chain_does_not_rename_its_steps() -> None:
    """A chain that is still written, and the same chain with its answer: what was said of a step holds."""
    whole = split_steps("They like it. So do I.\n</think>\n\nYes")
    assert whole[:2] == split_steps("They like it. So do I.")
    assert [step.text for step in whole[2:]] == ["Yes"]


def test_the_chains_that_ship_are_split_where_their_sentences_end() -> None:
    """Each of the real chains: nothing but space and tags between steps, no step that holds two sentences of theirs,
    and a title's full stop or its mark ends none.
    """
    written = list(_shipped_chains())
    assert len(written) > 1000
    for text in written:
        steps = split_steps(text)
        rest, end = "", 0
        for step in steps:
            rest, end = rest + text[end : step.start], step.end
        assert (rest + text[end:]).replace("</think>", "").split() == []
        assert len({step.id for step in steps}) == len(steps)
        closed, answer = text.rpartition("</think>")[1:]
        assert not closed or not answer.strip() or steps[-1].text == answer.strip()
        for step in steps:
            assert not re.search(r"[.!?] (So|They|Another one|On balance|Against it)\b", step.text), step.text
            assert not re.match(r"\(\d{4}\)|[a-z,;]", step.text), step.text


def _shipped_chains() -> Iterator[str]:
    with gzip.open(BUNDLED_RESULTS, "rt", encoding="utf-8") as lines:
        yield from {row["text"] for row in map(json.loads, lines) if row.get("kind") == "trace"}


def test_half_a_surrogate_pair_is_a_step_too() -> None:
    [step] = split_steps("broken \ud83d end")
    assert isinstance(step, Step)


@pytest.mark.parametrize(
    "unit", ["a. ", "(", "( ", ". ", "1. ", "\n", "Aa! Bb ", "《", "a.k.a. ", "！", "x" * 9 + "\n- "]
)
def test_long_babble_is_split_in_no_time(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    started = time.perf_counter()
    split_steps(text)
    assert time.perf_counter() - started < 5
