"""Engines: messages in, P(yes) and reasoning chains out."""

from backend.engines.base import (
    ENGINES,
    THINK_CLOSE,
    THINK_OPEN,
    Engine,
    OnPiece,
    OnTrace,
    create_engine,
    sample_indices,
)
from backend.engines.config import ReasoningConfig

__all__ = [
    "ENGINES",
    "THINK_CLOSE",
    "THINK_OPEN",
    "Engine",
    "OnPiece",
    "OnTrace",
    "ReasoningConfig",
    "create_engine",
    "sample_indices",
]
