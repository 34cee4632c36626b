"""A task as a labeller may see it, in JSON's own types, with the user's whole history before the target.

What a blind task does not show is not in it: neither what really happened, nor what the models said of it, nor which
model wrote the chain, nor the sentence that was put into its prompt, nor whether the right answer is known, nor what
anybody else said. The order and the ids of the chains tell nothing either.

The history is read from the dataset when it is shown. Where the dataset is not at hand, or is not the one that the
chain was made from, it is what the prompt showed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from backend.datasets import Dataset
from backend.errors import RallrecError
from backend.labelling import Account, ChainRecord, Project, ShownItem, rubric
from backend.prompting import split_steps
from storage.labels.roles import may
from storage.labels.values import Task
from storage.workspace import Workspace

_RULES_OF_CHOICE = ("chains", "gold", "qualification", "pass_share", "order", "seed")
_SHOWN_OF_PROJECT = ("name", "mode", "first_error", "blind", "guidelines")
_HIDDEN_OF_CHAIN = {"id", "index", "model", "verdict", "p_yes", "tokens", "knowledge"}
# How all other users rated an item, as prompts tell it; None where few did, or nothing is at hand.
Others = Callable[[str], float | None]


def task_view(
    workspace: Workspace, task: Task, position: dict[str, int] | None, unblinded: bool = False
) -> dict[str, Any]:
    """The TaskView of the API; ``unblinded``: with ``hidden``, whatever the project says."""
    chain, project, state = task.chains[0], task.project, task.state
    data = dataset_of(workspace, chain)
    others = _others(workspace, chain, data)
    draft = None
    if state and state.version > 0 and state.status == "draft":
        said = state.judgement.model_dump(mode="json")
        draft = {"judgement": said, "version": state.version, "seconds": state.seconds, "at": _time(state.updated_at)}
    view: dict[str, Any] = {
        "task": task.id,
        "project": {"key": task.key, "rubric": asdict(rubric(project.rubric))}
        | {name: getattr(project, name) for name in _SHOWN_OF_PROJECT},
        "user": {"id": chain.user, "profile": _profile(data, chain)},
        "history": full_history(chain, data, others),
        "target": {
            "item": chain.item,
            "title": chain.title,
            "genres": [] if data is None else list(data.categories[data.item_code(chain.item)]),
            "others": others(chain.item),
        },
        # The id is the chain's key in the cache: a hash, which tells nothing.
        "chains": [
            {"id": one.id, "steps": [{"id": step.id, "text": step.text} for step in split_steps(one.text)]}
            for one in task.chains
        ],
        "draft": draft,
        "label": {"id": state.label, "status": state.status} if state else None,
        "version": state.version if state else 0,
        "reserved_until": _time(state.reserved_until) if state else None,
        "position": position,
    }
    if unblinded or not project.blind:
        setting = task.setting.model_dump(mode="json")
        view["hidden"] = {
            "truth": chain.truth,
            **{name: setting[name] for name in ("p_g", "var_g", "p_r", "var_r", "p_final")},
            "setting": setting,
            "chains": [one.model_dump(mode="json", include=_HIDDEN_OF_CHAIN) for one in task.chains],
        }
    return view


def rules_view(project: Project, account: Account | None) -> dict[str, Any]:
    """A project's rules. How its chains were chosen (the wrong ones alone, say), and how many known ones are hidden
    among them, is nothing that a labeller should know.
    """
    told: dict[str, Any] = project.model_dump(mode="json")
    if may(account, "agreement"):
        return told
    return {name: value for name, value in told.items() if name not in _RULES_OF_CHOICE}


def full_history(chain: ChainRecord, data: Dataset | None, others: Others) -> list[dict[str, Any]]:
    """Newest first; ``retrieved``: whether the prompt showed it. ``date`` is None where the dataset has no times."""
    if data is None:
        return [_past(past.item, past.title, past.rating, past) for past in chain.history]
    shown = {past.item: past for past in chain.history}
    user = data.user_code(chain.user)
    row = data.find_row(user, data.item_code(chain.item))
    rows = data.user_rows(user) if row is None else data.history_before(row)
    history = []
    for place in reversed(range(rows.start, rows.stop)):
        code = int(data.item_index[place])
        name = data.item_ids[code]
        # If an item was rated twice, the prompt showed the latest rating.
        past = shown.pop(name, None)
        line = _past(name, data.item_label(code), float(data.rating[place]), past)
        line |= {"genres": list(data.categories[code]), "others": others(name) if past else None}
        if data.meta.time_ordered:
            line["date"] = datetime.fromtimestamp(int(data.timestamp[place]), UTC).date().isoformat()
        history.append(line)
    return history


def dataset_of(workspace: Workspace, chain: ChainRecord) -> Dataset | None:
    """The very data that the chain was made from, if it is here."""
    try:
        data = workspace.dataset(chain.dataset)
    except RallrecError:
        return None
    return data if data.meta.data_hash == chain.data_hash else None


def _others(workspace: Workspace, chain: ChainRecord, data: Dataset | None) -> Others:
    if data is None:
        return lambda _item: None
    try:
        statistics = workspace.pipeline(chain.dataset).questions.statistics
    except RallrecError:
        return lambda _item: None
    return lambda item: statistics.others(data.user_code(chain.user), data.item_code(item))


def _profile(data: Dataset | None, chain: ChainRecord) -> list[list[str]]:
    """What the dataset says of the user beside ratings: (name, value)."""
    if data is None:
        return []
    record = data.users.iloc[data.user_code(chain.user)]
    return [[str(name), str(record[name])] for name in data.users.columns if name != "user"]


def _past(item: str, title: str, rating: float | None, past: ShownItem | None) -> dict[str, Any]:
    """A line of the history. ``past``: what the prompt showed of it, if it did."""
    return {
        "item": item, "title": title, "genres": [], "rating": rating, "date": None, "others": None,
        "retrieved": past is not None,
        "relevance_rank": past.relevance_rank if past else None,
        "recency_rank": past.recency_rank if past else None,
    }  # fmt: skip


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
