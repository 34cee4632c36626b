"""Stories found among real predictions: of each kind, the sample that tells it best. Nothing in them is made up.

A kind is a function from one sample to a story and how well it tells it, or None where it does not. All numbers in the
sentences are those of the predictions, so they are what the linked views show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np

from backend.evaluation.citations import cited_titles
from backend.merging import MergingConfig, merge, merge_weights
from backend.pipeline import Prediction
from backend.prompting import read_verdict
from backend.retrieval import PAPER_GAMMAS
from backend.stories.story import Story, StoryStep

RECENT, USUAL, RELEVANT = PAPER_GAMMAS
# Chains that agree have a variance of about this at most.
_AGREED = 1e-3
_NAMED = 3


@dataclass(frozen=True)
class Told:
    """One sample with a known label and its complete predictions, by (gamma, knowledge)."""

    user: str
    item: str
    title: str
    label: bool
    by: Mapping[tuple[float, str], Prediction]

    @property
    def truth(self) -> str:
        return "liked it" if self.label else "did not like it"

    def usual(self) -> Iterable[tuple[str, Prediction]]:
        """Yields the predictions at the default gamma, with and without the hint."""
        return ((wording, prediction) for wording in ("paper", "none") if (prediction := self.by.get((USUAL, wording))))

    def step(
        self, look: str, sentence: str, knowledge: str, gamma: float = USUAL, alpha: float | None = None
    ) -> StoryStep:
        query = {"user": self.user, "item": self.item, "gamma": f"{gamma:.4g}", "knowledge": knowledge}
        usual = MergingConfig()
        query |= {"alpha": f"{usual.alpha if alpha is None else alpha:g}", "epsilon": f"{usual.epsilon:g}"}
        return StoryStep(view=f"/?{urlencode(query)}", sentence=sentence, look=look)


Found = tuple[float, Story] | None


def find_stories(samples: Iterable[Told]) -> dict[str, Story]:
    """Returns the best story of each kind, by the kind's key; a kind that no sample tells is left out."""
    listed = list(samples)
    best: dict[str, Story] = {}
    for key, tell in _KINDS.items():
        stories = [told for sample in listed if (told := tell(sample)) is not None]
        if stories:
            best[key] = max(stories, key=lambda story: story[0])[1]
    return best


def _hint(told: Told) -> Found:
    alone, hinted = told.by.get((USUAL, "none")), told.by.get((USUAL, "paper"))
    if not alone or not hinted:
        return None
    towards = _yes(hinted.p_g)
    if _yes(alone.p_r) == towards or _yes(hinted.p_r) != towards:
        return None
    helped = towards == told.label
    steps = (
        told.step("reason", f"{_who(told)} Without a hint, {_votes(alone)}: P_R is {alone.p_r:.2f}.", "none"),
        told.step(
            "ask-panel",
            f"The tuned model gives {hinted.p_g:.2f}. One sentence in the prompt, marked here, tells the reasoner so.",
            "paper",
        ),
        told.step("reason", f"Asked again, {_votes(hinted)}: P_R moves to {hinted.p_r:.2f}.", "paper"),
        told.step(
            "merge",
            f"The user {told.truth}, so the hint {'helped' if helped else 'misled the reasoner'}. "
            f"Merged: {hinted.p_final:.2f}, without the hint {alone.p_final:.2f}.",
            "paper",
        ),
    )
    about = "The same model reads the same history, with and without one sentence of the tuned model's opinion."
    return abs(hinted.p_r - alone.p_r) + helped, Story(
        title="The hint changes the reasoner's mind", about=about, steps=steps
    )


def _consistent(told: Told) -> Found:
    best: Found = None
    for wording, prediction in told.usual():
        if (
            prediction.var_r > _AGREED
            or _yes(prediction.p_r) == _yes(prediction.p_g)
            or _yes(prediction.p_r) != told.label
        ):
            continue
        shares = [
            float(merge_weights(prediction.var_r, prediction.var_g, alpha).share_reasoning) for alpha in (0.1, 1.0)
        ]
        finals = [_merged(prediction, alpha) for alpha in (0.1, 1.0)]
        orders = ", ".join(f"{answer.p_yes:.2f}" for answer in prediction.answers if answer)
        steps = (
            told.step(
                "ask-panel",
                f"{_who(told)} The tuned model says {prediction.p_g:.2f}; by history order: {orders}.",
                wording,
            ),
            told.step("reason", f"The reasoner disagrees, and is of one mind: {_votes(prediction)}.", wording),
            told.step(
                "merge",
                f"With the paper's weights the reasoner has {shares[0]:.0%} of the say: P_final is {finals[0]:.2f}.",
                wording,
            ),
            told.step(
                "merge",
                f"With alpha at 1 it has {shares[1]:.0%}, and P_final is {finals[1]:.2f}. The user {told.truth}.",
                wording,
                alpha=1.0,
            ),
        )
        about = "Where all chains agree their variance is small, and equation 10 listens to them."
        story = abs(finals[1] - prediction.p_g), Story(title="Consistent chains win", about=about, steps=steps)
        best = story if best is None or story[0] > best[0] else best
    return best


def _divided(told: Told) -> Found:
    prediction = told.by.get((USUAL, "none"))
    if not prediction or prediction.var_r < 0.2 or _yes(prediction.p_g) != told.label:
        return None
    finals = [_merged(prediction, alpha) for alpha in (0.1, 1.0)]
    steps = (
        told.step("reason", f"{_who(told)} The reasoner cannot decide: {_votes(prediction)}.", "none"),
        told.step(
            "merge",
            f"Chains that contradict each other have a large variance, {prediction.var_r:.2f}, and so little weight: "
            f"P_final is {finals[0]:.2f}, next to the tuned model's {prediction.p_g:.2f}.",
            "none",
        ),
        told.step(
            "merge",
            f"Even with alpha at 1, P_final is {finals[1]:.2f}. The user {told.truth}, as the tuned model said.",
            "none",
            alpha=1.0,
        ),
    )
    about = "Chains that contradict each other hardly count, however much weight the reasoner is given."
    return abs(prediction.p_r - prediction.p_g), Story(
        title="A divided reasoner is not believed", about=about, steps=steps
    )


def _recency(told: Told) -> Found:
    recent, relevant = told.by.get((RECENT, "none")), told.by.get((RELEVANT, "none"))
    if not recent or not relevant or _yes(recent.p_g) == told.label or _yes(relevant.p_g) != told.label:
        return None
    before, after = ({line.label for line in prediction.question.lines} for prediction in (recent, relevant))
    if before == after:
        return None
    came, went = _named(after - before), _named(before - after)
    latest = sum(row.relevance_rank is None for row in recent.question.chosen)
    steps = (
        told.step(
            "rerank",
            f"{_who(told)} With gamma at 1/2, {latest} of the {len(recent.question.chosen)} places go to items that "
            "are only recent.",
            "none",
            RECENT,
        ),
        told.step("ask-panel", f"The tuned model then says {recent.p_g:.2f}. The user {told.truth}.", "none", RECENT),
        told.step("rerank", f"With gamma at {PAPER_GAMMAS[RELEVANT]}: in {came}; out {went}.", "none", RELEVANT),
        told.step("ask-panel", f"Now the tuned model says {relevant.p_g:.2f}, on the right side.", "none", RELEVANT),
    )  # fmt: skip
    about = "The newest ratings point the wrong way; items like the target, retrieved from further back, mend it."
    return abs(relevant.p_g - recent.p_g), Story(title="Recency misleads, retrieval mends it", about=about, steps=steps)


def _wrong(told: Told) -> Found:
    prediction = told.by.get((USUAL, "paper"))
    habit = prediction.question.subject.habit if prediction else None
    if not prediction or not habit or prediction.var_r > _AGREED:
        return None
    if (
        _yes(prediction.p_final) == told.label
        or _yes(prediction.p_r) == told.label
        or _yes(prediction.p_g) == told.label
    ):
        return None
    rule = prediction.question.subject.meta.label_rule
    liked = sum(
        bool(rule.apply(np.asarray(line.rating))) for line in prediction.question.lines if line.rating is not None
    )
    steps = (
        told.step("ask-panel", f"{_who(told)} The tuned model says {prediction.p_g:.2f}.", "paper"),
        told.step("reason", f"The reasoner agrees: {_votes(prediction)}.", "paper"),
        told.step("merge", f"So does the merge, {prediction.p_final:.2f}. The user {told.truth}.", "paper"),
        told.step(
            "rerank",
            f"Why: of the {len(prediction.question.lines)} past items in the prompt {liked} were liked, and this user "
            f"likes {habit.liked:.0%} of everything. Both models follow the habit; this one was the exception.",
            "paper",
        ),
    )
    about = "Both models agree, all chains agree, and it did not happen."
    return abs(prediction.p_final - told.label), Story(title="Sure, and wrong", about=about, steps=steps)


def _invented(told: Told) -> Found:
    """A chain that says something which its prompt does not, among chains that stay with it."""
    for wording, prediction in told.usual():
        question = prediction.question
        cited = [
            (trace.index, title_cited)
            for trace in prediction.chains
            for title_cited in cited_titles(trace.text, question.lines, question.subject.target)
        ]
        wrong = [(index, title_cited) for index, title_cited in cited if not title_cited.in_prompt]
        if len(wrong) != 1 or any(title_cited.rating_right is False for _, title_cited in cited):
            continue
        number, title = wrong[0][0] + 1, wrong[0][1].title
        right = sum(title_cited.in_prompt for _, title_cited in cited)
        steps = (
            told.step("ask-panel", f"{_who(told)} This prompt is all that the reasoner knows of the user.", wording),
            told.step(
                "reason",
                f"Chain {number} argues with {title}, which is not in the prompt: the page marks it. The other {right} "
                "titles cited here are there.",
                wording,
            ),
            told.step(
                "merge",
                f"P_final is {prediction.p_final:.2f}; the user {told.truth}. A right answer would be no proof of a "
                "right argument, which is why chains are labelled.",
                wording,
            ),
        )
        about = "Fluent is not faithful: a cited title that is not in the prompt is marked."
        return float(right), Story(title="A chain that makes something up", about=about, steps=steps)
    return None


def _order(told: Told) -> Found:
    prediction = told.by.get((USUAL, "paper"))
    answers = [answer.p_yes for answer in prediction.answers if answer] if prediction else []
    if not prediction or len(answers) < 3:
        return None
    share = float(merge_weights(prediction.var_r, prediction.var_g).share_reasoning)
    steps = (
        told.step(
            "ask-panel",
            f"{_who(told)} The same {len(prediction.question.lines)} past items in three orders: the tuned model says "
            f"{', '.join(f'{answer:.2f}' for answer in answers[:-1])} and {answers[-1]:.2f}.",
            "paper",
        ),
        told.step(
            "merge",
            f"The spread is the tuned model's variance in equation 10. Here it leaves the reasoner {share:.0%} of the "
            f"say, and P_final is {prediction.p_final:.2f}. The user {told.truth}.",
            "paper",
        ),
    )
    about = "The tuned model's answer should not depend on the order of the history, but it does."
    return prediction.var_g, Story(title="The order of the history matters", about=about, steps=steps)


_KINDS: dict[str, Callable[[Told], Found]] = {
    "hint": _hint,
    "consistent": _consistent,
    "recency": _recency,
    "divided": _divided,
    "wrong": _wrong,
    "invented": _invented,
    "order": _order,
}


def _who(told: Told) -> str:
    return f"Will user {told.user} like {told.title}?"


def _yes(probability: float) -> bool:
    return probability > 0.5


def _merged(prediction: Prediction, alpha: float) -> float:
    return float(merge(prediction.p_r, prediction.var_r, prediction.p_g, prediction.var_g, alpha))


def _votes(prediction: Prediction) -> str:
    """``4 of 6 chains end in Yes``."""
    verdicts = [read_verdict(trace.text).answer for trace in prediction.chains]
    yes, count = verdicts.count("yes"), len(verdicts)
    amount = "all" if yes == count else "none" if not yes else f"{yes}"
    return f"{amount} of the {count} chains end in Yes"


def _named(labels: set[str]) -> str:
    """Returns a few titles in alphabetical order."""
    names = sorted(labels)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
