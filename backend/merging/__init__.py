"""Consistency-based merging of the reasoning and the tuned model (section 4.3.3)."""

from backend.merging.merge import MergeWeights, MergingConfig, merge, merge_weights, mean_and_variance

__all__ = ["MergeWeights", "MergingConfig", "mean_and_variance", "merge", "merge_weights"]
