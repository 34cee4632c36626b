"""LoRA tuning of a causal language model on weighted examples (sections 4.2.5, 5.1), with peft and torch.

Built on :class:`~backend.representation.checkpoints.Run`: a run is cut into equal rounds, kept on disk one by one, so
that a killed run goes on and ends as an undisturbed one would. Importing this is light; :func:`tune` is not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import EngineError, RallrecError, UsageError
from backend.evaluation import metrics
from backend.numbers import or_null
from backend.representation.checkpoints import Point, Run, pick_device, run_key, seeded
from backend.seeding import derive_seed
from backend.training.config import LoraSettings
from backend.training.examples import Example, by_length
from backend.types import Progress, Stop

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"


@dataclass(frozen=True)
class Tuned:
    """``curve``: per round its number from 1 (``epoch``), ``loss`` of the training, ``held_out_loss`` (the weighted
    loss of the held-out examples), and ``log_loss``, ``auc`` of the answers. ``best``: the round whose weights are
    kept. ``parameters``: how many were trained.
    """

    curve: list[Point]
    best: int
    parameters: int


class LoraTuner:
    """A base model under a fresh adapter. ``source``: its folder or hub id; ``name``: what the adapter calls it."""

    def __init__(self, source: str, name: str, config: LoraSettings, seed: int, device: str = "auto") -> None:
        from peft import LoraConfig, get_peft_model

        from backend.engines.chat import Chat, TokenizerVocabulary

        self.config, self.seed, self._name = config, seed, name
        self.device = pick_device(device)
        self.tokenizer, model = _load(source, name, config, self.device)
        inner = model.config.get_text_config()
        self.chat = Chat(TokenizerVocabulary(self.tokenizer), int(getattr(inner, "max_position_embeddings", 1 << 20)))
        _check_head(name, inner)
        depth = inner.num_hidden_layers
        layers = list(range(depth - config.layers, depth)) if 0 < config.layers < depth else None
        lora = LoraConfig(
            r=config.rank, lora_alpha=config.lora_alpha, lora_dropout=config.dropout,  # type: ignore[arg-type]
            target_modules=list(config.targets), layers_to_transform=layers, task_type="CAUSAL_LM",
        )  # fmt: skip
        with seeded(seed, "lora", "start"):
            try:
                self._peft = get_peft_model(model, lora)
            except ValueError as error:
                raise EngineError(
                    f"No adapter fits {name!r}: {error}",
                    expected="names of linear layers of the model as targets",
                    fix='set the targets, such as RALLREC_TUNE__TARGETS=["q_proj","v_proj"]',
                ) from error
        self._inner: Any = self._peft.get_base_model()
        from backend.engines.causal_lm import exact_logits

        self._exact = exact_logits(self._inner, self.chat.answer_ids)
        self.end = int(self.tokenizer.eos_token_id)

    def tune(
        self,
        examples: Sequence[Example],
        held_out: Sequence[Example],
        *,
        checkpoint: Path,
        score: str = "log_loss",
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Tuned:
        """Train, keep the round with the lowest ``score`` of ``held_out``, leave the model with its weights.

        Raises ``Stopped`` (finished rounds are kept at ``checkpoint``), ``UsageError`` and ``StorageError``.
        """
        import torch

        config = self.config
        trained = [parameter for parameter in self._peft.parameters() if parameter.requires_grad]
        for parameter in trained:
            parameter.data = parameter.data.float()
        steps = _plan(examples, config, self.seed)
        rounds = np.array_split(np.arange(len(steps)), min(config.rounds, len(steps)))
        optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=0.0)
        key = run_key(config.model_dump(mode="json"), self.seed, _arrays(examples, held_out))
        run = Run("adapter", key, checkpoint, len(rounds), config.patience, progress, stop)

        def epoch(number: int) -> Point:
            losses = []
            for step in rounds[number - 1]:
                run.check_stop()
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * _rate(int(step), len(steps), config.warmup)
                with seeded(self.seed, "dropout", int(step)):
                    losses.append(self._step([examples[place] for place in steps[step]], optimizer))
                if progress:
                    progress(
                        f"adapter: step {step + 1} of {len(steps)}, loss {losses[-1]:.3f}", (step + 1) / len(steps)
                    )
            return {"loss": float(np.mean(losses)), **self._score(held_out, run.check_stop)}

        self._peft.train()
        adapter = torch.nn.ParameterList(trained)
        curve, best = run.fit(adapter, optimizer, epoch, score=lambda point: -point[score])
        return Tuned(curve, best, sum(parameter.numel() for parameter in trained))

    def answers(self, examples: Sequence[Example], stop: Callable[[], None] = lambda: None) -> np.ndarray:
        """P(yes) of each example at its answer position, float64 [n]."""
        return self._read(examples, stop)[0]

    def save(self, folder: Path) -> None:
        """Write the adapter as peft reads it, in float16 and without the path of the base."""
        import torch
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file

        state = get_peft_model_state_dict(self._peft)
        folder.mkdir(parents=True, exist_ok=True)
        half = {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in state.items()}
        save_file(half, folder / ADAPTER_FILE, metadata={"format": "pt"})
        config = self._peft.peft_config["default"].to_dict()
        plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
        plain |= {"base_model_name_or_path": self._name, "inference_mode": True}
        text = json.dumps(plain, indent=2, sort_keys=True, default=str)
        (folder / CONFIG_FILE).write_text(text + "\n", "utf-8")

    def _step(self, batch: Sequence[Example], optimizer: Any) -> float:
        import torch

        total = sum(sum(example.weights) for example in batch)
        lost = 0.0
        optimizer.zero_grad()
        for part in by_length(batch, self.config.side_by_side):
            logits, targets, weights, *_, soft = self._forward(part)
            loss = (_losses(logits, targets, soft) * weights).sum() / total
            loss.backward()
            lost += float(loss.detach())
        torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
        optimizer.step()
        return lost

    def _forward(self, part: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, _Soft]:
        """Logits [m, vocabulary] of the m weighted places, their tokens and weights, which of them are answers, the
        final states [m, d] that the logits are made of, and which are learned towards a probability.

        Only those places go through the last layer, which for small models is a fifth of the work.
        """
        import torch

        width = max(len(example.ids) for example in part)
        ids = np.zeros((len(part), width), dtype=np.int64)
        mask = np.zeros((len(part), width), dtype=np.int64)
        weights = np.zeros((len(part), width), dtype=np.float32)
        answer = np.zeros((len(part), width), dtype=bool)
        for row, example in enumerate(part):
            ids[row, : len(example.ids)] = example.ids
            mask[row, : len(example.ids)] = 1
            weights[row, : len(example.ids)] = example.weights
            answer[row, example.answer_at] = True
        apart = {}
        if any(example.tails for example in part):
            apart["position_ids"] = torch.from_numpy(_positions(part, width)).to(self.device)
            mask = _visible(part, width)
        where = torch.from_numpy((weights > 0)[:, 1:]).to(self.device)
        on = torch.from_numpy(ids).to(self.device)
        backbone, head = self._inner.base_model, self._inner.get_output_embeddings()
        mixed = self.device.type == "cpu" and next(head.parameters()).dtype == torch.bfloat16
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed or self.device.type == "cuda"):
            attention = torch.from_numpy(mask).to(self.device)
            states = backbone(input_ids=on, attention_mask=attention, use_cache=False, **apart).last_hidden_state
        read = states[:, :-1][where]
        logits = head(read.to(next(head.parameters()).dtype))
        chosen = torch.from_numpy(weights[:, 1:]).to(self.device)[where]
        answers = torch.from_numpy(answer[:, 1:]).to(self.device)[where]
        return logits, on[:, 1:][where], chosen, answers, read, _soft(part, weights)

    def _read(self, examples: Sequence[Example], stop: Callable[[], None]) -> tuple[np.ndarray, float]:
        """P(yes) of each example, read from logits in float32 as the engines do, and the weighted loss of all."""
        import torch

        answers, lost, total = np.empty(len(examples)), 0.0, 0.0
        order = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))
        self._peft.eval()
        with torch.inference_mode():
            for start in range(0, len(order), self.config.side_by_side):
                stop()
                places = order[start : start + self.config.side_by_side]
                part = [examples[place] for place in places]
                logits, targets, weights, answer, states, soft = self._forward(part)
                losses = _losses(logits, targets, soft)
                lost, total = lost + float((losses * weights).sum()), total + float(weights.sum())
                ids = self.chat.answer_ids
                of_answers = self._exact(states[answer]) if self._exact else logits[answer][:, ids]
                for place, row in zip(places, of_answers.double().tolist(), strict=True):
                    answers[place] = self.chat.p_yes(dict(zip(ids, row, strict=True)))
        self._peft.train()
        return answers, lost / max(total, 1e-12)

    def _score(self, examples: Sequence[Example], stop: Callable[[], None]) -> Point:
        answers, loss = self._read(examples, stop)
        labels = [example.label for example in examples]
        area = metrics.auc(labels, answers)
        return {
            "held_out_loss": loss,
            "log_loss": metrics.log_loss(labels, answers),
            "auc": or_null(area),
        }


# Places among the weighted ones, the tokens of yes and no there, and the probability of yes.
_Soft = tuple[list[int], list[int], list[int], list[float]]


def _soft(part: Sequence[Example], weights: np.ndarray) -> _Soft:
    """``weights``: [examples, width], of the tokens."""
    number = np.cumsum((weights > 0)[:, 1:]).reshape(len(part), -1) - 1
    answers = [(row, answer) for row, example in enumerate(part) for answer in example.soft]
    places = [int(number[row, answer.place - 1]) for row, answer in answers]
    of = [answer for _, answer in answers]
    return places, [one.yes for one in of], [one.no for one in of], [one.p_yes for one in of]


def _losses(logits: Tensor, targets: Tensor, soft: _Soft) -> Tensor:
    """float32[m]: cross-entropy with the token that stands at each place, or with the probability that is learned."""
    import torch

    losses = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    places, yes, no, p_yes = soft
    if not places:
        return losses
    known = torch.log_softmax(logits[places].float(), dim=-1)
    rows, chance = torch.arange(len(places)), torch.tensor(p_yes, device=logits.device)
    towards = -(chance * known[rows, yes] + (1 - chance) * known[rows, no])
    return losses.index_put((torch.tensor(places, device=logits.device),), towards)


def _load(source: str, name: str, config: LoraSettings, device: Any) -> tuple[Any, Any]:
    """The tokenizer and the frozen weights."""
    from backend.engines.tokenizers import load_tokenizer

    try:
        return load_tokenizer(source, name), _load_base(source, config, device)
    except RallrecError:
        raise
    except Exception as error:
        raise EngineError(
            f"The model {name!r} could not be loaded to be tuned: {error}",
            expected="an embedded model, a folder, or a hub id",
            fix="rallrec doctor shows what this machine has",
        ) from error


def _load_base(source: str, config: LoraSettings, device: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # the caller shows its own
    base = config.base if config.base != "auto" else "8bit" if device.type == "cuda" else "float32"
    if base == "8bit":
        if device.type != "cuda":
            raise UsageError("A base in 8bit was asked for on a CPU", expected="auto, bfloat16 or float32 there")
        from peft import prepare_model_for_kbit_training
        from transformers import BitsAndBytesConfig

        rounded = BitsAndBytesConfig(load_in_8bit=True)
        model = AutoModelForCausalLM.from_pretrained(source, quantization_config=rounded, device_map={"": 0})
        return prepare_model_for_kbit_training(model)
    dtype = torch.bfloat16 if base == "bfloat16" else torch.float32
    return AutoModelForCausalLM.from_pretrained(source, dtype=dtype).to(device)


def _check_head(name: str, config: Any) -> None:
    """Raise ``EngineError`` for a model that does more to its logits than its last layer: they would not be its own."""
    from backend.engines.causal_lm import scales_logits

    setting = scales_logits(config)
    if setting:
        raise EngineError(
            f"{name!r} scales its logits ({setting}), which tuning does not",
            expected="a model whose logits are its last layer's, such as Llama, Qwen or SmolLM2",
        )


def _positions(part: Sequence[Example], width: int) -> np.ndarray:
    """Where each token stands in its own text, int64 [n, width]: every tail goes on where the shared beginning ends."""
    places = np.tile(np.arange(width, dtype=np.int64), (len(part), 1))
    for row, example in enumerate(part):
        for start in example.tails[1:]:
            places[row, start:] = example.tails[0] + np.arange(width - start)
    return places


def _visible(part: Sequence[Example], width: int) -> np.ndarray:
    """Which tokens each may look at, bool [n, 1, width, width]: the ones before it, but none of another tail."""
    tail = np.zeros((len(part), width), dtype=np.int64)  # 0: shared
    for row, example in enumerate(part):
        for number, start in enumerate(example.tails, start=1):
            tail[row, start:] = number
    same_tail = (tail[:, None, :] == 0) | (tail[:, None, :] == tail[:, :, None])
    before = np.tril(np.ones((width, width), dtype=bool))
    return np.asarray(same_tail & before)[:, None]


def _plan(examples: Sequence[Example], config: LoraSettings, seed: int) -> list[np.ndarray]:
    """The places of each step's examples: every epoch in an order of its own."""
    steps = []
    for epoch in range(config.epochs):
        order = np.random.default_rng(derive_seed(seed, "epoch", epoch)).permutation(len(examples))
        steps += [order[start : start + config.batch_size] for start in range(0, len(order), config.batch_size)]
    return steps


def _rate(step: int, steps: int, warmup: float) -> float:
    """The share of the learning rate at a step (from 0): a line up, then a cosine down to 0."""
    rising = max(warmup * steps, 1.0)
    if step < rising:
        return (step + 1) / rising if rising > 1 else 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1.0)))


def _arrays(examples: Sequence[Example], held_out: Sequence[Example]) -> dict[str, np.ndarray]:
    """What is learned from, as bytes that name the run."""
    both = (*examples, *held_out)
    return {
        "ids": np.array([token for example in both for token in example.ids], dtype=np.int64),
        "weights": np.array([weight for example in both for weight in example.weights], dtype=np.float32),
        "lengths": np.array([len(example.ids) for example in both], dtype=np.int64),
    }
