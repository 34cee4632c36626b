"""The What-if page's editor: the past items, the target, the hint and the settings, each with what it was.

A control says what it does by ``data-do`` and to what by ``data-name``; ``data-key`` finds it again once redrawn.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

from app.shared.templating import render
from app.what_if.view import View
from backend.pipeline import Recipe
from backend.prompting import knowledge_sentence
from backend.what_if import HINTS, MAX_SENTENCE

# Those that are in sight, and those in a fold: (name, label).
_FIRST = (("template", "Template"), ("k", "K, past items"), ("temperature", "Temperature"), ("seed", "Seed"))
_MORE = (
    ("gamma", "gamma (γ)"), ("beta", "beta (β)"), ("strategy", "Strategy"), ("variant", "Variant"),
    ("order", "History order"), ("knowledge", "Hint's wording"), ("traces", "Chains"), ("max_tokens", "Token limit"),
    ("top_p", "Nucleus (top p)"), ("alpha", "alpha (α)"), ("epsilon", "epsilon (ε)"),
)  # fmt: skip
_HINT_WORDS = {
    "none": "nothing",
    "yes": f"“{knowledge_sentence(1.0)}”",
    "no": f"“{knowledge_sentence(0.0)}”",
    "own": "a sentence of one's own",
}


def history(view: View) -> str:
    """The past items of both prompts and all that were edited, each to be removed, re-rated or put back."""
    meta = view.data.meta
    return render(
        "what_if/history.html",
        rows=_rows(view),
        noun=meta.item_noun,
        low=meta.rating_min,
        high=meta.rating_max,
        step=view.step,
        past=len(view.after.prediction.question.past),
        before=len(view.before.prediction.question.past),
    )


def settings(view: View) -> str:
    """Target, hint and settings."""
    edits, after = view.what_if.edits, view.after.prediction.question
    return render(
        "what_if/settings.html",
        target=view.data.item_label(after.item),
        base=view.data.item_label(view.data.item_code(view.what_if.item)),
        target_changed=edits.target is not None,
        hint=edits.hint or "",
        hints=[(name, _HINT_WORDS[name]) for name in HINTS],
        wording=view.what_if.edited_recipe.prompting.knowledge,
        sentence=edits.sentence,
        most=MAX_SENTENCE,
        first=[_field(name, label, view) for name, label in _FIRST],
        more=[_field(name, label, view) for name, label in _MORE],
        more_open=any(name in edits.settings for name, _ in _MORE),
    )


def _rows(view: View) -> list[dict[str, Any]]:
    """In the order of the prompt after the edits; what left it stands about where it stood."""
    data, edits = view.data, view.what_if.edits
    ranks = [
        {row.item: place for place, row in enumerate(side.prediction.question.chosen, start=1)}
        for side in (view.before, view.after)
    ]
    added = {data.item_code(row.item): row for row in edits.added}
    named = [data.item_code(item) for item in (*(row.item for row in edits.rated), *edits.removed)]
    last = len(ranks[0]) + len(ranks[1]) + 1
    codes = sorted(
        dict.fromkeys([*ranks[1], *added, *ranks[0], *named]),
        key=lambda code: ranks[1].get(code, ranks[0].get(code, last) - 0.5),
    )
    gone = {data.item_code(item) for item in edits.removed} - added.keys()
    return [
        {
            "id": data.item_ids[code],
            "label": data.item_label(code),
            "own": view.plain.past.rating_of(code),
            "rating": (view.plain if code in gone else view.after.prediction.question).past.rating_of(code),
            "before": ranks[0].get(code),
            "after": ranks[1].get(code),
            "state": _state(code, view, gone, added),
            "place": "" if code not in added or added[code].place is None else (added[code].place or 0) + 1,
        }
        for code in codes
    ]


def _state(code: int, view: View, gone: set[int], added: dict[int, Any]) -> str:
    """``removed``, ``added``, ``moved``, ``rated``, ``asked`` (it is the target now), or nothing."""
    if code in gone:
        return "removed"
    own = view.plain.past.rating_of(code)
    if code in added:
        return "added" if own is None else "moved"
    now = view.after.prediction.question.past.rating_of(code)
    if now is None:
        return "asked"
    return "" if now == own else "rated"


def _field(name: str, label: str, view: View) -> dict[str, Any]:
    """One setting: its value, what it was, and what it may be."""
    before, after = view.what_if.recipe.named[name], view.what_if.edited_recipe.named[name]
    return {
        "name": name,
        "label": label,
        "value": _spelt(after),
        "was": _spelt(before),
        "changed": after != before,
        **_range(name),
    }


@cache
def _range(name: str) -> dict[str, Any]:
    """What the recipe takes: ``options``, or the ``low`` and ``high`` end of numbers, whole ones or not."""
    stages = (type(getattr(Recipe(), stage)) for stage in Recipe.model_fields)
    field = next(model.model_fields[name] for model in stages if name in model.model_fields)
    options = [str(option) for option in get_args(field.annotation)]
    limits = {kind: getattr(each, kind) for each in field.metadata for kind in ("ge", "le") if hasattr(each, kind)}
    whole = field.annotation is int
    return {
        "options": options,
        "low": limits.get("ge", ""),
        "high": limits.get("le", ""),
        "step": 1 if whole else "any",
    }


def _spelt(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
