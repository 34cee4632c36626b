"""P_G and sigma_G^2 out of M_G's answers to variants of a prompt: which answer counts, and how sure it is taken to be.

Temperature scaling is one number, fitted on validation samples, that makes a model's probabilities mean what they say.
It changes neither the order of predictions nor which side of 0.5 they are on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from backend.errors import UsageError
from backend.merging.merge import mean_and_variance
from backend.types import Spread

# loss(labels [n], probabilities [n]) -> a number, the lower the better
Loss = Callable[[ArrayLike, ArrayLike], float]
# A probability is kept this far from 0 and 1 before its logarithm is taken.
_CLIP = 1e-7
# A temperature outside of these bounds says that the answers tell nothing, or everything: the search stops there.
_LOWEST, _HIGHEST = 0.05, 20.0


class TunedConfig(BaseModel):
    """``p_g``: M_G's answer to the first variant of its prompt, the recipe's own, or the mean over all of them.

    ``p_g_temperature``: the logits of M_G's answers are divided by it (temperature scaling; 1: as they are).
    ``spread``: what the other variants are: the same items in the other history ``orders`` (the ruling on sigma_G^2),
    the prompt with each of its items ``left-out`` once, or the items chosen under the paper's other values of
    ``gamma``. The paper leaves open what its several answers of M_G are answers to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    p_g: Literal["first", "mean"] = "first"
    p_g_temperature: float = Field(1.0, gt=0)
    spread: Spread = "orders"

    def needed(self, variants: int) -> int:
        """How many of a prompt's variants, the first ones, must be answered before P_G is known."""
        return variants if self.p_g == "mean" else 1

    def merge_answers(self, p_yes: Sequence[float | None]) -> tuple[float, float]:
        """P_G, and the population variance over the variants; NaN for what is not known yet.

        ``p_yes``: M_G's answers in [0, 1] by variant, the recipe's own prompt first, None where there is none.
        """
        known = scale([value for value in p_yes if value is not None], self.p_g_temperature)
        mean, variance = mean_and_variance(known) if len(known) == len(p_yes) else (float("nan"), float("nan"))
        if self.p_g == "mean":
            return mean, variance
        return float("nan") if p_yes[0] is None else float(known[0]), variance


def scale(p_yes: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """sigmoid(logit(p) / temperature), float64 in the shape of ``p_yes``; above 1 draws towards 0.5.

    Raises ``UsageError`` for a temperature that is not positive.
    """
    if not temperature > 0:
        raise UsageError(f"The temperature is {temperature}", expected="above 0")
    if temperature == 1:
        return np.asarray(p_yes, dtype=np.float64)
    p = np.clip(np.asarray(p_yes, dtype=np.float64), _CLIP, 1 - _CLIP)
    return np.asarray(1 / (1 + np.exp(-(np.log(p) - np.log1p(-p)) / temperature)))


def fit_temperature(labels: ArrayLike, p_yes: ArrayLike, loss: Loss) -> float:
    """The temperature in [0.05, 20] with the lowest ``loss``; 1.0 where there are not both labels.

    ``labels``: 0 or 1, [n]; ``p_yes``: float[n]; ``loss``: such as ``backend.evaluation.metrics.log_loss``.
    """
    y = np.asarray(labels)
    if not len(y) or y.min() == y.max():
        return 1.0
    from scipy.optimize import minimize_scalar

    best = minimize_scalar(
        lambda logarithm: loss(y, scale(p_yes, float(np.exp(logarithm)))),
        bounds=(np.log(_LOWEST), np.log(_HIGHEST)),
        method="bounded",
    )
    return round(float(np.exp(best.x)), 4)
