"""From chains to tasks: which of them belong to a project, and in which order they are given out. Pure and seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from backend.labelling.project import Project
from backend.labelling.record import ChainRecord, Setting
from backend.prompting.knowledge import KNOWLEDGE_WORDINGS
from backend.seeding import digest

Exhibit = tuple[ChainRecord, Setting]
# A task: one chain, or two of the same sample and recipe.
Exhibits = tuple[tuple[ChainRecord, ...], Setting]
_Drawn = Callable[..., str]


def tasks_of(project: Project, exhibits: Iterable[Exhibit]) -> list[Exhibits]:
    """The project's tasks in its order: sample by sample, the chains of each in a seeded random order.

    Of equal samples, and in the order ``random``, the seed decides, however ``exhibits`` came. A chain of a sample is
    there once, though several wordings of the injected sentence may have led to it: the first of
    ``KNOWLEDGE_WORDINGS`` is kept. ``limit`` and ``chains_per_sample`` of the project's filter count what comes first;
    a sample without a pair does not count where pairs are compared. Two chains with the same words are no pair.
    """
    samples: dict[tuple[str, str], list[Exhibit]] = {}
    for chain, setting in exhibits:
        samples.setdefault((chain.user, chain.item), []).append((chain, setting))

    def drawn(*names: str) -> str:
        return digest([project.seed, *names])

    order = sorted(samples, key=lambda sample: (-_weight(project, samples[sample]), drawn(*sample)))
    made: list[Exhibits] = []
    left = project.chains.limit
    for sample in order:
        if left == 0:
            break
        tasks = _of_sample(project, _once(samples[sample]), drawn)
        if tasks and left is not None:
            left -= 1
        made += tasks
    return made


def _once(exhibits: Iterable[Exhibit]) -> list[Exhibit]:
    """Each chain once, under the first of its settings: by the wording, then by the recipe."""

    def rank(exhibit: Exhibit) -> tuple[int, str]:
        wording, recipe = exhibit[1].knowledge, exhibit[1].recipe
        known = wording in KNOWLEDGE_WORDINGS
        return KNOWLEDGE_WORDINGS.index(wording) if known else len(KNOWLEDGE_WORDINGS), recipe

    kept: dict[str, Exhibit] = {}
    for chain, setting in sorted(exhibits, key=rank):
        kept.setdefault(chain.id, (chain, setting))
    return list(kept.values())


def _of_sample(project: Project, exhibits: Sequence[Exhibit], drawn: _Drawn) -> list[Exhibits]:
    """The tasks of one sample. Where pairs are compared, its chains come recipe by recipe, in a seeded order, so that
    those that ``chains_per_sample`` leaves can be compared.
    """
    most = project.chains.chains_per_sample
    shuffled = sorted(exhibits, key=lambda exhibit: drawn("chain", exhibit[0].id))
    if project.mode == "chain":
        return [((chain,), setting) for chain, setting in shuffled[:most]]
    recipes: dict[str, list[Exhibit]] = {}
    for exhibit in shuffled:
        recipes.setdefault(exhibit[1].recipe, []).append(exhibit)
    comparable = [recipe for recipe, of_recipe in recipes.items() if len(of_recipe) > 1]
    comparable.sort(key=lambda recipe: drawn("recipe", recipe, *_sample(exhibits)))
    return [
        ((one, two), setting)
        for (one, setting), (two, setting_of_two) in combinations(
            [exhibit for recipe in comparable for exhibit in recipes[recipe]][:most], 2
        )
        if setting.recipe == setting_of_two.recipe and one.text.split() != two.text.split()
    ]


def _sample(exhibits: Sequence[Exhibit]) -> tuple[str, str]:
    return exhibits[0][0].user, exhibits[0][0].item


def _weight(project: Project, exhibits: list[Exhibit]) -> float:
    """How early a sample comes: the largest comes first."""
    if project.order == "disagreement":
        return max(gap(setting) or 0.0 for _, setting in exhibits)
    if project.order == "variance":
        return max(setting.var_r or 0.0 for _, setting in exhibits)
    return 0.0


def gap(setting: Setting) -> float | None:
    """|P_R - P_G|, or None where one of them is not known."""
    return None if setting.p_r is None or setting.p_g is None else abs(setting.p_r - setting.p_g)
