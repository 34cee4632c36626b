"""What a stored result is filed under, and the checksum that ties the result to it. Pure functions, no database.

A key covers everything that a result depends on: its kind, the model's name, revision, adapter, context, form and
precision of weights, how P(yes) is read, the server where the weights are not loaded here, the messages, the decoding
options, the seed and the sample index. It does not cover the engine, because the same weights mean the same results
whichever engine runs them. It names no dataset: all of the data that a model sees
is in the messages, so changed data is another prompt, and an adapter tuned on it has another name. Nor does it cover
which parts of the messages may be dropped first: only two users whose equal lines differ in time alone could tell, and
only where lines were dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from backend.engines import makes_up_answers
from backend.engines.models import resolve
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
        given = json.loads(options)
        run: dict[str, Any] = {name: given.get(name) for name in _RUN}
    except (ValueError, AttributeError):
        run = {}
    known: dict[str, Any] = {option: value for option, value in run.items() if isinstance(value, _RUN[option])}
    return ModelRef(name, revision, adapter, **known)


def is_known(model: ModelRef) -> bool:
    """Whether all is written down that results of this model depend on. Made-up answers depend on nothing else."""
    return bool(model.precision or model.server) or makes_up_answers(model.name)


def unknown_of(model: ModelRef) -> ModelRef | None:
    """The model as its results were filed before precision, reading and server were written down; None for one of whose
    results nothing else was to be known.
    """
    if makes_up_answers(model.name) or not is_known(model):
        return None
    # What a user says of a server's model was not asked then.
    revision = resolve(model.name).revision if model.server else model.revision
    return replace(model, revision=revision, precision=None, reading=None, server=None)


# What changes the results of the same weights, with its type in JSON.
_RUN: dict[str, type] = {"context": int, "quantized": str, "precision": str, "reading": int, "server": str}


def _run_options(model: ModelRef) -> dict[str, Any]:
    """How a model is run; only what is set, so that keys from before it existed still fit."""
    named = {name: getattr(model, name) for name in _RUN}
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
    return digest([key, answer.p_yes, answer.prompt_tokens, answer.seconds, *_later(answer)])


def trace_checksum(key: str, trace: Trace) -> str:
    """Ties a chain to its key. Raises ``ValueError`` or ``TypeError`` for values that are no numbers."""
    return digest([key, trace.text, trace.p_yes, trace.tokens, trace.seconds, trace.finish, *_later(trace)])


def result_problem(kind: str, row: Mapping[str, Any]) -> str | None:
    """Why a row of kind ``answer`` or ``trace`` does not belong to its key or its checksum; None where it does."""
    question = ModelRef(row["model"], row["revision"], row["adapter"]), row["prompt_hash"], row["options"]
    drawn = (row["seed"], row["sample_index"]) if kind == "trace" else ()
    if cache_key(kind, *question, *drawn) != row["key"]:
        return "what was asked does not give its key"
    try:
        matches = result_checksum(kind, row) == row["checksum"]
    except (TypeError, ValueError):  # not even numbers
        matches = False
    return None if matches else "its result does not match its checksum"


def result_checksum(kind: str, row: Mapping[str, Any]) -> str:
    """The checksum of a row of kind ``answer`` or ``trace``, from its other columns. Raises as the two above."""
    p_yes, seconds, dropped, mass = row["p_yes"], row["seconds"], row["dropped"], row["mass"]
    if kind == "answer":
        return answer_checksum(row["key"], Answer(p_yes, row["prompt_tokens"], seconds, dropped, mass))
    trace = Trace(row["sample_index"], row["text"], p_yes, row["tokens"], seconds, row["finish"], dropped, mass)
    return trace_checksum(row["key"], trace)


def _later(result: Answer | Trace) -> list[Any]:
    # Each left out where it says nothing, so that the checksums of results from before it existed still fit.
    dropped: list[Any] = [result.dropped] if result.dropped != 0 else []
    return dropped if result.mass is None else [*dropped, {"mass": result.mass}]
