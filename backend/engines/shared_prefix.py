"""One cache for many growing rows, in which rows of the same prompt share the prompt's keys and values.

The usual way copies a prompt's cache once per row, pads prompts to one length, and concatenates everything anew at
every token. Here a prompt's keys and values stay as they are, [1, kv_heads, prompt, d], whatever its length; only what
a row writes is kept per row, in a buffer that is filled in place. Rows may have written differently much, come and go.
Attention reads both parts and joins them by their log-sum-exps. Importing this module imports torch; it registers the
attention function under :data:`ATTENTION`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import Cache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

ATTENTION = "sdpa_shared_prefix"
# Own tokens that the buffers grow by.
_STEP = 64


@dataclass(frozen=True)
class Prefix:
    """What has been read of a prompt: its tokens, and per layer its keys and values, [1, kv_heads, tokens, d]."""

    ids: list[int]
    layers: list[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, ids: Sequence[int], cache: DynamicCache) -> Prefix:
        return cls(list(ids), [(layer.keys, layer.values) for layer in cache.layers])

    def cache(self, length: int, config: Any) -> DynamicCache:
        """An ordinary cache that begins with the first ``length`` tokens."""
        cache = DynamicCache(config=config)
        for number, (keys, values) in enumerate(self.layers if length else []):
            cache.update(keys[:, :, :length], values[:, :, :length], number)
        return cache


@dataclass(frozen=True)
class _Span:
    """Neighbouring rows, in the layout's order, of one prompt."""

    prompt: int
    start: int
    end: int


@dataclass(frozen=True)
class _Layout:
    """``order`` puts rows of one prompt side by side and ``back`` undoes it; None where they are so already."""

    spans: list[_Span]
    order: Tensor | None
    back: Tensor | None


@dataclass(frozen=True)
class _Split:
    """Keys and values in two parts: of the rows, [rows, kv_heads, own, d], and of their prompts."""

    keys: Tensor
    values: Tensor
    prompts: dict[int, tuple[Tensor, Tensor]]
    layout: _Layout


class _RowLayer(DynamicLayer):
    """A layer whose ``update`` hands both parts to :func:`_attention`, untouched by the model in between."""

    def __init__(self, rows: RowCache) -> None:
        super().__init__()
        self.keys: Tensor
        self.values: Tensor
        self._rows = rows
        self.prompts: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        rows = self._rows
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys, self.values = (rows.with_room(old, key_states) for old in (self.keys, self.values))
        count, fed = key_states.shape[0], key_states.shape[2]
        for buffer, states in ((self.keys, key_states), (self.values, value_states)):
            if rows.even:
                buffer[:count, :, rows.written[0] : rows.written[0] + fed] = states
            else:
                buffer[rows.row_numbers, :, rows.places] = states.transpose(1, 2)
        written = slice(None, count), slice(None), slice(None, rows.longest)
        split = _Split(self.keys[written], self.values[written], self.prompts, rows.layout)
        return split, split

    def move(self, source: int, target: int, length: int) -> None:
        for buffer in (self.keys, self.values) if length else ():
            buffer[target, :, :length] = buffer[source, :, :length]


class RowCache(Cache):
    """The cache of the rows 0 .. n-1; ``written[i]`` is how many tokens row i has added to its prompt."""

    def __init__(self, layers: int) -> None:
        super().__init__(layers=[_RowLayer(self) for _ in range(layers)])
        self.written: list[int] = []
        self._prompt_of: list[int] = []
        self._lengths: dict[int, int] = {}
        self._names = 0
        self._layout: _Layout | None = None

    def add(self, prefix: Prefix, count: int) -> None:
        """Append ``count`` rows that continue ``prefix``, which is not copied."""
        self._names += 1
        self._lengths[self._names] = len(prefix.ids)
        for layer, parts in zip(self.layers, prefix.layers, strict=bool(prefix.ids)):
            layer.prompts[self._names] = parts
        self.written += [0] * count
        self._prompt_of += [self._names] * count
        self._layout = None

    @torch.inference_mode()
    def remove(self, row: int) -> None:
        """Forget a row; the last one takes its number."""
        last, gone = len(self.written) - 1, self._prompt_of[row]
        if row != last:
            for layer in self.layers:
                layer.move(last, row, self.written[last])
            self.written[row], self._prompt_of[row] = self.written[last], self._prompt_of[last]
        self.written.pop()
        self._prompt_of.pop()
        if gone not in self._prompt_of:
            del self._lengths[gone]
            for layer in self.layers:
                layer.prompts.pop(gone, None)
        self._layout = None

    def feeding(self, counts: Sequence[int], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Prepare for ``counts[i]`` more tokens of row i, fed as rows padded on the right to the longest.

        Returns the tokens' positions, [rows, fed], and the mask to add to the scores of the rows' own tokens, [rows, 1,
        fed, own], or of one element where nothing need be masked. Call :meth:`fed` afterwards.
        """
        fed = max(counts)
        before = torch.tensor(self.written, device=device)
        self.even = min(self.written) == max(self.written)
        self.places = before[:, None] + torch.arange(fed, device=device)
        self.row_numbers = torch.arange(len(self.written), device=device)[:, None]
        self.longest = max(self.written) + fed
        prompts = torch.tensor([self._lengths[name] for name in self._prompt_of], device=device)
        mask = torch.zeros(1, 1, 1, 1, dtype=dtype, device=device)
        if fed > 1 or not self.even:
            unseen = torch.arange(self.longest, device=device) > self.places[:, :, None]
            mask = torch.zeros(unseen.shape, dtype=dtype, device=device).masked_fill_(unseen, float("-inf"))[:, None]
        return prompts[:, None] + self.places, mask

    def fed(self, counts: Sequence[int]) -> None:
        """Note what has been fed; the padding behind it is overwritten by what comes next."""
        self.written = [before + count for before, count in zip(self.written, counts, strict=True)]

    def with_room(self, buffer: Tensor, states: Tensor) -> Tensor:
        """``buffer``, or a larger copy with room for all rows and what they are being fed."""
        rows, heads, _, width = states.shape
        size = buffer.shape if buffer.ndim == 4 else (0, heads, 0, width)
        if size[0] >= rows and size[2] >= self.longest:
            return buffer
        # Zeros: what is masked is still multiplied, and what was never written could be no number.
        room = max(size[2], -(-self.longest // _STEP) * _STEP)
        grown = states.new_zeros(max(size[0], rows), heads, room, width)
        if buffer.ndim == 4:
            grown[: size[0], :, : size[2]] = buffer
        return grown

    @property
    def layout(self) -> _Layout:
        if self._layout is None:
            order = sorted(range(len(self._prompt_of)), key=self._prompt_of.__getitem__)
            spans: list[_Span] = []
            for place, row in enumerate(order):
                name = self._prompt_of[row]
                if spans and spans[-1].prompt == name:
                    spans[-1] = _Span(name, spans[-1].start, place + 1)
                elif self._lengths[name]:
                    spans.append(_Span(name, place, place + 1))
            if order == list(range(len(order))):
                self._layout = _Layout(spans, None, None)
            else:
                there = torch.tensor(order, device=self.row_numbers.device)
                self._layout = _Layout(spans, there, torch.argsort(there))
        return self._layout


def supports_shared_prefix(config: Any) -> bool:
    """Whether every layer attends to the whole context (sliding windows and state-space layers do not)."""
    # The cache that transformers makes for the model knows; configurations spell it in several ways.
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


def _attention(
    module: Any, query: Tensor, key: Any, value: Any, attention_mask: Tensor | None, scaling: float, **kwargs: Any
) -> tuple[Tensor, None]:
    """SDPA for ordinary tensors; for split ones, the same softmax over a row's prompt and its own tokens.

    The naive equivalent is SDPA, row by row, over ``cat([prompt, own])`` with a causal mask.
    """
    if not isinstance(key, _Split):
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    rows, heads, fed, width = query.shape
    kv_heads = key.keys.shape[1]
    groups = heads // kv_heads
    grouped = query.reshape(rows, kv_heads, groups * fed, width)
    mask = None if attention_mask is None or attention_mask.numel() == 1 else attention_mask.repeat(1, 1, groups, 1)
    out, lse = attend(grouped, key.keys, key.values, mask, scaling)
    if key.layout.spans:
        ordered = grouped if key.layout.order is None else grouped[key.layout.order]
        of_prompts = [
            _attend_prompt(ordered[s.start : s.end], *key.prompts[s.prompt], scaling) for s in key.layout.spans
        ]
        prompt_out, prompt_lse = (torch.cat(parts) for parts in zip(*of_prompts, strict=True))
        if key.layout.back is not None:
            prompt_out, prompt_lse = prompt_out[key.layout.back], prompt_lse[key.layout.back]
        # The share of the softmax that falls on the row's own tokens.
        share = torch.sigmoid(lse - prompt_lse).unsqueeze(-1).to(out.dtype)
        out = torch.lerp(prompt_out, out, share)
    return out.reshape(rows, heads, fed, width).transpose(1, 2).contiguous(), None


def _attend_prompt(query: Tensor, keys: Tensor, values: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
    """All rows of one prompt meet its keys in one product per head. ``query``: [rows, kv_heads, queries, d]."""
    rows, kv_heads, queries, width = query.shape
    together = query.transpose(0, 1).reshape(1, kv_heads, rows * queries, width)
    out, lse = attend(together, keys, values, None, scaling)
    return (
        out.view(kv_heads, rows, queries, width).transpose(0, 1),
        lse.view(kv_heads, rows, queries).transpose(0, 1),
    )


def attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float) -> tuple[Tensor, Tensor]:
    """Attention, [b, h, q, d], and the log-sum-exp of its scores, [b, h, q] (float32); ``mask`` is added to them."""
    if query.device.type == "cpu":
        fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, lse = fused(query, keys, values, 0.0, False, attn_mask=mask, scale=scaling)
        return out, lse
    scores = (query * scaling) @ keys.transpose(2, 3)
    scores = (scores if mask is None else scores + mask).float()
    lse = scores.logsumexp(-1)
    return (scores - lse.unsqueeze(-1)).exp().to(values.dtype) @ values, lse


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
