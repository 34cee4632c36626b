"""A loaded causal language model: chat to tokens, P(yes) at the answer position, sampled chains, mean-pooled states.

The only module that touches the model's tensors. Importing it imports torch and transformers.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils import logging as transformers_logging

from backend.engines.base import THINK_CLOSE, THINK_OPEN
from backend.engines.sampling import draw
from backend.engines.shared_prefix import ATTENTION, ChainCache, supports_shared_prefix
from backend.errors import EngineError
from backend.seeding import derive_seed
from backend.types import Messages, ModelRef, Progress, Sampling, Trace

ANSWERS = ("Yes", "No")
# Texts side by side, by device: a CPU gains nothing from more.
_BATCH = {"cpu": 32, "cuda": 256}


@dataclass
class _Chain:
    """One chain while it is being written."""

    index: int
    generator: torch.Generator
    tokens: list[int] = field(default_factory=list)
    shown: str = ""


class CausalLM:
    """Built by :meth:`load`. Not thread-safe: the engine that owns it holds the lock."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._device = model.device
        self._shares_prefix = supports_shared_prefix(model.config.get_text_config())
        self._yes, self._no = self._answer_ids()
        self._control_tokens = [str(t) for t in tokenizer.added_tokens_decoder.values() if t.special]
        ends = model.generation_config.eos_token_id
        self.ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}

    @classmethod
    def load(cls, source: str, ref: ModelRef, device: str) -> CausalLM:
        """Load weights and tokenizer from a folder or hub id; float32 on a CPU, the stored dtype on CUDA."""
        if ref.adapter:
            raise EngineError(f"The adapter {ref.adapter!r} cannot be loaded", expected="a model without an adapter")
        transformers_logging.disable_progress_bar()
        where = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
        # A folder has no revisions; a hub's model is asked for by its name.
        revision = {"revision": ref.revision} if source == ref.name and not Path(source).is_dir() else {}
        tokenizer = AutoTokenizer.from_pretrained(source, **revision)
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32 if where == "cpu" else "auto", attn_implementation=ATTENTION, **revision
        )
        return cls(model.to(where).eval(), tokenizer)

    @property
    def batch_size(self) -> int:
        """How many texts are worth feeding side by side."""
        return _BATCH.get(self._device.type, 32)

    def chat_ids(self, messages: Messages, opening: str = "") -> list[int]:
        """Token ids of the chat up to where the model speaks, with ``opening`` already spoken."""
        chat = [{"role": message.role, "content": self._as_text(message.content)} for message in messages]
        text = self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        if not text.endswith(opening):  # some templates open the thinking themselves
            text += opening
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> tuple[DynamicCache, Tensor]:
        """The cache of ``ids`` and the logits [vocabulary] of what follows."""
        cache = DynamicCache(config=self._model.config)
        return cache, self.forward([list(ids)], cache)[0]

    def p_yes(self, logits: Tensor) -> float:
        """Softmax over the two answer tokens, from logits of shape [vocabulary]."""
        return float(torch.sigmoid(logits[self._yes].double() - logits[self._no].double()))

    @torch.inference_mode()
    def sample_chains(
        self,
        messages: Messages,
        indices: Sequence[int],
        sampling: Sampling,
        *,
        on_piece: Callable[[int, str], None] | None,
        on_trace: Callable[[Trace], None] | None,
        stop: Callable[[], None],
    ) -> list[Trace]:
        """Chains ``indices`` of one prompt, side by side; each is closed and read as soon as it ends.

        ``stop`` raises when it is time to stop. Returned in the order of ``indices``.
        """
        if not indices:
            return []
        stop()
        started = time.perf_counter()
        cache, logits = self._fan_out(self.chat_ids(messages, THINK_OPEN), len(indices), sampling.max_tokens)
        words = [message.content for message in messages]
        writing = [_Chain(i, torch.Generator().manual_seed(derive_seed(sampling.seed, words, i))) for i in indices]
        finished: dict[int, Trace] = {}
        rows = logits.expand(len(writing), -1)
        while writing:
            stop()
            chosen = draw(rows, sampling.temperature, sampling.top_p, [chain.generator for chain in writing])
            ended: list[int] = []
            for row, (chain, token) in enumerate(zip(writing, chosen, strict=True)):
                if token not in self.ends:
                    chain.tokens.append(token)
                    self._show(chain, on_piece)
                if token in self.ends or len(chain.tokens) >= sampling.max_tokens:
                    ended.append(row)
            for row in ended:
                finish = "stop" if chosen[row] in self.ends else "length"
                trace = self._finish(writing[row], finish, cache, row, started, on_piece)
                finished[trace.index] = trace
                if on_trace:
                    on_trace(trace)
            if ended:
                staying = [row for row in range(len(writing)) if row not in ended]
                writing = [writing[row] for row in staying]
                if not writing:
                    break
                cache = cache.select(staying)
            rows = self.forward([[chain.tokens[-1]] for chain in writing], cache)
        return [finished[index] for index in indices]

    @torch.inference_mode()
    def embed(
        self, texts: Sequence[str], pooling: str, progress: Progress | None, stop: Callable[[], None]
    ) -> np.ndarray:
        """The final hidden state, ``mean`` over each text's tokens or of the ``last`` one, [n, d] float32."""
        encoded = [
            self._tokenizer(text, add_special_tokens=False).input_ids or [self._tokenizer.eos_token_id]
            for text in texts
        ]
        # No padding: only texts of exactly the same length share a batch, so that no text's vector depends on others.
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        out = np.zeros((len(texts), self._model.config.get_text_config().hidden_size), dtype=np.float32)
        start = 0
        while start < len(order):
            stop()
            length = len(encoded[order[start]])
            batch = [i for i in order[start : start + self.batch_size] if len(encoded[i]) == length]
            ids = torch.tensor([encoded[i] for i in batch], device=self._device)
            states = self._model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            pooled = states[:, -1].float() if pooling == "last" else states.float().mean(dim=1)
            out[batch] = pooled.cpu().numpy()
            start += len(batch)
            if progress:
                progress("embedding texts", start / len(order))
        return out

    def start_rows(self, rows: Sequence[list[int]], room: int) -> tuple[Any, Tensor]:
        """A cache of equally long prompts side by side, with ``room`` for what each adds, and their next logits."""
        if not self._shares_prefix:
            cache = _RepeatedCache(config=self._model.config)
            logits = self.forward(rows, cache)
            cache.fan_out(1)
            return cache, logits
        # Something must be left to feed.
        shared = min(_common_prefix(rows), len(rows[0]) - 1)
        prompt, _ = self.prefill(rows[0][:shared])
        rest = [row[shared:] for row in rows]
        chains = ChainCache.after(prompt, len(rows), room + len(rest[0]))
        return chains, self.forward(rest, chains)

    def _fan_out(self, ids: list[int], chains: int, room: int) -> tuple[Any, Tensor]:
        """The prefilled cache of ``chains`` continuations, with ``room`` for their tokens, and the next logits."""
        if self._shares_prefix:
            prompt, logits = self.prefill(ids)
            return ChainCache.after(prompt, chains, room), logits
        repeated = _RepeatedCache(config=self._model.config)
        logits = self.forward([ids], repeated)[0]
        repeated.fan_out(chains)
        return repeated, logits

    def _finish(
        self,
        chain: _Chain,
        finish: str,
        cache: Any,
        row: int,
        started: float,
        on_piece: Callable[[int, str], None] | None,
    ) -> Trace:
        self._show(chain, on_piece, last=True)
        p_yes = self._read_after(chain, cache, row)
        seconds = time.perf_counter() - started
        return Trace(chain.index, self.decode(chain.tokens), p_yes, len(chain.tokens), seconds, finish)

    def forward(self, ids: Sequence[list[int]], cache: Any) -> Tensor:
        """Feed equally long rows of tokens; logits of what follows each, [rows, vocabulary], float32 on the CPU."""
        out = self._model(
            input_ids=torch.tensor(list(ids), device=self._device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float().cpu()

    def _read_after(self, chain: _Chain, cache: Any, row: int) -> float:
        """P(yes) with the chain, closed with ``</think>``, in front of the answer position (section 4.3.3)."""
        kept, closing = self._close(chain.tokens)
        # The last token drawn is not in the cache yet: the reading feeds what the cache lacks.
        in_cache = min(cache.own_length, kept)
        rest = chain.tokens[in_cache:kept] + self._ids_before_answer(closing)
        own = cache.select([row], in_cache, in_cache + len(rest))
        return self.p_yes(self.forward([rest], own)[0])

    def _close(self, tokens: list[int]) -> tuple[int, str]:
        """How many tokens are the reasoning itself, and the text that leads from there to the answer position."""
        closings = self.decode(tokens).count(THINK_CLOSE)
        if not closings:
            return len(tokens), f"\n{THINK_CLOSE}\n\n"
        low, high = 1, len(tokens)  # the shortest beginning that holds the last </think>, as the worded verdict does
        while low < high:
            middle = (low + high) // 2
            held = self.decode(tokens[:middle]).count(THINK_CLOSE) == closings
            low, high = (low, middle) if held else (middle + 1, high)
        return low, "\n\n"

    def _ids_before_answer(self, text: str) -> list[int]:
        # With the answer behind it, as it is in real text: alone, its line breaks can be other tokens.
        ids: list[int] = self._tokenizer(text + ANSWERS[0], add_special_tokens=False).input_ids
        return ids[: len(ids) - ids[::-1].index(self._yes) - 1]

    def _as_text(self, content: str) -> str:
        """What a message says, with the model's control tokens (a title can hold one) spelt so that they are none."""
        for token in self._control_tokens:
            content = content.replace(token, f"{token[0]} {token[1:]}")
        return content

    def _show(self, chain: _Chain, on_piece: Callable[[int, str], None] | None, *, last: bool = False) -> None:
        text = self.decode(chain.tokens)
        if on_piece and (last or not text.endswith("\ufffd")):  # half a character waits for its other half
            piece = text[len(chain.shown) :]
            chain.shown = text
            if piece:
                on_piece(chain.index, piece)

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))

    def _answer_ids(self) -> tuple[int, int]:
        yes, no = (self._tokenizer(word, add_special_tokens=False).input_ids[0] for word in ANSWERS)
        if yes == no:
            raise EngineError(
                f"{ANSWERS[0]} and {ANSWERS[1]} begin with the same token ({yes}) in this model's tokenizer",
                expected="answers that differ in their first token",
                fix="choose another model",
            )
        return yes, no


def _common_prefix(rows: Sequence[list[int]]) -> int:
    """How many tokens equally long rows begin with in common."""
    return next((i for i, tokens in enumerate(zip(*rows, strict=True)) if len(set(tokens)) > 1), len(rows[0]))


class _RepeatedCache(DynamicCache):
    """The usual cache, copied per chain, for models whose layers do not attend to the whole context."""

    _prompt_length = 0

    def fan_out(self, chains: int) -> None:
        """What has been prefilled is the prompt: continue it ``chains`` times."""
        self._prompt_length = self.get_seq_length()
        self.batch_repeat_interleave(chains)
        self.activate_past_recording()  # a full sliding window could not be cut back to where the chain was closed

    @property
    def own_length(self) -> int:
        return self.get_seq_length() - self._prompt_length

    def select(self, chains: list[int], own_length: int | None = None, room: int | None = None) -> Any:  # noqa: ARG002
        chosen = copy.deepcopy(self)
        chosen.batch_select_indices(torch.tensor(chains))
        surplus = 0 if own_length is None else self.own_length - own_length
        if surplus:
            chosen.crop(-surplus)
        return chosen
