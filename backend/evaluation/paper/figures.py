"""The paper's figures, and those it lacks: panels, pure functions from arrays to points and the samples behind
them, then the figures of an evaluation that are made of these.

Fig. 2: accuracy in five groups by length; Fig. 3: in a window that slides over variance; Figs. 6 and 7: alpha and
epsilon; Fig. 8: strategies; Fig. 9: latency. Beside them: calibration, risk and coverage, cost and quality, slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError
from backend.evaluation import metrics
from backend.evaluation.intervals import MIN_USERS, too_few
from backend.evaluation.paper.exhibits import Figure, Panel, Series
from backend.evaluation.paper.live import LiveMerge, Point
from backend.evaluation.paper.published import paper_dataset
from backend.evaluation.paper.slices import Slices, by_quantity, joined
from backend.evaluation.paper.systems import Evaluation
from backend.merging import MergingConfig
from backend.retrieval import STRATEGIES

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
GROUPS = 5
# What Figs. 6 and 7 move over; the paper's own points are among them.
ALPHAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
EPSILONS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
# At most so many windows are drawn.
_WINDOWS = 60
# The chains that Figs. 2 and 3 are about (with retrieval, not told what M_G said), and those of RALLRec+.
PLAIN, FULL = "full-none", "full-paper"
# Section 3 takes smaller windows for BookCrossing.
_WINDOW_SIZES = {"BookCrossing": 500}
_WINDOW_SIZE = 1000
_TIMES = "The time of a response's own work; where several ran side by side, its share of the time that passed."


def tuned_on_recent(strategy: str) -> str:
    """The name of the system whose M_G is tuned on recent histories and asked by a strategy."""
    return f"tuned on recent, {strategy}"


# Fig. 8: by what M_G is tuned on, its name and the system that is asked by each strategy.
TUNINGS: dict[str, tuple[str, dict[str, str]]] = {
    "strategies": ("tuned on retrieved histories", {
        "recent": "recent", "retrieve-then-mix": "retrieve-then-mix", "mix-then-retrieve": "by concat+ssl",
        "rerank": "RALLRec",
    }),
    "tuned-on-recent": ("tuned on recent histories", {name: tuned_on_recent(name) for name in STRATEGIES}),
}  # fmt: skip
# Figures of systems' scores, sample by sample.
OF_SAMPLES = {"calibration": "Calibration", "risk": "Risk and coverage", "slices": "Slices"}
# Systems whose calibration is drawn, those that are there.
_CALIBRATED = ("LLM", "RALLRec", "RALLRec+")


def by_length(labels: ArrayLike, tokens: ArrayLike, verdicts: ArrayLike, groups: int = GROUPS) -> Panel:
    """Fig. 2: all responses in ascending length, cut into equal groups, and the share of right verdicts in each.

    ``tokens``, ``verdicts``: [K, n]; a verdict is 1 (Yes), 0 (No) or 0.5 (none that can be read, which is not right);
    NaN is a text that is no chain, and in none of the groups.
    Of equal lengths, the first samples come first; where groups cannot be equal, the first ones hold one more.
    """
    y, long, said = np.asarray(labels, dtype=np.float64), np.asarray(tokens), np.asarray(verdicts, dtype=np.float64)
    if long.ndim != 2 or long.shape != said.shape or long.shape[1:] != y.shape:
        raise UsageError(f"Tokens of shape {long.shape}, verdicts of {said.shape}", expected=f"[K, {len(y)}] of both")
    long, said = long.T.ravel(), said.T.ravel()  # sample by sample
    sample = np.repeat(np.arange(len(y)), len(long) // max(len(y), 1))
    order = np.argsort(long, kind="stable")
    order = order[~np.isnan(said[order])]
    spans = _equal(len(order), groups)
    right, readable = (said == y[sample])[order], (said != 0.5)[order]
    lengths = long[order]
    means = [_mean(right, spans), _mean(lengths, spans), _mean(~readable, spans)]
    words = tuple(
        f"group {place + 1}: {lengths[start]:g} to {lengths[stop - 1]:g} tokens" if stop > start else "no response"
        for place, (start, stop) in enumerate(spans.tolist())
    )
    facts = {"responses": np.diff(spans)[:, 0].astype(float), "tokens": means[1], "unreadable": means[2]}
    one = Series("responses", "responses", np.arange(1.0, groups + 1), means[0], words, facts, sample[order], spans)
    return Panel("length", "Right verdicts by response length", "group, short to long", "accuracy", "bars", (one,))


def by_variance(labels: ArrayLike, p: ArrayLike, variance: ArrayLike, window: int) -> Panel:
    """Fig. 3: samples in ascending variance, and the accuracy of ``p`` (> 0.5) in a window that slides over them.

    ``window``: samples; where there are fewer, a third of what there is, so that the window can slide. All arrays are
    [n].
    """
    y, score, spread = (np.asarray(given, dtype=np.float64) for given in (labels, p, variance))
    n = len(y)
    size = window if n >= window else max(1, n // 3)
    order = np.argsort(spread, kind="stable")
    step = max(1, -(-(n - size) // (_WINDOWS - 1)))
    starts = np.arange(0, n - size + 1, step, dtype=np.int64) if n else np.empty(0, dtype=np.int64)
    spans = np.stack([starts, starts + size], axis=1).astype(np.int64)
    right = ((score > 0.5) == (y == 1))[order]
    sorted_spread = spread[order]
    means = _mean(sorted_spread, spans)
    words = tuple(
        f"samples {start + 1} to {stop} by variance, {sorted_spread[start]:.3g} to {sorted_spread[stop - 1]:.3g}"
        for start, stop in spans.tolist()
    )
    facts = {"samples": np.full(len(spans), float(size)), "variance": means}
    one = Series(
        "windows", f"windows of {size}", starts.astype(np.float64) + 1, _mean(right, spans), words, facts, order, spans
    )
    return Panel(
        "variance", f"Accuracy in windows of {size} samples", "first sample by variance", "accuracy", "line", (one,)
    )


def over_alpha(live: LiveMerge, epsilon: float, alphas: Sequence[float] = ALPHAS) -> tuple[Panel, ...]:
    """Fig. 6: the metrics (AUC, log loss and accuracy) over alpha at one epsilon."""
    return _swept(live.over_alpha(alphas, epsilon), np.asarray(alphas, dtype=np.float64), "alpha", log=False)


def over_epsilon(live: LiveMerge, alpha: float, epsilons: Sequence[float] = EPSILONS) -> tuple[Panel, ...]:
    """Fig. 7: the metrics (AUC, log loss and accuracy) over epsilon at one alpha."""
    return _swept(live.over_epsilon(alpha, epsilons), np.asarray(epsilons, dtype=np.float64), "epsilon", log=True)


def by_strategy(
    users: ArrayLike, labels: ArrayLike, scores: Mapping[str, Mapping[str, ArrayLike]]
) -> tuple[Panel, ...]:
    """Fig. 8: AUC and accuracy of M_G by what it is tuned on and who chose the history. Behind a bar: the samples that
    it got wrong.

    ``scores``: [n] by the tuning's key and the strategy; a strategy that is not there has no bar.
    """
    y = np.asarray(labels, dtype=np.float64)
    panels = []
    for metric in metrics.metrics_of("strategies"):
        series = tuple(_of_tuning(key, users, y, given, metric.function) for key, given in scores.items() if given)
        panels.append(Panel(metric.key, metric.name, "strategy", metric.name, "bars", series))
    return tuple(panels)


def _of_tuning(
    key: str, users: ArrayLike, labels: Float64, scores: Mapping[str, ArrayLike], function: metrics.MetricFunction
) -> Series:
    values = np.array([function(users, labels, scores[name]) if name in scores else np.nan for name in STRATEGIES])
    wrong = [  # nothing is wrong with a strategy that is not there
        np.flatnonzero((np.asarray(scores.get(name, labels), dtype=np.float64) > 0.5) != (labels == 1))
        for name in STRATEGIES
    ]
    order, spans = joined(wrong)
    facts = {"wrong": np.array([float(len(places)) for places in wrong])}
    said = TUNINGS[key][0]
    return Series(
        key, said, np.arange(1.0, len(STRATEGIES) + 1), values, STRATEGIES, facts, order, spans,
        tuple(f"wrong with {name}, {said}" for name in STRATEGIES),
    )  # fmt: skip


def latency(seconds: Mapping[str, ArrayLike]) -> Panel:
    """Fig. 9: the mean time of a response (seconds) by model; ``seconds``: [n] or [K, n] of each.

    Behind a bar: the tenth of the samples that took longest.
    """
    arrays = {name: np.asarray(given, dtype=np.float64) for name, given in seconds.items()}
    order, spans = joined([_slowest(times) for times in arrays.values()])
    known = [times[~np.isnan(times)] for times in arrays.values()]
    means = np.array([times.mean() if len(times) else np.nan for times in known])
    facts = {
        "median": np.array([np.median(times) if len(times) else np.nan for times in known]),
        "responses": np.array([float(len(times)) for times in known]),
    }
    slow = tuple(f"the slowest tenth: {name}" for name in arrays)
    one = Series("models", "models", np.arange(1.0, len(known) + 1), means, tuple(arrays), facts, order, spans, slow)
    return Panel("latency", "Time per response", "model", "seconds", "bars", (one,), zero=True)


def calibration(name: str, labels: ArrayLike, scores: ArrayLike, bins: int = metrics.BINS) -> Panel:
    """Mean score against share of likes, in bins of equal width; empty bins are left out."""
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    place = metrics.bin_of(s, bins)
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place, minlength=bins))
    spans = np.stack([np.r_[0, ends[:-1]], ends], axis=1).astype(np.int64)
    full = spans[:, 1] > spans[:, 0]
    spans = spans[full]
    edges = np.flatnonzero(full)
    words = tuple(f"said {edge / bins:.1f} to {(edge + 1) / bins:.1f}" for edge in edges.tolist())
    facts = {"samples": np.diff(spans)[:, 0].astype(float)}
    one = Series(name, name, _mean(s[order], spans), _mean(y[order], spans), words, facts, order, spans)
    return Panel(
        name, f"{name}, ECE {metrics.ece(y, s):.3f}", "mean of what was said", "share liked", "calibration", (one,)
    )


def risk_coverage(labels: ArrayLike, scores: ArrayLike, doubts: Mapping[str, ArrayLike], steps: int = 20) -> Panel:
    """The share of wrong predictions among the samples that are least in doubt, over which share of all they are.

    ``doubts``: by name, a number per sample that is the larger the less sure the prediction is, such as a variance.
    """
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    n = len(y)
    counts = np.unique(np.ceil(np.linspace(0, n, steps + 1)[1:]).astype(np.int64))
    wrong = (s > 0.5) != (y == 1)
    series = []
    for name, doubt in doubts.items():
        order = np.argsort(np.asarray(doubt, dtype=np.float64), kind="stable")
        spans = np.stack([np.zeros_like(counts), counts], axis=1)
        facts = {"samples": counts.astype(float)}
        words = tuple(f"the {count} samples surest by {name}" for count in counts.tolist())
        series.append(Series(name, name, counts / max(n, 1), _mean(wrong[order], spans), words, facts, order, spans))
    return Panel("risk", "Wrong among the surest", "share of samples", "share wrong", "line", tuple(series), zero=True)


def cost_quality(seconds: Mapping[str, float], values: Mapping[str, Mapping[str, float]]) -> tuple[Panel, ...]:
    """Mean model seconds per prediction against AUC and log loss, a point per system that has both.

    ``values``: of each metric by its key, by system.
    """
    drawn = []
    for metric in metrics.metrics_of("cost"):
        known = values[metric.key]
        points = tuple(
            Series(name, name, np.array([time]), np.array([known[name]]), (name,))
            for name, time in seconds.items()
            if name in known and not np.isnan(time)
        )
        drawn.append(
            Panel(metric.key, metric.name, "model seconds per prediction", metric.name, "dots", points, log=True)
        )
    return tuple(drawn)


def sliced(users: ArrayLike, labels: ArrayLike, scores: Mapping[str, ArrayLike], slices: Slices) -> Panel:
    """Accuracy of each system in each slice; its 95 % interval, AUC, log loss and size are facts of the point.

    The interval is the normal one of a mean whose samples hang together by user: a bootstrap for every bar would take
    seconds where alpha moves.
    """
    y, who = np.asarray(labels, dtype=np.float64), np.asarray(users)
    groups = [slices.order[start:stop] for start, stop in slices.spans.tolist()]
    x, series = np.arange(1.0, len(groups) + 1), []
    for name, given in scores.items():
        s = np.asarray(given, dtype=np.float64)
        right = (s > 0.5) == (y == 1)
        facts = {"samples": np.array([float(len(group)) for group in groups])}
        for metric in metrics.metrics_of("slices"):
            facts[metric.key] = np.array([metric.function(who[group], y[group], s[group]) for group in groups])
        values = np.array([metrics.accuracy(y[group], s[group]) for group in groups])
        spread = np.array([1.96 * _error_by_user(who[group], right[group]) for group in groups])
        facts |= {"low": np.maximum(values - spread, 0.0), "high": np.minimum(values + spread, 1.0)}
        series.append(Series(name, name, x, values, slices.names, facts, slices.order, slices.spans))
    return Panel(slices.key, slices.title, slices.title, "accuracy", "bars", tuple(series))


def live_merge(evaluation: Evaluation) -> LiveMerge | None:
    """Eq. 10 over the samples, with the injected sentence; None where something is not cached."""
    samples, responses = evaluation.samples, evaluation.ways[FULL].responses
    if not len(samples) or not len(responses.p_yes) or responses.mergeable < len(samples):
        return None
    return LiveMerge(samples.labels, responses.p_yes, responses.p_g, responses.var_g, samples.users)


def swept(key: str, evaluation: Evaluation, live: LiveMerge | None, merging: MergingConfig) -> Figure:
    """Fig. 6 (``figure-6``) over alpha or Fig. 7 (``figure-7``) over epsilon, at the other one's present value."""
    split = f"{evaluation.split}: to see, not to choose from"
    by_alpha = key == "figure-6"
    title = (
        f"Fig. 6: alpha, at epsilon {merging.epsilon:g}" if by_alpha else f"Fig. 7: epsilon, at alpha {merging.alpha:g}"
    )
    if live is None:
        way = evaluation.ways[FULL]
        return Figure(key, title, split, missing=way.problem, run=way.run)
    panels = over_alpha(live, merging.epsilon) if by_alpha else over_epsilon(live, merging.alpha)
    return Figure(key, title, split, panels, (evaluation.chosen_words,))


def reasoning_figures(evaluation: Evaluation) -> tuple[Figure, ...]:
    """Figs. 2 and 3, of the chains that were not told what M_G says."""
    labels, way, split = evaluation.samples.labels, evaluation.ways[PLAIN], evaluation.split
    second, third = "Fig. 2: accuracy by response length", "Fig. 3: accuracy by the variance of responses"
    if way.problem:
        return tuple(
            Figure(key, title, split, missing=way.problem, run=way.run)
            for key, title in (("figure-2", second), ("figure-3", third))
        )
    chains = way.responses
    note = "A response is right where its verdict is; one that cannot be read is not."
    size = _WINDOW_SIZES.get(paper_dataset(evaluation.dataset) or "", _WINDOW_SIZE)
    short = (f"The paper's window is {size} samples, more than there are; of {len(labels)} a third is taken.",)
    return (
        Figure("figure-2", second, split, (by_length(labels, chains.tokens, chains.verdict),), (note,)),
        Figure(
            "figure-3", third, split, (by_variance(labels, chains.p_r, chains.var_r, size),),
            short if len(labels) < size else (),
        ),
    )  # fmt: skip


def comparing_figures(evaluation: Evaluation) -> tuple[Figure, ...]:
    """Figs. 8 and 9, and cost against quality."""
    samples, split, plain = evaluation.samples, evaluation.split, evaluation.ways[PLAIN]
    asked = {
        key: {name: evaluation.all[system] for name, system in systems.items()} for key, (_, systems) in TUNINGS.items()
    }
    there = {
        key: {name: system.scores for name, system in systems.items() if system.complete}
        for key, systems in asked.items()
    }
    any_there = any(there.values())
    gaps = [system for systems in asked.values() for system in systems.values() if not system.complete]
    why = "; ".join(f"{system.name}: {system.problem}" for system in gaps)
    eighth = Figure(
        "figure-8", "Fig. 8: who chooses the history, and what M_G is tuned on", split,
        by_strategy(samples.users, samples.labels, there) if any_there else (), (why,) if why and any_there else (),
        "" if any_there else why, "; ".join(dict.fromkeys(system.run for system in gaps)),
    )  # fmt: skip
    seconds = {"M_G, one answer": plain.responses.answer_seconds, "M_R, one chain": plain.responses.seconds}
    none = all(np.isnan(times).all() for times in seconds.values())
    ninth = Figure(
        "figure-9", "Fig. 9: time per response", split, () if none else (latency(seconds),), (_TIMES,),
        "no response is cached" if none else "", plain.run if none else "",
    )  # fmt: skip
    timed = {name: system for name, system in evaluation.systems.items() if system.complete and system.seconds > 0}
    values = {
        metric.key: {
            name: metric.function(samples.users, samples.labels, system.scores) for name, system in timed.items()
        }
        for metric in metrics.metrics_of("cost")
    }
    cost = cost_quality({name: system.seconds for name, system in timed.items()}, values)
    none_cached = "" if timed else "no system is cached"
    return eighth, ninth, Figure("cost", "Cost against quality", split, cost, (_TIMES,), none_cached)


def sample_figure(key: str, evaluation: Evaluation, scores: Mapping[str, Float64], slices: Sequence[Slices]) -> Figure:
    """One of :data:`OF_SAMPLES`, of these systems' scores.

    ``scores``: by name, complete; ``slices``: what the samples are grouped by beside the variance of their chains.
    """
    split, labels, title = evaluation.split, evaluation.samples.labels, OF_SAMPLES[key]
    if not scores or not len(labels):
        return Figure(key, title, split, missing="no system is cached", run=evaluation.ways[PLAIN].run)
    if key == "calibration":
        panels = tuple(calibration(name, labels, given) for name, given in scores.items())
        return Figure(key, title, split, panels)
    responses = evaluation.ways[FULL].responses
    variance = responses.var_r
    known = not np.isnan(variance).any()
    if key == "risk":
        main = list(scores)[-1]
        doubts = {"variance of the chains": variance, "variance of M_G": responses.var_g} if known else {}
        doubts["distance from 0.5"] = -np.abs(scores[main] - 0.5)
        return Figure(key, f"{title} of {main}", split, (risk_coverage(labels, scores[main], doubts),))
    by_variance = [by_quantity("variance", "variance of the chains", variance)] if known else []
    shown = {name: given for name, given in scores.items() if name != "LLM"} or dict(scores)
    panels = tuple(sliced(evaluation.samples.users, labels, shown, groups) for groups in [*slices, *by_variance])
    notes = (
        "The line at a bar's top is the 95 % interval of its accuracy, over users; a bar of fewer than "
        f"{MIN_USERS} users has none.",
    )
    return Figure(key, title, split, panels, notes)


def drawn_scores(evaluation: Evaluation, merged: Float64 | None = None) -> dict[str, Float64]:
    """The scores of the systems that are drawn sample by sample, those that are complete; ``merged``: RALLRec+'s at
    another alpha and epsilon.
    """
    systems = evaluation.systems
    scores = {name: systems[name].scores for name in _CALIBRATED if systems[name].complete}
    if merged is not None and "RALLRec+" in scores:
        scores["RALLRec+"] = merged
    return scores


def all_figures(evaluation: Evaluation, slices: Sequence[Slices]) -> tuple[Figure, ...]:
    """Every figure at the weights of RALLRec+, in the paper's order."""
    merging, live = evaluation.chosen.merging("paper"), live_merge(evaluation)
    eighth, ninth, cost = comparing_figures(evaluation)
    return (
        *reasoning_figures(evaluation),
        *(swept(key, evaluation, live, merging) for key in ("figure-6", "figure-7")),
        eighth,
        ninth,
        *(sample_figure(key, evaluation, drawn_scores(evaluation), slices) for key in OF_SAMPLES),
        cost,
    )


def _error_by_user(users: ArrayLike, right: ArrayLike) -> float:
    """The standard error of the mean of ``right`` where whole users are drawn; NaN for too few of them."""
    hit = np.asarray(right, dtype=np.float64)
    codes = np.unique(np.asarray(users), return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    if too_few(count):
        return float("nan")
    off = np.bincount(codes, weights=hit - hit.mean(), minlength=count)
    return float(np.sqrt((off**2).sum() * count / (count - 1)) / len(hit))


def _swept(points: Sequence[Point], x: Float64, name: str, log: bool) -> tuple[Panel, ...]:
    panels = []
    for metric in metrics.metrics_of("weights"):
        one = Series("merged", "RALLRec+", x, np.array([point.values[metric.key] for point in points]))
        panels.append(Panel(metric.key, metric.name, name, metric.name, "line", (one,), log=log))
    return tuple(panels)


def _slowest(seconds: Float64) -> Int64:
    """The tenth of the samples, at least one, whose slowest response took longest."""
    longest = seconds.max(axis=0, initial=-np.inf, where=~np.isnan(seconds)) if seconds.ndim == 2 else seconds
    known = np.flatnonzero(np.isfinite(longest))
    return known[np.argsort(-longest[known], kind="stable")][: -(-len(known) // 10)].astype(np.int64)


def _equal(n: int, groups: int) -> Int64:
    """int64[groups, 2]: where each of so many equal stretches begins and ends."""
    sizes = np.full(groups, n // groups) + (np.arange(groups) < n % groups)
    ends = np.cumsum(sizes)
    return np.stack([ends - sizes, ends], axis=1).astype(np.int64)


def _mean(values: ArrayLike, spans: Int64) -> Float64:
    """The mean over each stretch; NaN for an empty one."""
    total = np.r_[0.0, np.cumsum(np.asarray(values, dtype=np.float64))]
    size = np.diff(spans)[:, 0] if len(spans) else np.empty(0)
    sums = total[spans[:, 1]] - total[spans[:, 0]] if len(spans) else np.empty(0)
    return np.where(size > 0, sums / np.maximum(size, 1), np.nan)
