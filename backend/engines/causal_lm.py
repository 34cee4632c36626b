"""A loaded causal language model: prompts read once, rows of tokens fed, P(yes) of many prompts, pooled states.

The only module that runs the model. ``decoding`` draws tokens; what depends on a tokenizer is in ``chat``. Importing it
imports torch and transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils import logging as transformers_logging

from backend.engines.chat import Chance, Chat, TokenizerVocabulary, common_length
from backend.engines.models import check_precision, revision_of
from backend.engines.shared_prefix import ATTENTION, Prefix, RowCache, supports_shared_prefix
from backend.engines.tokenizers import load_tokenizer
from backend.errors import EngineError
from backend.seeding import digest
from backend.types import ModelRef, Progress

# What a machine gains from, by device: texts embedded side by side, rows that are written side by side, and prompt
# tokens fed in one pass.
_BATCH = {"cpu": 32, "cuda": 256}
_ROWS = {"cpu": 96, "cuda": 256}
_TOKENS = {"cpu": 256, "cuda": 16_384}
# What the tokens of rows that are written side by side may take of memory, in bytes.
_ROOM = 4 * 2**30
# How weights can be rounded when they are loaded, by device.
QUANTIZED: dict[str, tuple[str, ...]] = {"cpu": (), "cuda": ("8bit",)}
# Which adapter is in force after one could not be loaded.
_UNKNOWN = "?"


class CausalLM:
    """Built by :meth:`load`. Not thread-safe: the engine that owns it holds the lock."""

    def __init__(self, model: Any, tokenizer: Any, context: int | None = None) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.device = model.device
        config = model.config.get_text_config()
        longest = int(getattr(config, "max_position_embeddings", 0) or 1 << 20)
        self.chat = Chat(TokenizerVocabulary(tokenizer), min(context or longest, longest))
        self.shares_prefix = supports_shared_prefix(config)
        ends = model.generation_config.eos_token_id
        self.ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        self.batch_size, self.rows, self.tokens = (
            sizes.get(self.device.type, sizes["cpu"]) for sizes in (_BATCH, _ROWS, _TOKENS)
        )
        self._head = _ExactHead(model, self.chat.answer_ids)
        self._last: Prefix | None = None
        self._adapted: Any = None
        self._adapter: str | None = None

    @classmethod
    def load(cls, source: str, ref: ModelRef, device: str) -> CausalLM:
        """Load weights and tokenizer from a folder or hub id, in ``ref.precision``. Where that is None: in float32 on a
        CPU, and on CUDA as the weights are stored.

        Raises ``EngineError`` for a ``ref.quantized`` that the device does not know, and for weights that did not take
        the precision.
        """
        transformers_logging.disable_progress_bar()
        where = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
        if ref.quantized and ref.quantized not in QUANTIZED[where]:
            raise EngineError(
                f"The transformers engine cannot load weights as {ref.quantized!r} on {where}",
                expected=" or ".join(QUANTIZED[where]) or "weights as they are",
                fix="unset RALLREC_QUANTIZED; RALLREC_DTYPE=bfloat16 is what makes a CPU faster",
            )
        revision = revision_of(ref, source)
        options: dict[str, Any] = {"dtype": ref.precision or ("float32" if where == "cpu" else "auto")}
        if ref.quantized == "8bit":
            from transformers import BitsAndBytesConfig

            options |= {"quantization_config": BitsAndBytesConfig(load_in_8bit=True), "device_map": {"": 0}}
        tokenizer = load_tokenizer(source, ref.name, **revision)
        model = AutoModelForCausalLM.from_pretrained(source, attn_implementation=ATTENTION, **options, **revision)
        check_precision(ref, {_name(part.dtype) for part in model.parameters() if part.is_floating_point()})
        placed = model if ref.quantized == "8bit" else model.to(where)
        return cls(placed.eval(), tokenizer, ref.context)

    def use(self, adapter: str | None) -> None:
        """Run with this LoRA adapter (a folder or hub id), or with none; each is loaded once, the base never again.

        Raises ``EngineError`` for an adapter that does not fit.
        """
        if adapter == self._adapter:
            return
        self._adapter, self._last = adapter, None  # what was read before was read by another model
        if adapter is None:
            if self._adapted:
                self._adapted.base_model.disable_adapter_layers()
            return
        name = digest(adapter, 16)  # a module's name cannot have dots
        try:
            if self._adapted is None:
                from peft import PeftModel

                # The layers are wrapped in place: self.model stays what is run.
                self._adapted = PeftModel.from_pretrained(self.model, adapter, adapter_name=name).eval()
            elif name not in self._adapted.peft_config:
                self._adapted.load_adapter(adapter, adapter_name=name)
        except Exception as error:
            self._adapter = _UNKNOWN
            raise EngineError(
                f"The adapter {adapter!r} could not be loaded: {error}",
                expected="a folder or hub id of a LoRA adapter made for this base model",
            ) from error
        self._adapted.base_model.enable_adapter_layers()
        self._adapted.set_adapter(name, inference_mode=True)

    @torch.inference_mode()
    def read(self, ids: Sequence[int]) -> tuple[Prefix, Tensor]:
        """Returns the cache of a prompt's tokens, and the logits [vocabulary] of what follows.

        What it has in common with the prompt read before is taken from there: a user's prompts differ little.
        """
        known = common_length(self._last.ids, ids[:-1]) if self._last else 0
        cache = self._last.cache(known, self.model.config) if self._last else DynamicCache(config=self.model.config)
        logits = self.forward([list(ids[known:])], cache)[0]
        prefix = Prefix.of(ids, cache) if self.shares_prefix else Prefix(list(ids), [])
        self._last = prefix if self.shares_prefix else None
        return prefix, logits

    def read_prefix(self, ids: Sequence[int]) -> Prefix:
        """The cache of what several prompts begin with; it may be nothing."""
        return self.read(ids)[0] if ids else Prefix([], [])

    def new_rows(self) -> RowCache:
        """An empty cache of rows that share what they can."""
        return RowCache(self.model.config.get_text_config().num_hidden_layers)

    @torch.inference_mode()
    def feed(self, rows: Sequence[list[int]], cache: RowCache) -> Tensor:
        """Feed each row its own tokens, at least one; logits of what follows each, [rows, vocabulary], float32, CPU.

        The naive equivalent is one forward pass per row over its prompt and all its tokens.
        """
        counts = [len(row) for row in rows]
        width = max(counts)
        positions, mask = cache.feeding(counts, self.device, self.model.dtype)
        last = sorted({count - 1 for count in counts})
        out = self.model(
            input_ids=torch.tensor([row + [0] * (width - len(row)) for row in rows], device=self.device),
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=torch.tensor(last, device=self.device),
        )
        cache.fed(counts)
        where = torch.tensor([last.index(count - 1) for count in counts], device=self.device)
        places = torch.arange(len(rows), device=self.device), where
        return self._head.logits(out.logits, places)

    @torch.inference_mode()
    def forward(self, ids: Sequence[list[int]], cache: Any) -> Tensor:
        """Feed equally long rows to an ordinary cache; logits of what follows each, [rows, vocabulary], float32."""
        out = self.model(
            input_ids=torch.tensor(list(ids), device=self.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        places = torch.arange(len(ids), device=self.device), torch.tensor(-1, device=self.device)
        return self._head.logits(out.logits, places)

    def chance(self, logits: Tensor) -> Chance:
        """P(yes) and the mass behind it (:meth:`Chat.chance`), from logits of shape [vocabulary]."""
        ids, exact = self.chat.answer_ids, logits.double()
        logprobs = exact[ids] - torch.logsumexp(exact, dim=-1)
        return self.chat.chance(dict(zip(ids, logprobs.tolist(), strict=True)))

    def rows_of(self, tokens: int) -> int:
        """How many rows of ``tokens`` each can be written side by side."""
        config = self.model.config.get_text_config()
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        bytes_of_row = 2 * config.num_hidden_layers * heads * width * self.model.dtype.itemsize * max(tokens, 1)
        return max(1, min(self.rows, _ROOM // bytes_of_row))

    @torch.inference_mode()
    def embed(
        self, texts: Sequence[str], pooling: str, progress: Progress | None, stop: Callable[[], None]
    ) -> np.ndarray:
        """The final hidden state, ``mean`` over each text's tokens or of the ``last`` one, [n, d] float32."""
        encoded = [
            self.tokenizer(text, add_special_tokens=False).input_ids or [self.tokenizer.eos_token_id] for text in texts
        ]
        # No padding: only texts of exactly the same length share a batch, so that no text's vector depends on others.
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        out = np.zeros((len(texts), self.model.config.get_text_config().hidden_size), dtype=np.float32)
        start = 0
        while start < len(order):
            stop()
            length = len(encoded[order[start]])
            batch = [i for i in order[start : start + self.batch_size] if len(encoded[i]) == length]
            ids = torch.tensor([encoded[i] for i in batch], device=self.device)
            states = self.model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            pooled = states[:, -1].float() if pooling == "last" else states.float().mean(dim=1)
            out[batch] = pooled.cpu().numpy()
            start += len(batch)
            if progress:
                progress("embedding texts", start / len(order))
        return out


def plan_batches(prompts: Sequence[list[int]], tokens: int) -> list[list[int]]:
    """Cut prompts (token ids) into batches of neighbours in dictionary order, which begin alike; returns their places.

    What the prompts of a batch do not share is fed padded to the longest of them: at most ``tokens`` in all, at most a
    quarter of them padding. A longer prompt is a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(prompts)), key=prompts.__getitem__):
        if batches:
            grown = [prompts[i] for i in (*batches[-1], index)]
            shared = shared_length(grown)
            fed = [len(prompt) - shared for prompt in grown]
            padded = max(fed) * len(fed)
            if padded <= tokens and 4 * (padded - sum(fed)) <= padded:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches


def shared_length(prompts: Sequence[list[int]]) -> int:
    """Returns how many tokens prompts in dictionary order begin with in common; each keeps one of its own to feed."""
    return min(common_length(prompts[0], prompts[-1]), min(map(len, prompts)) - 1)


@torch.inference_mode()
def answer_batch(lm: CausalLM, prompts: Sequence[list[int]]) -> list[Chance]:
    """Returns what is read behind prompts (token ids) in dictionary order, as one forward pass over each would."""
    if len(prompts) == 1 or not lm.shares_prefix:
        return [lm.chance(lm.read(prompt)[1]) for prompt in prompts]
    shared = shared_length(prompts)
    rows = lm.new_rows()
    rows.add(lm.read_prefix(prompts[0][:shared]), len(prompts))
    logits = lm.feed([prompt[shared:] for prompt in prompts], rows)
    return [lm.chance(row) for row in logits]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def scales_logits(config: Any) -> str | None:
    """Returns the name of the option by which a model changes its logits after its last layer, or None."""
    names = ("final_logit_softcapping", "logit_scale", "logits_scaling")
    return next((name for name in names if getattr(config, name, None) not in (None, 1)), None)


def exact_logits(model: Any, tokens: Sequence[int]) -> Callable[[Tensor], Tensor] | None:
    """Returns what makes final states [n, d] the logits [n, len(tokens)] of these tokens, in float32.

    None where the model's own are as exact, or are more than its last layer's. In bfloat16 they are 1/8 apart, so
    P(yes) would move in steps of up to 0.03, and the variance over history orders would often be nothing.
    """
    head, config, places = model.get_output_embeddings(), model.config.get_text_config(), list(tokens)
    weight, bias = getattr(head, "weight", None), getattr(head, "bias", None)
    if weight is None or not weight.is_floating_point() or weight.dtype == torch.float32 or scales_logits(config):
        return None
    rows = weight[places].detach().float()
    shift = 0.0 if bias is None else bias[places].detach().float()
    return lambda states: states.float() @ rows.T + shift


class _ExactHead:
    """The model's logits, those of the answers in float32 (:func:`exact_logits`)."""

    def __init__(self, model: Any, answers: Sequence[int]) -> None:
        self._answers = list(answers)
        self._states: Tensor | None = None
        self._exact = exact_logits(model, answers)
        if self._exact:
            model.get_output_embeddings().register_forward_pre_hook(self._keep)

    def _keep(self, _module: Any, given: tuple[Tensor, ...]) -> None:
        self._states = given[0]

    def logits(self, logits: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
        """The logits [rows, vocabulary] at these ``places`` of what the model gave, float32, on the CPU."""
        chosen = logits[places].float()
        if self._exact and self._states is not None:
            chosen[:, self._answers] = self._exact(self._states[places])
        return chosen.cpu()
