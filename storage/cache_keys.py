"""What a stored result is filed under, and the checksum that ties the result to it. Pure functions, no database.

A key covers everything that a result depends on: its kind, the model's name, revision and adapter, the messages, the
decoding options, the seed and the sample index. It does not cover the engine, because the same weights mean the same
results whichever engine runs them.
"""

from __future__ import annotations

import hashlib

from backend.seeding import canonical_json, digest
from backend.types import Answer, Messages, ModelRef, Sampling, Trace

# An answer is read at one position, nothing is drawn: there are no decoding options, which is part of its key too.
ANSWER_OPTIONS = canonical_json({})


def messages_json(messages: Messages) -> str:
    """The canonical JSON of ``messages``: a list of objects with ``role`` and ``content``."""
    return canonical_json([{"role": message.role, "content": message.content} for message in messages])


def prompt_hash(messages: str) -> str:
    """SHA-256 of :func:`messages_json`: 64 hexadecimal characters that name the prompt."""
    return hashlib.sha256(messages.encode()).hexdigest()


def sampling_options(sampling: Sampling) -> str:
    """The canonical JSON of how a chain is drawn, the seed apart. ``1`` and ``1.0`` are the same temperature."""
    return canonical_json(
        {
            "temperature": float(sampling.temperature),
            "top_p": float(sampling.top_p),
            "max_tokens": int(sampling.max_tokens),
        }
    )


def cache_key(
    kind: str, model: ModelRef, prompt: str, options: str, seed: int | None = None, sample_index: int | None = None
) -> str:
    """The key of one result: ``kind`` is ``answer`` or ``trace``, ``prompt`` a :func:`prompt_hash`."""
    return digest(
        {
            "kind": kind,
            "model": model.name,
            "revision": model.revision,
            "adapter": model.adapter,
            "prompt": prompt,
            "options": options,
            "seed": seed,
            "sample_index": sample_index,
        }
    )


def answer_key(model: ModelRef, prompt: str) -> str:
    """The key of ``model``'s answer to ``prompt`` (a :func:`prompt_hash`)."""
    return cache_key("answer", model, prompt, ANSWER_OPTIONS)


def trace_key(model: ModelRef, prompt: str, sampling: Sampling, sample_index: int) -> str:
    """The key of the ``sample_index``-th chain that ``model`` draws from ``prompt`` (a :func:`prompt_hash`)."""
    return cache_key("trace", model, prompt, sampling_options(sampling), int(sampling.seed), int(sample_index))


def answer_checksum(key: str, answer: Answer) -> str:
    """Ties an answer to its key. Raises ``ValueError`` or ``TypeError`` for values that are no numbers."""
    return digest([key, answer.p_yes, answer.prompt_tokens, answer.seconds])


def trace_checksum(key: str, trace: Trace) -> str:
    """Ties a chain to its key. Raises ``ValueError`` or ``TypeError`` for values that are no numbers."""
    return digest([key, trace.text, trace.p_yes, trace.tokens, trace.seconds, trace.finish])
