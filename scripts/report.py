"""``rallrec report``: how good the systems are on a list of samples, and how readable and grounded the chains are.

From cached results alone: no model runs. What is not cached for every sample is named and not scored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.evaluation import metrics
from backend.evaluation.citations import CitationCount
from backend.evaluation.intervals import DRAWS, METRICS, Interval, bootstrap, bootstrap_difference
from backend.merging import MergingConfig, merge
from backend.merging.choose import ChosenWeights, choose_weights
from backend.settings import load_settings
from backend.types import Progress
from scripts.console import print_json, progress_bar
from scripts.report_systems import (
    KNOWLEDGE,
    ZERO_SHOT,
    ChainFacts,
    Given,
    Labelled,
    Merging,
    System,
    chain_facts,
    check_apart,
    expert,
    number,
    open_tuned,
    own_adapter,
    reasoned,
    rella_choices,
    trivial,
    untuned,
)
from scripts.report_tables import show
from storage.artifacts import BUNDLE
from storage.sample_list import read_samples
from storage.shipped import samples_file
from storage.workspace import Workspace

TEST, VALIDATION = samples_file(BUNDLE, "test"), samples_file(BUNDLE, "validation")
# What is compared in pairs: the first minus the second. The first of several that is there counts.
FULL = ("merge-paper-chosen", "merge-paper-usual")
DIFFERENCES = ((("rallrec",), ("item-mean",)), (FULL, ("rallrec",)))
DIFFERENCE_METRICS = ("gauc", "log_loss")
_INJECTED = {"none": "without injection", "paper": "with injection"}


@dataclass(frozen=True)
class _Full:
    """What there is of the reasoner and the merges: systems, the weights chosen by knowledge, and the chains' facts."""

    systems: list[System]
    chosen: dict[str, ChosenWeights]
    chains: list[ChainFacts]


def run(
    *,
    samples: str | None,
    validation: str | None,
    gamma: float | None,
    dataset: str | None,
    profile: str | None,
    engine: str | None,
    as_json: bool,
) -> None:
    """Score what is cached. Raises ``UsageError`` for lists that cannot be scored."""
    started = time.perf_counter()
    given: Given = {"dataset": dataset, "profile": profile, "engine": engine}
    files = Path(samples) if samples else TEST, Path(validation) if validation else VALIDATION
    with closing(open_tuned(given, own_adapter(load_settings(**given)))) as workspace, progress_bar() as progress:
        test, held_out = (Labelled.of(read_samples(file, workspace.dataset()), workspace.dataset()) for file in files)
        check_apart(test, held_out)
        full = _full_method(workspace, test, held_out, gamma, progress)
        systems = [
            *trivial(workspace, test),
            *_others(given, test, gamma, progress),
            expert(workspace, workspace.recipe(gamma=gamma, p_g="first"), test, "rallrec", "RALLRec, P_G", progress),
            *full.systems,
        ]
        progress("drawing users for the intervals", None)
        report = {
            "dataset": workspace.dataset().meta.name,
            "gamma": workspace.recipe(gamma=gamma).retrieval.gamma,
            "models": {role: asdict(workspace.model(role)) for role in ("tuned", "reasoning")},
            "samples": _list_facts(files[0], test, workspace),
            "validation": _list_facts(files[1], held_out, workspace),
            "interval": {"level": 0.95, "draws": DRAWS, "over": "users"},
            "systems": [_scored(system, test) for system in systems],
            "weights": {wording: _weights(own) for wording, own in full.chosen.items()},
            "differences": _differences(systems, test),
            "chains": [_chain_line(facts) for facts in full.chains],
        }
    report["seconds"] = round(time.perf_counter() - started, 3)
    if as_json:
        print_json(report)
    else:
        show(report)


def _others(given: Given, test: Labelled, gamma: float | None, progress: Progress) -> list[System]:
    """The untuned model with the plain prompt, and ReLLa: other models, so other workspaces."""
    found = []
    with closing(open_tuned(given, "")) as workspace:
        plain = workspace.recipe(**ZERO_SHOT, gamma=gamma, p_g="first")
        found.append(expert(workspace, plain, test, "zero-shot", "zero-shot base", progress))
    with closing(open_tuned(given, "rella")) as workspace:
        by_text = workspace.recipe(**rella_choices(workspace.settings), p_g="first")
        found.append(expert(workspace, by_text, test, "rella", "ReLLa", progress))
    return found


def _full_method(
    workspace: Workspace, test: Labelled, held_out: Labelled, gamma: float | None, progress: Progress
) -> _Full:
    """The reasoner alone and merged, by knowledge; alpha and epsilon are the paper's, or chosen on ``held_out``."""
    missing = untuned(workspace)
    here, there = (reasoned(workspace, samples, gamma, progress) for samples in (test, held_out))
    alone, merged = [], []
    chosen: dict[str, ChosenWeights] = {}
    for wording, said in _INJECTED.items():
        parts, other = Merging.of(here[wording]), Merging.of(there[wording])
        # Without injection M_R hears nothing of M_G: it says the same whoever M_G is.
        alone.append(
            System(f"reasoner-{wording}", f"reasoner {said}, P_R", parts.p_r, missing if wording == "paper" else None)
        )
        merged.append(_merged(f"merge-{wording}-usual", f"merge {said}, paper's weights", parts, None, missing))
        unchosen = missing
        if missing is None and other.cached == len(held_out.rows):
            chosen[wording] = choose_weights(*other.columns, held_out.labels, metrics.log_loss)
        elif missing is None:
            unchosen = f"not chosen: {other.cached} of {len(held_out.rows)} validation samples cached"
        own = chosen.get(wording)
        merged.append(_merged(f"merge-{wording}-chosen", f"merge {said}, chosen weights", parts, own, unchosen))
    return _Full([*alone, *merged], chosen, [chain_facts(wording, here[wording]) for wording in KNOWLEDGE])


def _merged(key: str, name: str, parts: Merging, chosen: ChosenWeights | None, missing: str | None) -> System:
    """By the chosen weights, or the paper's."""
    config = chosen.config if chosen else MergingConfig()
    return System(key, name, merge(*parts.columns, config.alpha, config.epsilon), missing)


def _list_facts(file: Path, listed: Labelled, workspace: Workspace) -> dict[str, Any]:
    return {
        "file": str(file),
        "count": len(listed.rows),
        "users": len(np.unique(listed.users)),
        "liked": int(listed.labels.sum()),
        "parts": listed.parts(workspace),
    }


def _scored(system: System, test: Labelled) -> dict[str, Any]:
    """``metrics`` is null for a system that lacks a sample; ``missing`` says why."""
    missing = system.missing
    if not system.complete:
        missing = missing or f"not cached ({system.cached} of {len(test.rows)})"
    scores = (
        {metric: _interval(bootstrap(metric, test.users, test.labels, system.scores)) for metric in METRICS}
        if missing is None
        else None
    )
    return {
        "key": system.key, "name": system.name, "cached": system.cached, "samples": len(test.rows), "missing": missing,
        "metrics": scores,
    }  # fmt: skip


def _interval(own: Interval) -> dict[str, Any]:
    return {"value": number(own.value), "low": number(own.low), "high": number(own.high), "undefined": own.undefined}


def _weights(chosen: ChosenWeights) -> dict[str, Any]:
    """The losses are those of the validation samples."""
    return {"chosen": asdict(chosen.best), "paper": asdict(chosen.paper), "grid": [asdict(own) for own in chosen.grid]}


def _differences(systems: Sequence[System], test: Labelled) -> list[dict[str, Any]]:
    there = {system.key: system for system in systems if system.complete}
    found = []
    for first_of, second_of in DIFFERENCES:
        first = next((there[key] for key in first_of if key in there), None)
        second = next((there[key] for key in second_of if key in there), None)
        if first is None or second is None:
            continue
        for metric in DIFFERENCE_METRICS:
            own = bootstrap_difference(metric, test.users, test.labels, first.scores, second.scores)
            found.append({"first": first.key, "second": second.key, "metric": metric} | _interval(own))
    return found


def _chain_line(facts: ChainFacts) -> dict[str, Any]:
    """Counts, and the shares that they make; a share of nothing is null."""
    cited: CitationCount = facts.citations
    return {
        "knowledge": facts.knowledge,
        "chains": facts.chains,
        "wanted": facts.wanted,
        "readable": facts.readable,
        "readable_share": _share(facts.readable, facts.chains),
        **asdict(cited),
        "in_prompt_share": _share(cited.in_prompt, cited.cited),
        "rated_right_share": _share(cited.rated_right, cited.rated),
        "mean_tokens": _share(facts.tokens, facts.chains),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
