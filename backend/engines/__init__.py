"""Engines: messages in, P(yes) and reasoning chains out."""

from backend.engines.base import (
    ENCODERS,
    ENGINES,
    THINK_CLOSE,
    THINK_OPEN,
    Encoder,
    Engine,
    OnAnswer,
    OnPiece,
    OnTrace,
    create_encoder,
    create_engine,
    sample_indices,
)
from backend.engines.config import ReasoningConfig

__all__ = [
    "ENCODERS",
    "ENGINES",
    "THINK_CLOSE",
    "THINK_OPEN",
    "Encoder",
    "Engine",
    "OnAnswer",
    "OnPiece",
    "OnTrace",
    "ReasoningConfig",
    "create_encoder",
    "create_engine",
    "sample_indices",
]
