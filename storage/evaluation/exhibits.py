"""The paper's tables and figures out of what was evaluated; each says what it was measured on and what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.evaluation import metrics
from backend.evaluation.paper import figures, tables
from backend.evaluation.paper.exhibits import Figure, Panel, Table
from backend.evaluation.paper.live import LiveMerge
from backend.evaluation.paper.published import paper_dataset
from backend.evaluation.paper.slices import Slices, by_quantity
from backend.evaluation.paper.tables import Scored
from backend.merging import MergingConfig
from backend.representation import VARIANTS
from storage.evaluation.looked_up import Found
from storage.evaluation.systems import NAMES, Evaluated, System, merged_name

Float64 = NDArray[np.float64]
# The chains that Figs. 2 and 3 are about: with retrieval, not told what M_G said.
PLAIN, FULL = "full-none", "full-paper"
# Section 3 takes smaller windows for BookCrossing.
_WINDOWS = {"BookCrossing": 500}
_WINDOW = 1000
_TIMES = "As the engine noted it when it ran; chains that were written side by side each count the time they shared."
STRATEGIES = {
    "recent": "recent", "retrieve-then-mix": "Hybrid-Score", "mix-then-retrieve": "by concat+ssl", "rerank": "RALLRec",
}  # fmt: skip
# Figures of systems' scores, sample by sample.
OF_SAMPLES = {"calibration": "Calibration", "risk": "Risk and coverage", "slices": "Slices"}
# Systems whose calibration is drawn, those that are there.
_CALIBRATED = ("LLM", "RALLRec", "RALLRec+")


def all_tables(own: Evaluated, scored: Mapping[str, Scored]) -> tuple[Table, ...]:
    """Tables 2 to 7 and the trivial systems. ``scored``: every system of ``own.all``, by name."""
    paper = paper_dataset(own.dataset)
    split = f"measured on {own.samples.said}"
    rivals = {
        "table-2": ("Table 2: a general and a reasoning model, no retrieval", {
            "LLM": ("general model, untuned", "LLM"),
            "Reasoner": ("reasoning model", "Reasoner, without retrieval"),
        }),
        "table-3": ("Table 3: the reasoning model without and with retrieval", {
            "without": ("without retrieval", "Reasoner, without retrieval"),
            "with": ("with retrieval", "Reasoner, not told"),
        }),
    }  # fmt: skip
    made = []
    for key, (title, lines) in rivals.items():
        found = [(line, name, scored[system]) for line, (name, system) in lines.items()]
        made.append(tables.with_improvement(tables.of_systems(key, title, split, found, paper)))
    chosen = _chosen_said(own)
    made.append(
        tables.of_systems(
            "table-4", "Table 4: every system", split, [(name, name, scored[name]) for name in NAMES], paper,
            (chosen,), {name: system.about for name, system in own.systems.items()},
        )
    )  # fmt: skip
    made += [_ablation(scored, weights, split, paper, chosen) for weights in ("paper", "chosen")]
    found = [(name, name, scored[f"by {name}"]) for name in VARIANTS]
    note = "History by similarity alone (mix-then-retrieve), M_G's first answer."
    made.append(tables.of_systems("table-6", "Table 6: item embeddings", split, found, paper, (note,)))
    ways = (("recent", "without retrieval", "reasoner-recent"), ("with", "with retrieval", PLAIN),
            ("told", "with retrieval, told P_G", FULL))  # fmt: skip
    tokens = [
        (key, name, own.found[way].looked.tokens, _why(own.found[way]), own.commands[way]) for key, name, way in ways
    ]
    made.append(tables.of_tokens(split, tokens, paper))
    return tuple(made)


def _ablation(scored: Mapping[str, Scored], weights: str, split: str, paper: str | None, chosen: str) -> Table:
    lines = {"neither": ("none", False), "CM": ("none", True), "KP": ("paper", False), "KP+CM": ("paper", True)}
    names = {"neither": "neither", "CM": "CM alone", "KP": "KP alone", "KP+CM": "KP and CM (RALLRec+)"}
    found = [
        (key, names[key], scored[merged_name(wording, weights, consistent)])
        for key, (wording, consistent) in lines.items()
    ]
    note = "KP: the injected sentence. Without CM: (alpha P_R + P_G) / (alpha + 1), eq. 10 with no variance in it."
    if weights == "paper":
        title = "Table 5: knowledge injection and consistency, the paper's alpha and epsilon"
        return tables.of_systems("table-5", title, split, found, paper, (note,))
    title = "Table 5: the same, alpha and epsilon chosen on validation samples"
    table = tables.of_systems("table-5", title, split, found, paper, (note, chosen))
    return Table("table-5-chosen", title, split, table.columns, table.lines, table.notes)


def live_merge(own: Evaluated) -> LiveMerge | None:
    """Eq. 10 over the samples, with the injected sentence; None where something is not cached."""
    looked = own.found[FULL].looked
    if not len(own.samples) or not len(looked.p_yes) or np.isnan(np.array(looked.merging)).any():
        return None
    return LiveMerge(own.samples.labels, looked.p_yes, looked.p_g, looked.var_g, own.samples.users)


def swept(key: str, own: Evaluated, live: LiveMerge | None, merging: MergingConfig) -> Figure:
    """Fig. 6 (``figure-6``) over alpha or Fig. 7 (``figure-7``) over epsilon, at the other one's present value."""
    split = f"measured on {own.samples.said}: to see, not to choose from"
    by_alpha = key == "figure-6"
    title = (
        f"Fig. 6: alpha, at epsilon {merging.epsilon:g}" if by_alpha else f"Fig. 7: epsilon, at alpha {merging.alpha:g}"
    )
    if live is None:
        return Figure(key, title, split, missing=_why(own.found[FULL]), run=own.commands[FULL])
    drawn = figures.over_alpha(live, merging.epsilon) if by_alpha else figures.over_epsilon(live, merging.alpha)
    return Figure(key, title, split, drawn, (_chosen_said(own),))


def reasoning_figures(own: Evaluated) -> tuple[Figure, ...]:
    """Figs. 2 and 3, of the chains that were not told what M_G says."""
    split = f"measured on {own.samples.said}"
    y, found = own.samples.labels, own.found[PLAIN]
    looked, why, run = found.looked, _why(found), own.commands[PLAIN]
    window = _WINDOWS.get(paper_dataset(own.dataset) or "", _WINDOW)
    short = (f"The paper's window is {window} samples; of {len(y)} a third is taken.",) if len(y) < 3 * window else ()
    made: tuple[tuple[str, str, Callable[[], Panel], tuple[str, ...]], ...] = (
        ("figure-2", "Fig. 2: accuracy by response length", lambda: figures.by_length(y, looked.tokens, looked.verdict),
         ("A response is right where its verdict is; one that cannot be read is not.",)),
        ("figure-3", "Fig. 3: accuracy by the variance of responses",
         lambda: figures.by_variance(y, looked.p_r, looked.var_r, window), short),
    )  # fmt: skip
    return tuple(
        Figure(key, title, split, missing=why, run=run) if why else Figure(key, title, split, (draw(),), notes)
        for key, title, draw, notes in made
    )


def comparing_figures(own: Evaluated) -> tuple[Figure, ...]:
    """Figs. 8 and 9, and cost against quality."""
    split = f"measured on {own.samples.said}"
    y = own.samples.labels
    there = {name: own.all[system] for name, system in STRATEGIES.items() if own.all[system].complete}
    missing = [name for name in STRATEGIES if name not in there]
    why = f"not cached for all samples: {', '.join(missing)}" if missing else ""
    run = "; ".join(own.all[STRATEGIES[name]].run for name in missing)
    by_strategy = (
        figures.by_strategy(own.samples.users, y, {name: there[name].scores for name in there}) if there else ()
    )
    tuned = "The paper also tunes on recent histories; here M_G is tuned on retrieved ones alone."
    eighth = Figure(
        "figure-8", "Fig. 8: who chooses the history", split, by_strategy, (tuned, *([why] if why and there else [])),
        "" if there else why, run,
    )  # fmt: skip
    seconds = {
        "M_G, one answer": own.found[PLAIN].looked.answer_seconds,
        "M_R, one chain": own.found[PLAIN].looked.seconds,
    }
    none = all(np.isnan(each).all() for each in seconds.values())
    ninth = Figure(
        "figure-9", "Fig. 9: time per response", split, () if none else (figures.latency(seconds),),
        (_TIMES,),
        "no response is cached" if none else "", own.commands[PLAIN] if none else "",
    )  # fmt: skip
    ours = {name: system for name, system in own.systems.items() if system.complete and system.seconds > 0}
    values = {
        metric.key: {name: metric.function(own.samples.users, y, system.scores) for name, system in ours.items()}
        for metric in metrics.metrics_of("cost")
    }
    cost = figures.cost_quality({name: system.seconds for name, system in ours.items()}, values)
    return (
        eighth,
        ninth,
        Figure("cost", "Cost against quality", split, cost, (_TIMES,), "" if ours else "no system is cached", ""),
    )


def sample_figure(key: str, own: Evaluated, scores: Mapping[str, Float64], slices: Sequence[Slices]) -> Figure:
    """One of :data:`OF_SAMPLES`, of these systems' scores.

    ``scores``: by name, complete; ``slices``: what the samples are grouped by beside the variance of their chains.
    """
    split, y = f"measured on {own.samples.said}", own.samples.labels
    if not scores or not len(y):
        return Figure(key, OF_SAMPLES[key], split, missing="no system is cached", run=own.commands[PLAIN])
    if key == "calibration":
        return Figure(key, OF_SAMPLES[key], split, tuple(figures.calibration(n, y, each) for n, each in scores.items()))
    looked = own.found[FULL].looked
    known = not np.isnan(looked.var_r).any()
    if key == "risk":
        main = list(scores)[-1]
        doubts: dict[str, Float64] = {"variance of the chains": looked.var_r, "variance of M_G": looked.var_g}
        doubts = (doubts if known else {}) | {"distance from 0.5": -np.abs(scores[main] - 0.5)}
        panel = figures.risk_coverage(y, scores[main], doubts)
        return Figure(key, f"{OF_SAMPLES[key]} of {main}", split, (panel,))
    by_variance = [by_quantity("variance", "variance of the chains", looked.var_r)] if known else []
    shown = {name: each for name, each in scores.items() if name != "LLM"} or dict(scores)
    drawn = tuple(figures.sliced(own.samples.users, y, shown, each) for each in [*slices, *by_variance])
    notes = ("The line at a bar's top is the 95 % interval of its accuracy, over users.",)
    return Figure(key, OF_SAMPLES[key], split, drawn, notes)


def drawn_scores(own: Evaluated, merged: Float64 | None = None) -> dict[str, Float64]:
    """The scores of the systems that are drawn sample by sample, those that are complete; ``merged``: RALLRec+'s at
    another alpha and epsilon.
    """
    found = {name: own.systems[name].scores for name in _CALIBRATED if own.systems[name].complete}
    if merged is not None and "RALLRec+" in found:
        found["RALLRec+"] = merged
    return found


def all_figures(own: Evaluated, slices: Sequence[Slices]) -> tuple[Figure, ...]:
    """Every figure at the weights of RALLRec+, in the paper's order."""
    merging, live = own.chosen.merging("paper"), live_merge(own)
    eighth, ninth, cost = comparing_figures(own)
    return (
        *reasoning_figures(own),
        *(swept(key, own, live, merging) for key in ("figure-6", "figure-7")),
        eighth,
        ninth,
        *(sample_figure(key, own, drawn_scores(own), slices) for key in OF_SAMPLES),
        cost,
    )


def merged_system(own: Evaluated, scores: Float64) -> System:
    """RALLRec+ at another alpha and epsilon."""
    usual = own.systems["RALLRec+"]
    return System(usual.name, scores, "", "", usual.about, usual.seconds, usual.recipe)


def _chosen_said(own: Evaluated) -> str:
    chosen, own_weights = own.chosen, own.chosen.weights.get("paper")
    gamma = f"gamma {chosen.gamma:.4g}"
    if chosen.given:
        gamma += " (given)"
    elif len(chosen.tried) > 1:
        gamma += f" chosen on {own.validation.said} by M_G's log loss among {len(chosen.tried)}"
    if own_weights is None:
        why = chosen.missing.get("paper", "")
        return f"RALLRec+: {gamma}; the paper's alpha 0.1 and epsilon 0.001 ({why})."
    best = own_weights.best
    under = "" if chosen.weights_gamma == chosen.gamma else f", with prompts of gamma {chosen.weights_gamma:.4g}"
    return (
        f"RALLRec+: {gamma}; alpha {best.alpha:g} and epsilon {best.epsilon:g} chosen on {own.validation.said} by "
        f"log loss{under}."
    )


def _why(found: Found) -> str:
    """Why a way's chains cannot be shown; empty where they can."""
    if found.missing:
        return found.missing
    chains = found.looked.p_yes
    known = int((~np.isnan(chains)).sum())
    return "" if chains.size and known == chains.size else f"{known} of {chains.size} chains are cached"
