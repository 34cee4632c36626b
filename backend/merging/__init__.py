"""Consistency-based merging of the reasoning and the tuned model (section 4.3.3)."""

from backend.merging.merge import (
    MergeWeights,
    MergingConfig,
    mean_and_variance,
    mean_and_variance_of_chains,
    merge,
    merge_weights,
)
from backend.merging.tuned import TunedConfig, fit_temperature, scale

__all__ = [
    "MergeWeights",
    "MergingConfig",
    "TunedConfig",
    "fit_temperature",
    "mean_and_variance",
    "mean_and_variance_of_chains",
    "merge",
    "merge_weights",
    "scale",
]
