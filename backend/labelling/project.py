"""A labelling project: which chains, how many people read each, in which order, by which rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ORDERS = ("random", "disagreement", "variance")
Share = Annotated[float, Field(ge=0, le=1)]
# (least, most), both included; None: no bound.
Bounds = tuple[float | None, float | None]


class ChainFilter(BaseModel):
    """Which cached chains of the settings' recipe belong to a project; what is left at its default is not asked.

    ``gap``: of |P_R - P_G| of the sample; ``variance``: the population variance of its chains' P(yes); ``tokens``: of
    the chain. ``outcome``: whether the chain's worded verdict is what really happened. ``samples``: (user id, item id)
    pairs, where only these are wanted. ``limit``: how many samples at most, the first in the project's order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...] = ()
    gap: Bounds = (None, None)
    variance: Bounds = (None, None)
    tokens: Bounds = (None, None)
    outcome: Literal["any", "correct", "wrong", "no_answer"] = "any"
    knowledge: Literal["any", "none", "paper", "graded"] = "any"
    samples: tuple[tuple[str, str], ...] = ()
    chains_per_sample: Annotated[int, Field(ge=1)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None


class Project(BaseModel):
    """``mode``: whether a task is one chain, or two of a sample to choose from. ``overlap``: labels per task.

    ``order``: ``random`` (seeded), ``disagreement`` (largest |P_R - P_G| first) or ``variance`` (highest first); the
    chains of a sample always come in a seeded random order. ``blind``: labellers do not see what really happened, what
    the models said, which model it was, nor what others said. ``first_error``: steps behind the first bad one need no
    judgement. ``minutes``: how long a task is reserved for who works on it. ``gold``: which share of an annotator's
    tasks are hidden ones with a known label. ``qualification``: how many gold tasks an annotator must judge first, and
    ``pass_share``: which share of their steps must agree.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=120)]
    dataset: str
    mode: Literal["chain", "pair"] = "chain"
    rubric: str = "1"
    overlap: Annotated[int, Field(ge=1, le=50)] = 1
    order: Literal["random", "disagreement", "variance"] = "random"
    seed: int = 0
    blind: bool = True
    first_error: bool = False
    minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 30
    gold: Share = 0.0
    qualification: Annotated[int, Field(ge=0, le=100)] = 0
    pass_share: Share = 0.7
    guidelines: Annotated[str, Field(max_length=50_000)] = ""
    chains: ChainFilter = ChainFilter()
