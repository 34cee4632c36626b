"""Results from before it was written down in which precision a model answers: how many there are, and asking again.

Which of a known and an unknown result is shown is decided in ``storage.results.lookup``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backend.commands import command_line
from backend.engines import makes_up_answers
from backend.engines.base import parts, raise_if
from backend.settings import Settings
from backend.training.lora import ADAPTER_FILE
from backend.types import Message, Messages, ModelRef, Progress, Sampling, Stop
from storage.database.connection import Database
from storage.database.tables import AnswerRow, PromptRow, TraceRow
from storage.precompute.tune import adapter_name
from storage.results.cached_engine import CachedEngine
from storage.results.keys import answer_options, cache_key, stored_model, trace_options, unknown_of
from storage.results.rows import KEYS_PER_SELECT
from storage.roles import ROLES, Role, role_of

if TYPE_CHECKING:
    from storage.workspace import Workspace

# Prompts per call, so that progress is told.
_PER_CALL = 64
# How a chain was drawn, and which of its prompt's samples are asked for.
Draw = tuple[Sampling, tuple[int, ...]]


@dataclass
class UnknownResults:
    """What is known of a model in an unknown precision alone, as hashes of prompts. ``model``: as it is run now.

    ``cut``: results of prompts that were cut to fit. They are not asked again: which lines went first is not kept.
    """

    model: ModelRef
    answers: list[str] = field(default_factory=list)
    chains: dict[Draw, list[str]] = field(default_factory=dict)
    cut: int = 0

    @property
    def asked(self) -> int:
        """How many answers and chains there are to ask again."""
        return len(self.answers) + sum(len(indices) * len(prompts) for (_, indices), prompts in self.chains.items())

    @property
    def count(self) -> int:
        return self.asked + self.cut


@dataclass(frozen=True)
class AskedAgain:
    """``asked``: answers and chains that were computed. ``cut``: as above. ``not_here``: how many are left of each
    model whose adapter is not on this machine.
    """

    asked: int
    cut: int
    not_here: Mapping[str, int]


def again_command(settings: Settings) -> str:
    """The command that asks for them again."""
    return command_line(settings, "reason", "--again", "unknown")


def only_unknown(workspace: Workspace) -> bool:
    """Whether nothing is known of the models in use but in an unknown precision: then that may be shown, alone."""
    bases = _bases(workspace.settings)
    return bool(bases) and not any(_has_known(workspace.database, base) for base in bases)


def count_unknown(settings: Settings, database: Database) -> int:
    """How many results of the models in use, with whatever adapter, are known in an unknown precision alone.

    Raises ``StorageError``, and ``SettingsError`` as :func:`~storage.roles.role_of`.
    """
    return sum(results.count for results in _unknown_results(settings, database))


def _unknown_results(settings: Settings, database: Database) -> list[UnknownResults]:
    return [results for base in _bases(settings) for results in _unknown_of(database, base)]


def ask_again(workspace: Workspace, progress: Progress, stop: Stop) -> AskedAgain:
    """Ask the models in use again for what is known of them in an unknown precision alone; each result is kept as it
    comes. Raises ``Stopped``, and what the engines raise.
    """
    players = [workspace.role(name) for name in ROLES]
    folders: dict[str | None, str | None] = {player.adapter: player.folder for player in players}
    folders[None] = None
    for artifact in workspace.artifacts.all():
        if ADAPTER_FILE in artifact.meta.get("files", {}):
            folders.setdefault(adapter_name(artifact), str(artifact.folder))
    bases = {player.base.model: player.base for player in players}
    found, asked = _unknown_results(workspace.settings, workspace.database), 0
    not_here: dict[str, int] = {}
    total = sum(results.asked for results in found)
    for results in found:
        model = results.model
        if model.adapter not in folders:
            not_here[f"{model.name} with {model.adapter}"] = results.asked
            continue
        base = bases[replace(model, adapter=None)]
        engine = workspace.cached(Role(base, model.adapter, folders[model.adapter]))
        for prompts, count, ask in _calls(workspace.database, results, engine):
            raise_if(stop)
            progress(f"asking again: {asked:,} of {total:,}", asked / total)
            ask(prompts, stop=stop)
            asked += count * len(prompts)
    return AskedAgain(asked, sum(results.cut for results in found), not_here)


def _bases(settings: Settings) -> list[ModelRef]:
    bases = dict.fromkeys(role_of(settings, role).base.model for role in ROLES)
    return [base for base in bases if not makes_up_answers(base.name)]


def _has_known(database: Database, base: ModelRef) -> bool:
    query = select(AnswerRow.key).where(
        AnswerRow.model == base.name, AnswerRow.revision == base.revision, AnswerRow.options == answer_options(base)
    )
    with database.session(read_only=True) as session:
        return session.execute(query.limit(1)).first() is not None


def _unknown_of(database: Database, base: ModelRef) -> list[UnknownResults]:
    before = unknown_of(base)
    if before is None:
        return []
    rows = [*_rows(database, AnswerRow, before), *_rows(database, TraceRow, before)]
    keys = {id(row): _known_key(row, base) for row in rows}
    there = _stored(database, AnswerRow, keys.values()) | _stored(database, TraceRow, keys.values())
    found: dict[str | None, UnknownResults] = {}
    indices: dict[tuple[str | None, Sampling, str], list[int]] = {}
    for row in rows:
        if keys[id(row)] in there:
            continue
        results = found.setdefault(row["adapter"], UnknownResults(replace(base, adapter=row["adapter"])))
        if row["dropped"]:
            results.cut += 1
        elif "sample_index" in row:
            indices.setdefault((row["adapter"], _sampling(row), row["prompt_hash"]), []).append(row["sample_index"])
        else:
            results.answers.append(row["prompt_hash"])
    for (adapter, sampling, prompt), drawn in indices.items():
        found[adapter].chains.setdefault((sampling, tuple(sorted(drawn))), []).append(prompt)
    return list(found.values())


def _rows(database: Database, table: type[AnswerRow] | type[TraceRow], before: ModelRef) -> list[dict[str, Any]]:
    names = ["adapter", "revision", "prompt_hash", "options", "dropped"]
    names += ["seed", "sample_index"] if table is TraceRow else []
    query = select(*(table.__table__.c[name] for name in names))
    query = query.where(table.model == before.name, table.revision == before.revision).order_by(table.key)
    with database.session(read_only=True) as session:
        rows = [dict(row) for row in session.execute(query).mappings()]
    of_model = {
        options: stored_model(before.name, before.revision, None, options) == before
        for options in {row["options"] for row in rows}
    }
    return [row for row in rows if of_model[row["options"]]]


def _known_key(row: Mapping[str, Any], base: ModelRef) -> str:
    model = replace(base, adapter=row["adapter"])
    if "sample_index" not in row:
        return cache_key("answer", model, row["prompt_hash"], answer_options(model))
    options = trace_options(model, _sampling(row))
    return cache_key("trace", model, row["prompt_hash"], options, row["seed"], row["sample_index"])


def _sampling(row: Mapping[str, Any]) -> Sampling:
    options = json.loads(row["options"])
    return Sampling(options["temperature"], options["top_p"], options["max_tokens"], row["seed"])


def _stored(database: Database, table: type[AnswerRow] | type[TraceRow], keys: Iterable[str]) -> set[str]:
    asked, there = list(keys), set[str]()
    with database.session(read_only=True) as session:
        for start in range(0, len(asked), KEYS_PER_SELECT):
            some = asked[start : start + KEYS_PER_SELECT]
            there.update(session.execute(select(table.key).where(table.key.in_(some))).scalars())
    return there


_Ask = Callable[..., object]


def _calls(
    database: Database, results: UnknownResults, engine: CachedEngine
) -> Iterable[tuple[list[Messages], int, _Ask]]:
    """Yields prompts, how many results each has, and what asks them."""
    for prompts in _some(results.answers):
        yield _messages(database, prompts), 1, engine.answer
    for (sampling, indices), hashes in results.chains.items():
        for prompts in _some(hashes):
            yield _messages(database, prompts), len(indices), partial(_draw, engine, indices, sampling)


def _draw(
    engine: CachedEngine, indices: Sequence[int], sampling: Sampling, prompts: list[Messages], stop: Stop
) -> None:
    engine.reason(prompts, indices, sampling, stop=stop)


def _some(hashes: Sequence[str]) -> Iterable[list[str]]:
    return ([hashes[place] for place in places] for places in parts(len(hashes), _PER_CALL))


def _messages(database: Database, hashes: Sequence[str]) -> list[Messages]:
    query = select(PromptRow.messages).where(PromptRow.hash.in_(hashes))
    with database.session(read_only=True) as session:
        stored = session.execute(query).scalars().all()
    # Prompts that begin alike stand together: engines read what they share once.
    return [
        tuple(Message(message["role"], message["content"]) for message in json.loads(messages))
        for messages in sorted(stored)
    ]
