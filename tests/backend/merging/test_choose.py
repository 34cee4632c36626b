"""Which alpha and epsilon are chosen, and what decides where several lose the same."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import UsageError
from backend.evaluation.metrics import log_loss
from backend.merging import MergingConfig, merge
from backend.merging.choose import ALPHAS, EPSILONS, choose_weights


def test_the_chosen_pair_is_the_best_of_the_whole_grid() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 50)
    p_r, p_g = (np.clip(0.3 + 0.4 * labels + noise, 0.01, 0.99) for noise in rng.normal(0, 0.2, (2, 50)))
    var_r, var_g = rng.random((2, 50)) * [[0.05], [0.01]]
    chosen = choose_weights(p_r, var_r, p_g, var_g, labels, log_loss)
    by_hand = {(a, e): log_loss(labels, merge(p_r, var_r, p_g, var_g, a, e)) for a in ALPHAS for e in EPSILONS}
    assert {(point.alpha, point.epsilon): point.loss for point in chosen.grid} == by_hand
    assert by_hand[chosen.best.alpha, chosen.best.epsilon] == min(by_hand.values()) == chosen.best.loss
    assert (chosen.paper.alpha, chosen.paper.epsilon, chosen.paper.loss) == (0.1, 1e-3, by_hand[0.1, 1e-3])
    assert chosen.config == MergingConfig(alpha=chosen.best.alpha, epsilon=chosen.best.epsilon)
    assert chosen.best.loss < chosen.paper.loss


def test_the_grid_holds_the_papers_pair_and_the_tuned_model_alone() -> None:
    assert (0.1 in ALPHAS, 0.0 in ALPHAS, 1.0 in ALPHAS, 1e-3 in EPSILONS) == (True,) * 4
    assert (min(EPSILONS), max(EPSILONS)) == (1e-6, 1e-1)


def test_where_all_lose_the_same_the_papers_pair_is_kept() -> None:
    chosen = choose_weights([0.6, 0.2], [0.01, 0], [0.6, 0.2], [0, 0.02], [1, 0], log_loss)
    assert (chosen.best.alpha, chosen.best.epsilon) == (0.1, 1e-3)


def test_a_reasoner_that_is_always_wrong_gets_no_weight_and_epsilon_stays() -> None:
    chosen = choose_weights([0.1, 0.9], [0.01, 0.01], [0.9, 0.1], [0.01, 0.01], [1, 0], log_loss)
    assert (chosen.best.alpha, chosen.best.epsilon) == (0.0, 1e-3)
    assert chosen.best.loss == pytest.approx(-np.log(0.9))


def test_a_consistent_reasoner_that_is_right_gets_the_most_that_is_tried() -> None:
    chosen = choose_weights([0.9, 0.1], [0, 0], [0.1, 0.9], [0.05, 0.05], [1, 0], log_loss)
    assert (chosen.best.alpha, chosen.best.epsilon) == (1.0, 1e-6)


def test_what_cannot_be_chosen_on_is_refused() -> None:
    with pytest.raises(UsageError, match="five of one length"):
        choose_weights([], [], [], [], [], log_loss)
    with pytest.raises(UsageError, match="five of one length"):
        choose_weights([0.5], [0], [0.5], [0], [1, 0], log_loss)
    with pytest.raises(UsageError, match="empty"):
        choose_weights([0.5], [0], [0.5], [0], [1], log_loss, alphas=())
    with pytest.raises(UsageError, match="NaN"):
        choose_weights([0.5], [0], [0.5], [0], [1], lambda labels, scores: float("nan"))
