"""From chains to tasks: the order, the pairs, and what the filter's counts leave."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from backend.labelling import ChainFilter
from backend.labelling.tasks import Exhibit, tasks_of
from tests.storage.labels.conftest import chain, exhibits, project_of, setting


def worded(samples: int) -> list[Exhibit]:
    """Three chains of each sample, found under ``graded`` and ``paper`` alike, and three others without a sentence."""
    with_it, without = exhibits(samples, 3), exhibits(samples, 6)
    return [
        *((drawn, under.model_copy(update={"recipe": "g" * 16, "knowledge": "graded"})) for drawn, under in with_it),
        *with_it,
        *((drawn, under.model_copy(update={"recipe": "n" * 16, "knowledge": "none"})) for drawn, under in without
          if drawn.index > 2),
    ]  # fmt: skip


def samples_of(tasks: list) -> list[str]:  # type: ignore[type-arg]
    return list(dict.fromkeys(chains[0].user for chains, _ in tasks))


@given(st.integers(0, 50), st.randoms())
def test_the_order_is_the_seeds_however_the_chains_came(seed: int, mixed: random.Random) -> None:
    shown = exhibits(5, 3)
    project = project_of(seed=seed)
    before = tasks_of(project, shown)
    mixed.shuffle(shown)
    assert tasks_of(project, shown) == before
    assert sorted(chains[0].id for chains, _ in before) == sorted(one.id for one, _ in shown)
    users = [chains[0].user for chains, _ in before]
    assert users == sorted(users, key=users.index)  # a sample's chains come one after the other


def test_seeds_give_different_orders() -> None:
    orders = {tuple(chains[0].id for chains, _ in tasks_of(project_of(seed=seed), exhibits(6, 2))) for seed in range(5)}
    assert len(orders) == 5


def test_samples_come_by_disagreement_or_variance() -> None:
    for order in ("disagreement", "variance"):  # both grow with the sample's number
        assert samples_of(tasks_of(project_of(order=order), exhibits(4, 2))) == ["4", "3", "2", "1"]


def test_limits_count_what_comes_first() -> None:
    project = project_of(order="variance", chains=ChainFilter(limit=2, chains_per_sample=1))
    tasks = tasks_of(project, exhibits(4, 3))
    assert samples_of(tasks) == ["4", "3"]
    assert len(tasks) == 2


def test_pairs_are_of_one_sample_and_recipe_and_differ_in_words() -> None:
    same = [(chain(1, index, text="The same words."), setting(1)) for index in (3, 4)]
    other_recipe = [(chain(1, 5), setting(1, recipe="other"))]
    tasks = tasks_of(project_of(mode="pair"), [*exhibits(2, 3), *same, *other_recipe])
    assert len(tasks) == 3 + 3 + 2 * 3  # three of each sample, and each of these with the two that are alike
    for pair, under in tasks:
        assert {one.user for one in pair} == {pair[0].user}
        assert pair[0].text != pair[1].text
        assert under.recipe == "r" * 16


@given(st.integers(0, 20), st.randoms())
def test_a_chain_that_two_wordings_led_to_is_there_once_under_the_first_of_them(
    seed: int, mixed: random.Random
) -> None:
    shown = worded(3)
    mixed.shuffle(shown)
    tasks = tasks_of(project_of(seed=seed), shown)
    assert len(tasks) == len({chains[0].id for chains, _ in tasks}) == 3 * 6
    assert {under.knowledge for chains, under in tasks if chains[0].index < 3} == {"paper"}


@given(st.integers(0, 20))
def test_doubles_fill_no_place_of_the_caps(seed: int) -> None:
    chain_filter = ChainFilter(limit=2, chains_per_sample=2)
    chosen = tasks_of(project_of(seed=seed, chains=chain_filter), worded(4))
    assert len({chains[0].id for chains, _ in chosen}) == len(chosen) == 4
    pairs = tasks_of(project_of(seed=seed, chains=chain_filter, mode="pair"), worded(4))
    assert len(pairs) == 2, "what the cap leaves of a sample is of one recipe"
    assert all(len({one.id for one in pair}) == 2 for pair, _ in pairs)


def test_samples_that_cannot_be_compared_do_not_count() -> None:
    shown = [*exhibits(1, 3), *((drawn, under) for drawn, under in exhibits(4, 1) if drawn.user != "1")]
    project = project_of(mode="pair", order="variance", chains=ChainFilter(limit=1))
    assert samples_of(tasks_of(project, shown)) == ["1"]
