"""A table or figure of the Evaluate page, with the samples behind a point, as a page that asks for nothing."""

from __future__ import annotations

from app.evaluate import drawing
from app.evaluate.address import EvaluateQuery
from app.evaluate.samples_behind import Behind
from app.evaluate.view import State
from app.shared.export_page import Facts, document, model_facts, source_facts
from app.shared.export_view import Players
from app.shared.frame import notice
from app.shared.still import still
from app.shared.templating import significant


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
        styles=("library/page.css", "users/page.css", "evaluate/page.css"),
    )


def _facts(state: State, query: EvaluateQuery) -> Facts:
    merging, evaluation = state.merging(query), state.evaluation
    recipes = {name: system.recipe for name, system in evaluation.systems.items() if system.recipe}
    return [
        ("retrieval", f"gamma {significant(evaluation.chosen.gamma, 6)}"),
        ("merge", f"alpha {significant(merging.alpha, 6)}, epsilon {significant(merging.epsilon, 6)}"),
        *((f"recipe of {name}", recipe) for name, recipe in recipes.items()),
    ]
