"""From chains to tasks: which of them belong to a project, and in which order they are given out. Pure and seeded."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from backend.labelling.project import Project
from backend.labelling.record import Chain, Setting
from backend.seeding import digest

Exhibit = tuple[Chain, Setting]
# A task: one chain, or two of the same sample and recipe.
Exhibits = tuple[tuple[Chain, ...], Setting]


def tasks_of(project: Project, exhibits: Iterable[Exhibit]) -> list[Exhibits]:
    """The project's tasks in its order: sample by sample, the chains of each in a seeded random order.

    Of equal samples, and in the order ``random``, the seed decides, however ``exhibits`` came. ``limit`` and
    ``chains_per_sample`` of the project's filter count what comes first. Two chains with the same words are no pair.
    """
    samples: dict[tuple[str, str], list[Exhibit]] = {}
    for chain, setting in exhibits:
        samples.setdefault((chain.user, chain.item), []).append((chain, setting))

    def drawn(*names: str) -> str:
        return digest([project.seed, *names])

    order = sorted(samples, key=lambda sample: (-_weight(project, samples[sample]), drawn(*sample)))
    made: list[Exhibits] = []
    for sample in order[: project.chains.limit]:
        own = sorted(samples[sample], key=lambda exhibit: drawn("chain", exhibit[0].id))
        own = own[: project.chains.chains_per_sample]
        if project.mode == "chain":
            made += [((chain,), setting) for chain, setting in own]
            continue
        made += [
            ((one, other), setting)
            for (one, setting), (other, others) in combinations(own, 2)
            if setting.recipe == others.recipe and one.text.split() != other.text.split()
        ]
    return made


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
