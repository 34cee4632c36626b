"""Predictors that read no text: the trivial ones, which any system should beat, and the ID-based ones of Table 4."""

from backend.baselines.boosting import BOOSTING, BoostingConfig
from backend.baselines.networks import NETWORKS, NetworkConfig
from backend.baselines.trivial import TrivialPredictors

__all__ = ["BOOSTING", "NETWORKS", "BoostingConfig", "NetworkConfig", "TrivialPredictors"]
