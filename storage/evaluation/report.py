"""An evaluation in JSON's own types: what ``rallrec evaluate --json`` prints and what the page lets one download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from backend.evaluation.intervals import DRAWS, LEVEL
from backend.evaluation.metrics import METRICS
from backend.evaluation.paper.exhibits import number
from backend.evaluation.paper.pairs import differences
from backend.evaluation.paper.tables import Scored
from backend.merging.choose import ChosenWeights
from storage.evaluation.chosen import Chosen
from storage.evaluation.looked_up import Found
from storage.evaluation.systems import Evaluated, System
from storage.workspace import Workspace

# Each of these is tested against every other system.
TESTED = ("RALLRec+", "RALLRec")
# The ways whose chains are told of, and what M_R heard of M_G there.
CHAINS = {"full-none": "none", "full-paper": "paper", "reasoner-recent": "none, without retrieval"}


def report(workspace: Workspace, own: Evaluated, scored: Mapping[str, Scored]) -> dict[str, Any]:
    """Numbers that are not known or not defined are null."""
    return {
        "dataset": own.dataset,
        "split": own.samples.said,
        "gamma": _gamma(own.chosen),
        "models": {role: asdict(workspace.model(role)) for role in ("tuned", "reasoning")},
        "samples": own.samples.facts(workspace),
        "validation": own.validation.facts(workspace),
        "interval": {"level": LEVEL, "draws": DRAWS, "over": "users"},
        "systems": {name: _system(system, scored[name]) for name, system in own.systems.items()},
        "variants": {name: _system(system, scored[name]) for name, system in own.others.items()},
        "weights": {wording: _weights(each) for wording, each in own.chosen.weights.items()},
        "not_chosen": dict(own.chosen.missing),
        "tests": tests(own, scored),
        "missing": {name: {"why": each.problem, "run": each.run} for name, each in own.all.items() if each.problem},
        "chains": [_chains(said, own.found[way]) for way, said in CHAINS.items()],
    }


def tests(own: Evaluated, scored: Mapping[str, Scored]) -> list[dict[str, Any]]:
    """Each of :data:`TESTED` against every system that is there, once."""
    there = [name for name in own.systems if own.systems[name].complete]
    found = []
    for first in (name for name in TESTED if name in there):
        for second in there:
            if second == first or (second in TESTED and TESTED.index(second) < TESTED.index(first)):
                continue
            for each in differences(
                own.samples.labels, scored[first], scored[second], own.all[first].scores, own.all[second].scores
            ):
                numbers = {name: number(getattr(each, name)) for name in ("value", "low", "high", "p")}
                found.append({"first": first, "second": second, "metric": each.metric, "method": each.method} | numbers)
    return found


def _gamma(chosen: Chosen) -> dict[str, Any]:
    """``tried``: validation log loss by gamma."""
    return {
        "value": chosen.gamma,
        "given": chosen.given,
        "tried": [{"gamma": gamma, "log_loss": loss} for gamma, loss in chosen.tried.items()],
        "weights_chosen_under": chosen.weights_gamma,
    }


def _system(system: System, scored: Scored) -> dict[str, Any]:
    """Null in place of every metric of a system that lacks a sample."""
    intervals = {metric: [number(low), number(high)] for metric, (low, high) in scored.intervals.items()}
    return {metric: number(scored.values.get(metric)) for metric in METRICS} | {
        "n": scored.n, "intervals": intervals, "cached": system.cached, "missing": system.problem or None,
        "run": system.run or None, "about": system.about, "seconds": number(system.seconds),
        "recipe": system.recipe or None,
    }  # fmt: skip


def _weights(chosen: ChosenWeights) -> dict[str, Any]:
    """The losses are those of the validation samples."""
    return {"chosen": asdict(chosen.best), "paper": asdict(chosen.paper), "grid": [asdict(own) for own in chosen.grid]}


def _chains(knowledge: str, found: Found) -> dict[str, Any]:
    """Counts, and the shares that they make; a share of nothing is null."""
    looked = found.looked
    there = ~np.isnan(looked.p_yes)
    chains = int(there.sum())
    readable = int((looked.verdict[there] != 0.5).sum())
    counts = {name: int(np.nansum(getattr(looked, name))) for name in ("cited", "in_prompt", "rated", "rated_right")}
    return {
        "knowledge": knowledge,
        "chains": chains,
        "wanted": looked.p_yes.size,
        "readable": readable,
        "readable_share": _share(readable, chains),
        **counts,
        "in_prompt_share": _share(counts["in_prompt"], counts["cited"]),
        "rated_right_share": _share(counts["rated_right"], counts["rated"]),
        "mean_tokens": _share(int(np.nansum(looked.tokens)), chains),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
