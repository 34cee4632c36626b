"""DeepFM, xDeepFM, DCN and AutoInt (Table 4, ID-based), from the layers and models of torch-rechub.

Each sees the same fields, pooled sequences and numbers (:mod:`backend.baselines.inputs`). torch-rechub has no xDeepFM,
only its compressed interaction network: put together here as its paper draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from backend.baselines.inputs import ITEM, SEQUENCES
from backend.errors import UnknownNameError
from backend.evidence import STATISTICS

if TYPE_CHECKING:
    from torch import nn

NETWORKS = ("DeepFM", "xDeepFM", "DCN", "AutoInt")


class NetworkConfig(BaseModel):
    """The networks' size and their training, the same for all four.

    ``layers``: widths of the deep part; ``cross``: layers of DCN's, xDeepFM's and AutoInt's own part. ``latest``: how
    many past ratings the pooled sequences are of. ``l2``: weight decay. ``patience``: epochs without a lower validation
    log loss before the end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dimensions: int = Field(8, ge=1, le=512)
    layers: tuple[int, ...] = (128, 64)
    cross: int = Field(2, ge=1, le=8)
    heads: int = Field(2, ge=1, le=16)
    latest: int = Field(50, ge=1, le=1000)
    dropout: float = Field(0.2, ge=0, lt=1)
    learning_rate: float = Field(5e-4, gt=0, le=1)
    l2: float = Field(3e-3, ge=0, le=1)
    batch_size: int = Field(1024, ge=1)
    max_epochs: int = Field(30, ge=1)
    patience: int = Field(3, ge=1)


def network(name: str, sizes: Mapping[str, int], config: NetworkConfig) -> nn.Module:
    """A network over fields of these sizes, the item's among them: what :meth:`backend.baselines.inputs.Inputs.of`
    gives, as tensors, gives P(yes), float32[b].

    Raises ``UnknownNameError``.
    """
    if name not in NETWORKS:
        raise UnknownNameError("ID-based system", name, NETWORKS)
    from torch_rechub.basic.features import DenseFeature, SequenceFeature, SparseFeature

    embedded = [SparseFeature(field, size, config.dimensions) for field, size in sizes.items()]
    embedded += [
        SequenceFeature(sequence, sizes[ITEM], config.dimensions, "mean", shared_with=ITEM, padding_idx=0)
        for sequence in SEQUENCES
    ]
    numbers = [DenseFeature(statistic) for statistic in STATISTICS]
    deep: dict[str, Any] = {"dims": list(config.layers), "dropout": config.dropout, "activation": "relu"}
    return _MAKERS[name](embedded, numbers, deep, config)


def _deepfm(embedded: list[Any], numbers: list[Any], deep: dict[str, Any], _config: NetworkConfig) -> nn.Module:
    from torch_rechub.models.ranking import DeepFM

    return DeepFM([*embedded, *numbers], embedded, deep)


def _dcn(embedded: list[Any], numbers: list[Any], deep: dict[str, Any], config: NetworkConfig) -> nn.Module:
    from torch_rechub.models.ranking import DCN

    return DCN([*embedded, *numbers], config.cross, deep)


def _autoint(embedded: list[Any], numbers: list[Any], deep: dict[str, Any], config: NetworkConfig) -> nn.Module:
    from torch_rechub.models.ranking import AutoInt

    return AutoInt(embedded, numbers, config.cross, config.heads, config.dropout, deep)


def _xdeepfm(embedded: list[Any], numbers: list[Any], deep: dict[str, Any], config: NetworkConfig) -> nn.Module:
    import torch
    from torch import nn
    from torch_rechub.basic.layers import CIN, LR, MLP, EmbeddingLayer

    class XDeepFM(nn.Module):
        """Linear, compressed interactions and deep part, summed (Lian et al. 2018)."""

        def __init__(self) -> None:
            super().__init__()
            width = len(embedded) * config.dimensions + len(numbers)
            self.embedding = EmbeddingLayer(embedded)
            self.linear = LR(width)
            self.cin = CIN(len(embedded), [2 * len(embedded)] * config.cross)
            self.mlp = MLP(width, **deep)

        def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
            fields = self.embedding(x, embedded, squeeze_dim=False)
            flat = torch.cat([fields.flatten(start_dim=1), *(x[one.name][:, None] for one in numbers)], dim=1)
            return torch.sigmoid((self.linear(flat) + self.cin(fields) + self.mlp(flat)).squeeze(1))

    return XDeepFM()


_MAKERS: dict[str, Callable[[list[Any], list[Any], dict[str, Any], NetworkConfig], Any]] = {
    "DeepFM": _deepfm,
    "xDeepFM": _xdeepfm,
    "DCN": _dcn,
    "AutoInt": _autoint,
}
