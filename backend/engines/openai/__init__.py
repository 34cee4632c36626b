"""Any OpenAI-compatible server as an engine."""

from backend.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
