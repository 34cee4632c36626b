"""An evaluation in JSON's own types: what ``rallrec evaluate --json`` prints and what the page lets one download."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from backend.evaluation.intervals import DRAWS, LEVEL, too_few
from backend.evaluation.metrics import METRICS
from backend.evaluation.paper.pairs import differences
from backend.evaluation.paper.systems import ChosenOnValidation, Evaluation, System, SystemMetrics, WayResponses
from backend.merging.choose import ChosenWeights
from backend.numbers import or_null
from storage.evaluation.labelled import sample_facts
from storage.results.unknown import again_command
from storage.workspace import Workspace

# Each of these is tested against every other system.
TESTED = ("RALLRec+", "RALLRec")
# The ways whose chains are told of, and what M_R heard of M_G there.
CHAINS = {"full-none": "none", "full-paper": "paper", "reasoner-recent": "none, without retrieval"}


def report(workspace: Workspace, evaluation: Evaluation) -> dict[str, Any]:
    """Numbers that are not known or not defined are null."""
    chosen, scored = evaluation.chosen, evaluation.scored
    return {
        "dataset": evaluation.dataset,
        "split": evaluation.samples.said,
        "bar": evaluation.bar_words,
        "gamma": _gamma(chosen),
        "models": {role: asdict(workspace.model(role)) for role in ("tuned", "reasoning")},
        "precision": {
            "unknown": evaluation.unknown,
            "left_out": evaluation.left_out,
            "run": again_command(workspace.settings) if evaluation.unknown or evaluation.left_out else "",
        },
        "samples": sample_facts(workspace, evaluation.samples),
        "validation": sample_facts(workspace, evaluation.validation),
        "interval": {
            "level": LEVEL,
            "draws": DRAWS,
            "over": "users",
            "warning": too_few(len(np.unique(evaluation.samples.users))) or None,
        },
        "systems": {name: _system(system, scored[name]) for name, system in evaluation.systems.items()},
        "variants": {name: _system(system, scored[name]) for name, system in evaluation.others.items()},
        "weights": {wording: _weights(weights) for wording, weights in chosen.weights.items()},
        "not_chosen": dict(chosen.missing),
        "tests": tests(evaluation),
        "missing": {
            name: {"why": system.problem, "run": system.run}
            for name, system in evaluation.all.items()
            if system.problem
        },
        "chains": [_chains(said, evaluation.ways[key]) for key, said in CHAINS.items()],
    }


def tests(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Each of :data:`TESTED` against every system that is there, once."""
    systems, scored = evaluation.systems, evaluation.scored
    there = [name for name in systems if systems[name].complete]
    tested = [name for name in TESTED if name in there]
    records = []
    for place, first in enumerate(tested):
        for second in there:
            if second in tested[: place + 1]:
                continue
            scores = systems[first].scores, systems[second].scores
            for difference in differences(evaluation.samples.labels, scored[first], scored[second], *scores):
                numbers = {name: or_null(getattr(difference, name)) for name in ("value", "low", "high", "p")}
                named = {"metric": difference.metric, "method": difference.method}
                numbers |= {"significant": difference.significant}
                records.append({"first": first, "second": second} | named | numbers)
    return records


def _gamma(chosen: ChosenOnValidation) -> dict[str, Any]:
    """``tried``: validation log loss by gamma."""
    return {
        "value": chosen.gamma,
        "given": chosen.given,
        "tried": [{"gamma": gamma, "log_loss": loss} for gamma, loss in chosen.tried.items()],
        "weights_chosen_under": chosen.weights_gamma,
    }


def _system(system: System, scored: SystemMetrics) -> dict[str, Any]:
    """Null in place of every metric of a system that lacks a sample."""
    intervals = {metric: [or_null(low), or_null(high)] for metric, (low, high) in scored.intervals.items()}
    return {metric: or_null(scored.values.get(metric)) for metric in METRICS} | {
        "n": scored.n, "intervals": intervals, "cached": system.cached, "missing": system.problem or None,
        "run": system.run or None, "about": system.about, "seconds": or_null(system.seconds),
        "recipe": system.recipe or None,
    } | ({"runs": scored.runs, "spreads": {name: or_null(value) for name, value in scored.spreads.items()}}
         if scored.runs else {})  # fmt: skip


def _weights(chosen: ChosenWeights) -> dict[str, Any]:
    """The losses are those of the validation samples."""
    return {
        "chosen": asdict(chosen.best),
        "paper": asdict(chosen.paper),
        "grid": [asdict(weights) for weights in chosen.grid],
    }


def _chains(knowledge: str, way: WayResponses) -> dict[str, Any]:
    """Counts, and the shares that they make; a share of nothing is null."""
    responses = way.responses
    there = ~np.isnan(responses.p_yes)
    chains = int(there.sum())
    readable = int((responses.verdict[there] != 0.5).sum())
    counts = {name: int(np.nansum(getattr(responses, name))) for name in ("cited", "in_prompt", "rated", "rated_right")}
    return {
        "knowledge": knowledge,
        "chains": chains,
        "wanted": responses.p_yes.size,
        "readable": readable,
        "readable_share": _share(readable, chains),
        **counts,
        "in_prompt_share": _share(counts["in_prompt"], counts["cited"]),
        "rated_right_share": _share(counts["rated_right"], counts["rated"]),
        "mean_tokens": _share(int(responses.tokens[there].sum()), chains),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
