"""A table or figure of the Evaluate page, with the samples behind a point, as a page that asks for nothing."""

from __future__ import annotations

from app.rendering import evaluate as drawing
from app.rendering.export import Facts, document, model_facts, source_facts
from app.rendering.page import notice
from app.rendering.still import still
from app.rendering.templating import significant
from app.services.evaluate_behind import Behind
from app.services.evaluate_query import EvaluateQuery
from app.services.evaluate_state import State
from app.services.export import Players


def evaluate_page(
    state: State, query: EvaluateQuery, behind: Behind | None, choice: str, players: Players, made: str
) -> str:
    """``choice``: which samples the query means, as it was resolved."""
    shown, meta = state.exhibit(query), state.data.meta
    parts = {
        "samples": drawing.evaluate_bar(query, choice, (choice,), state),
        "numbers": drawing.evaluate_numbers(state, query),
        "exhibit": drawing.evaluate_exhibit(shown, state, query),
        "behind": drawing.evaluate_behind(behind, query),
    }
    return document(
        query.view.replace("-", " "),
        "an evaluation on cached answers",
        [(name, "", still(html)) for name, html in parts.items() if html],
        [*_facts(state, query), *model_facts(players.models), *source_facts(query.link(), made, meta)],
        meta,
        notice=notice(players.cast, players.tuned, players.reasoning, order_note=meta.order_note),
        styles=("library.css", "users.css", "evaluate.css"),
    )


def _facts(state: State, query: EvaluateQuery) -> Facts:
    merging, own = state.merging(query), state.own
    recipes = {name: system.recipe for name, system in own.systems.items() if system.recipe}
    return [
        ("retrieval", f"gamma {significant(own.chosen.gamma, 6)}"),
        ("merge", f"alpha {significant(merging.alpha, 6)}, epsilon {significant(merging.epsilon, 6)}"),
        *((f"recipe of {name}", recipe) for name, recipe in recipes.items()),
    ]
