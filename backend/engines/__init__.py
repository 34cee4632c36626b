"""Engines: messages in, P(yes) and reasoning chains out."""

from backend.engines.base import (
    ENCODERS,
    ENGINES,
    SCRIPTED,
    THINK_CLOSE,
    THINK_OPEN,
    Encoder,
    Engine,
    EngineRecord,
    OnAnswer,
    OnPiece,
    OnTrace,
    create_encoder,
    create_engine,
    makes_up_answers,
    record_of,
    sample_indices,
)
from backend.engines.config import ReasoningConfig

__all__ = [
    "ENCODERS",
    "ENGINES",
    "SCRIPTED",
    "THINK_CLOSE",
    "THINK_OPEN",
    "Encoder",
    "Engine",
    "EngineRecord",
    "OnAnswer",
    "OnPiece",
    "OnTrace",
    "ReasoningConfig",
    "create_encoder",
    "create_engine",
    "makes_up_answers",
    "record_of",
    "sample_indices",
]
