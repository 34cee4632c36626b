"""What the vllm engine asks of vLLM: one request per sample, all stepped in one loop, each heard token by token.

Knows vLLM's requests and outputs, no weights and no locks: those, and the contract, are the engine's (``vllm_engine``).
Importing it imports vLLM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import tokens_input
from vllm.sampling_params import RequestOutputKind

from backend.engines.chat import Chance, Chat, FittedPrompt, PieceReader
from backend.engines.clock import WorkClock, WorkShare
from backend.errors import EngineError
from backend.types import CHAIN_ENDS, Sampling, Trace, finish_of

_numbers = count()


@dataclass
class Request:
    """Asks vLLM to go on from ``ids``. ``hear`` takes each output, and returns what to ask next."""

    ids: Sequence[int]
    params: SamplingParams
    hear: Callable[[Any], Iterable[Request]]


class RequestLoop:
    """Steps vLLM's engine. ``adapter`` is the ``LoRARequest`` of every request, or None.

    Nothing else may step the engine meanwhile: its owner holds a lock.
    """

    def __init__(self, engine: Any, adapter: Any = None) -> None:
        self._engine = engine
        self._adapter = adapter
        self._width: int = engine.vllm_config.scheduler_config.max_num_seqs

    def run(self, requests: Iterable[Request], check: Callable[[], None]) -> None:
        """Run every request to its end, and what each asks next. ``check`` is called before every step, and may raise.

        However this ends, no request is left open. Raises what ``check`` and the requests raise, ``EngineError``
        where vLLM fails.
        """
        waiting = iter(requests)
        running: dict[str, Request] = {}
        try:
            while True:
                check()
                # As many as vLLM runs side by side: what a finished one asks next (a reading) queues behind nobody.
                for request in islice(waiting, max(0, self._width - len(running))):
                    self._add(request, running)
                if not running:
                    return
                for output in self._step():
                    request = running[output.request_id]
                    if output.finished:
                        del running[output.request_id]
                    for following in request.hear(output):
                        self._add(following, running)
        finally:
            with suppress(Exception):  # an engine that died cannot, and what killed it is on its way up
                self._engine.abort_request(list(running))

    def _add(self, request: Request, running: dict[str, Request]) -> None:
        name = f"rallrec-{next(_numbers)}"
        try:
            self._engine.add_request(name, tokens_input(list(request.ids)), request.params, lora_request=self._adapter)
        except Exception as error:
            raise _failed(error) from error
        running[name] = request

    def _step(self) -> list[Any]:
        try:
            outputs: list[Any] = self._engine.step()
        except Exception as error:
            raise _failed(error) from error
        return outputs


class AnswerReading:
    """Asks for the probability of Yes right after some tokens; ``hear`` is told it, once."""

    def __init__(self, chat: Chat, hear: Callable[[Chance], None]) -> None:
        self._chat, self._hear = chat, hear
        # vLLM takes these from the raw logits, before any temperature, normalised over the whole vocabulary; p_yes
        # normalises over the answers, which is the softmax of their logits alone.
        self._params = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            logprob_token_ids=chat.answer_ids,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def request(self, ids: Sequence[int]) -> Request:
        return Request(ids, self._params, self._heard)

    def _heard(self, output: Any) -> tuple[()]:
        [position] = output.outputs[0].logprobs
        self._hear(self._chat.chance({token: entry.logprob for token, entry in position.items()}))
        return ()


@dataclass
class Text:
    """A text that grows with vLLM's outputs. ``tokens`` are those so far, without the token that ends it."""

    chat: Chat
    prompt: FittedPrompt
    sampling: Sampling
    seed: int
    tokens: list[int] = field(default_factory=list)
    finish: str | None = None

    def request(self) -> Request:
        return Request(self.prompt.ids, sampled(self.sampling, self.seed), self.heard)

    def heard(self, output: Any) -> Iterable[Request]:
        new = output.outputs[0]
        self.tokens += new.token_ids
        if output.finished:
            self.finish = new.finish_reason
            if self.finish not in ("stop", "length"):
                raise EngineError(f"vLLM ended a text for another reason than its end or its length: {self.finish!r}")
            if self.finish == "stop":  # no stop strings are set: it was the model's end token
                self.tokens.pop()
        return ()


@dataclass
class ChainRequest(Text):
    """A reasoning chain. When it ends, P(yes) after it is asked for (section 4.3.3); prompt and chain are cached."""

    index: int = 0
    on_piece: Callable[[int, str], None] | None = None
    on_trace: Callable[[Trace], None] = lambda _trace: None
    share: WorkShare = field(default_factory=lambda: WorkClock().begin())

    def __post_init__(self) -> None:
        self._pieces = PieceReader(self.chat)

    def heard(self, output: Any) -> Iterable[Request]:
        super().heard(output)
        if self.on_piece and (piece := self._pieces.read(self.tokens, last=output.finished)):
            self.on_piece(self.index, piece)
        if not output.finished:
            return []
        self.finish = finish_of(self.finish or "", self.chat.text(self.tokens))
        if self.finish not in CHAIN_ENDS:
            self._hand_over(None)
            return []
        kept, closing = self.chat.before_reading(self.tokens)
        return [AnswerReading(self.chat, self._hand_over).request([*self.prompt.ids, *self.tokens[:kept], *closing])]

    def _hand_over(self, chance: Chance | None) -> None:
        text, seconds = self.chat.text(self.tokens), self.share.end()
        finish, dropped = self.finish or "", self.prompt.dropped
        p_yes, mass = chance or (None, None)
        self.on_trace(Trace(self.index, text, p_yes, len(self.tokens), seconds, finish, dropped, mass))


def sampled(sampling: Sampling, seed: int) -> SamplingParams:
    """Returns ``sampling`` in vLLM's words: temperature, then top-p, no top-k; ``seed`` in [0, 2**63).

    Raises ``EngineError`` for what vLLM does not take.

    The model's end tokens (tokenizer, generation config) are added by vLLM; nothing else of that config is.
    """
    try:
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=seed,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
    except (ValueError, VLLMValidationError) as error:
        raise EngineError(
            f"vLLM cannot sample like this: {error}",
            expected="a temperature of at most 2, top_p in (0, 1]",
            fix="set the temperature lower (RALLREC_TEMPERATURE), or RALLREC_ENGINE=transformers",
        ) from error


def _failed(error: Exception) -> EngineError:
    return EngineError(
        f"vLLM failed: {error or type(error).__name__}",
        expected="a running model",
        fix="vLLM's log (stderr) may say more; start again, with less RALLREC_MAX_TOKENS where memory ran out",
    )
