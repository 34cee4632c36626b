"""What lies near an item: what a similarity is made of, and the most similar of all items.

Knows no Gradio and no HTML. Which past items a strategy chooses is left to ``backend.retrieval``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.datasets import Dataset
from backend.errors import RallrecError
from backend.questions import Question
from backend.representation import PARTS
from storage.workspace import Workspace

COLLABORATIVE = PARTS[1]
NEAREST = 10


@dataclass(frozen=True)
class Explained:
    """Similarities to one item, taken apart.

    ``cosines``: by item code, the cosine of each part. ``silent``: codes, the compared item's too, without a
    collaborative signal: no interaction of the training split names them.
    """

    cosines: Mapping[int, Mapping[str, float]]
    silent: frozenset[int]


@dataclass(frozen=True)
class Neighbour:
    """One near item. ``relation`` to the page's user: ``rated`` (before the target, with ``rating``), ``later`` (after
    it: not told), ``target`` (not told either) or ``unrated``."""

    item: int
    similarity: float
    relation: str
    rating: float | None


@dataclass(frozen=True)
class Nearest:
    """The items most similar to ``item``, best first; none where it has no signal in this variant.

    ``asked``: (variant, item, user, target), all that it depends on. ``problem``: why there is nothing to show.
    """

    asked: tuple[str, int, int, int]
    rows: tuple[Neighbour, ...] = ()
    explained: Explained = Explained({}, frozenset())
    problem: str = ""

    @property
    def variant(self) -> str:
        return self.asked[0]

    @property
    def item(self) -> int:
        return self.asked[1]


def explain(workspace: Workspace, items: Sequence[int], target: int) -> Explained:
    """Take the similarities of ``items`` to ``target`` (item codes) apart."""
    retriever = workspace.pipeline().retriever
    values = {part: cosines.tolist() for part, cosines in retriever.part_similarities(items, target).items()}
    cosines = {item: {part: values[part][place] for part in PARTS} for place, item in enumerate(items)}
    codes = [*items, target]
    known: np.ndarray = np.any(retriever.space.rows[codes, retriever.space.columns(COLLABORATIVE)], axis=1)
    silent = frozenset(code for code, has in zip(codes, known.tolist(), strict=True) if not has)
    return Explained(cosines, silent)


def nearest(workspace: Workspace, variant: str, item: int, question: Question) -> Nearest:
    """The items nearest to an item code, and what the question's user made of them before the target.

    Never raises: what cannot be looked up says why in ``problem``.
    """
    about = (variant, item, question.user, question.item)
    try:
        codes, similarities = workspace.nearest(item, NEAREST, variant)
        data = workspace.dataset()
        rows = tuple(
            Neighbour(code, similarity, *_relation(data, question, code))
            for code, similarity in zip(codes.tolist(), similarities.tolist(), strict=True)
        )
        return Nearest(about, rows, explain(workspace, [row.item for row in rows], item))
    except RallrecError as error:
        return Nearest(about, problem=str(error))


def _relation(data: Dataset, question: Question, item: int) -> tuple[str, float | None]:
    """Ratings that the user gave later, the target's above all, would give the answer away."""
    if item == question.item:
        return "target", None
    row = data.find_row(question.user, item)
    if row is None:
        return "unrated", None
    return ("rated", float(data.rating[row])) if row in question.history_rows else ("later", None)
