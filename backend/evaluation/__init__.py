"""How good predictions are."""

from backend.evaluation import metrics

__all__ = ["metrics"]
