"""DeepFM, xDeepFM, DCN and AutoInt (Table 4, ID-based), from the layers and models of torch-rechub.

It has no xDeepFM, only its compressed interaction network: put together here as its paper draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from backend.errors import UnknownNameError

if TYPE_CHECKING:
    from torch import nn

NETWORKS = ("DeepFM", "xDeepFM", "DCN", "AutoInt")


class NetworkConfig(BaseModel):
    """The networks' size and their training, the same for all four.

    ``layers``: widths of the deep part; ``cross``: layers of DCN's, xDeepFM's and AutoInt's own part. ``l2``: weight
    decay. ``patience``: epochs without a lower validation log loss before the end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dimensions: int = Field(16, ge=1, le=512)
    layers: tuple[int, ...] = (128, 64)
    cross: int = Field(2, ge=1, le=8)
    heads: int = Field(2, ge=1, le=16)
    dropout: float = Field(0.2, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    l2: float = Field(1e-4, ge=0, le=1)
    batch_size: int = Field(1024, ge=1)
    max_epochs: int = Field(30, ge=1)
    patience: int = Field(3, ge=1)


def network(name: str, sizes: Mapping[str, int], config: NetworkConfig) -> nn.Module:
    """A network over fields of these sizes: a mapping of a field's name to int64[b] gives P(yes), float32[b].

    Raises ``UnknownNameError``.
    """
    if name not in NETWORKS:
        raise UnknownNameError("ID-based system", name, NETWORKS)
    from torch_rechub.basic.features import SparseFeature

    features = [SparseFeature(field, size, config.dimensions) for field, size in sizes.items()]
    deep: dict[str, Any] = {"dims": list(config.layers), "dropout": config.dropout, "activation": "relu"}
    return _MAKERS[name](features, deep, config)


def _deepfm(features: list[Any], deep: dict[str, Any], _config: NetworkConfig) -> nn.Module:
    from torch_rechub.models.ranking import DeepFM

    return DeepFM(features, features, deep)


def _dcn(features: list[Any], deep: dict[str, Any], config: NetworkConfig) -> nn.Module:
    from torch_rechub.models.ranking import DCN

    return DCN(features, config.cross, deep)


def _autoint(features: list[Any], deep: dict[str, Any], config: NetworkConfig) -> nn.Module:
    from torch_rechub.models.ranking import AutoInt

    return AutoInt(features, [], config.cross, config.heads, config.dropout, deep)


def _xdeepfm(features: list[Any], deep: dict[str, Any], config: NetworkConfig) -> nn.Module:
    import torch
    from torch import nn
    from torch_rechub.basic.layers import CIN, LR, MLP, EmbeddingLayer

    class XDeepFM(nn.Module):
        """Linear, compressed interactions and deep part, summed (Lian et al. 2018)."""

        def __init__(self) -> None:
            super().__init__()
            width = len(features) * config.dimensions
            self.embedding = EmbeddingLayer(features)
            self.linear = LR(width)
            self.cin = CIN(len(features), [2 * len(features)] * config.cross)
            self.mlp = MLP(width, **deep)

        def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
            fields = self.embedding(x, features, squeeze_dim=False)
            flat = fields.flatten(start_dim=1)
            return torch.sigmoid((self.linear(flat) + self.cin(fields) + self.mlp(flat)).squeeze(1))

    return XDeepFM()


_MAKERS: dict[str, Callable[[list[Any], dict[str, Any], NetworkConfig], Any]] = {
    "DeepFM": _deepfm,
    "xDeepFM": _xdeepfm,
    "DCN": _dcn,
    "AutoInt": _autoint,
}
