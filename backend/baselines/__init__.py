"""Predictors that read no text: what any system should beat."""

from backend.baselines.trivial import TrivialPredictors

__all__ = ["TrivialPredictors"]
