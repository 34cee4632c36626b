"""Rationales to tune on: true of the prompt, in one form, short, varied, and with both sides weighed."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets import Dataset, DatasetMeta, LabelRule, build_samples, split
from backend.prompting import HistoryLine, PromptSubject, RatingHabit, build_prompt, read_verdict
from backend.training.evidence import gather, title_stem
from backend.training.rationales import LONGEST_LABEL, compose, estimated_tokens

META = DatasetMeta(
    name="toys", title="Toys", item_noun="toy", item_noun_plural="toys", verb_past="had", rating_min=0.5,
    rating_max=5, rating_unit="points", label_rule=LabelRule(threshold=3), time_ordered=True, licence="none",
    source_hash="0",
)  # fmt: skip
WORDS = ("Zorq", "Vixum", "Quamb", "Plith")
CATEGORIES = ("Xa", "Xb", "Xc", "Xd", "Xe")
FORM = re.compile(r"[^\n]+\n</think>\n(?:Yes|No)")

_labels = st.builds(
    lambda word, rest, year: f"{word}{rest}{year}",
    st.sampled_from(WORDS),
    st.sampled_from(("", "s", " II", " 3", ": Plith", ", The", " " + "Vixum " * 12 + "Vixum", "\n\nZorq")),
    st.sampled_from(("", " (1987)", " (1994)", " (1999)")),
)
_categories = st.permutations(CATEGORIES).flatmap(
    lambda names: st.sampled_from((0, 1, 2, 3, 5)).map(lambda n: tuple(names[:n]))
)
_others = st.none() | st.floats(0.5, 5)
_lines = st.builds(HistoryLine, _labels, _categories, st.integers(1, 10).map(lambda half: half / 2), others=_others)
# Sizes are drawn first: left to itself, most histories would be empty.
_pasts = st.sampled_from((0, 1, 3, 6, 6, 12)).flatmap(
    lambda size: st.lists(_lines, min_size=size, max_size=size, unique_by=lambda line: line.label)
)
_subjects = st.builds(
    PromptSubject,
    st.sampled_from((META, META.model_copy(update={"label_rule": LabelRule(threshold=5, inclusive=True)}))),
    st.builds(HistoryLine, _labels, _categories, others=_others),
    habit=st.none() | st.builds(RatingHabit, st.integers(1, 99), st.floats(0.5, 5), st.floats(0, 1)),
    layout=st.sampled_from(("paper", "answered")),
)
_hints = st.sampled_from((None, True, False))
_seeds = st.integers(0, 2**32 - 1)


def _reasoning(text: str) -> str:
    return text.split("\n", 1)[0]


def _marked(text: str, history: list[HistoryLine]) -> tuple[str, list[HistoryLine]]:
    """The text with "@" for every label of the history, and the lines in the order cited."""
    by_label = {" ".join(line.label.split()): line for line in history}
    if not by_label:
        return text, []
    labels = re.compile("|".join(map(re.escape, sorted(by_label, key=len, reverse=True))))
    return labels.sub("@", text), [by_label[label_text] for label_text in labels.findall(text)]


def _sentences(marked: str) -> list[str]:
    return re.split(r"(?<=\.)\s+", marked)


@given(_subjects, _pasts, st.booleans(), _hints, _seeds)
def test_the_form_is_kept_and_the_verdict_is_the_label(
    subject: PromptSubject, history: list[HistoryLine], label: bool, hint: bool | None, seed: int
) -> None:
    text = compose(subject, history, label, hint, np.random.default_rng(seed))
    assert FORM.fullmatch(text)
    assert read_verdict(text).answer == ("yes" if label else "no")
    assert text == compose(subject, history, label, hint, np.random.default_rng(seed))
    sentences = _sentences(_marked(_reasoning(text), history)[0])
    assert 2 <= len(sentences) <= 5, text
    assert all(re.fullmatch(r"[A-Z@].*[^,.]\.", sentence) for sentence in sentences), text
    assert not re.search(r",,|  | ,|,\.", text)
    assert bool(re.search(r"\bnot\b|not for them", sentences[-1].replace("than not", ""))) is not label
    assert estimated_tokens(text) <= 85


@given(_subjects, _pasts, st.booleans(), _hints, _seeds)
def test_only_items_of_the_prompt_are_cited_each_with_its_rating(
    subject: PromptSubject, history: list[HistoryLine], label: bool, hint: bool | None, seed: int
) -> None:
    text = _reasoning(compose(subject, history, label, hint, np.random.default_rng(seed)))
    prompt = build_prompt("reason", subject, history).text
    marked, cited = _marked(text, history)
    assert not any(word in marked for word in WORDS), text
    for line, behind in zip(cited, marked.split("@")[1:], strict=True):
        assert len(line.label) <= LONGEST_LABEL
        number = re.match(r"[^0-9]*?(\d+(?:\.\d+)?)", behind)
        assert number, text
        assert line.rating == float(number[1]), text
        assert f". {' '.join(line.label.split())}" in prompt
    for said in re.findall(r"\d+% ?|\d\.\d(?!\d)", re.sub(r"@[^0-9]*\d+(?:\.\d+)?", "@", marked)):
        assert said.strip() in prompt, text


@given(_subjects, _pasts, st.booleans(), _seeds)
def test_what_is_said_to_be_shared_is_shown_for_both(
    subject: PromptSubject, history: list[HistoryLine], label: bool, seed: int
) -> None:
    text = _reasoning(compose(subject, history, label, None, np.random.default_rng(seed)))
    marked, cited = _marked(text, history)
    names = {name for name in CATEGORIES if re.search(rf"\b{name}\b", marked)}
    assert names <= set(subject.target.categories[:3])

    def said(match: re.Match[str]) -> set[str]:
        return set(re.findall(r"\bX[a-e]\b", match[0]))

    for match in re.finditer(r"(shares|both sharing|all sharing) X\w(?: and X\w)?", marked):
        many = {"shares": 1, "both sharing": 2, "all sharing": 3}[match[1]]
        place = marked[: match.start()].count("@")
        assert all(said(match) <= set(line.categories[:3]) for line in cited[place - many : place]), text
    for match in re.finditer(r"the (\d{4})s", marked):
        near = cited[marked[: match.start()].count("@") - 1]
        assert f"({match[1][:3]}" in near.label, text
        assert f"({match[1][:3]}" in subject.target.label, text
    for match in re.finditer(r"(?:on|with) X\w(?: and X\w)?(?: in common)?,", marked, re.IGNORECASE):
        assert said(match) <= set(cited[marked[: match.start()].count("@")].categories[:3]), text


@given(_subjects, _pasts, st.booleans(), _hints, _seeds)
def test_comparisons_hold_at_the_precision_of_the_prompt(
    subject: PromptSubject, history: list[HistoryLine], label: bool, hint: bool | None, seed: int
) -> None:
    text = _reasoning(compose(subject, history, label, hint, np.random.default_rng(seed)))
    assert not (subject.layout == "paper" and re.search(r"others|average|%", text.replace("On balance", ""))), text
    known = [float(f"{line.others:.1f}") for line in history if line.others is not None]
    if re.search(r"more than most|above most", text):
        assert sum(value < round(subject.target.others or 0, 1) for value in known) > len(known) / 2
    if re.search(r"less than most|below most", text):
        assert sum(value > round(subject.target.others or 9, 1) for value in known) > len(known) / 2
    for amount, name in re.findall(r"(all|most|few|some|none)(?: of the)? (X\w) toys", text, re.IGNORECASE):
        liked = [
            bool(subject.meta.label_rule.apply(np.asarray(line.rating)))
            for line in history
            if name in line.categories[:3]
        ]
        share = sum(liked) / len(liked)
        holds = {"all": share == 1, "most": share > 0.5, "few": share <= 0.25, "some": share < 0.5, "none": share == 0}
        assert holds[amount.lower()], text
    if re.search(r"\b(?:one|opinion)\b[^.]*(?:thinks|says|is) (?:Yes|No)", text):
        assert f" {'Yes' if hint else 'No'}," in text
        assert hint is not None


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Alien (1979)", "Aliens (1986)", True),
        ("Rocky (1976)", "Rocky II (1979)", True),
        ("Toy Story (1995)", "Toy Story 2 (1999)", True),
        ("Godfather, The (1972)", "Godfather: Part II, The (1974)", True),
        ("Star Wars: Episode IV - A New Hope (1977)", "Star Wars: Episode V - The Empire Strikes Back (1980)", True),
        ("Matrix, The (1999)", "Matrix Reloaded, The (2003)", False),
        ("Heat (1995)", "Ran (1985)", False),
        ("2001: A Space Odyssey (1968)", "2046 (2004)", False),
    ],
)
def test_titles_of_one_series_have_one_stem(first: str, second: str, same: bool) -> None:
    assert (title_stem(first) == title_stem(second) != "") is same


def test_a_lack_of_evidence_is_said() -> None:
    subject = PromptSubject(META, HistoryLine("Heat (1995)", ("Crime",)), layout="answered")
    history = [HistoryLine("Ronin (1998)", ("Crime",), 1.0), HistoryLine("Fargo (1996)", ("Crime",), 2.0)]
    texts = {compose(subject, history, True, None, np.random.default_rng(seed)) for seed in range(40)}
    assert all(re.search("[Ll]ittle here speaks for it|(?i:no\\w* similar)", text) for text in texts)
    assert all(re.search("will perhaps like|slightly more likely", text) for text in texts)
    nothing = compose(subject, [], False, None, np.random.default_rng(0))
    assert nothing.startswith("There are no past toys to go by")


def test_the_closest_item_of_the_series_is_cited_first() -> None:
    subject = PromptSubject(META, HistoryLine("Aliens (1986)", ("Action", "Horror")), layout="answered")
    history = [HistoryLine("Jaws (1975)", ("Action", "Horror"), 5.0), HistoryLine("Alien (1979)", ("Horror",), 4.0)]
    for seed in range(30):
        text = compose(subject, history, True, None, np.random.default_rng(seed))
        assert "Alien (1979)" in text
        assert "Jaws (1975)" not in text or text.index("Alien (1979)") < text.index("Jaws (1975)")


Sample = tuple[PromptSubject, list[HistoryLine], bool]


@pytest.fixture(scope="module")
def samples(shipped: Dataset) -> list[Sample]:
    """300 training samples of the shipped data: six past items with most shared categories, and the four newest."""
    rng = np.random.default_rng(7)
    rows = rng.choice(split(build_samples(shipped), shipped).train, 300, replace=False)
    sums = np.bincount(shipped.item_index, shipped.rating, shipped.n_items)

    def line(row: int, target: bool = False) -> HistoryLine:
        item = shipped.item_index[row]
        count, total = shipped.item_counts[item] - 1, sums[item] - shipped.rating[row]
        others = float(total / count) if count >= 5 else None
        label = HistoryLine(shipped.item_label(item), shipped.categories[item], others=others)
        return label if target else replace(label, rating=float(shipped.rating[row]), position=row)

    made = []
    for row in map(int, rows):
        target, past = line(row, target=True), shipped.history_before(row)
        lines = [line(place) for place in range(past.start, past.stop)]
        lines.sort(key=lambda rated_line: -len({*rated_line.categories} & {*target.categories}))
        newest = sorted(lines[6:], key=lambda rated_line: -(rated_line.position or 0))[:4]
        habit = RatingHabit(len(lines), float(shipped.rating[past].mean()), float(shipped.labels[past].mean()))
        subject = PromptSubject(shipped.meta, target, habit=habit, layout="answered")
        made.append((subject, lines[:6] + newest, bool(shipped.labels[row])))
    return made


@pytest.fixture(scope="module")
def composed(samples: list[Sample]) -> list[str]:
    rng = np.random.default_rng(0)
    hints = rng.choice((0, 1, 2), len(samples))
    return [
        compose(subject, history, label, (None, label, not label)[hint], rng)
        for (subject, history, label), hint in zip(samples, hints, strict=True)
    ]


def test_rationales_of_real_samples_differ_in_wording(samples: list[Sample], composed: list[str]) -> None:
    skeletons = set()
    for (subject, history, _), text in zip(samples, composed, strict=True):
        marked, _ = _marked(text, history)
        for name in sorted(subject.target.categories):
            marked = marked.replace(name, "C")
        skeletons.add(re.sub(r"\d+(?:\.\d)?", "N", marked).replace("C and C", "C"))
    assert len(skeletons) >= 200


def test_rationales_of_real_samples_are_short(composed: list[str]) -> None:
    words = np.array([1.4 * len(text.split()) for text in composed])
    tokens = np.array([estimated_tokens(text) for text in composed])
    assert 40 <= words.mean() <= 65
    assert 45 <= tokens.mean() <= 62
    assert tokens.max() <= 85


def test_both_verdicts_come_and_both_sides_are_weighed(samples: list[Sample], composed: list[str]) -> None:
    verdicts = [read_verdict(text).answer for text in composed]
    assert verdicts == ["yes" if label else "no" for _, _, label in samples]
    assert 60 < verdicts.count("yes") < 240
    against = [text for text in composed if re.search(r"[Aa]lthough|Still,|Against it|For it,|, but ", text)]
    assert 0.3 <= len(against) / len(composed) <= 0.9
    citing = [text for (_, history, _), text in zip(samples, composed, strict=True) if _marked(text, history)[1]]
    assert len(citing) >= 0.9 * len(composed)


def test_the_evidence_leans_the_way_of_real_labels(samples: list[Sample]) -> None:
    leaning = np.array([gather(subject, history).leaning for subject, history, _ in samples])
    liked = np.array([label for _, _, label in samples])[np.argsort(leaning)]
    assert liked[-100:].mean() - liked[:100].mean() > 0.3


def test_citations_in_real_samples_are_true(samples: list[Sample], composed: list[str]) -> None:
    checked = 0
    for (_, history, _), text in zip(samples, composed, strict=True):
        marked, cited = _marked(_reasoning(text), history)
        for line, behind in zip(cited, marked.split("@")[1:], strict=True):
            number = re.match(r"[^0-9]*?(\d+(?:\.\d+)?)", behind)
            assert number, text
            assert line.rating == float(number[1]), text
            checked += 1
    assert checked > 300
