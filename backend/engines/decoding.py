"""Drawing chains and texts token by token, rows of many prompts side by side. Importing it imports torch.

Every row is at its own place: it writes, or (a chain that has ended) is fed what leads to the answer position, one
token a step, until P(yes) can be read; then it leaves and another prompt's rows take its place. So the weights, which
are what a step costs, are gone through once for all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache

from backend.engines.chat import Chance, FittedPrompt, PieceReader
from backend.engines.clock import WorkClock, WorkShare
from backend.seeding import derive_seed
from backend.types import CHAIN_ENDS, Messages, Sampling, Trace, finish_of

if TYPE_CHECKING:
    from backend.engines.causal_lm import CausalLM

# on_piece(prompt index, sample index, text)
_OnPiece = Callable[[int, int, str], None]
# The nucleus is looked for among this many most likely tokens first; sorting the whole vocabulary costs 10 times more.
_FIRST_LOOK = 256


@dataclass(frozen=True)
class RowGroup:
    """The rows of one prompt: its ``number`` for the caller, its tokens, and the sample indices (None: one text)."""

    number: int
    messages: Messages
    prompt: FittedPrompt
    samples: tuple[int | None, ...]


@dataclass
class Row:
    """One chain or text while it is written. ``feed``: tokens still to be fed, in order; ``finish``: how it ended;
    ``read``: whether P(yes) after it is known."""

    group: RowGroup
    sample: int | None
    generator: torch.Generator
    share: WorkShare
    pieces: PieceReader | None = None
    tokens: list[int] = field(default_factory=list)
    feed: deque[int] = field(default_factory=deque)
    finish: str = ""
    read: bool = False


class Decoder:
    """Draws the rows of many prompts. ``stop`` is called before every step, and raises to end the work."""

    def __init__(self, lm: CausalLM, sampling: Sampling, stop: Callable[[], None]) -> None:
        self._lm, self._sampling, self._stop = lm, sampling, stop
        # A row's number there is its place in ``_rows``.
        self._cached = _SharedRows(lm) if lm.shares_prefix else _CopiedRows(lm)
        self._most = lm.rows_of(sampling.max_tokens) if lm.shares_prefix else 0
        self._rows: list[Row] = []
        self._clock = WorkClock()

    @torch.inference_mode()
    def run(
        self,
        groups: Sequence[RowGroup],
        *,
        on_piece: _OnPiece | None = None,
        on_trace: Callable[[int, Trace], None] | None = None,
        on_text: Callable[[int, str], None] | None = None,
    ) -> None:
        """Draw every row of every group, as many side by side as the model's machine has room for.

        ``on_trace`` hears each chain once it is read, ``on_text`` each text, ``on_piece`` what a growing chain adds.
        """
        self._on_piece, self._on_trace, self._on_text = on_piece, on_trace, on_text
        waiting = deque(group for group in groups if group.samples)
        while waiting or self._rows:
            while waiting and (not self._rows or len(self._rows) + len(waiting[0].samples) <= self._most):
                self._stop()
                self._start(waiting.popleft())
            if not self._rows:
                break
            self._stop()
            self._take(self._cached.step([row.feed.popleft() for row in self._rows]))

    def _start(self, group: RowGroup) -> None:
        shares = [self._clock.begin() for _ in group.samples]
        logits = self._cached.start(group.prompt.ids, len(group.samples))
        words = [message.content for message in group.messages]
        for sample, share in zip(group.samples, shares, strict=True):
            named = [words] if sample is None else [words, sample]
            generator = torch.Generator().manual_seed(derive_seed(self._sampling.seed, *named))
            pieces = PieceReader(self._lm.chat) if self._on_piece and sample is not None else None
            self._rows.append(Row(group, sample, generator, share, pieces))
        first = len(self._rows) - len(group.samples)
        self._draw(list(range(first, len(self._rows))), logits.expand(len(group.samples), -1))
        self._leave()

    def _take(self, logits: Tensor) -> None:
        """Take the logits [rows, vocabulary] of one step: rows that still write draw a token, others may be read."""
        writing = [i for i, row in enumerate(self._rows) if not row.finish]
        if writing:
            self._draw(writing, logits[writing] if len(writing) < len(self._rows) else logits)
        self._leave(logits)

    def _draw(self, numbers: list[int], logits: Tensor) -> None:
        sampling = self._sampling
        rows = [self._rows[number] for number in numbers]
        chosen = draw(logits, sampling.temperature, sampling.top_p, [row.generator for row in rows])
        for number, row, token in zip(numbers, rows, chosen, strict=True):
            if token not in self._lm.ends:
                row.tokens.append(token)
                row.feed.append(token)
                if len(row.tokens) < sampling.max_tokens:
                    self._show(row)
                    continue
            row.finish = "stop" if token in self._lm.ends else "length"
            self._show(row, last=True)
            self._close(number, row)

    def _close(self, number: int, row: Row) -> None:
        """Prepare a row that has ended for its leaving: a chain is first fed what leads to its answer."""
        row.feed.clear()
        if row.sample is None:
            return
        row.finish = finish_of(row.finish, self._lm.chat.text(row.tokens))
        if row.finish not in CHAIN_ENDS:
            self._hand_over(row, None)
            return
        kept, closing = self._lm.chat.before_reading(row.tokens)
        rest = self._cached.close(number, row.tokens, kept, closing)
        if isinstance(rest, Tensor):
            self._end(row, rest)
        else:
            row.feed.extend(rest)

    def _leave(self, logits: Tensor | None = None) -> None:
        """Hand over the rows that have nothing left to feed. The last go first: another row takes a leaver's number.

        ``logits`` [rows, vocabulary] are those of the step just made, None before the first one.
        """
        for number in reversed(range(len(self._rows))):
            row = self._rows[number]
            if row.feed:
                continue
            if row.sample is None:
                if self._on_text:
                    self._on_text(row.group.number, self._lm.chat.text(row.tokens))
            elif not row.read:
                assert logits is not None
                self._end(row, logits[number])
            row.share.end()
            self._cached.remove(number)
            self._rows[number] = self._rows[-1]
            self._rows.pop()

    def _end(self, row: Row, logits: Tensor) -> None:
        """Read P(yes) with the chain in front of the answer position (section 4.3.3), and hand the trace over."""
        self._hand_over(row, self._lm.chance(logits))

    def _hand_over(self, row: Row, chance: Chance | None) -> None:
        """Hand a chain over; without a ``chance`` where it is none."""
        seconds = row.share.end()
        row.read = True
        assert row.sample is not None
        text, dropped = self._lm.chat.text(row.tokens), row.group.prompt.dropped
        p_yes, mass = chance or (None, None)
        if self._on_trace:
            trace = Trace(row.sample, text, p_yes, len(row.tokens), seconds, row.finish, dropped, mass)
            self._on_trace(row.group.number, trace)

    def _show(self, row: Row, *, last: bool = False) -> None:
        if row.pieces is None or self._on_piece is None or row.sample is None:
            return
        piece = row.pieces.read(row.tokens, last=last)
        if piece:
            self._on_piece(row.group.number, row.sample, piece)


class _SharedRows:
    """Rows of any prompts over one :class:`RowCache`."""

    def __init__(self, lm: CausalLM) -> None:
        self._lm, self._cache = lm, lm.new_rows()

    def start(self, prompt: Sequence[int], count: int) -> Tensor:
        prefix, logits = self._lm.read(prompt)
        self._cache.add(prefix, count)
        return logits

    def step(self, tokens: Sequence[int]) -> Tensor:
        return self._lm.feed([[token] for token in tokens], self._cache)

    def remove(self, row: int) -> None:
        self._cache.remove(row)

    def close(self, row: int, tokens: list[int], kept: int, closing: list[int]) -> list[int]:
        """Cut the row back to the tokens that are kept, and return what has to be fed before its answer."""
        self._cache.written[row] = min(self._cache.written[row], kept)
        return tokens[self._cache.written[row] : kept] + closing


class _CopiedRows:
    """Rows of one prompt over the model's usual cache, copied per row: for layers that see only part of the context."""

    def __init__(self, lm: CausalLM) -> None:
        self._lm = lm
        self._copies: Any = None

    def start(self, prompt: Sequence[int], count: int) -> Tensor:
        self._copies, logits = self._read(prompt)
        self._copies.batch_repeat_interleave(count)
        self._prompt, self._count = list(prompt), count
        return logits

    def step(self, tokens: Sequence[int]) -> Tensor:
        return self._lm.forward([[token] for token in tokens], self._copies)

    def remove(self, row: int) -> None:
        last = self._count - 1
        staying = [last if number == row else number for number in range(last)]
        self._count = last
        if staying:
            self._copies.batch_select_indices(torch.tensor(staying, device=self._lm.device))

    def close(self, row: int, tokens: list[int], kept: int, closing: list[int]) -> Tensor:  # noqa: ARG002
        """Read everything anew, as a window cannot be moved back; returns the logits at the answer position."""
        return self._read([*self._prompt, *tokens[:kept], *closing])[1]

    def _read(self, ids: Sequence[int]) -> tuple[Any, Tensor]:
        cache = DynamicCache(config=self._lm.model.config)
        return cache, self._lm.forward([list(ids)], cache)[0]


def draw(logits: Tensor, temperature: float, top_p: float, generators: Sequence[torch.Generator]) -> list[int]:
    """Draw one token id per row of ``logits`` ([rows, vocabulary], float32, on the CPU), by temperature and nucleus.

    The nucleus is the smallest set of most likely tokens whose probability reaches ``top_p``; row i uses one uniform
    number of ``generators[i]``, so what it draws does not depend on the other rows. Naive equivalent: sort, cumulate,
    cut, ``torch.multinomial`` row by row.
    """
    probabilities = torch.softmax(logits / temperature, dim=-1)
    top = torch.topk(probabilities, min(_FIRST_LOOK, probabilities.shape[-1]), dim=-1)
    values, ids = top.values, top.indices
    if float(values.sum(-1).min()) < top_p:  # a flat row: its nucleus is wider than the first look
        values, ids = torch.sort(probabilities, dim=-1, descending=True)
    mass = values.cumsum(-1)
    # A token is in the nucleus while the mass before it has not reached top_p.
    inside = (mass - values) < top_p
    total = torch.where(inside, values, 0.0).sum(-1)
    uniform = torch.stack([torch.rand((), generator=generator) for generator in generators])
    position = torch.searchsorted(mass, (uniform * total).unsqueeze(-1), right=True).squeeze(-1)
    last = inside.sum(-1) - 1
    return ids.gather(-1, torch.minimum(position, last).unsqueeze(-1)).squeeze(-1).tolist()
