"""What is chosen on validation samples and reported on others: gamma by M_G's log loss, then alpha and epsilon.

gamma is chosen among those under which all validation samples are answered. alpha and epsilon are chosen under that
gamma where its validation chains are cached, else under the settings' own gamma: they are then still chosen on
validation samples, only of prompts that another gamma built, which is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from backend.evaluation import metrics
from backend.merging import MergingConfig
from backend.merging.choose import ChosenWeights, choose_weights
from storage.evaluation.labelled import Labelled
from storage.evaluation.looked_up import Found, Looking, look_up_ways
from storage.evaluation.ways import KNOWLEDGE, gamma_ways, ways_of
from storage.workspace import Workspace

_NO_PART = "not chosen: this split has no validation part; one is set aside by rallrec data import --validation 0.1"


@dataclass(frozen=True)
class Chosen:
    """``gamma``: what is reported under; ``tried``: the validation log loss by gamma, of those that could be tried;
    ``given``: whether somebody named it. ``weights``: by knowledge, where they could be chosen, under
    ``weights_gamma``; ``missing``: by knowledge, why they could not; ``run``: the command that would make it so.
    """

    gamma: float
    given: bool
    tried: dict[float, float] = field(default_factory=dict)
    weights: dict[str, ChosenWeights] = field(default_factory=dict)
    weights_gamma: float = 0.0
    missing: dict[str, str] = field(default_factory=dict)
    run: dict[str, str] = field(default_factory=dict)

    def merging(self, knowledge: str) -> MergingConfig:
        """The chosen weights, or the paper's."""
        own = self.weights.get(knowledge)
        return own.config if own else MergingConfig()


def choose(workspace: Workspace, validation: Labelled, gamma: float | None, looking: Looking) -> Chosen:
    """Raises ``Stopped``."""
    usual = workspace.recipe().retrieval.gamma
    if not len(validation):
        return Chosen(usual if gamma is None else gamma, gamma is not None, missing=dict.fromkeys(KNOWLEDGE, _NO_PART))
    tried = {} if gamma is not None else _tried(workspace, validation, looking)
    used = gamma if gamma is not None else min(tried, key=lambda own: tried[own], default=usual)
    full = _full(workspace, validation, used, looking)
    under = used
    if used != usual and gamma is None and not any(_cached(own) == len(validation) for own in full.values()):
        full, under = _full(workspace, validation, usual, looking), usual
    weights, missing, run = {}, {}, {}
    for wording in KNOWLEDGE:
        own = full[f"full-{wording}"]
        cached = _cached(own)
        if own.missing:
            missing[wording] = own.missing
        elif cached < len(validation):
            missing[wording] = f"not chosen: {cached} of {len(validation)} validation samples cached"
            run[wording] = own.way.command(workspace.settings.tuned_adapter, validation.options)
        else:
            weights[wording] = choose_weights(*own.looked.merging, validation.labels, metrics.log_loss)
    return Chosen(used, gamma is not None, tried, weights, under, missing, run)


def _tried(workspace: Workspace, validation: Labelled, looking: Looking) -> dict[float, float]:
    """Log loss of M_G's first answers by gamma, of those under which all samples are answered."""
    ways = gamma_ways(workspace.settings, workspace.recipe().retrieval.gamma)
    found = look_up_ways(workspace, list(ways.values()), validation, looking)
    scores = {gamma: found[way.key].looked.first for gamma, way in ways.items()}
    return {gamma: metrics.log_loss(validation.labels, own) for gamma, own in scores.items() if not np.isnan(own).any()}


def _full(workspace: Workspace, validation: Labelled, gamma: float, looking: Looking) -> dict[str, Found]:
    ways = ways_of(workspace.settings, gamma)
    return look_up_ways(workspace, [ways[f"full-{own}"] for own in KNOWLEDGE], validation, looking)


def _cached(found: Found) -> int:
    return int((~np.isnan(np.array(found.looked.merging)).any(axis=0)).sum())
