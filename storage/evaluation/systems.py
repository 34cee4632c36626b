"""The systems by name, each with a score per sample: Table 4's, the trivial ones, and what the other tables compare.

gamma is chosen among those under which all validation samples are answered. alpha and epsilon are chosen under that
gamma where its validation chains are cached, else under the settings' own gamma: they are then chosen on prompts that
another gamma built, and the tables say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from backend.baselines import BOOSTING, NETWORKS, TrivialPredictors
from backend.commands import command_line
from backend.datasets import build_samples, split
from backend.engines.base import raise_if
from backend.evaluation.intervals import DRAWS, MetricDraws
from backend.evaluation.metrics import METRICS, log_loss
from backend.evaluation.paper.figures import tuned_on_recent
from backend.evaluation.paper.systems import (
    ABOUT,
    ChosenOnValidation,
    Evaluation,
    LabelledSamples,
    System,
    SystemMetrics,
    WayResponses,
    merged_name,
    score,
    score_runs,
    single_name,
    told_name,
)
from backend.merging import MergingConfig
from backend.merging.choose import choose_weights
from backend.retrieval import STRATEGIES
from backend.settings import Settings
from backend.training.config import RECIPES, TuneConfig
from storage.arrays import keep_arrays, kept_arrays
from storage.evaluation.looked_up import LookUp, look_up_ways
from storage.evaluation.ways import KNOWLEDGE, gamma_ways, own_adapter, ways_of
from storage.results.unknown import count_unknown, only_unknown
from storage.workspace import Workspace

TRIVIAL = ("UserMean", "ItemMean", "MeanBlend")
# The systems in the order of Table 4, then the trivial ones.
NAMES = (*NETWORKS, "LLM", "ReLLa", "Hybrid-Score", "RALLRec", "RALLRec+", *TRIVIAL, BOOSTING)
_NETWORK = "reads ids, fields, past items and numbers about the past, no text; trained on the training part"
_STEPS = 21
_NO_PART = "not chosen: this split has no validation part; one is set aside by rallrec data import --validation 0.1"
# This number goes up whenever the same scores would give other draws.
_VERSION = 1


def evaluate(
    workspace: Workspace, samples: LabelledSamples, validation: LabelledSamples, gamma: float | None, look_up: LookUp
) -> Evaluation:
    """Every system on ``samples``, with what it reaches; what is chosen is chosen on ``validation``, ``gamma`` only
    where none is given. Runs no model. Raises ``Stopped``.

    Results of unknown precision are scored only while the home holds no others, and never together with others.
    """
    unknown = only_unknown(workspace)
    left_out = 0 if unknown else count_unknown(workspace.settings, workspace.database)
    look_up = replace(look_up, unknown=unknown)
    chosen = _choose(workspace, validation, gamma, look_up)
    asking = ways_of(workspace.settings, chosen.gamma)
    ways = look_up_ways(workspace, list(asking.values()), samples, look_up)
    systems = [
        *_trained(workspace, samples, dict.fromkeys(NETWORKS, _NETWORK)),
        ways["llm"].expert("LLM"),
        ways["rella"].expert("ReLLa"),
        ways["hybrid"].expert("Hybrid-Score"),
        ways["full-none"].expert("RALLRec", _tuned_on(workspace.settings)),
        ways["full-paper"].merged("RALLRec+", chosen.merging("paper")),
        *_trivial(workspace, samples, validation),
        *_trained(workspace, samples, {BOOSTING: ABOUT[BOOSTING]}),
    ]
    others = [
        ways["llm-retrieval"].expert("LLM, with retrieval", "the untuned model with RALLRec's own history"),
        ways["reasoner-recent"].reasoner("Reasoner, without retrieval"),
        ways["reasoner-recent"].single_runs(single_name("Reasoner, without retrieval")),
        *(ways[f"full-{wording}"].reasoner(f"Reasoner{told_name(wording)}") for wording in KNOWLEDGE),
        ways["full-none"].single_runs(single_name("Reasoner, not told")),
        *_ablation(ways, chosen),
        ways["reasoner-recent"].expert("recent"),
        ways["retrieve-then-mix"].expert("retrieve-then-mix"),
        *(ways[f"recent-{name}"].expert(tuned_on_recent(name)) for name in STRATEGIES),
        *(way.expert(f"by {key.removeprefix('by-')}") for key, way in ways.items() if key.startswith("by-")),
    ]
    evaluation = Evaluation(
        workspace.dataset().meta.name, samples, validation, chosen, {system.name: system for system in systems},
        {system.name: system for system in others}, ways, unknown=unknown, left_out=left_out,
    )  # fmt: skip
    return replace(evaluation, scored=_score_all(workspace.settings.home / "evaluated", evaluation, look_up))


def _choose(
    workspace: Workspace, validation: LabelledSamples, gamma: float | None, look_up: LookUp
) -> ChosenOnValidation:
    """``gamma``: one that is given instead of chosen. Raises ``Stopped``."""
    usual, given = workspace.recipe().retrieval.gamma, gamma is not None
    if not len(validation):
        return ChosenOnValidation(usual if gamma is None else gamma, given, missing=dict.fromkeys(KNOWLEDGE, _NO_PART))
    tried = _losses_by_gamma(workspace, validation, look_up) if gamma is None else {}
    gamma = min(tried, key=lambda value: tried[value], default=usual) if gamma is None else gamma
    full, under = _full(workspace, validation, gamma, look_up), gamma
    if gamma != usual and not given and not any(way.responses.mergeable == len(validation) for way in full.values()):
        full, under = _full(workspace, validation, usual, look_up), usual
    weights, missing, run = {}, {}, {}
    for wording, way in full.items():
        cached = way.responses.mergeable
        if way.missing:
            missing[wording] = way.missing
        elif cached < len(validation):
            missing[wording] = f"not chosen: {cached} of {len(validation)} validation samples cached"
            run[wording] = way.run
        else:
            weights[wording] = choose_weights(*way.responses.merging, validation.labels, log_loss)
    return ChosenOnValidation(gamma, given, tried, weights, under, missing, run)


def _losses_by_gamma(workspace: Workspace, validation: LabelledSamples, look_up: LookUp) -> dict[float, float]:
    """Log loss of M_G's first answers by gamma, of those under which all samples are answered."""
    ways = gamma_ways(workspace.settings, workspace.recipe().retrieval.gamma)
    cached = look_up_ways(workspace, list(ways.values()), validation, look_up)
    answers = {gamma: cached[way.key].responses.first for gamma, way in ways.items()}
    return {gamma: log_loss(validation.labels, p) for gamma, p in answers.items() if not np.isnan(p).any()}


def _full(workspace: Workspace, validation: LabelledSamples, gamma: float, look_up: LookUp) -> dict[str, WayResponses]:
    """The full method under a gamma, by knowledge."""
    ways = ways_of(workspace.settings, gamma)
    cached = look_up_ways(workspace, [ways[f"full-{wording}"] for wording in KNOWLEDGE], validation, look_up)
    return {wording: cached[f"full-{wording}"] for wording in KNOWLEDGE}


def score_system(folder: Path | None, samples: LabelledSamples, system: System, draws: int = DRAWS) -> SystemMetrics:
    """What a system reaches; one that is not complete is not scored. No ``draws``: no intervals.

    Drawing takes seconds for a whole part, so the draws are kept in ``folder``; without one, nothing is kept.
    """
    if not system.complete or not len(samples):
        return SystemMetrics(system.name, 0, missing=system.problem or "there are no samples", run=system.run)
    if system.runs is not None:
        return score_runs(system.name, samples.users, samples.labels, system.runs)
    plain = score(system.name, samples.users, samples.labels, system.scores, 0)
    if not draws:
        return plain
    path = folder / f"drawn-{_digest(samples, system, draws)}.npz" if folder else None
    arrays = kept_arrays(path, METRICS) if path else None
    if arrays is None:
        drawn = score(system.name, samples.users, samples.labels, system.scores, draws).drawn
        arrays = {metric: values.each for metric, values in drawn.items()}
        if path:
            keep_arrays(path, arrays)
    return replace(plain, drawn={key: MetricDraws(plain.values[key], array) for key, array in arrays.items()})


def _score_all(folder: Path, evaluation: Evaluation, look_up: LookUp) -> dict[str, SystemMetrics]:
    systems, scored = evaluation.all, {}
    for number, (name, system) in enumerate(systems.items()):
        raise_if(look_up.stop)
        look_up.progress(f"drawing users: {name}", number / len(systems))
        scored[name] = score_system(folder, evaluation.samples, system)
    return scored


def _digest(samples: LabelledSamples, system: System, draws: int) -> str:
    content = hashlib.sha256(f"{_VERSION} {draws} {','.join(METRICS)}".encode())
    for array in (samples.users, samples.labels, system.scores):
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:24]


def _ablation(ways: Mapping[str, WayResponses], chosen: ChosenOnValidation) -> list[System]:
    """Every merge: with and without KP and CM, by the paper's weights and by those chosen on validation samples."""
    systems = []
    for wording, which, consistent in product(KNOWLEDGE, ("paper", "chosen"), (True, False)):
        way, name = ways[f"full-{wording}"], merged_name(wording, which, consistent)
        weights = MergingConfig() if which == "paper" else chosen.merging(wording)
        system = way.merged(name, weights) if consistent else way.merged_without_cm(name, weights.alpha)
        if which == "chosen" and wording in chosen.missing:
            missing, run = chosen.missing[wording], chosen.run.get(wording, "")
            nothing = np.full_like(system.scores, np.nan)
            system = replace(system, scores=nothing, missing=missing, run=run, seconds=float("nan"))
        systems.append(system)
    return systems


def _trained(workspace: Workspace, samples: LabelledSamples, about: Mapping[str, str]) -> list[System]:
    """The systems that the stage ``baselines`` trains. ``about``: by name."""
    ready, systems = workspace.baselines(), []
    for name, words in about.items():
        if name not in ready:
            run = command_line(workspace.settings, "baselines")
            systems.append(System(name, np.full(len(samples), np.nan), "not trained", run, words))
            continue
        system = System(name, ready[name][samples.rows], about=words)
        if not system.complete:  # training samples are not scored
            missing = f"scored for {system.cached} of {len(samples)}: not for training samples"
            system = replace(system, missing=missing, about="")
        systems.append(system)
    return systems


def _tuned_on(settings: Settings) -> str:
    """What RALLRec is, and that it was tuned in another way than the paper's where it was."""
    reranked = TuneConfig.model_validate(settings.tune).prompts == "rerank" and own_adapter(settings) in RECIPES
    return ABOUT["RALLRec"] + ("; tuned on reranked prompts, the paper's on prompts by similarity" if reranked else "")


def _trivial(workspace: Workspace, samples: LabelledSamples, validation: LabelledSamples) -> list[System]:
    data = workspace.dataset()
    means = TrivialPredictors(data, split(build_samples(data), data, workspace.settings.split))
    share = 0.5
    if len(validation):
        # The share of the user's mean in the blend with the lowest log loss; of equal ones the smallest.
        of_user, of_item = means.user_mean(validation.rows), means.item_mean(validation.rows)
        blends = {share: share * of_user + (1 - share) * of_item for share in np.linspace(0, 1, _STEPS).tolist()}
        share = min(blends, key=lambda one: log_loss(validation.labels, blends[one]))
    of_user, of_item = means.user_mean(samples.rows), means.item_mean(samples.rows)
    blend = share * of_user + (1 - share) * of_item
    blended = f"{ABOUT['MeanBlend']}: {share:.2f} of the user's" if len(validation) else "the two means, half of each"
    scores = {"UserMean": of_user, "ItemMean": of_item, "MeanBlend": blend}
    about = ABOUT | {"MeanBlend": blended}
    return [System(name, scores[name], about=about[name], seconds=0.0) for name in TRIVIAL]
