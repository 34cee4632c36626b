"""A table or figure of the Evaluate page, with the samples behind a point, as a file."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request

from app.evaluate import drawing
from app.evaluate.address import EvaluateQuery
from app.evaluate.samples_behind import Behind
from app.evaluate.service import EvaluateService
from app.evaluate.view import State
from app.shared.errors import NotLookedUpError
from app.shared.export import Exported, Facts, document, model_facts, still
from app.shared.frame import Players, players_of
from app.shared.per_dataset import PerDataset, over
from app.shared.templating import significant


def exporter(services: PerDataset[EvaluateService]) -> Callable[[Request], Exported]:
    """Exports what the page's own address shows, also as rows. Raises ``NotLookedUpError`` where a job must run
    first."""

    def export(request: Request) -> Exported:
        query = EvaluateQuery.parse(dict(request.query_params))
        service = services.of(query.dataset)
        state = service.known(query, old=True) or service.look(query)
        if state is None:
            raise NotLookedUpError("These samples were not looked up yet", fix="start the job on the page")
        records = state.records(query)

        def page(made: str) -> str:
            behind, choice = service.behind(state, query), service.choice(query).what
            return evaluate_page(
                state, query, behind, choice, players_of(over(services.workspace, query.dataset)), made
            )

        return Exported(f"rallrec-{query.view}", lambda: records, page, table=True)

    return export


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
        [*_facts(state, query), *model_facts(players.models)],
        address=query.link(),
        made=made,
        meta=meta,
        players=players,
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
