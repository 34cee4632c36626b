"""A user's whole history before the target, as a labeller reads it: from the dataset, at the time it is shown.

Where the dataset is not at hand, or is not the one that the chain was made from, it is what the prompt showed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from backend.datasets import Dataset
from backend.errors import RallrecError
from backend.labelling import Chain
from storage.workspace import Workspace


def full_history(workspace: Workspace, chain: Chain) -> list[dict[str, Any]]:
    """Newest first; ``retrieved``: whether the prompt showed it. ``date`` is None where the dataset has no times."""
    shown = {past.item: past for past in chain.history}
    data = dataset_of(workspace, chain)
    if data is None:
        return [
            {"item": past.item, "title": past.title, "genres": [], "rating": past.rating, "date": None, "others": None}
            | _ranks(shown, past.item)
            for past in chain.history
        ]
    user, item = data.user_code(chain.user), data.item_code(chain.item)
    row = data.find_row(user, item)
    rows = data.user_rows(user) if row is None else data.history_before(row)
    made, seen = [], set[str]()
    for place in range(rows.stop - 1, rows.start - 1, -1):
        code = int(data.item_index[place])
        name = data.item_ids[code]
        # Of an item that was rated twice, the prompt showed the latest rating.
        ranks = _ranks(shown if name not in seen else {}, name)
        seen.add(name)
        made.append(
            {
                "item": name,
                "title": data.item_label(code),
                "genres": list(data.categories[code]),
                "rating": float(data.rating[place]),
                "date": _date(data, place),
                "others": others_of(workspace, chain, name) if ranks["retrieved"] else None,
            }
            | ranks
        )
    return made


def genres_of(workspace: Workspace, chain: Chain) -> list[str]:
    """Of the target; none where the dataset is not at hand."""
    data = dataset_of(workspace, chain)
    return [] if data is None else list(data.categories[data.item_code(chain.item)])


def others_of(workspace: Workspace, chain: Chain, item: str) -> float | None:
    """How all other users rated an item, as prompts tell it; None where few did, or nothing is at hand."""
    data = dataset_of(workspace, chain)
    if data is None:
        return None
    try:
        statistics = workspace.pipeline(chain.dataset).questions.statistics
    except RallrecError:
        return None
    return statistics.others(data.user_code(chain.user), data.item_code(item))


def profile_of(workspace: Workspace, chain: Chain) -> list[list[str]]:
    """What the dataset says of the user beside ratings: (name, value)."""
    data = dataset_of(workspace, chain)
    if data is None:
        return []
    record = data.users.iloc[data.user_code(chain.user)]
    return [[str(name), str(record[name])] for name in data.users.columns if name != "user"]


def dataset_of(workspace: Workspace, chain: Chain) -> Dataset | None:
    """The very data that the chain was made from, if it is here."""
    try:
        data = workspace.dataset(chain.dataset)
    except RallrecError:
        return None
    return data if data.meta.data_hash == chain.data_hash else None


def _ranks(shown: dict[str, Any], item: str) -> dict[str, Any]:
    past = shown.get(item)
    return {
        "retrieved": past is not None,
        "relevance_rank": past.relevance_rank if past else None,
        "recency_rank": past.recency_rank if past else None,
    }


def _date(data: Dataset, row: int) -> str | None:
    if not data.meta.time_ordered:
        return None
    return datetime.fromtimestamp(int(data.timestamp[row]), UTC).date().isoformat()
