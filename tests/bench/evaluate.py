"""Moving alpha and epsilon over a whole test set: merge, AUC, log loss and accuracy; prints one JSON object.

    python -m tests.bench.evaluate [--samples 97002] [--chains 6] [--rounds 30]

As many samples as ML-1M's test part has. ``naive``, in the same run: each sample's chains averaged and merged one by
one, as a prediction of the Predict page is, then the metrics of ``backend.evaluation.metrics``. ``vectorised``: the
same without the loop, by ``merge`` and these metrics. ``page``: from a slider's value to the page's new numbers and its
figure as markup, by figure (what the browser adds is some 20 ms).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from app.evaluate.address import EvaluateQuery
from app.evaluate.drawing import evaluate_exhibit, evaluate_numbers
from app.evaluate.view import State
from backend.evaluation import metrics
from backend.evaluation.paper.live import LiveMerge
from backend.evaluation.paper.systems import (
    ChosenOnValidation,
    Evaluation,
    LabelledSamples,
    Responses,
    System,
    WayResponses,
    score,
)
from backend.merging import mean_and_variance, merge
from storage.evaluation.systems import NAMES
from tests.bench.sliders import summary

# Figures that change when alpha does.
VIEWS = ("figure-6", "figure-7", "calibration", "risk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=97_002)
    parser.add_argument("--chains", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    n, k = given.samples, given.chains
    taste = rng.beta(2, 2, n)
    labels = (rng.random(n) < taste).astype(np.float64)
    chains = np.clip(taste + rng.normal(0, 0.25, (k, n)), 0, 1)
    p_g, var_g = np.clip(taste + rng.normal(0, 0.1, n), 0, 1), rng.random(n) ** 4 * 0.01
    live = LiveMerge(labels, chains, p_g, var_g)
    points = iter(np.linspace(0.01, 0.5, 4 * given.rounds))

    def vectorised() -> Any:
        scores = merge(chains.mean(axis=0), chains.var(axis=0), p_g, var_g, next(points), 1e-3)
        return [metric(labels, scores) for metric in (metrics.auc, metrics.log_loss, metrics.accuracy)]

    quick = _times(lambda: live.at(float(next(points)), 1e-3), given.rounds)
    plain = _times(vectorised, given.rounds)
    page = {view: summary(_times(_slide(live, chains, view), max(5, given.rounds // 3))) for view in VIEWS}
    started = time.perf_counter()
    slow = _naive(labels, chains, p_g, var_g, 0.1, 1e-3)
    naive = 1000 * (time.perf_counter() - started)
    point = live.at(0.1, 1e-3)
    far = max(abs(a - b) for a, b in zip(slow, point.values.values(), strict=True))
    assert far < 1e-9, "the quick way is not the naive one"
    report = {
        "samples": n, "chains": k, "live": summary(quick), "vectorised": summary(plain), "page": page,
        "naive_ms": round(naive, 1), "naive_over_live": round(naive / summary(quick)["median_ms"], 1),
        "largest_difference": far,
    }  # fmt: skip
    print(json.dumps(report, indent=2))


def _slide(live: LiveMerge, chains: Any, view: str) -> Callable[[], Any]:
    """What the Evaluate page does when alpha moves, over samples that are made up."""
    n = len(live.labels)
    arrays = Responses.unknown(n, len(chains)).arrays | {"var_g": live.var_g, "p_g": live.p_g, "p_yes": chains}
    way = WayResponses(Responses(**arrays), orders=3, chains=True)
    users, nobody = np.arange(n) // 20, np.zeros(n, dtype=np.int64)
    samples = LabelledSamples(np.arange(n), users, nobody, live.labels, said="made up")
    systems = {name: System(name, live.p_g) for name in NAMES}
    scored = {name: score(name, users, live.labels, live.p_g, 0) for name in ("RALLRec", "UserMean")}
    ways = {"full-paper": way, "full-none": way}
    chosen = ChosenOnValidation(2 / 3, True)
    evaluation = Evaluation("bench", samples, samples, chosen, systems, {}, ways, scored)
    state = State(evaluation, (), None)  # type: ignore[arg-type]
    alphas = iter(np.linspace(0.01, 0.9, 1000))

    def slide() -> Any:
        query = EvaluateQuery(view=view, alpha=float(next(alphas)))
        return evaluate_numbers(state, query), evaluate_exhibit(state.exhibit(query), state, query)

    return slide


def _naive(labels: Any, chains: Any, p_g: Any, var_g: Any, alpha: float, epsilon: float) -> tuple[float, ...]:
    scores = []
    for place in range(len(labels)):
        p_r, var_r = mean_and_variance(chains[:, place])
        scores.append(float(merge(p_r, var_r, p_g[place], var_g[place], alpha, epsilon)))
    return tuple(metric(labels, scores) for metric in (metrics.auc, metrics.log_loss, metrics.accuracy))


def _times(run: Callable[[], Any], rounds: int) -> list[float]:
    """Milliseconds of each round, after one that does not count."""
    run()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - started))
    return times


if __name__ == "__main__":
    main()
