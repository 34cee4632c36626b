"""Which titles a chain cites: in the prompt, invented, half copied; and the ratings that it gives them."""

from __future__ import annotations

import numpy as np
import pytest

from backend.datasets import Dataset, build_samples, split
from backend.evaluation.citations import Citation, CitationCount, cited_titles
from backend.prompting import HistoryLine, Layout
from backend.questions import Questions
from backend.retrieval import RetrievalConfig
from backend.training.rationales import compose
from tests.conftest import random_space

TARGET = HistoryLine("Seven (a.k.a. Se7en) (1995)", ("Mystery", "Thriller"))
PAST = (
    HistoryLine("Heat (1995)", ("Action", "Crime"), 4.5),
    HistoryLine("Net, The (1995)", ("Thriller",), 2.0),
    HistoryLine("City of Lost Children, The (Cité des enfants perdus, La) (1995)", ("Drama",), 5.0),
    HistoryLine("Monsters, Inc. (2001)", ("Comedy",), 3.0),
    HistoryLine("2001: A Space Odyssey (1968)", ("Sci-Fi",), 1.0),
    HistoryLine("Hamlet (2000)", ("Drama",), 2.5),
    HistoryLine("Hamlet (2000)", ("Drama",), 4.0),
    HistoryLine("1984 (Nineteen Eighty-Four) (1984)", ("Drama",), 4.0),
    HistoryLine("Stranger Things", ("Drama",), 4.0),
)


def citations_in(text: str) -> list[Citation]:
    return cited_titles(text, PAST, TARGET)


def told(text: str) -> list[tuple[str, bool, float | None, bool | None]]:
    return [(one.title, one.in_prompt, one.rating, one.rating_right) for one in citations_in(text)]


def test_a_chain_that_copies_well() -> None:
    text = (
        "Heat (1995) got 4.5, City of Lost Children, The (Cité des enfants perdus, La) (1995) 5 and Hamlet (2000) 4, "
        "all sharing Drama. Although they gave Net, The (1995) 2 stars, less than from others, Seven (a.k.a. Se7en) "
        "(1995) is close to these. So they will probably like it.\n</think>\nYes"
    )
    assert told(text) == [
        ("Heat (1995)", True, 4.5, True),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)", True, 5.0, True),
        ("Hamlet (2000)", True, 4.0, True),
        ("Net, The (1995)", True, 2.0, True),
        ("Seven (a.k.a. Se7en) (1995)", True, None, None),
    ]
    assert CitationCount.of(citations_in(text)) == CitationCount(5, 5, 4, 4)


def test_a_chain_that_invents_and_copies_half() -> None:
    text = (
        "Although Drunken Master II (Jui kuen II) (1994) got 5, they gave Lost Children, The (1995) 2. Heat (1996) was "
        "clearly liked at 4.5. Against it, Monsters, Inc. (2001), at 5, shares Comedy.\n</think>\nNo"
    )
    assert told(text) == [
        ("Drunken Master II (Jui kuen II) (1994)", False, 5.0, None),
        ("Lost Children, The (1995)", False, 2.0, None),
        ("Heat (1996)", False, 4.5, None),
        ("Monsters, Inc. (2001)", True, 5.0, False),
    ]
    assert CitationCount.of(citations_in(text)) == CitationCount(4, 1, 1, 0)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("On Drama, heat (1995) got 4.5", "heat (1995)"), ("They liked The Net (1995).", "The Net (1995)"),
        ("They liked the Net (1995).", "the Net (1995)"), ("close to 1984 (1984)", "1984 (1984)"),
        ("The City of Lost Children (1995) got 5.", "The City of Lost Children (1995)"),
        ("City of Lost Children, The (1995) got 5.", "City of Lost Children, The (1995)"),
        ("The City of Lost Children (Cité des enfants perdus, La) (1995)",) * 2,
        ("Still, 2001: A Space\nOdyssey (1968) got 1", None),
        ("2001:  A Space   Odyssey (1968)", "2001: A Space Odyssey (1968)"),
        *((text, "Heat (1995)") for text in (
            "1. **Heat (1995)** [Action]: 4.5", '"Heat (1995)"', "-Heat (1995)", "Although Heat (1995) got 4.5",
            "The Crime movie Heat (1995)", "In Action Heat (1995)", "They like Drama\nHeat (1995)",
            "Michael Mann's Heat (1995)", "So yes. Heat (1995)",
        )),
    ],
)  # fmt: skip
def test_ways_to_write_a_title_that_is_there(text: str, title: str | None) -> None:
    assert [one.title for one in citations_in(text) if one.in_prompt] == ([title] if title else [])
    assert len(citations_in(text)) == 1


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("they gave Toy Story (1995) 5", "Toy Story (1995)"), ("The White Heat (1995) got 5", "White Heat (1995)"),
        ("The Heat (1995) is one, Children, The (1995) another", "Children, The (1995)"),
        ("of Lost Children, The (Cité des enfants perdus, La) (1995)", None),
        *((f"they liked {title}", title) for title in (
            "White Heat (1995)", "Pre-Heat (1995)", "Mars Attacks! (1996)", "Babe, Inc. (1996)", "It (1990)",
            "300 (2006)", "Mi vida loca (1994)", "Stranger Things (2016)", "Space Odyssey (1968)",
        )),
    ],
)  # fmt: skip
def test_titles_that_are_not_there(text: str, title: str | None) -> None:
    [outside] = [one.title for one in citations_in(text) if not one.in_prompt]
    assert title is None or outside == title


def test_what_stands_before_and_is_a_title_without_a_year() -> None:
    assert told("Dead Heat and Hamlet (2000)") == [("Hamlet (2000)", True, None, None)]


@pytest.mark.parametrize(
    "text",
    [
        "", "(1995)", "They like 87% of movies, 4.1 on average. So they will clearly like it.",
        "They liked what came out that year (1995).", "Movies of the time (1995) are mostly liked.",
        "Heat got 4.5 and Stranger Things 4.", "Heat (Crime) got 4 (of 5) in (12345).",
    ],
)  # fmt: skip
def test_nothing_that_could_be_a_title_with_its_year(text: str) -> None:
    assert citations_in(text) == []


@pytest.mark.parametrize(
    ("behind", "rating"),
    [
        (" got 4.5.", 4.5), (", at 4.5, shares Crime", 4.5), (" was liked at 4.5", 4.5), (" 4.5 and more", 4.5),
        (" was not quite liked at 3", 3.0), (" [Crime]: 4.5 of 5 stars", 4.5), (" (rated 4.5)", 4.5),
        (" got 3 stars", 3.0), (" was rated 3", 3.0), (", which they rated 5,", 5.0), (" at 5 and", 5.0),
        (": 4/5", 4.0), (" with a 4-star", 4.0), (" got 45% of", None), (", 12 Monkeys", None),
        (" and 3 others", None), (" is liked by 4", None), (" 3:10", None), (" at 4.1 by others", None),
        (" got 4.1 on average", None), (" 8MM", None), (" 13th", None), (" got some 4", None),
    ],
)  # fmt: skip
def test_the_rating_is_read_right_behind_the_title(behind: str, rating: float | None) -> None:
    [one] = citations_in("They gave Heat (1995)" + behind)
    assert (one.in_prompt, one.rating) == (True, rating)
    assert one.rating_right is (None if rating is None else rating == 4.5)


def test_of_two_past_items_with_one_label_either_rating_is_right() -> None:
    assert [one.rating_right for one in citations_in("Hamlet (2000) got 2.5, Hamlet (2000) 4 and Hamlet (2000) 3")] == [
        True, True, False,
    ]  # fmt: skip


def test_the_longer_of_two_labels_is_the_one_that_is_meant() -> None:
    past = (HistoryLine("Seven (1995)", (), 1.0), HistoryLine("Magnificent Seven, The (1995)", (), 5.0))
    target = HistoryLine("Samurai Seven (1995)", ())
    cited = cited_titles("The Magnificent Seven (1995) got 5, Seven (1995) 1 and Samurai Seven (1995)?", past, target)
    assert [(one.title, one.rating_right) for one in cited] == [
        ("The Magnificent Seven (1995)", True), ("Seven (1995)", True), ("Samurai Seven (1995)", None),
    ]  # fmt: skip


def test_without_a_history_only_the_target_is_there() -> None:
    cited = cited_titles("Seven (1995) is like Heat (1995)", (), TARGET)
    assert [(one.title, one.in_prompt) for one in cited] == [
        ("Seven (1995)", True),
        ("Heat (1995)", False),
    ]


@pytest.fixture(scope="module")
def labels(shipped: Dataset) -> list[str]:
    """All labels of the shipped data that end in a year, with single spaces as prompts have them."""
    spaced = [" ".join(shipped.item_label(code).split()) for code in range(shipped.n_items)]
    return [label for label in spaced if label.endswith(")") and label[-5:-1].isdigit()]


def test_every_label_of_the_shipped_data_is_recognised_where_it_is_written(labels: list[str]) -> None:
    assert len(labels) > 9000
    unseen = []
    for label in labels:
        text = f"Although they gave {label} 4, it shares Drama."
        assert told_of(text, HistoryLine(label, (), 4.0)) == [(label, True, 4.0, True)]
        [*elsewhere] = told_of(text)
        assert [one[1] for one in elsewhere] in ([], [False])
        if not elsewhere:
            unseen.append(label)
    # Without a capital in reach of the year, a title that is not in the prompt goes unseen.
    assert unseen == [
        "2 ou 3 choses que je sais d'elle (2 or 3 Things I Know About Her) (1967)", "*batteries not included (1987)",
        "$9.99 (2008)",
    ]  # fmt: skip


def told_of(text: str, *past: HistoryLine) -> list[tuple[str, bool, float | None, bool | None]]:
    cited = cited_titles(text, past, HistoryLine("Nothing at all (1900)", ()))
    return [(one.title, one.in_prompt, one.rating, one.rating_right) for one in cited]


def test_several_labels_in_one_text_do_not_mix(labels: list[str]) -> None:
    rng = np.random.default_rng(0)
    for numbers in rng.choice(len(labels), (300, 4)):
        a, b, c, d = (HistoryLine(labels[n], (), 0.5 * (1 + int(n) % 10)) for n in numbers)
        text = f"Although {a.label} got {a.rating:g}, they gave {b.label} {b.rating:g}. So {c.label} and {d.label}."
        cited = cited_titles(text, (a, b, c), d)
        assert [one.title for one in cited if one.in_prompt] == [line.label for line in (a, b, c, d)]
        assert CitationCount.of(cited) == CitationCount(4, 4, 2, 2)


@pytest.mark.parametrize("layout", ["paper", "answered"])
def test_composed_rationales_cite_their_own_prompt_alone(shipped: Dataset, layout: Layout) -> None:
    asking = Questions(shipped, random_space(shipped.n_items))
    rng = np.random.default_rng(0)
    of_prompt, of_another, before = CitationCount(), CitationCount(), ""
    for row in rng.choice(split(build_samples(shipped), shipped).train, 60, replace=False):
        user, item = int(shipped.user_index[row]), int(shipped.item_index[row])
        question = asking.ask(user, item, RetrievalConfig(), layout)
        text = compose(question.subject, question.lines, bool(question.label), None, rng)
        of_prompt += CitationCount.of(cited_titles(text, question.lines, question.subject.target))
        of_another += CitationCount.of(cited_titles(before, question.lines, question.subject.target))
        before = text
    assert of_prompt.cited == of_prompt.in_prompt == of_prompt.rated == of_prompt.rated_right > 60
    assert of_another.cited > 60
    assert of_another.in_prompt < 0.1 * of_another.cited
