"""Grounded rationales to tune a small reasoning model on: why a label, in words about the prompt's own evidence.

The paper's M_R is a large reasoning model (section 4.3); a small one learns the habit from what is composed here for
the training part. A rationale argues for the known label, with what speaks for it in the prompt and mostly one piece
that speaks against it; where nothing speaks for the label, it says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.prompting import HistoryLine, PromptSubject
from backend.training.evidence import EvidenceItem, ShownEvidence, gather
from backend.training.phrases import Clause, era_clause, items_clause, pick, support_clauses

# Titles are most of a rationale's length: longer ones are cited where there is no other choice, or not at all.
LONG_LABEL, LONGEST_LABEL = 45, 75
MOST_TOKENS = 54
COUNTER_SHARE = 0.6
_TOKENS = re.compile(r"[A-Za-z]{1,7}|\S")
# The order of the blocks, each with how often it is drawn.
_ORDERS = (
    (("main", "support", "counter", "hint"), 4),
    (("main", "counter", "hint", "support"), 2),
    (("support", "main", "counter", "hint"), 3),
    (("counter", "main", "support", "hint"), 3),
    (("hint", "main", "counter", "support"), 2),
    (("hint", "counter", "main", "support"), 2),
    (("support", "hint", "counter", "main"), 1),
)


@dataclass(frozen=True)
class _Plan:
    """The parts of one rationale; what is None is left out. ``missing``: the label's side has no similar item."""

    order: tuple[str, ...]
    main: Clause | None
    support: Clause | None
    counter: Clause | None
    hint: str | None
    missing: bool
    joined: str
    ending: str


def compose(
    subject: PromptSubject,
    history: Sequence[HistoryLine],
    label: bool,
    hint: bool | None,
    rng: np.random.Generator,
) -> str:
    """What the reasoning model is to write after ``<think>``: two to five sentences on one line, ``</think>``, and
    "Yes" or "No" after ``label``.

    ``hint``: what the injected sentence (eq. 9) says, None where there is none. Everything said is true of the prompt
    for ``subject`` and ``history``; cited ratings stand right behind their titles. The same state of ``rng`` gives the
    same text. About 90 tokens at most.
    """
    evidence = gather(subject, history)
    sentences = _short_enough(_plan(evidence, label, hint, rng), label)
    return f"{' '.join(sentences)}\n</think>\n{'Yes' if label else 'No'}"


def estimated_tokens(text: str) -> int:
    """About how many tokens a GPT-like tokenizer makes of ``text``: each up to seven letters or one other mark."""
    return len(_TOKENS.findall(text))


def _plan(evidence: ShownEvidence, label: bool, hint: bool | None, rng: np.random.Generator) -> _Plan:
    chosen = _cited(evidence.similar, label, rng)
    supports = support_clauses(evidence, rng)
    agreeing = [clause for clause in supports if clause.side is label]
    missing = not chosen
    main = items_clause(evidence, chosen, rng) if chosen else None
    if main is None and (not agreeing or rng.random() < 0.3):
        main = _far_item(evidence, label, rng)
    has_support = main is None or rng.random() < 0.45
    orders, weights = zip(*_ORDERS, strict=True)
    return _Plan(
        order=orders[int(rng.choice(len(orders), p=np.array(weights) / sum(weights)))],
        main=main,
        support=_weighted(agreeing, rng) if has_support else None,
        counter=_counter(evidence, supports, label, rng) if rng.random() < COUNTER_SHARE else None,
        hint=_hint(evidence, label, hint, rng) if hint is not None and rng.random() < 0.85 else None,
        missing=missing,
        joined=_opening(evidence, label, rng) if missing else pick(rng, ("although", "but", "alone", "alone")),
        ending=_ending(evidence, label, rng),
    )


def _cited(items: Iterable[EvidenceItem], side: bool, rng: np.random.Generator) -> list[EvidenceItem]:
    """One to three items of a side, the most relevant first, which share something with one another too."""
    of_side = _short(item for item in items if item.liked is side)
    if not of_side:
        return []
    jitter = rng.random(len(of_side))
    order = sorted(range(len(of_side)), key=lambda n: (-of_side[n].relevance, -of_side[n].margin - 0.3 * jitter[n]))
    first, *rest = (of_side[n] for n in order)
    most = int(rng.choice((1, 2, 3), p=(0.6, 0.36, 0.04)))
    alike = [
        item for item in rest if set(item.shared) & set(first.shared) and len(first.label + item.label) <= LONGEST_LABEL
    ]
    picked = [first, *alike[: most - 1]]
    common = set.intersection(*(set(item.shared) for item in picked))
    short = sum(len(item.label) for item in picked) <= LONGEST_LABEL
    return picked if len(picked) == 1 or (common and short) else picked[:2]


def _short(items: Iterable[EvidenceItem]) -> list[EvidenceItem]:
    usable = [item for item in items if 0 < len(item.label) <= LONGEST_LABEL]
    return [item for item in usable if len(item.label) < LONG_LABEL] or usable


def _far_item(evidence: ShownEvidence, side: bool, rng: np.random.Generator) -> Clause | None:
    """An item of the side that has at most the decade in common with the target."""
    of_side = _short(item for item in evidence.items if item.liked is side)
    if not of_side:
        return None
    near = [item for item in of_side if item.same_decade]
    item = max(near or of_side, key=lambda past: past.margin)
    return era_clause(evidence, item, rng) if near else replace(items_clause(evidence, [item], rng), strength=0.2)


def _counter(
    evidence: ShownEvidence, supports: Iterable[Clause], label: bool, rng: np.random.Generator
) -> Clause | None:
    """One clause for the other side, by strength: a similar item, or one of ``supports``."""
    against = [clause for clause in supports if clause.side is not label]
    items = _cited(evidence.similar, not label, rng)[:1]
    if items:
        against.append(items_clause(evidence, items, rng, brief=rng.random() < 0.6))
    return _weighted(against, rng)


def _weighted(clauses: Sequence[Clause], rng: np.random.Generator) -> Clause | None:
    if not clauses:
        return None
    weights = np.array([0.3 + clause.strength for clause in clauses])
    return clauses[int(rng.choice(len(clauses), p=weights / weights.sum()))]


def _hint(evidence: ShownEvidence, label: bool, hint: bool, rng: np.random.Generator) -> str:
    said = pick(rng, ("Another one thinks", "Another one says", "The other opinion is"))
    fits = evidence.leaning if hint else -evidence.leaning
    if hint is label:
        clear, unclear = ("which fits well", "and the ratings agree"), ("which may be right", "which seems possible")
        judged = pick(rng, clear if fits > 0.3 else unclear)
    else:
        clear = ("but the ratings say otherwise", "which does not fit")
        unclear = ("but that may be wrong", "yet I doubt it")
        judged = pick(rng, clear if fits < -0.3 else unclear)
    return f"{said} {'Yes' if hint else 'No'}, {judged}."


def _opening(evidence: ShownEvidence, label: bool, rng: np.random.Generator) -> str:
    """That the label's side has no similar item, in words that go on with "but"."""
    little = f"little here speaks {'for' if label else 'against'} it"
    if not evidence.items:
        return f"there are no past {evidence.nouns} to go by"
    if not evidence.similar:
        return pick(rng, (f"none of these {evidence.nouns} is much like it", little))
    if any(item.liked is label for item in evidence.similar):
        return little
    state = "liked" if label else "disliked"
    return pick(rng, (f"nothing similar here was {state}", f"no similar {evidence.noun} here was {state}", little))


def _ending(evidence: ShownEvidence, label: bool, rng: np.random.Generator) -> str:
    lead = pick(rng, ("So they", "On balance they", "They", "So they", "All in all they"))
    sure = evidence.leaning if label else -evidence.leaning
    if label:
        words = ("clearly", "very likely") if sure > 1.2 else ("probably",) if sure > 0.2 else ("perhaps", "slightly")
        word = pick(rng, words)
        if word == "slightly":
            return f"{lead} are slightly more likely to like it than not."
        return f"{lead} will {word} like it."
    words = ("clearly", "very likely") if sure > 1.2 else ("probably",) if sure > 0.2 else ("perhaps",)
    word = pick(rng, words)
    short = {"clearly": "So clearly not for them.", "probably": "So probably not."}.get(word, f"So {word} not.")
    return short if rng.random() < 0.3 else f"{lead} will {word} not like it."


def _short_enough(plan: _Plan, label: bool) -> list[str]:
    """The sentences of the plan; where they are too long, without support, then counter-evidence, then hint."""
    plans = [plan, plan if plan.main is None else replace(plan, support=None)]
    plans.append(replace(plans[-1], counter=None))
    plans.append(replace(plans[-1], hint=None))
    written = [_sentences(shorter, label) for shorter in plans]
    return next(
        (sentences for sentences in written if estimated_tokens(" ".join(sentences)) <= MOST_TOKENS), written[-1]
    )


def _sentences(plan: _Plan, label: bool) -> list[str]:
    """The plan as two to five sentences, the ending last."""
    blocks = {"hint": plan.hint}
    counter = plan.counter
    if plan.missing:
        blocks["main"] = _weak(plan, label)
        if plan.main is not None and plan.support is not None:
            blocks["support"] = _sentence(plan.support)
    else:
        assert plan.main is not None
        first = plan.order.index("counter") < plan.order.index("main")
        blocks["main"] = _sentence(plan.main)
        blocks["support"] = _sentence(plan.support) if plan.support else None
        if counter and plan.joined == "although":
            before, behind = (
                f"Although {counter.text}, {plan.main.text}.",
                f"{_start(plan.main)}, although {counter.text}.",
            )
            blocks["main"] = before if first else behind
            counter = None
        elif counter and plan.joined == "but" and first:
            blocks["main"] = f"{_start(counter)}, but {plan.main.text}."
            counter = None
    if counter:
        later = plan.order.index("main") < plan.order.index("counter")
        lead = "Still" if later and plan.joined == "but" else "Against it" if label else "For it"
        blocks["counter"] = f"{lead}, {counter.text}."
    return [*(text for name in plan.order if (text := blocks.get(name))), plan.ending]


def _weak(plan: _Plan, label: bool) -> str:
    """The label's side without a similar item: that it lacks one, and what there is instead."""
    instead = plan.main or plan.support
    start = plan.joined[:1].upper() + plan.joined[1:]
    if instead:
        return f"{start}, but {instead.text}."
    return f"{start}, but {'one never knows before' if label else 'that is no promise'}."


def _start(clause: Clause) -> str:
    return clause.text if clause.cites else clause.text[:1].upper() + clause.text[1:]


def _sentence(clause: Clause) -> str:
    return f"{_start(clause)}."
