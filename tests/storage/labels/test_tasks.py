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
        *((own, under.model_copy(update={"recipe": "g" * 16, "knowledge": "graded"})) for own, under in with_it),
        *with_it,
        *((own, under.model_copy(update={"recipe": "n" * 16, "knowledge": "none"})) for own, under in without
          if own.index > 2),
    ]  # fmt: skip


def samples_of(tasks: list) -> list[str]:  # type: ignore[type-arg]
    return list(dict.fromkeys(chains[0].user for chains, _ in tasks))


@given(st.integers(0, 50), st.randoms())
def test_the_order_is_the_seeds_however_the_chains_came(seed: int, mixed: random.Random) -> None:
    found = exhibits(5, 3)
    wanted = project_of(seed=seed)
    before = tasks_of(wanted, found)
    mixed.shuffle(found)
    assert tasks_of(wanted, found) == before
    assert sorted(own[0].id for own, _ in before) == sorted(one.id for one, _ in found)
    users = [own[0].user for own, _ in before]
    assert users == sorted(users, key=users.index)  # a sample's chains come one after the other


def test_seeds_give_different_orders() -> None:
    orders = {tuple(own[0].id for own, _ in tasks_of(project_of(seed=seed), exhibits(6, 2))) for seed in range(5)}
    assert len(orders) == 5


def test_samples_come_by_disagreement_or_variance() -> None:
    for order in ("disagreement", "variance"):  # both grow with the sample's number
        assert samples_of(tasks_of(project_of(order=order), exhibits(4, 2))) == ["4", "3", "2", "1"]


def test_limits_count_what_comes_first() -> None:
    wanted = project_of(order="variance", chains=ChainFilter(limit=2, chains_per_sample=1))
    tasks = tasks_of(wanted, exhibits(4, 3))
    assert samples_of(tasks) == ["4", "3"]
    assert len(tasks) == 2


def test_pairs_are_of_one_sample_and_recipe_and_differ_in_words() -> None:
    same = [(chain(1, index, text="The same words."), setting(1)) for index in (3, 4)]
    other = [(chain(1, 5), setting(1, recipe="other"))]
    tasks = tasks_of(project_of(mode="pair"), [*exhibits(2, 3), *same, *other])
    assert len(tasks) == 3 + 3 + 2 * 3  # three of each sample, and each of these with the two that are alike
    for own, under in tasks:
        assert {one.user for one in own} == {own[0].user}
        assert own[0].text != own[1].text
        assert under.recipe == "r" * 16


@given(st.integers(0, 20), st.randoms())
def test_a_chain_that_two_wordings_led_to_is_there_once_under_the_first_of_them(
    seed: int, mixed: random.Random
) -> None:
    found = worded(3)
    mixed.shuffle(found)
    tasks = tasks_of(project_of(seed=seed), found)
    assert len(tasks) == len({own[0].id for own, _ in tasks}) == 3 * 6
    assert {under.knowledge for own, under in tasks if own[0].index < 3} == {"paper"}


@given(st.integers(0, 20))
def test_doubles_fill_no_place_of_the_caps(seed: int) -> None:
    wanted = ChainFilter(limit=2, chains_per_sample=2)
    chosen = tasks_of(project_of(seed=seed, chains=wanted), worded(4))
    assert len({own[0].id for own, _ in chosen}) == len(chosen) == 4
    pairs = tasks_of(project_of(seed=seed, chains=wanted, mode="pair"), worded(4))
    assert len(pairs) == 2, "what the cap leaves of a sample is of one recipe"
    assert all(len({one.id for one in own}) == 2 for own, _ in pairs)


def test_samples_that_cannot_be_compared_do_not_count() -> None:
    found = [*exhibits(1, 3), *((own, under) for own, under in exhibits(4, 1) if own.user != "1")]
    wanted = project_of(mode="pair", order="variance", chains=ChainFilter(limit=1))
    assert samples_of(tasks_of(wanted, found)) == ["1"]
