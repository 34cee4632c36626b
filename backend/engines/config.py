"""What can be set about the reasoning chains."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from backend.types import Sampling


class ReasoningConfig(BaseModel):
    """``traces``: K, the number of chains (0: the tuned model alone). The rest is how each is sampled (sec. 4.3.3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    traces: int = Field(6, ge=0, le=64)
    temperature: float = Field(0.6, gt=0, le=5)
    top_p: float = Field(0.95, gt=0, le=1)
    max_tokens: int = Field(128, ge=1, le=32_768)
    seed: int = Field(0, ge=0, lt=2**63)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.seed)
