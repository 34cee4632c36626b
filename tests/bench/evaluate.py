"""Moving alpha and epsilon over a whole test set: merge, AUC, log loss and accuracy; prints one JSON object.

    python -m tests.bench.evaluate [--samples 97002] [--chains 6] [--rounds 30]

As many samples as ML-1M's test part has. ``naive``, in the same run: each sample's chains averaged and merged one by
one, as a prediction of the Predict page is, then the metrics of ``backend.evaluation.metrics``. ``vectorised``: the
same without the loop, by ``merge`` and these metrics. ``curves``: what the page draws when a slider moves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from backend.evaluation import metrics
from backend.evaluation.figures import over_alpha, over_epsilon
from backend.evaluation.live import LiveMerge
from backend.merging import mean_and_variance, merge
from tests.bench.sliders import summary


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

    def curves() -> Any:
        alpha = float(next(points))
        return over_alpha(live, 1e-3), over_epsilon(live, alpha)

    quick = _times(lambda: live.at(float(next(points)), 1e-3), given.rounds)
    plain, drawn = _times(vectorised, given.rounds), _times(curves, max(5, given.rounds // 5))
    started = time.perf_counter()
    slow = _naive(labels, chains, p_g, var_g, 0.1, 1e-3)
    naive = 1000 * (time.perf_counter() - started)
    point = live.at(0.1, 1e-3)
    far = max(abs(a - b) for a, b in zip(slow, (point.auc, point.log_loss, point.accuracy), strict=True))
    assert far < 1e-9, "the quick way is not the naive one"
    report = {
        "samples": n, "chains": k, "live": summary(quick), "vectorised": summary(plain), "curves": summary(drawn),
        "naive_ms": round(naive, 1), "naive_over_live": round(naive / summary(quick)["median_ms"], 1),
        "largest_difference": far,
    }  # fmt: skip
    print(json.dumps(report, indent=2))


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
