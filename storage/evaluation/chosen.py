"""Chooses gamma by M_G's log loss, then alpha and epsilon, on validation samples; other samples are reported.

gamma is chosen among those under which all validation samples are answered. alpha and epsilon are chosen under that
gamma where its validation chains are cached, else under the settings' own gamma: they are then chosen on prompts that
another gamma built, and the tables say so.
"""

from __future__ import annotations

import numpy as np

from backend.evaluation.metrics import log_loss
from backend.evaluation.paper.systems import ChosenOnValidation, LabelledSamples, WayResponses
from backend.merging.choose import choose_weights
from storage.evaluation.looked_up import LookUp, look_up_ways
from storage.evaluation.ways import KNOWLEDGE, gamma_ways, ways_of
from storage.workspace import Workspace

_NO_PART = "not chosen: this split has no validation part; one is set aside by rallrec data import --validation 0.1"


def choose(
    workspace: Workspace, validation: LabelledSamples, gamma: float | None, look_up: LookUp
) -> ChosenOnValidation:
    """``gamma``: one that is given instead of chosen. Raises ``Stopped``."""
    usual, given = workspace.recipe().retrieval.gamma, gamma is not None
    if not len(validation):
        return ChosenOnValidation(usual if gamma is None else gamma, given, missing=dict.fromkeys(KNOWLEDGE, _NO_PART))
    tried = _tried(workspace, validation, look_up) if gamma is None else {}
    gamma = min(tried, key=lambda value: tried[value], default=usual) if gamma is None else gamma
    full, under = _full(workspace, validation, gamma, look_up), gamma
    if gamma != usual and not given and not any(way.responses.mergeable == len(validation) for way in full.values()):
        full, under = _full(workspace, validation, usual, look_up), usual
    weights, missing, run = {}, {}, {}
    for wording, way in full.items():
        cached = way.responses.mergeable
        if way.missing:
            missing[wording] = way.missing
        elif cached < len(validation):
            missing[wording] = f"not chosen: {cached} of {len(validation)} validation samples cached"
            run[wording] = way.run
        else:
            weights[wording] = choose_weights(*way.responses.merging, validation.labels, log_loss)
    return ChosenOnValidation(gamma, given, tried, weights, under, missing, run)


def _tried(workspace: Workspace, validation: LabelledSamples, look_up: LookUp) -> dict[float, float]:
    """Log loss of M_G's first answers by gamma, of those under which all samples are answered."""
    ways = gamma_ways(workspace.settings, workspace.recipe().retrieval.gamma)
    cached = look_up_ways(workspace, list(ways.values()), validation, look_up)
    answers = {gamma: cached[way.key].responses.first for gamma, way in ways.items()}
    return {gamma: log_loss(validation.labels, p) for gamma, p in answers.items() if not np.isnan(p).any()}


def _full(workspace: Workspace, validation: LabelledSamples, gamma: float, look_up: LookUp) -> dict[str, WayResponses]:
    """The full method under a gamma, by knowledge."""
    ways = ways_of(workspace.settings, gamma)
    cached = look_up_ways(workspace, [ways[f"full-{wording}"] for wording in KNOWLEDGE], validation, look_up)
    return {wording: cached[f"full-{wording}"] for wording in KNOWLEDGE}
