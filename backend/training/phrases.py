"""Clauses about the evidence of a prompt: what a past item, the user's habit or the others' ratings say.

A clause has no capital and no full stop, so that it can stand alone or after "although"; ``rationales`` makes sentences
of them. A cited rating always comes right after its title.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.training.evidence import EvidenceItem, ShownEvidence

_MANY_FOR_A_MAJORITY = 3


@dataclass(frozen=True)
class Clause:
    """``text``: the clause. ``side``: whether it speaks for a yes; ``strength``: how much, from 0. ``cites``: whether
    it starts with a title, which keeps its spelling at the start of a sentence."""

    text: str
    side: bool
    strength: float = 1.0
    cites: bool = False


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


def items_clause(
    evidence: ShownEvidence, items: Sequence[EvidenceItem], rng: np.random.Generator, brief: bool = False
) -> Clause:
    """One to three past items on the same side of the dataset's rule, with their ratings and what they share.

    ``brief``: a single item without what it shares.
    """
    first, side = items[0], items[0].liked
    strength = float(sum(item.relevance * (0.5 + item.margin) for item in items))
    if len(items) == 1:
        return _single(evidence, first, strength, rng, brief)
    relation = _relation(items, plural=True)
    both = "both" if len(items) == 2 else "all"
    a, rest = items[0], items[1:]
    listed = f"{a.label} got {a.rating:g}" + "".join(f", {i.label} {i.rating:g}" for i in rest[:-1])
    listed += f" and {rest[-1].label} {rest[-1].rating:g}"
    forms = [(listed, True)]
    if len(items) == 2:
        forms += [
            (f"{a.label} at {a.rating:g} and {rest[0].label} at {rest[0].rating:g} were {_liked(items)}", True),
            (f"they gave {a.label} {a.rating:g} and {rest[0].label} {rest[0].rating:g}", False),
        ]
    text, cites = forms[int(rng.integers(len(forms)))]
    if relation and "sharing" in relation and rng.random() < 0.35:
        return Clause(f"with {relation.removeprefix('sharing ')} in common, {text}", side, strength)
    return Clause(f"{text}, {both} {relation}" if relation else text, side, strength, cites)


def _single(
    evidence: ShownEvidence, item: EvidenceItem, strength: float, rng: np.random.Generator, brief: bool
) -> Clause:
    label, rating, side = item.label, f"{item.rating:g}", item.liked
    relation = "" if brief else _relation((item,), plural=False, era=evidence.decade if rng.random() < 0.3 else None)
    unit = f" {evidence.unit}" if rng.random() < 0.15 and item.rating != 1 and evidence.unit else ""
    compared = _compared(item) if rng.random() < 0.4 else ""
    if not relation:
        forms = [
            (f"{label} got {rating}{unit}{compared}", True),
            (f"they gave {label} {rating}{unit}{compared}", False),
            (f"{label} was {_liked((item,))} at {rating}{compared}", True),
        ]
    else:
        forms = [
            (f"{label} got {rating}{unit}{compared}{',' * bool(compared)} and {relation}", True),
            (f"{label}, at {rating}{compared}, {relation}", True),
            (f"{label} was {_liked((item,))} at {rating} and {relation}", True),
            (f"they gave {label} {rating}{compared}, and it {relation}", False),
            (f"they rated {label} {rating}, which {relation}", False),
        ]
        if item.shared and not (item.series or item.namesake):
            shared = _listed(item.shared)
            forms += [
                (f"on {shared}, they gave {label} {rating}{compared}", False),
                (f"with {shared} in common, {label} got {rating}{unit}", False),
            ]
        if all(item.relevance > rival.relevance for rival in evidence.items if rival is not item):
            forms.append((f"the closest past {evidence.noun}, {label}, got {rating}{compared}", False))
    text, cites = forms[int(rng.integers(len(forms)))]
    return Clause(text, side, strength, cites)


def _relation(items: Sequence[EvidenceItem], plural: bool, era: str | None = None) -> str:
    """What all the items have in common with the target, in words that follow "it"; empty where nothing.

    ``era``: the target's decade, named where the items are of it too.
    """
    if all(item.series or item.namesake for item in items):
        if all(item.namesake for item in items):
            return "of the same name" if plural else "has the same name"
        return "from the same series" if plural else "is from the same series"
    shared = [name for name in items[0].shared if all(name in item.shared for item in items)]
    if shared:
        decade = f"{',' * (len(shared) > 1)} and the {era}" if era and all(item.same_decade for item in items) else ""
        return f"{'sharing' if plural else 'shares'} {_listed(shared)}{decade}"
    return ""


def _compared(item: EvidenceItem) -> str:
    """How the user's rating differs from the others', where that speaks for the same side."""
    if item.others is None:
        return ""
    if item.liked and item.rating > item.others:
        return ", more than from others"
    return ", less than from others" if not item.liked and item.rating < item.others else ""


def _liked(items: Sequence[EvidenceItem]) -> str:
    margin = min(item.margin for item in items)
    if items[0].liked:
        return "clearly liked" if margin > 0.7 else "liked" if margin > 0.3 else "slightly liked"
    return "clearly disliked" if margin > 0.5 else "disliked" if margin > 0.15 else "not quite liked"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names[:2])


def era_clause(evidence: ShownEvidence, item: EvidenceItem, rng: np.random.Generator) -> Clause:
    """A past item that only shares the target's decade; a weak clause."""
    forms = [
        f"{item.label} got {item.rating:g} and is also from the {evidence.decade}",
        f"{item.label}, at {item.rating:g}, is from the {evidence.decade} too",
    ]
    return Clause(pick(rng, forms), item.liked, 0.3, cites=True)


def support_clauses(evidence: ShownEvidence, rng: np.random.Generator) -> tuple[Clause, ...]:
    """What speaks for either side beyond cited items: habit, others, how similar items did, agreement with others."""
    clauses = (_habit(evidence, rng), _others(evidence, rng), _counted(evidence, rng), _against_others(evidence, rng))
    return tuple(clause for clause in clauses if clause)


def _habit(evidence: ShownEvidence, rng: np.random.Generator) -> Clause | None:
    if evidence.habit is None:
        return None
    mean, share = f"{evidence.habit.mean:.1f}", float(f"{100 * evidence.habit.liked:.0f}")
    side, nouns = evidence.likes(float(mean)), evidence.nouns
    if side and share >= 58:
        sure = "nearly everything" if share >= 90 else f"most {nouns}"
        forms = [
            f"they like {share:.0f}% of {nouns}", f"their average of {mean} is {'clearly ' * (share >= 80)}generous",
            f"they like {sure}, {mean} on average", f"this user likes {sure} ({share:.0f}%)",
        ]  # fmt: skip
    elif share <= 45:
        side, few = False, "hardly any" if share <= 15 else "fewer than half of the"
        forms = [
            f"they like only {share:.0f}% of {nouns}", f"they like {few} {nouns}",
            f"this user likes {few} {nouns}, {mean} on average", f"this user is strict, liking {share:.0f}%",
        ]  # fmt: skip
    else:
        return None
    return Clause(pick(rng, forms), side, abs(share - 50) / 25)


def _others(evidence: ShownEvidence, rng: np.random.Generator) -> Clause | None:
    given = evidence.others
    if given is None:
        return None
    known = [item.others for item in evidence.items if item.others is not None]
    side, nouns, least = evidence.likes(given), evidence.nouns, 0.5 * len(known)
    enough = len(known) >= _MANY_FOR_A_MAJORITY
    forms = []
    if not side:
        forms = [f"others give it only {given:.1f}", f"others rate it low, {given:.1f}"]
    elif enough and sum(value < given for value in known) > least:
        forms = [
            f"others give it {given:.1f}, more than most {nouns} here",
            f"others rate it above most of these, {given:.1f}",
        ]
    elif enough and sum(value > given for value in known) > least:
        side = False
        forms = [
            f"others give it {given:.1f}, less than most {nouns} here",
            f"others rate it below most of these, {given:.1f}",
        ]
    else:
        forms = [f"others like it, {given:.1f} on average", f"others give it {given:.1f}"]
    return Clause(pick(rng, forms), side, 0.4 + abs(evidence.others_leaning))


def _counted(evidence: ShownEvidence, rng: np.random.Generator) -> Clause | None:
    """How the past items of one category of the target did, for the category that tells most."""
    best: Clause | None = None
    for name in dict.fromkeys(name for item in evidence.similar for name in item.shared):
        liked = [item.liked for item in evidence.similar if name in item.shared]
        share = sum(liked) / len(liked)
        if len(liked) < _MANY_FOR_A_MAJORITY or 0.4 < share < 0.6:
            continue
        amount = (
            "all"
            if share == 1
            else "most"
            if share > 0.5
            else "only some"
            if share > 0.25
            else "few"
            if share
            else "none"
        )
        ones = (
            f"{name} {evidence.nouns}" if amount in ("all", "most", "few", "only some") and rng.random() < 0.5 else ""
        )
        what = f"{amount} {ones} here" if ones else f"{amount} of the {name} {evidence.nouns} here"
        clause = Clause(f"{what} were liked", share > 0.5, 2 * abs(share - 0.5) * min(len(liked), 6) / 4)
        best = clause if best is None or clause.strength > best.strength else best
    return best


def _against_others(evidence: ShownEvidence, rng: np.random.Generator) -> Clause | None:
    known = [(item.rating, item.others) for item in evidence.items if item.others is not None]
    above, below = (sum(sign * (mine - theirs) > 0 for mine, theirs in known) for sign in (1, -1))
    if len(known) < _MANY_FOR_A_MAJORITY or max(above, below) <= 0.65 * len(known):
        return None
    word = "higher" if above > below else "lower"
    forms = [f"they rate most of these {word} than others do", f"their ratings are mostly {word} than those of others"]
    return Clause(pick(rng, forms), above > below, 0.8 * max(above, below) / len(known))
