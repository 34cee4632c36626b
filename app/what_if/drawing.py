"""The What-if page's panels, each a pure function of its view: what is changed, the editor, and before and after side
by side.

A control of the editor says what it does by ``data-do`` and to what by ``data-name``; ``data-key`` finds it again once
redrawn.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from markupsafe import Markup

from app.predict import curves
from app.predict import view as predict_view
from app.predict.drawing import reason_panel
from app.predict.neighbours import Explained
from app.shared.address import SampleAddress
from app.shared.controls import options
from app.shared.templating import render, symbol
from app.what_if.view import WhatIfSide, WhatIfView
from backend.datasets import Dataset
from backend.errors import UsageError
from backend.knobs import KNOBS
from backend.pipeline import Prediction, Recipe
from backend.prompting import build_prompt, knowledge_sentence
from backend.what_if import HINTS, MAX_PROMPT, MAX_SENTENCE, Edits
from storage.kept.what_ifs import MAX_NAME, KeptWhatIf

# What choices that are no knobs are called, and the labels of knobs that are called otherwise in the editor.
_WORDS = {"template": "template", "temperature": "temperature", "top_p": "nucleus", "order": "history order"}
_LABELS = {"k": "K, past items", "knowledge": "Hint's wording", "top_p": "Nucleus (top p)"}
# The settings that are in sight; the others are in a fold.
_FIRST = ("template", "k", "temperature", "seed")
_HINT_WORDS = {
    "none": "nothing",
    "yes": f"“{knowledge_sentence(1.0)}”",
    "no": f"“{knowledge_sentence(0.0)}”",
    "own": "a sentence of one's own",
}
_NUMBER = re.compile(r"^(\d+)\. ")
_MOST_NAMED = 3


def question(view: WhatIfView) -> str:
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


def history(view: WhatIfView) -> str:
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


def settings(view: WhatIfView) -> str:
    """Target, hint and settings."""
    edits, after = view.what_if.edits, view.after.prediction.question
    more = [name for name in dict.fromkeys([*KNOBS, *_WORDS]) if name not in _FIRST]
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
        first=[_field(name, view) for name in _FIRST],
        more=[_field(name, view) for name in more],
        more_open=any(name in edits.settings for name in more),
    )


def _rows(view: WhatIfView) -> list[dict[str, Any]]:
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


def _state(code: int, view: WhatIfView, gone: set[int], added: dict[int, Any]) -> str:
    """``removed``, ``added``, ``moved``, ``rated``, ``asked`` (it is the target now), or nothing."""
    if code in gone:
        return "removed"
    unedited = view.plain.past.rating_of(code)
    if code in added:
        return "added" if unedited is None else "moved"
    now = view.after.prediction.question.past.rating_of(code)
    if now is None:
        return "asked"
    return "" if now == unedited else "rated"


def _field(name: str, view: WhatIfView) -> dict[str, Any]:
    """One setting: its value, what it was, and what it may be."""
    before, after = view.what_if.recipe.named[name], view.what_if.edited_recipe.named[name]
    return {
        "name": name,
        "label": _label_of(name),
        "value": _spelt(after),
        "was": _spelt(before),
        "changed": after != before,
        **_range(name),
    }


def _label_of(name: str) -> str:
    words, sign = setting_words(name), KNOBS[name].symbol if name in KNOBS else ""
    if name in _LABELS:
        return _LABELS[name]
    return f"{words} ({sign})" if len(sign) == 1 else words[:1].upper() + words[1:]


def setting_words(name: str) -> str:
    """What a choice of the recipe is called in a sentence."""
    return KNOBS[name].short if name in KNOBS else _WORDS.get(name, name)


@cache
def _range(name: str) -> dict[str, Any]:
    """What the recipe takes: ``options``, or the ``low`` and ``high`` end of numbers, whole ones or not."""
    field = Recipe.field(name)
    limits = {kind: getattr(mark, kind) for mark in field.metadata for kind in ("ge", "le") if hasattr(mark, kind)}
    return {
        "options": options(name),
        "low": limits.get("ge", ""),
        "high": limits.get("le", ""),
        "step": 1 if field.annotation is int else "any",
    }


def _spelt(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def status(view: WhatIfView) -> str:
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


def numbers(view: WhatIfView) -> str:
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
        unknown=before.unknown or after.unknown,
        was=_answer(before),
        now=_answer(after),
        change=after.p_final - before.p_final,
        axes=[
            (name, curves.axis(side.p_g, side.p_r, side.p_final) if side.complete and side.chains else "")
            for name, side in (("before", before), ("after", after))[: len(view.sides)]
        ],
    )


def chosen(view: WhatIfView) -> str:
    """What entered the prompt before and after, with what left, entered, or has another rating."""
    before, after = _rated(view.before.prediction), _rated(view.after.prediction)
    added, label = {view.data.item_code(row.item) for row in view.what_if.edits.added}, view.data.item_label

    def rows(
        ratings: dict[int, float], elsewhere: dict[int, float], fresh: str, added: set[int]
    ) -> list[dict[str, Any]]:
        return [
            {
                "label": label(code),
                "rating": rating,
                "mark": fresh if code not in elsewhere else "re-rated" if elsewhere[code] != rating else "",
                "other": elsewhere.get(code),
                "added": code in added,
            }
            for code, rating in ratings.items()
        ]

    return render(
        "what_if/chosen.html",
        before=rows(before, after, "left", set()),
        after=rows(after, before, "entered", added),
        edited=view.edited,
        noun=view.data.meta.item_noun_plural,
    )


def prompts(view: WhatIfView) -> str:
    """The prompt of the reasoning model before and after, line by line, and a field to edit it."""
    texts = [_prompt(side) for side in (view.before.prediction, view.after.prediction)]
    lines = diff_lines(*texts)
    return render(
        "what_if/prompt.html",
        lines=lines,
        **{kind: sum(line.kind == kind for line in lines) for kind in ("left", "entered", "moved")},
        edited=view.edited,
        **_prompt_editor(view),
    )


def chains(view: WhatIfView) -> str:
    """The chains of both, each drawn as on the Predict page."""
    return render(
        "what_if/chains.html",
        sides=[
            (name, Markup(reason_panel(_predict_view(view, side), elsewhere=True)))
            for name, side in zip(("Before", "After"), view.sides, strict=False)
        ],
        by_hand=view.what_if.edits.prompt is not None,
    )


def keep_bar(view: WhatIfView) -> str:
    """A name for what the page shows: to keep it, or to rename it."""
    words = "; ".join(edits_in_words(view.what_if.edits, view.data))
    return render(
        "what_if/keep.html",
        edited=view.edited,
        kept=view.kept,
        name=view.kept.name if view.kept else words[:1].upper() + words[1:MAX_NAME],
        most=MAX_NAME,
    )


def kept_list(view: WhatIfView) -> str:
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
    settings = sorted((setting_words(name), value) for name, value in edits.settings.items())
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


def _predict_view(view: WhatIfView, side: WhatIfSide) -> predict_view.PredictView:
    """One side as Predict's panels take it."""
    request = SampleAddress.of(view.what_if.user, view.what_if.item, side.prediction.recipe)
    return predict_view.PredictView(
        request, view.data, side.prediction, view.models, view.cast, (), Explained({}, frozenset()), run=side.run
    )


def _same_question(kept: KeptWhatIf, view: WhatIfView) -> bool:
    return (kept.what_if.user, kept.what_if.item) == (view.what_if.user, view.what_if.item)


def _own(view: WhatIfView) -> dict[str, str]:
    """What the page's address says of its dataset."""
    said = dict(parse_qsl(view.plain_link)).get("dataset")
    return {"dataset": said} if said else {}


def _row(kept: KeptWhatIf, view: WhatIfView) -> dict[str, Any]:
    what_if = kept.what_if
    return {
        "kept": kept,
        "href": "/what-if?" + urlencode(_own(view) | {"user": what_if.user, "item": what_if.item, "id": kept.id}),
        "label": _label(what_if.item, view.data),
        "words": "; ".join(edits_in_words(what_if.edits, view.data)),
        "date": f"{kept.created_at:%Y-%m-%d}",
        "here": view.kept is not None and view.kept.id == kept.id,
    }


def _prompt_editor(view: WhatIfView) -> dict[str, Any]:
    """What the template of the prompts needs to edit one, and to say what an edited one is not any more.

    ``missing``: past items whose line is not in the edited text; ``extra``: whose line is, and that are of the history
    before only; ``unhinted``: the hint that it leaves out.
    """
    edited, draft = view.what_if.edits.prompt, view.draft
    told: dict[str, Any] = {"own": edited is not None, "text": edited or draft, "most": MAX_PROMPT}
    told["waits"] = view.after.prediction.written_prompt is None
    if edited is None:
        return told
    before, after = (_history_lines(side.prediction) for side in (view.before, view.after))
    missing = [label for block, label in after.items() if not _stands(block, edited)]
    extra = [label for block, label in before.items() if block not in after and _stands(block, edited)]
    return told | {"missing": _named(missing), "extra": _named(extra), "unhinted": _left_hint(view, edited)}


def _history_lines(prediction: Prediction) -> dict[str, str]:
    """What the history's lines say, without their numbers, each with its item's label."""
    question = prediction.question
    prompt = build_prompt("reason", question.subject, question.lines)
    lines = sorted(question.lines, key=lambda line: line.position or 0)  # as the spans are
    spans = zip(prompt.droppable, lines, strict=True)
    return {_unnumbered(prompt.text[start:end].strip()): line.label for (start, end), line in spans}


def _stands(block: str, text: str) -> bool:
    """Whether the text has these lines, under whatever number."""
    lines = "\n".join(_unnumbered(line.strip()) for line in text.split("\n"))
    return f"\n{block}\n" in f"\n{lines}\n"


def _named(labels: list[str]) -> str:
    more = len(labels) - _MOST_NAMED
    return ", ".join(labels[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _left_hint(view: WhatIfView, edited: str) -> str:
    written = view.after.prediction.written_prompt
    if written is None or written.knowledge_span is None:
        return ""
    start, end = written.knowledge_span
    hint = written.text[start:end]
    return "" if hint in edited else hint


@dataclass(frozen=True)
class PromptLine:
    """``kind``: ``same``, ``moved`` (of the history, elsewhere now), ``left`` (only before) or ``entered`` (only
    after). ``was``: the number that a line of the history had before, where it has another one now."""

    kind: str
    text: str
    was: str = ""


def diff_lines(before: str, after: str) -> list[PromptLine]:
    """The lines of both texts in order, what left before what entered.

    A line of the history is the same whatever its number: one item that leaves renumbers, and may reorder, the others.
    """
    old, new = before.splitlines(), after.splitlines()
    was, now = ([_unnumbered(line) for line in lines] for lines in (old, new))
    # Lines of the history that are once in each text, by what they say but for their number before.
    numbers = {text: _number(line) for text, line in zip(was, old, strict=True) if _number(line)}
    stay = {text for text in numbers if was.count(text) == now.count(text) == 1}
    lines: list[PromptLine] = []
    # No junk: every line counts, also one that is often there.
    for kind, start, end, new_start, new_end in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [_same(*pair) for pair in zip(old[start:end], new[new_start:new_end], strict=True)]
            continue
        lines += [PromptLine("left", old[place]) for place in range(start, end) if was[place] not in stay]
        for place in range(new_start, new_end):
            moved = now[place] in stay
            lines.append(
                PromptLine("moved", new[place], numbers[now[place]]) if moved else PromptLine("entered", new[place])
            )
    return lines


def _unnumbered(line: str) -> str:
    """A line of a history without its number."""
    return _NUMBER.sub("", line)


def _same(was: str, now: str) -> PromptLine:
    return PromptLine("same", now, "" if was == now else _number(was))


def _number(line: str) -> str:
    match = _NUMBER.match(line)
    return match[1] if match else ""
