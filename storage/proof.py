"""The proof of results that ship: models are asked again for some of them, and the largest difference is told.

Answers are asked anew. A chain's text stays as it is, and P(yes) is read anew behind it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from backend.engines import SCRIPTED, Engine, create_engine, makes_up_answers, record_of
from backend.engines.base import raise_if
from backend.errors import NotPreparedError, UsageError
from backend.seeding import derive_seed
from backend.settings import Settings
from backend.training.lora import ADAPTER_FILE
from backend.types import Message, Messages, ModelRef, Progress, Sampling, Stop
from storage.precompute.artifacts import ArtifactStore
from storage.precompute.tune import adapter_name
from storage.results.keys import stored_model
from storage.results.transfer import ResultRow, Rows
from storage.roles import BaseWeights, made_with

# What a P(yes) may differ by on another machine, in which sums are taken in another order.
TOLERANCE = 1e-3
# Prompts per call, so that progress is told and a stop is heard.
_PER_CALL = 16


@dataclass(frozen=True)
class Compared:
    """How many results of a kind were compared, of how many that could be. ``largest``: the largest difference of
    P(yes), and the ``key`` of the result that it is of (0 and empty where none was compared).
    """

    count: int = 0
    of: int = 0
    largest: float = 0.0
    key: str = ""

    def taking(self, key: str, difference: float) -> Compared:
        """Returns the same with one more result."""
        largest, of = max((self.largest, self.key), (difference, key)) if self.count else (difference, key)
        return Compared(self.count + 1, self.of, largest, of)


@dataclass(frozen=True)
class Proof:
    """``retokenized``: drawn chains whose text is read as another number of tokens than it was written in. They were
    not compared, because P(yes) may differ for that reason alone; others were drawn in their place.
    """

    answers: Compared
    chains: Compared
    retokenized: int

    @property
    def agrees(self) -> bool:
        return max(self.answers.largest, self.chains.largest) <= TOLERANCE


def recompute(
    results: Rows, engines: Callable[[ModelRef], Engine], count: int, seed: int, progress: Progress, stop: Stop
) -> Proof:
    """Compare ``count`` drawn answers and as many drawn chains with what their models say now, or all where there are
    fewer. ``engines``: gives what runs a model.

    Results of prompts that were cut to fit are left out: which of their lines went first is not kept. Raises
    ``Stopped``, and what the engines raise.
    """
    messages = {row["hash"]: _messages(row["messages"]) for row in results.prompts}
    read = [row for row in results.traces if row["p_yes"] is not None]  # behind a text that is no chain nothing is
    answers, chains = (_shuffled(rows, derive_seed(seed, "recompute")) for rows in (results.answers, read))
    compared = [Compared(of=len(answers)), Compared(of=len(chains))]
    total, retokenized = min(count, len(answers)) + min(count, len(chains)), 0

    def tell(what: str) -> None:
        raise_if(stop)
        progress(what, (compared[0].count + compared[1].count) / max(total, 1))

    for model, some in _calls(answers[:count], _model_of):
        tell("answers")
        said = engines(model).answer([messages[row["prompt_hash"]] for row in some], stop=stop)
        for row, answer in zip(some, said, strict=True):
            compared[0] = compared[0].taking(row["key"], abs(answer.p_yes - row["p_yes"]))
    while compared[1].count < count and chains:
        drawn, chains = chains[: count - compared[1].count], chains[count - compared[1].count :]
        for (model, sampling), some in _calls(drawn, lambda row: (_model_of(row), _sampling_of(row))):
            tell("chains")
            prompts, texts = [messages[row["prompt_hash"]] for row in some], [row["text"] for row in some]
            for row, reading in zip(some, engines(model).read_chains(prompts, texts, sampling, stop=stop), strict=True):
                if reading.tokens == row["tokens"]:
                    compared[1] = compared[1].taking(row["key"], abs(reading.p_yes - row["p_yes"]))
                else:
                    retokenized += 1
    return Proof(compared[0], compared[1], retokenized)


class BundleEngines:
    """What runs the models of a bundle's results, with the adapters that lie in it. Base weights are loaded once."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._bases = settings, dict[ModelRef, Engine]()
        tuned = [item for item in ArtifactStore(folder, folder).all() if ADAPTER_FILE in item.meta.get("files", {})]
        self._adapters = {adapter_name(artifact): str(artifact.folder) for artifact in tuned}

    def __call__(self, model: ModelRef) -> Engine:
        """Raises ``NotPreparedError`` for an adapter that is not there, ``UsageError`` for a model of a server."""
        if model.server:
            raise UsageError(f"{model.name} ran on {model.server}", expected="results of weights that are loaded here")
        base = replace(model, adapter=None)
        if base not in self._bases:
            usual = Settings.model_fields["engine"].default
            here = self._settings.engine if record_of(self._settings.engine).loads_weights else usual
            name = SCRIPTED.name if makes_up_answers(model.name) else here
            self._bases[base] = create_engine(name, **made_with(self._settings, BaseWeights(name, base)))
        engine = self._bases[base]
        if model.adapter is None:
            return engine
        if model.adapter not in self._adapters and not makes_up_answers(model.name):
            raise NotPreparedError(
                f"The adapter {model.adapter} is not in the bundle", fix="build the bundle again, with its artifacts"
            )
        return engine.adapted(model.adapter, self._adapters.get(model.adapter))


CallT = TypeVar("CallT")


def _calls(rows: Iterable[ResultRow], call_of: Callable[[ResultRow], CallT]) -> Iterator[tuple[CallT, list[ResultRow]]]:
    """Yields rows that one call can be made of, those of one model after the other."""
    groups: dict[CallT, list[ResultRow]] = {}
    for row in rows:
        groups.setdefault(call_of(row), []).append(row)
    for call, group in groups.items():
        for start in range(0, len(group), _PER_CALL):
            yield call, group[start : start + _PER_CALL]


def _shuffled(rows: Sequence[ResultRow], seed: int) -> list[ResultRow]:
    can_be_asked = [row for row in rows if not row["dropped"] and row["p_yes"] is not None]
    whole = sorted(can_be_asked, key=lambda row: str(row["key"]))
    return [whole[place] for place in np.random.default_rng(seed).permutation(len(whole))]


def _messages(stored: str) -> Messages:
    return tuple(Message(message["role"], message["content"]) for message in json.loads(stored))


def _model_of(row: ResultRow) -> ModelRef:
    return stored_model(row["model"], row["revision"], row["adapter"], row["options"])


def _sampling_of(row: ResultRow) -> Sampling:
    options: dict[str, Any] = json.loads(row["options"])
    return Sampling(options["temperature"], options["top_p"], options["max_tokens"], row["seed"])
