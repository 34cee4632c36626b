"""One prompt's key-value cache, shared by all the chains sampled from it (CPU and CUDA).

The usual way copies the prompt's cache once per chain and concatenates it anew at every token. Here the prompt's keys
and values stay as they are, [1, heads, prompt, d]; only what the chains write, [chains, heads, new, d], is kept per
chain, in a buffer that is filled in place. Attention reads both and makes one softmax of the two score blocks.
Importing this module imports torch; it registers the attention function under :data:`ATTENTION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import Cache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

ATTENTION = "sdpa_shared_prefix"


@dataclass(frozen=True)
class _Split:
    """Keys or values in two parts: of the prompt, [1, heads, P, d], and of the chains, [K, heads, S, d]."""

    prefix: Tensor
    own: Tensor


class _SharedPrefixLayer(DynamicLayer):
    """A cache layer whose ``update`` hands both parts to :func:`_attention`, untouched by the model in between."""

    def __init__(self, prefix_keys: Tensor, prefix_values: Tensor, chains: int, room: int) -> None:
        super().__init__()
        self.prefix_keys, self.prefix_values = prefix_keys, prefix_values
        _, heads, self.prefix_length, width = prefix_keys.shape
        self.keys = prefix_keys.new_empty(chains, heads, room, width)
        self.values = prefix_keys.new_empty(chains, heads, room, width)
        self.own_length = 0
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        end = self.own_length + key_states.shape[2]
        self.keys[:, :, self.own_length : end] = key_states
        self.values[:, :, self.own_length : end] = value_states
        self.own_length = end
        return (
            _Split(self.prefix_keys, self.keys[:, :, :end]),
            _Split(self.prefix_values, self.values[:, :, :end]),
        )

    def get_seq_length(self) -> int:
        return self.prefix_length + self.own_length

    def select(self, chains: list[int], own_length: int, room: int) -> _SharedPrefixLayer:
        layer = _SharedPrefixLayer(self.prefix_keys, self.prefix_values, len(chains), room)
        layer.keys[:, :, :own_length] = self.keys[chains, :, :own_length]
        layer.values[:, :, :own_length] = self.values[chains, :, :own_length]
        layer.own_length = own_length
        return layer


class ChainCache(Cache):
    """The cache of ``chains`` continuations of one prompt; ``room`` is how many tokens each may still add."""

    def __init__(self, layers: list[_SharedPrefixLayer], room: int) -> None:
        super().__init__(layers=layers)
        self.room = room

    @classmethod
    def after(cls, prompt: DynamicCache, chains: int, room: int) -> ChainCache:
        """Continue the prefilled ``prompt`` (batch of one), without copying it."""
        return cls([_SharedPrefixLayer(layer.keys, layer.values, chains, room) for layer in prompt.layers], room)

    @property
    def own_length(self) -> int:
        """How many tokens every chain has added."""
        return int(self.layers[0].own_length)

    def select(self, chains: list[int], own_length: int | None = None, room: int | None = None) -> ChainCache:
        """A copy for some of the chains, cut after ``own_length`` added tokens, with ``room`` for as many in all."""
        length = self.own_length if own_length is None else own_length
        size = self.room if room is None else room
        return ChainCache([layer.select(chains, length, size) for layer in self.layers], size)


def supports_shared_prefix(config: Any) -> bool:
    """Whether every layer attends to the whole context (sliding windows and state-space layers do not)."""
    # The cache that transformers makes for the model knows; configurations spell it in several ways.
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


def _attention(
    module: Any, query: Tensor, key: Any, value: Any, attention_mask: Tensor | None, scaling: float, **kwargs: Any
) -> tuple[Tensor, None]:
    """SDPA for ordinary tensors; for split ones, the same softmax over both parts.

    The naive equivalent is SDPA over ``cat([prefix.expand(K, ...), own])`` with a causal mask. All chains have
    written equally many tokens, so the only mask needed is the causal one among the ``L`` new tokens.
    """
    if not isinstance(key, _Split):
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    chains, heads, length, width = query.shape
    kv_heads = key.own.shape[1]
    groups = heads // kv_heads
    grouped = (query * scaling).reshape(chains, kv_heads, groups * length, width)
    # All chains' queries meet the prompt's keys in one matrix product per head.
    together = grouped.transpose(0, 1).reshape(kv_heads, chains * groups * length, width)
    prefix_scores = (together @ key.prefix[0].transpose(1, 2)).view(kv_heads, chains, groups * length, -1)
    own_scores = grouped @ key.own.transpose(2, 3)
    if length > 1:
        written = key.own.shape[2]
        future = torch.ones(length, written, dtype=torch.bool, device=query.device).triu(written - length + 1)
        own_scores.view(chains, kv_heads, groups, length, written).masked_fill_(future, float("-inf"))
    scores = torch.cat([prefix_scores.transpose(0, 1), own_scores], dim=-1).softmax(-1, dtype=torch.float32)
    scores = scores.to(query.dtype)
    prompt = prefix_scores.shape[-1]
    from_prefix = scores[..., :prompt].transpose(0, 1).reshape(kv_heads, -1, prompt) @ value.prefix[0]
    out = from_prefix.view(kv_heads, chains, groups * length, width).transpose(0, 1)
    out = out + scores[..., prompt:] @ value.own
    return out.reshape(chains, heads, length, width).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
