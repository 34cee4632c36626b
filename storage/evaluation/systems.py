"""The systems by name, each with a score per sample: Table 4's, the trivial ones, and what the other tables compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backend.baselines import NETWORKS, TrivialPredictors
from backend.datasets import build_samples, split
from backend.evaluation import metrics
from backend.evaluation.paper.tables import unweighted
from backend.merging import MergingConfig, merge
from storage.evaluation.chosen import Chosen, choose
from storage.evaluation.labelled import Labelled
from storage.evaluation.looked_up import Found, Looking, look_up_ways
from storage.evaluation.ways import KNOWLEDGE, ways_of
from storage.workspace import Workspace

Float64 = NDArray[np.float64]
TRIVIAL = ("UserMean", "ItemMean", "MeanBlend")
# In the order of Table 4, then the trivial ones.
NAMES = (*NETWORKS, "LLM", "ReLLa", "Hybrid-Score", "RALLRec", "RALLRec+", *TRIVIAL)
# What is honest to say of a system wherever it shows.
ABOUT = {
    "LLM": "M_G's base model, untuned, asked with the latest items (no retrieval), as the paper's Llama3.1",
    "ReLLa": "tuned and asked with history chosen by text similarity alone",
    "Hybrid-Score": "RALLRec's tuned model asked with history that is half chosen by text, half by collaborative "
    "similarity (retrieve-then-mix); the paper tunes one for it, here the adapter is RALLRec's",
    "RALLRec": "P_G: the tuned model alone, first history order",
    "RALLRec+": "eq. 10 with the injected sentence; alpha and epsilon chosen on validation samples where these are "
    "cached, else the paper's",
    "UserMean": "the share that the user liked before, smoothed",
    "ItemMean": "the share of others that liked the item in training, smoothed",
    "MeanBlend": "the two means, weighted as is best on validation samples",
} | dict.fromkeys(NETWORKS, "reads ids and fields, no text; trained on the training part")
_STEPS = 21


@dataclass(frozen=True)
class System:
    """``scores``: float64[s], NaN where not known. ``missing``: why there can be none; ``run``: what to run for them.

    ``seconds``: mean model time of a prediction, NaN where it takes none or it is not known. ``recipe``: its hash.
    """

    name: str
    scores: Float64
    missing: str = ""
    run: str = ""
    about: str = ""
    seconds: float = float("nan")
    recipe: str = ""

    @property
    def cached(self) -> int:
        return int((~np.isnan(self.scores)).sum())

    @property
    def complete(self) -> bool:
        return not self.missing and self.cached == len(self.scores)

    @property
    def problem(self) -> str:
        """Why it is not scored; empty where it is."""
        if self.complete:
            return ""
        return self.missing or f"not cached ({self.cached} of {len(self.scores)})"


@dataclass(frozen=True)
class Evaluated:
    """All that is known of the systems on a list of samples.

    ``systems``: those of :data:`NAMES`; ``others``: what the other tables and the ablation compare; ``found``: what
    each way's models said.
    """

    dataset: str
    samples: Labelled
    validation: Labelled
    chosen: Chosen
    systems: Mapping[str, System]
    others: Mapping[str, System]
    found: Mapping[str, Found]
    commands: Mapping[str, str] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, System]:
        return {**self.systems, **self.others}


def evaluate(
    workspace: Workspace,
    samples: Labelled,
    validation: Labelled,
    gamma: float | None,
    looking: Looking,
) -> Evaluated:
    """Every system on ``samples``; what is chosen is chosen on ``validation``. Runs no model. Raises ``Stopped``."""
    chosen = choose(workspace, validation, gamma, looking)
    ways = ways_of(workspace.settings, chosen.gamma)
    found = look_up_ways(workspace, list(ways.values()), samples, looking)
    commands = {key: way.command(workspace.settings.tuned_adapter, samples.options) for key, way in ways.items()}
    maker = _Maker(found, commands)
    systems = [
        *_networks(workspace, samples),
        maker.expert("LLM", "llm"),
        maker.expert("ReLLa", "rella"),
        maker.expert("Hybrid-Score", "retrieve-then-mix"),
        maker.expert("RALLRec", "full-none"),
        maker.merged("RALLRec+", "full-paper", chosen.merging("paper")),
        *_trivial(workspace, samples, validation),
    ]
    others = [
        maker.expert("LLM, with retrieval", "llm-retrieval", "the untuned model with RALLRec's own history"),
        maker.reasoner("Reasoner, without retrieval", "reasoner-recent"),
        *(maker.reasoner(f"Reasoner{_told(wording)}", f"full-{wording}") for wording in KNOWLEDGE),
        *_ablation(maker, chosen),
        maker.expert("recent", "reasoner-recent"),
        *(maker.expert(f"by {key.removeprefix('by-')}", key) for key in ways if key.startswith("by-")),
    ]
    return Evaluated(
        workspace.dataset().meta.name, samples, validation, chosen, {own.name: own for own in systems},
        {own.name: own for own in others}, found, commands,
    )  # fmt: skip


def merged_name(knowledge: str, weights: str, consistent: bool = True) -> str:
    """The name of a merge. ``weights``: ``chosen`` or ``paper``; not ``consistent``: without CM (Table 5)."""
    return f"Merged{_told(knowledge)}{'' if consistent else ', without CM'}, {weights} weights"


def _told(knowledge: str) -> str:
    return ", told P_G" if knowledge == "paper" else ", not told"


class _Maker:
    """Systems out of what was found."""

    def __init__(self, found: Mapping[str, Found], commands: Mapping[str, str]) -> None:
        self._found, self._commands = found, commands

    def expert(self, name: str, key: str, about: str = "") -> System:
        """M_G's answer to the first history order."""
        looked = self._found[key].looked
        way = self._found[key].way
        run = self._commands[key] if not way.chains else f"{self._commands[key]} --answers-only"
        return self._system(name, key, looked.first, _mean(looked.answer_seconds), about, run)

    def reasoner(self, name: str, key: str) -> System:
        """M_R alone: the mean of its chains. Without injection it says the same whoever M_G is."""
        looked = self._found[key].looked
        return self._system(name, key, looked.p_r, _mean(looked.seconds.sum(axis=0)), "the mean of the chains, P_R")

    def merged(self, name: str, key: str, weights: MergingConfig, about: str = "") -> System:
        looked = self._found[key].looked
        scores = merge(*looked.merging, weights.alpha, weights.epsilon)
        return self._system(name, key, scores, self.seconds(key), about)

    def unweighted(self, name: str, key: str, alpha: float) -> System:
        looked = self._found[key].looked
        scores = unweighted(looked.p_r, looked.p_g, alpha)
        return self._system(name, key, scores, self.seconds(key), "(alpha P_R + P_G) / (alpha + 1)")

    def seconds(self, key: str) -> float:
        """Of a whole prediction: M_G once per history order (as long as for the first), then all chains."""
        found = self._found[key]
        return _mean(found.looked.answer_seconds * found.way.orders + found.looked.seconds.sum(axis=0))

    def _system(self, name: str, key: str, scores: Float64, seconds: float, about: str = "", run: str = "") -> System:
        found = self._found[key]
        complete = not found.missing and not np.isnan(scores).any()
        words = found.missing.partition(": ")
        return System(
            name, scores, found.missing, "" if complete else words[2] or run or self._commands[key],
            about or ABOUT.get(name, ""), seconds, found.recipe,
        )  # fmt: skip


def _ablation(maker: _Maker, chosen: Chosen) -> list[System]:
    """Every merge: with and without KP and CM, by the paper's weights and by those chosen on validation samples."""
    found = []
    for wording in KNOWLEDGE:
        ways: tuple[tuple[str, MergingConfig], ...] = (("paper", MergingConfig()), ("chosen", chosen.merging(wording)))
        for which, weights in ways:
            made: tuple[tuple[bool, Callable[[str], System]], ...] = (
                (True, lambda name, w=weights, k=wording: maker.merged(name, f"full-{k}", w)),  # type: ignore[misc]
                (False, lambda name, w=weights, k=wording: maker.unweighted(name, f"full-{k}", w.alpha)),  # type: ignore[misc]
            )
            for consistent, make in made:
                system = make(merged_name(wording, which, consistent))
                if which == "chosen" and wording in chosen.missing:
                    system = System(
                        system.name, np.full_like(system.scores, np.nan), chosen.missing[wording],
                        chosen.run.get(wording, ""), system.about, recipe=system.recipe,
                    )  # fmt: skip
                found.append(system)
    return found


def _networks(workspace: Workspace, samples: Labelled) -> list[System]:
    ready = workspace.baselines()
    found = []
    for name in NETWORKS:
        own = ready.get(name)
        scores = np.full(len(samples), np.nan) if own is None else own[samples.rows]
        missing = "not trained" if own is None else ""
        run = f"rallrec baselines --dataset {workspace.settings.dataset}" if own is None else ""
        system = System(name, scores, missing, run, ABOUT[name])
        if own is not None and not system.complete:  # training samples are not scored
            system = System(name, scores, f"scored for {system.cached} of {len(samples)}: not for training samples")
        found.append(system)
    return found


def _trivial(workspace: Workspace, samples: Labelled, validation: Labelled) -> list[System]:
    data = workspace.dataset()
    means = TrivialPredictors(data, split(build_samples(data), data, workspace.settings.split))
    of_user, of_item = means.user_mean(samples.rows), means.item_mean(samples.rows)
    share = _best_share(means.user_mean(validation.rows), means.item_mean(validation.rows), validation.labels)
    blend = share * of_user + (1 - share) * of_item
    made = zip(TRIVIAL, (of_user, of_item, blend), strict=True)
    blended = f"{ABOUT['MeanBlend']}: {share:.2f} of the user's" if len(validation) else "the two means, half of each"
    about = ABOUT | {"MeanBlend": blended}
    return [System(name, scores, about=about[name], seconds=0.0) for name, scores in made]


def _best_share(of_user: Float64, of_item: Float64, labels: Float64) -> float:
    """Of the user's mean in the blend, by log loss; of equal ones the smaller. Half, where there is nothing to ask."""
    if not len(labels):
        return 0.5
    shares = np.linspace(0, 1, _STEPS)
    return float(min(shares, key=lambda own: metrics.log_loss(labels, own * of_user + (1 - own) * of_item)))


def _mean(values: Float64) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
