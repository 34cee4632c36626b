"""The small frozen values that pass between stages. No behaviour beyond what a reader expects of a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

# progress(what is being done, fraction in [0, 1] or None where it cannot be known)
Progress = Callable[[str, float | None], None]
# stop() is true once somebody asked to stop
Stop = Callable[[], bool]
# What the variants of one prompt differ in: the order of its items, which one of them is left out, or under which gamma
# they are chosen.
Spread = Literal["orders", "left-out", "gamma"]


@dataclass(frozen=True)
class Message:
    """One turn of a chat: ``role`` is ``system``, ``user`` or ``assistant``.

    ``droppable``: the parts (start, end) of ``content`` that may be left out where a model's context is too short, the
    first to go first: the lines of the history, oldest first.
    """

    role: str
    content: str
    droppable: tuple[tuple[int, int], ...] = ()


Messages = tuple[Message, ...]


@dataclass(frozen=True)
class ModelRef:
    """Which weights: a hub id, a folder or an embedded name, its revision, and the LoRA adapter on top (or None).

    What changes what the same weights say belongs to the name. ``context``: a limit of tokens below the model's own.
    ``quantized``: the form that the weights are rounded to (``int8``, say). ``precision``: the type that numbers are
    held in (``float32``, ``bfloat16``, ...). ``reading``: how prompts are written as a chat and P(yes) is read
    (``backend.engines.chat.READING``). ``server``: who runs a model that is not loaded here, and that therefore nobody
    here can look into. None: none of it, and of precision and reading, that nobody wrote it down.
    """

    name: str
    revision: str = "main"
    adapter: str | None = None
    context: int | None = None
    quantized: str | None = None
    precision: str | None = None
    reading: int | None = None
    server: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How a reasoning chain is drawn. ``temperature`` > 0, ``top_p`` in (0, 1], ``max_tokens`` >= 1."""

    temperature: float = 0.6
    top_p: float = 0.95
    max_tokens: int = 128
    seed: int = 0


# Where Yes and No together have less of the probability than this, the model was about to write something else, and
# P(yes) compares two words that it would hardly have said. A tuned model has 0.9 and more there, an instruction model
# that answers at all has most of it; one that opens its thinking, or a line, first has 0.001.
LOW_MASS = 0.05


@dataclass(frozen=True)
class Answer:
    """P(yes) in [0, 1] at the answer position: a softmax over the two answers.

    ``seconds``: the time of this request's own work. While several run side by side, each has an equal share of the
    time that passes, so the seconds of all never add up to more than the time that all of them took; the time on the
    clock of a batch is counted apart (:class:`backend.batch.Count`). Chains that were stored with a ``mass`` of None
    have the time on the clock instead, however many ran beside them (:func:`own_seconds`).
    ``dropped``: how many of the history's oldest lines were left out, because the prompt was longer than the context.
    ``unknown``: it was kept before it was written down in which precision a model answers.
    ``mass`` in [0, 1]: the share of the probability that both answers together have there, see :data:`LOW_MASS`; None
    where it is not known, as in results that were stored before it was.
    """

    p_yes: float
    prompt_tokens: int
    seconds: float
    dropped: int = 0
    mass: float | None = None
    unknown: bool = False


# How a sampled text ends that is a chain: the model ended it, or the token limit did.
CHAIN_ENDS = ("stop", "length")
# How one ends that is no chain, and what happened, in words.
NO_CHAIN = {
    "filter": "the server's content filter cut it",
    "tool": "the model called a tool",
    "empty": "the model wrote no text",
}


def finish_of(reason: str, text: str) -> str:
    """Returns the ``finish`` of a sampled text that ended for a ``reason``, which is written as ``finish`` is."""
    return "empty" if reason in CHAIN_ENDS and not text.strip() else reason


@dataclass(frozen=True)
class Trace:
    """One reasoning chain: the ``index``-th sample of its prompt.

    ``text`` is what the model wrote after ``<think>``, its ``</think>`` and verdict included where it wrote them.
    ``p_yes`` in [0, 1] is read after the chain, closed with ``</think>``. ``finish``: one of :data:`CHAIN_ENDS`, or a
    key of :data:`NO_CHAIN`: then it is no chain, has no ``p_yes``, and counts neither in P_R nor in its variance.
    ``dropped``, ``mass`` and ``unknown``: as in :class:`Answer`.
    """

    index: int
    text: str
    p_yes: float | None
    tokens: int
    seconds: float
    finish: str
    dropped: int = 0
    mass: float | None = None
    unknown: bool = False

    @property
    def is_chain(self) -> bool:
        return self.finish in CHAIN_ENDS


def own_seconds(chains: Sequence[Trace]) -> list[float]:
    """Returns the seconds of each of one prompt's chains, as :class:`Answer` defines them.

    Of those that were stored before that definition the longest took as long as all of them: its time is shared.
    """
    old = [chain.seconds for chain in chains if chain.is_chain and chain.mass is None]
    share = max(old, default=0.0) / max(len(old), 1)
    return [share if chain.is_chain and chain.mass is None else chain.seconds for chain in chains]


@dataclass(frozen=True)
class ChainReading:
    """P(yes) in [0, 1] read anew behind the text of a chain that was drawn before, closed as it was then.

    ``tokens``: how many the text has when it is read. A text can be read as other tokens than it was written in; where
    this is not the chain's own number, P(yes) may differ for that reason alone. ``seconds``, ``dropped`` and ``mass``:
    as in :class:`Answer`.
    """

    p_yes: float
    tokens: int
    seconds: float
    dropped: int = 0
    mass: float | None = None
