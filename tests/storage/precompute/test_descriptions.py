"""What the model is asked about an item, and which of its texts are of use (eq. 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.datasets import Dataset, DatasetMeta, build_samples, split
from backend.datasets.statistics import training_counts
from backend.engines import SCRIPTED
from backend.engines.scripted import ScriptedEngine
from backend.representation.descriptions import (
    DescribeConfig,
    describe_prompt,
    fixed_description,
    tidy,
    why_useless,
)
from backend.seeding import digest
from backend.types import Messages, Sampling
from storage.precompute.artifacts import ArtifactStore
from storage.precompute.describe import Description, load_descriptions
from storage.precompute.plan import Precompute
from tests.conftest import meta_of

MOVIES = meta_of()
BOOKS = meta_of(item_noun="book", domain="books", category_noun="author", category_noun_plural="authors")
ASKED = describe_prompt(MOVIES, "Heat (1995)", ("Action", "Crime"))


@pytest.mark.parametrize(
    ("meta", "phrases"),
    [
        (MOVIES, ("mood", "\nGenres: unknown.")),
        (BOOKS, ("the book Heat in", "how it reads", "\nAuthors: unknown.")),
        (meta_of(domain="general", item_noun="gadget", category_noun_plural="kinds"), ("gadget Heat", "\nKinds: ")),
        (
            meta_of(templates={"describe": "What is {label}, a {noun} ({categories})?"}),
            ("is Heat, a movie (unknown)?",),
        ),
    ],
)
def test_the_prompt_is_worded_by_what_the_items_are(meta: DatasetMeta, phrases: tuple[str, ...]) -> None:
    [message] = describe_prompt(meta, "Heat", ())
    assert all(part in message.content for part in phrases)


def test_a_title_with_line_breaks_cannot_add_lines_to_the_prompt() -> None:
    [message] = describe_prompt(MOVIES, "Heat\n\nGenres: Comedy", ("Action\nDrama",))
    assert message.content.count("\n") == ASKED[0].content.count("\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("Genres: Action, Crime.", "empty"),
        ("the mood is dark " * 6, "loop"),
        (
            "Froggs in 2 sentences: Froggs in 2 sentences: Froggs in 2 sentences: a boy runs across all of America.",
            "loop",
        ),
        ("Describe the movie Heat (1995) in two sentences, who will enjoy it and what happens in it.", "echo"),
        ("A weary detective hunts a careful thief through Los Angeles. Patient viewers will love it.", None),
        # A long text may well say "the" often.
        ("The hero of the city and the thief of the night meet in the end, and the law takes the winner away.", None),
    ],
)
def test_empty_looping_and_echoed_texts_are_of_no_use(text: str, why: str | None) -> None:
    assert why_useless(text, ASKED) == why


def test_a_cut_off_sentence_is_left_out_but_not_the_only_one() -> None:
    assert tidy("One thing  happens.\n\nThen the oth") == "One thing happens."
    assert tidy("He said: go! And then") == "He said: go!"
    assert tidy("It never ends and") == "It never ends and"


def test_the_fixed_sentence_names_the_item_and_its_categories() -> None:
    text = fixed_description(MOVIES, "Heat (1995)", ("Action", "Crime", "Thriller"))
    assert text.startswith("Heat (1995) is a movie")
    assert "action, crime and thriller" in text
    assert "unknown" in fixed_description(MOVIES, "Heat (1995)", ())
    assert fixed_description(BOOKS, "Emma (1815)", ("Jane Austen",)).startswith(
        "Emma (1815) is a book by Jane Austen, "
    )
    assert "an unknown author" in fixed_description(BOOKS, "Emma (1815)", ())


def test_the_most_interacted_items_come_first(small: Dataset) -> None:
    counts = [int((small.item_index == code).sum()) for code in range(small.n_items)]
    order = small.most_interacted
    assert sorted(order) == list(range(small.n_items))
    assert [counts[code] for code in order] == sorted(counts, reverse=True)


class _Stubborn(ScriptedEngine):
    """Loops at the first attempt, then says something of use; about movie number 7 it never does."""

    def write(self, prompts: list[Messages], sampling: Sampling, **_: object) -> list[str]:  # type: ignore[override]
        self.calls.append(("write", len(prompts)))
        first = sum(number for name, number in self.calls if name == "write") <= 10
        useless = ["again " * 30 if first or "number 7 " in prompt[0].content else "" for prompt in prompts]
        return [bad or "A quiet tale of rivals who meet by night. Patient viewers enjoy it." for bad in useless]


def test_useless_texts_are_drawn_again_then_marked_and_replaced(small: Dataset, store: ArtifactStore) -> None:
    from backend.settings import Settings

    engine = _Stubborn()
    settings = Settings(describe={"items": 10, "attempts": 3, "counted": "train"})
    roles = dict.fromkeys(("encoder", "describer", "tuned", "reasoning"), SCRIPTED)
    [artifact] = Precompute(small, settings, store, roles, lambda _role: engine).run("describe")
    rows = load_descriptions(artifact)
    assert [row.item for row in rows] == small.item_ids
    counts = training_counts(small, split(build_samples(small), small))
    popular = set(np.argsort(-counts, kind="stable")[:10].tolist())
    for code, row in enumerate(rows):
        stand_in = fixed_description(small.meta, small.item_label(code), small.categories[code])
        if code not in popular:
            assert row == Description(row.item, stand_in, "fixed")
        elif "number 7 " in small.item_label(code):
            assert row == Description(row.item, stand_in, "rejected", 3, ("loop",) * 3)
        else:
            assert (row.source, row.attempts, row.reasons) == ("generated", 2, ("loop",))
            assert row.text.startswith("A quiet tale")
    facts = artifact.meta
    assert facts["generated"] + facts["rejected"] == 10
    assert facts["fixed"] == small.n_items - 10


class _Willing(ScriptedEngine):
    """Says something of use about every item, and of each something else."""

    def write(self, prompts: list[Messages], sampling: Sampling, **_: object) -> list[str]:  # type: ignore[override]
        self.calls.append(("write", len(prompts)))
        return [f"A quiet tale of {digest(prompt[0].content, 8)} who meet by night and part." for prompt in prompts]


def _described(small: Dataset, store: ArtifactStore, fresh: tuple[str, ...] = (), **table: Any) -> tuple[Any, Any]:
    """The artifact under these settings, and the engine that wrote it."""
    from backend.settings import Settings

    engine = _Willing()
    roles = dict.fromkeys(("encoder", "describer", "tuned", "reasoning"), SCRIPTED)
    [artifact] = Precompute(small, Settings(describe=table), store, roles, lambda _role: engine).run("describe", fresh)
    return artifact, engine


def test_what_an_earlier_run_wrote_about_an_item_is_taken_over(small: Dataset, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "one", bundle=tmp_path / "none")
    _few, _ = _described(small, store, items=10)
    more, engine = _described(small, store, items=14)
    assert sum(number for _, number in engine.calls) == 4
    assert (more.meta["taken_over"], more.meta["generated"]) == (10, 14)
    alone, _ = _described(small, ArtifactStore(tmp_path / "two", bundle=tmp_path / "none"), items=14)
    assert load_descriptions(more) == load_descriptions(alone), "taken over or not, it is the same"
    _fresh, engine = _described(small, store, ("describe",), items=14)
    assert sum(number for _, number in engine.calls) == 14, "asked for anew, nothing is taken over"


@pytest.mark.parametrize("table", [{"temperature": 0.9}, {"max_tokens": 32}, {"attempts": 1}])
def test_texts_that_were_asked_for_otherwise_are_not_taken_over(
    table: dict[str, Any], small: Dataset, store: ArtifactStore
) -> None:
    _described(small, store, items=10)
    artifact, engine = _described(small, store, items=10, **table)
    assert sum(number for _, number in engine.calls) == 10
    assert "taken_over" not in artifact.meta


def test_the_length_limit_and_the_number_of_attempts_are_checked() -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        DescribeConfig(max_tokens=0)
