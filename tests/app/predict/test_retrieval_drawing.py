"""Steps 1 and 2 as drawn: the channels by their names, similarities with their parts, eq. 8 of every strategy."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from app.predict.drawing import map_overlay, nearest_panel, rerank_panel, retrieve_panel
from app.shared import choices
from backend.datasets import Dataset
from backend.representation import PARTS, VARIANT_PARTS, VARIANTS
from backend.retrieval import STRATEGIES
from tests.app.views import ParsedHtml, dataset_of, explained_of, nearest_of, prediction_of, view_of


def text_of(html: str) -> str:
    return " ".join(" ".join(ParsedHtml(html).words).split())


def view(small: Dataset, **retrieval: Any) -> Any:
    return view_of(prediction_of(small, "text", retrieval=retrieval), small, "text")


def test_every_choice_has_its_words() -> None:
    assert tuple(choices.VARIANTS) == VARIANTS
    assert tuple(choices.STRATEGIES) == STRATEGIES
    assert tuple(choices.PARTS) == PARTS
    assert all("Table 6" in words for words in choices.VARIANTS.values())
    assert all("Fig. 8" in words for words in choices.STRATEGIES.values())


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_columns_are_the_channels_with_the_similarities_that_ranked_them(
    small: Dataset, variant: str, strategy: str
) -> None:
    shown = view(small, variant=variant, strategy=strategy)
    both = shown.prediction.question.channels
    html = retrieve_panel(shown)
    columns = html.split("<section")[1:]
    assert [re.search(r"<h3>(\w+)", column)[1].lower() for column in columns] == list(both.names)  # type: ignore[index]
    ranked = (both.ranked_by[0], both.ranked_by[1] or both.similarity)
    variants = ("text", "id") if strategy == "retrieve-then-mix" else (variant, variant)
    for column, items, similarity, used in zip(columns, (both.relevant, both.recent), ranked, variants, strict=True):
        drawn = re.findall(r'<td class="n sim">(-?[\d.]+)', column)
        assert drawn == [f"{similarity[item]:.3f}" for item in items]
        assert [int(code) for code in re.findall(r'data-near="(\d+)"', column)] == items
        names = set(re.findall(r'class="part (\w+)', column))
        assert names == (set(VARIANT_PARTS[used]) if len(VARIANT_PARTS[used]) > 1 else set())
    assert choices.VARIANTS[variant] in text_of(html)
    assert choices.STRATEGIES[strategy] in text_of(html)


def test_a_similarity_says_its_parts_and_draws_what_is_negative_hollow(small: Dataset) -> None:
    html = retrieve_panel(view(small, variant="concat+ssl"))
    assert "text 0.500 + collaborative 0.000 + aligned 0.750" in html
    assert "text 0.500 + collaborative −0.250 + aligned 0.750" in html
    assert re.search(r'class="part collaborative minus" style="width:8\.3%"', html)
    for bar in re.findall(r'<span class="parts".*?</span></span>', html):
        assert sum(map(float, re.findall(r"width:([\d.]+)%", bar))) <= 100.1


def test_items_without_a_collaborative_signal_say_so_where_it_is_compared(small: Dataset) -> None:
    for variant in VARIANTS:
        html = retrieve_panel(view(small, variant=variant))
        assert ("no collaborative signal: no training rating names it" in html) == (variant != "text")
    shown = view(small, variant="id")
    silent = explained_of([*shown.explained.cosines])
    silent = replace(silent, silent=silent.silent | {shown.prediction.question.item})
    told = text_of(retrieve_panel(replace(shown, explained=silent)))
    assert "The target has no collaborative signal" in told
    assert "so time decides" in told


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_eq_8_is_that_of_the_strategy(small: Dataset, strategy: str) -> None:
    shown = view(small, strategy=strategy, gamma=0.3, beta=0.5, k=6)
    html, text = rerank_panel(shown), text_of(rerank_panel(shown))
    names = shown.prediction.question.channels.names
    assert f"{names[0]} rank {names[1]} rank" in text
    assert ("<svg" in html) == (strategy == "rerank")
    assert ("do not apply" in text) == (strategy != "rerank")
    scores = re.findall(r'class="b (relevance|recency)([^"]*)" style="width:([\d.]+)%" title="[^=]*= ([\d.]+)"', html)
    for row, first, second in zip(shown.prediction.question.chosen, scores[::2], scores[1::2], strict=True):
        assert row.score == pytest.approx(max(float(first[3]), float(second[3])), abs=0.0006)
        kept = [part for part in (first, second) if "idle" not in part[1]]
        assert len(kept) == 1
        assert max(float(part[2]) for part in (first, second)) <= 100


def test_the_nearest_items_say_what_the_user_made_of_them_and_no_more(small: Dataset) -> None:
    shown = view(small)
    near = nearest_of(shown.prediction, "concat+ssl")
    rows = nearest_panel(replace(shown, nearest=near)).split("</tbody>")[0].split("<tr>")[2:]
    told = [text_of(row) for row in rows]
    assert [
        words.endswith(end)
        for words, end in zip(told, ("the target", "rated later", "not rated", "rated 4.5"), strict=True)
    ] == [True] * 4
    assert "Looking for the nearest items" in nearest_panel(shown)
    failed = nearest_panel(replace(shown, nearest=replace(near, rows=(), problem="The disk is full.")))
    assert "The disk is full." in failed
    none = replace(near, asked=("id", 5, 0, 0), rows=(), explained=explained_of([5]))
    assert "has no collaborative signal" in nearest_panel(replace(shown, nearest=none))


def test_what_the_map_marks_is_numbers_and_one_address(small: Dataset) -> None:
    data = dataset_of(small, "<b>/../?&#")
    shown = view_of(prediction_of(data, "text", retrieval={"variant": "concat+ssl"}), data, "text")
    told = json.loads(map_overlay(shown))
    question = shown.prediction.question
    assert told.pop("url") == "map/%3Cb%3E%2F..%2F%3F%26%23/concat%2Bssl"
    assert told == {
        "target": question.item,
        "history": list(dict.fromkeys(int(data.item_index[row]) for row in question.history_rows)),
        "chosen": [row.item for row in question.chosen],
        "near": None,
        "neighbours": [],
    }
    near = nearest_of(shown.prediction, "concat+ssl")
    told = json.loads(map_overlay(replace(shown, nearest=near)))
    assert (told["near"], told["neighbours"]) == (5, [0, 1, 2, 3])
