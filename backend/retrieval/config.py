"""The settings of retrieval, and the paper's gammas."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Strategy = Literal["recent", "retrieve-then-mix", "mix-then-retrieve", "rerank"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

# What the paper searches gamma over (section 5.1), ascending, and how each is written.
PAPER_GAMMAS = {1 / 2: "1/2", 2 / 3: "2/3", 4 / 5: "4/5"}
DEFAULT_GAMMA = 2 / 3


def exact_gamma(gamma: float) -> float:
    """Returns the fraction (denominator at most 6) that three decimals stand for: 0.667 means 2/3, as in the paper."""
    near = float(Fraction(gamma).limit_denominator(6))
    return near if abs(near - gamma) < 5e-4 else gamma


@cache
def shown_gammas() -> tuple[float, ...]:
    """Returns every gamma that a slider of three decimals can show, ascending from 0 to 1."""
    return tuple(exact_gamma(step / 1000) for step in range(1001))


class RetrievalConfig(BaseModel):
    """What is compared, who chooses, eq. 8's symbols, and the order in which the chosen items enter the prompt.

    ``variant``: which parts of the item vectors are compared (Table 6). ``strategy``: how past items are chosen
    (Fig. 8); ``gamma``, ``beta`` and ``combine`` belong to ``rerank`` alone.

    ``k``: how many past items are put in the prompt. ``gamma``: weight of the relevance channel (recency gets
    1 - gamma). ``beta``: how fast the score falls with the rank. ``combine``: what an item in both channels keeps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: Literal["text", "id", "concat", "concat+ssl"] = "concat+ssl"
    strategy: Strategy = "rerank"
    k: int = Field(10, ge=1, le=100)
    gamma: float = Field(DEFAULT_GAMMA, ge=0, le=1)
    beta: float = Field(1.0, ge=0, le=10)
    combine: Literal["max", "sum"] = "max"
    order: Literal["rank", "chronological", "relevance"] = "rank"
