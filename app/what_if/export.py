"""A what-if as a file: the question, what is changed of it, and before and after side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request

from app.predict.export import untold
from app.predict.service import PredictService
from app.shared.export import Exported, document, model_facts, recipe_facts, safe_name, still
from app.shared.frame import Players
from app.shared.per_dataset import PerDataset
from app.what_if import drawing
from app.what_if.service import WhatIfService
from app.what_if.view import WhatIfSession, WhatIfSide, WhatIfView
from backend.numbers import json_ready
from backend.pipeline import Pipeline
from backend.record import prediction_record
from storage.workspace import Workspace


def exporter(workspace: Workspace) -> Callable[[Request], Exported]:
    """Exports one what-if, by the page's own address."""

    def both(workspace: Workspace) -> tuple[WhatIfService, PredictService]:
        predict = PredictService(workspace)
        return WhatIfService(workspace, predict), predict

    services = PerDataset(workspace, both)

    def export(request: Request) -> Exported:
        service, predict = services.of(request.query_params.get("dataset", ""))
        view = service.look(service.open(request.query_params), WhatIfSession())
        record, question = what_if_record(predict.pipeline, view), view.what_if
        name = safe_name(view.data.meta.name, "user", question.user, "item", question.item, "what-if", question.id)
        return Exported(name, lambda: record, lambda made: what_if_page(view, record, made))

    return export


def what_if_record(pipeline: Pipeline, view: WhatIfView) -> dict[str, Any]:
    """Both sides as ``rallrec predict --json`` prints them, without the truth, and after minus before. Without edits,
    ``after`` is ``before``."""

    def side_record(side: WhatIfSide) -> dict[str, Any]:
        return untold(prediction_record(pipeline, side.prediction, cached=not side.missing))

    before, after = side_record(view.before), side_record(view.after)
    return json_ready(
        {
            "dataset": view.data.meta.name,
            "user": view.what_if.user,
            "item": view.what_if.item,
            "kept": view.kept.name if view.kept else None,
            "edits": json.loads(view.what_if.edits.canonical),
            "before": before,
            "after": after,
            "differences": {
                name: None if before[name] is None or after[name] is None else after[name] - before[name]
                for name in ("p_g", "var_g", "p_r", "var_r", "p_final")
            },
        }
    )


def what_if_page(view: WhatIfView, record: Mapping[str, Any], made: str) -> str:
    """The question, what is changed of it, and before and after side by side. ``record``: the view's own."""
    meta, before, after = view.data.meta, view.before.prediction, view.after.prediction
    sections = (
        ("question", "", drawing.question),
        ("numbers", "Before and after in numbers", drawing.numbers),
        ("chosen", "What entered the prompt", drawing.chosen),
        ("prompt", "The prompt, line by line", drawing.prompts),
        ("chains", "The reasoning model's chains", drawing.chains),
    )
    players = Players(view.cast, view.models["tuned"], view.models["reasoning"], record["before"]["models"])
    changed = recipe_facts(after.recipe) if before.recipe != after.recipe else []
    same = dict(recipe_facts(before.recipe))
    return document(
        f"what if, user {view.what_if.user}, {view.data.item_label(before.question.item)}",
        "a question with parts of it changed, before and after",
        [(name, heading, still(draw(view))) for name, heading, draw in sections],
        [
            *same.items(),
            *((f"{name}, after", said) for name, said in changed if said != same[name]),
            *model_facts(players.models),
            ("recipe", before.recipe.hash),
            *([("recipe, after", after.recipe.hash)] if changed else []),
            ("edits", view.what_if.edits.canonical),
        ],
        address=f"/what-if?{view.link}",
        made=made,
        meta=meta,
        players=players,
        complete=not any(side.missing for side in view.sides),
        styles=("what_if/page.css",),
    )
