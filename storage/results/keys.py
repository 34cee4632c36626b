"""What a stored result is filed under, and the checksum that ties the result to it. Pure functions, no database.

A key covers everything that a result depends on: its kind, the model's name, revision, adapter, context and form of
weights, the messages, the decoding options, the seed and the sample index. It does not cover the engine, because the
same weights mean the same results whichever engine runs them. It names no dataset: all of the data that a model sees
is in the messages, so changed data is another prompt, and an adapter tuned on it has another name. Nor does it cover
which parts of the messages may be dropped first: only two users whose equal lines differ in time alone could tell, and
only where lines were dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from backend.seeding import canonical_json, digest
from backend.types import Answer, Messages, ModelRef, Sampling, Trace


def messages_json(messages: Messages) -> str:
    """The canonical JSON of ``messages``: a list of objects with ``role`` and ``content``."""
    return canonical_json([{"role": message.role, "content": message.content} for message in messages])


def prompt_hash(messages: str) -> str:
    """SHA-256 of :func:`messages_json`: 64 hexadecimal characters that name the prompt."""
    return hashlib.sha256(messages.encode()).hexdigest()


def answer_options(model: ModelRef) -> str:
    """The canonical JSON of how ``model`` is run: nothing is drawn for an answer, it is read at one position."""
    return canonical_json(_run_options(model))


def trace_options(model: ModelRef, sampling: Sampling) -> str:
    """The canonical JSON of how ``model`` is run and how a chain is drawn, the seed apart.

    ``1`` and ``1.0`` are the same temperature.
    """
    return canonical_json(
        _run_options(model)
        | {
            "temperature": float(sampling.temperature),
            "top_p": float(sampling.top_p),
            "max_tokens": int(sampling.max_tokens),
        }
    )


def stored_model(name: str, revision: str, adapter: str | None, options: str) -> ModelRef:
    """The model of a stored result; ``options`` is the JSON that its row holds.

    What cannot be read there says nothing: whether a row was damaged, its key and its checksum tell.
    """
    try:
        run = json.loads(options)
        context, quantized = run.get("context"), run.get("quantized")
    except (ValueError, AttributeError):
        context = quantized = None
    return ModelRef(
        name,
        revision,
        adapter,
        context if isinstance(context, int) else None,
        quantized if isinstance(quantized, str) else None,
    )


def _run_options(model: ModelRef) -> dict[str, Any]:
    """What changes the results of the same weights; only where set, so that keys from before it existed still fit."""
    named = {"context": model.context, "quantized": model.quantized}
    return {name: value for name, value in named.items() if value is not None}


def cache_key(
    kind: str, model: ModelRef, prompt: str, options: str, seed: int | None = None, sample_index: int | None = None
) -> str:
    """The key of one result: ``kind`` is ``answer`` or ``trace``, ``prompt`` a :func:`prompt_hash`.

    ``options``: as :func:`answer_options` or :func:`trace_options` spell them, the model's context included.
    """
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
    return cache_key("answer", model, prompt, answer_options(model))


def trace_key(model: ModelRef, prompt: str, sampling: Sampling, sample_index: int) -> str:
    """The key of the ``sample_index``-th chain that ``model`` draws from ``prompt`` (a :func:`prompt_hash`)."""
    return cache_key("trace", model, prompt, trace_options(model, sampling), int(sampling.seed), int(sample_index))


def answer_checksum(key: str, answer: Answer) -> str:
    """Ties an answer to its key. Raises ``ValueError`` or ``TypeError`` for values that are no numbers."""
    return digest([key, answer.p_yes, answer.prompt_tokens, answer.seconds, *_dropped(answer)])


def trace_checksum(key: str, trace: Trace) -> str:
    """Ties a chain to its key. Raises ``ValueError`` or ``TypeError`` for values that are no numbers."""
    return digest([key, trace.text, trace.p_yes, trace.tokens, trace.seconds, trace.finish, *_dropped(trace)])


def result_problem(kind: str, row: Mapping[str, Any]) -> str | None:
    """Why a row of kind ``answer`` or ``trace`` does not belong to its key or its checksum; None where it does."""
    question = ModelRef(row["model"], row["revision"], row["adapter"]), row["prompt_hash"], row["options"]
    drawn = (row["seed"], row["sample_index"]) if kind == "trace" else ()
    if cache_key(kind, *question, *drawn) != row["key"]:
        return "what was asked does not give its key"
    try:
        matches = _checksum(kind, row) == row["checksum"]
    except (TypeError, ValueError):  # not even numbers
        matches = False
    return None if matches else "its result does not match its checksum"


def _checksum(kind: str, row: Mapping[str, Any]) -> str:
    p_yes, seconds, dropped = row["p_yes"], row["seconds"], row["dropped"]
    if kind == "answer":
        return answer_checksum(row["key"], Answer(p_yes, row["prompt_tokens"], seconds, dropped))
    trace = Trace(row["sample_index"], row["text"], p_yes, row["tokens"], seconds, row["finish"], dropped)
    return trace_checksum(row["key"], trace)


def _dropped(result: Answer | Trace) -> list[int]:
    # Left out where it is 0, so that the checksums of results from before it existed still fit.
    return [result.dropped] if result.dropped != 0 else []
