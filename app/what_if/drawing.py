"""The What-if page's right side and head: what is changed, and before and after side by side. Pure functions."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from markupsafe import Markup

from app.predict import curves
from app.predict import view as predict_view
from app.predict.drawing import reason_panel
from app.predict.neighbours import Explained
from app.shared.templating import render, symbol
from app.what_if.diff import diff_lines
from app.what_if.prompt import editor
from app.what_if.view import Side, View
from backend.datasets import Dataset
from backend.errors import UsageError
from backend.pipeline import Prediction
from backend.prompting import build_prompt
from backend.what_if import Edits
from storage.kept.what_ifs import MAX_NAME, Kept

# What settings are called in a sentence, where it is not by their names.
SETTING_WORDS = {
    "k": "K",
    "max_tokens": "token limit",
    "top_p": "nucleus",
    "traces": "chains",
    "order": "history order",
}


def question(view: View) -> str:
    """Who is asked about what, and the list of edits."""
    what_if, data = view.what_if, view.data
    return render(
        "what_if/question.html",
        user=what_if.user,
        label=data.item_label(data.item_code(what_if.item)),
        target=data.item_label(view.after.prediction.question.item),
        moved=view.after.prediction.question.item != view.before.prediction.question.item,
        words=edits_in_words(what_if.edits, data),
        kept=view.kept,
        back=view.plain_link,
        said=view.link,
        too_long=view.too_long,
    )


def status(view: View) -> str:
    """One line about what is going on with both questions."""
    named = list(zip(("before", "after"), view.sides, strict=False))
    runs = [(name, side.run) for name, side in named if side.run]
    return render(
        "what_if/status.html",
        failed=next((run for _, run in runs if run.status == "failed"), None),
        live=next(((name, run) for name, run in runs if run.status == "running"), None)
        or next(((name, run) for name, run in runs if run.live), None),
        stopped=any(run.status == "stopped" for _, run in runs),
        missing=[(name, side.missing) for name, side in named if side.missing],
        edited=view.edited,
        other=view.other_run,
    )


def numbers(view: View) -> str:
    """P_G, P_R, P_final and the variances before and after, with the differences, and what became of the answer."""
    before, after = view.before.prediction, view.after.prediction
    rows = [
        ("p_g", "tuned", "●", before.p_g, after.p_g),
        ("var_g", "", "", before.var_g, after.var_g),
        ("p_r", "reasoning", "■", before.p_r, after.p_r),
        ("var_r", "", "", before.var_r, after.var_r),
        ("p_final", "merged", "◆", before.p_final, after.p_final),
    ]
    return render(
        "what_if/numbers.html",
        rows=[
            {"symbol": symbol(name), "who": who, "shape": shape, "before": old, "after": new, "change": new - old}
            for name, who, shape, old, new in rows
        ],
        edited=view.edited,
        was=_answer(before),
        now=_answer(after),
        change=after.p_final - before.p_final,
        axes=[
            (name, curves.axis(side.p_g, side.p_r, side.p_final) if side.complete and side.traces else "")
            for name, side in (("before", before), ("after", after))[: len(view.sides)]
        ],
    )


def chosen(view: View) -> str:
    """What entered the prompt before and after, with what left, entered, or has another rating."""
    before, after = _rated(view.before.prediction), _rated(view.after.prediction)
    added, label = {view.data.item_code(row.item) for row in view.what_if.edits.added}, view.data.item_label

    def rows(own: dict[int, float], other: dict[int, float], fresh: str, added: set[int]) -> list[dict[str, Any]]:
        return [
            {
                "label": label(code),
                "rating": rating,
                "mark": fresh if code not in other else "re-rated" if other[code] != rating else "",
                "other": other.get(code),
                "added": code in added,
            }
            for code, rating in own.items()
        ]

    return render(
        "what_if/chosen.html",
        before=rows(before, after, "left", set()),
        after=rows(after, before, "entered", added),
        edited=view.edited,
        noun=view.data.meta.item_noun_plural,
    )


def prompts(view: View) -> str:
    """The prompt of the reasoning model before and after, line by line, and a field to edit it."""
    texts = [_prompt(side) for side in (view.before.prediction, view.after.prediction)]
    lines = diff_lines(*texts)
    return render(
        "what_if/prompt.html",
        lines=lines,
        **{kind: sum(line.kind == kind for line in lines) for kind in ("left", "entered", "moved")},
        edited=view.edited,
        **editor(view),
    )


def chains(view: View) -> str:
    """The chains of both, each drawn as on the Predict page."""
    return render(
        "what_if/chains.html",
        sides=[
            (name, Markup(reason_panel(_predict_view(view, side), elsewhere=True)))
            for name, side in zip(("Before", "After"), view.sides, strict=False)
        ],
        by_hand=view.what_if.edits.prompt is not None,
    )


def keep_bar(view: View) -> str:
    """A name for what the page shows: to keep it, or to rename it."""
    words = "; ".join(edits_in_words(view.what_if.edits, view.data))
    return render(
        "what_if/keep.html",
        edited=view.edited,
        kept=view.kept,
        name=view.kept.name if view.kept else words[:1].upper() + words[1:MAX_NAME],
        most=MAX_NAME,
    )


def kept_list(view: View) -> str:
    """Kept what-ifs: those of this question, and the latest of others."""
    here = [kept for kept in view.others if _same_question(kept, view)]
    rest = [kept for kept in view.others if not _same_question(kept, view)]
    return render(
        "what_if/kept.html",
        groups=[
            ("Of this question", [_row(kept, view) for kept in here]),
            ("Of other questions", [_row(kept, view) for kept in rest]),
        ],
        deleted=view.deleted,
    )


def edits_in_words(edits: Edits, data: Dataset) -> list[str]:
    """What is changed, a phrase for each edit; an item that the data does not know is called by its id."""
    moved = {row.item for row in edits.added} & set(edits.removed)
    said = [f"without {_label(item, data)}" for item in edits.removed if item not in moved]
    said += [f"{_label(row.item, data)} rated {row.rating:g}" for row in edits.rated]
    for row in edits.added:
        when = "as the newest" if row.place is None else f"at place {row.place + 1}"
        how = "moved" if row.item in moved else "added"
        said.append(f"{_label(row.item, data)} {how} {when}, rated {row.rating:g}")
    if edits.target is not None:
        said.append(f"asked about {_label(edits.target, data)}")
    if edits.hint is not None:
        said.append("no hint" if edits.hint == "none" else f"hint {json.dumps(edits.injected, ensure_ascii=False)}")
    if edits.prompt is not None:
        said.append("the prompt edited by hand")
    settings = sorted((SETTING_WORDS.get(name, name), value) for name, value in edits.settings.items())
    return said + [f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings]


def _label(item: str, data: Dataset) -> str:
    try:
        return data.item_label(data.item_code(item))
    except UsageError:
        return item


def _rated(prediction: Prediction) -> dict[int, float]:
    """Rating by item code, in the order of eq. 8."""
    past = prediction.question.past
    return {row.item: past.rating_of(row.item) or 0.0 for row in prediction.question.chosen}


def _answer(prediction: Prediction) -> str:
    """What the models say together; empty until they have said it."""
    return "" if math.isnan(prediction.p_final) else "Yes" if prediction.p_final > 0.5 else "No"


def _prompt(prediction: Prediction) -> str:
    """M_R's prompt; until M_G has answered, with a hole where its sentence will stand."""
    if prediction.reason_prompt is not None:
        return prediction.reason_prompt.text
    question = prediction.question
    wording = prediction.recipe.prompting.knowledge
    hole = f"[ once asked: the tuned model's answer as a sentence, {wording} wording ]"
    return build_prompt("reason", question.subject, question.lines, hole).text


def _predict_view(view: View, side: Side) -> predict_view.View:
    """One side as Predict's panels take it."""
    named = side.prediction.recipe.named | {"user": view.what_if.user, "item": view.what_if.item}
    names = {field.name for field in fields(predict_view.Request)}
    request = predict_view.Request(**{name: value for name, value in named.items() if name in names})
    return predict_view.View(
        request, view.data, side.prediction, view.models, view.cast, (), Explained({}, frozenset()), run=side.run
    )


def _same_question(kept: Kept, view: View) -> bool:
    return (kept.what_if.user, kept.what_if.item) == (view.what_if.user, view.what_if.item)


def _own(view: View) -> dict[str, str]:
    """What the page's address says of its dataset."""
    said = dict(parse_qsl(view.plain_link)).get("dataset")
    return {"dataset": said} if said else {}


def _row(kept: Kept, view: View) -> dict[str, Any]:
    what_if = kept.what_if
    return {
        "kept": kept,
        "href": "/what-if?" + urlencode(_own(view) | {"user": what_if.user, "item": what_if.item, "id": kept.id}),
        "label": _label(what_if.item, view.data),
        "words": "; ".join(edits_in_words(what_if.edits, view.data)),
        "date": f"{kept.created_at:%Y-%m-%d}",
        "here": view.kept is not None and view.kept.id == kept.id,
    }
