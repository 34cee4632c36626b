"""Temperature scaling: one number, fitted on validation samples, that makes a model's probabilities mean what they say.

It changes neither the order of predictions nor which side of 0.5 they are on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError
from backend.evaluation.metrics import CLIP, log_loss

# A temperature outside of these bounds says that the answers tell nothing, or everything: the search stops there.
_LOWEST, _HIGHEST = 0.05, 20.0


def scale(p_yes: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """sigmoid(logit(p) / temperature), float64 in the shape of ``p_yes``; above 1 draws towards 0.5.

    Raises ``UsageError`` for a temperature that is not positive.
    """
    if not temperature > 0:
        raise UsageError(f"The temperature is {temperature}", expected="above 0")
    p = np.clip(np.asarray(p_yes, dtype=np.float64), CLIP, 1 - CLIP)
    if temperature == 1:
        return np.asarray(p_yes, dtype=np.float64)
    return np.asarray(1 / (1 + np.exp(-(np.log(p) - np.log1p(-p)) / temperature)))


def fit_temperature(labels: ArrayLike, p_yes: ArrayLike) -> float:
    """The temperature in [0.05, 20] with the lowest log loss; 1.0 where there are not both labels."""
    y = np.asarray(labels)
    if not len(y) or y.min() == y.max():
        return 1.0
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return log_loss(y, scale(p_yes, float(np.exp(logarithm))))

    best = minimize_scalar(loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded")
    return round(float(np.exp(best.x)), 4)
