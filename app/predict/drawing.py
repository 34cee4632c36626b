"""The Predict page's panels, each a pure function of its view: the question, steps 1 to 5, and how a run goes on.

Then two ways to choose past items side by side. The small drawings inside of the panels are in ``curves``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from app.predict import curves
from app.predict.neighbours import COLLABORATIVE, Explained, Nearest
from app.predict.other_choice import ChoiceSide
from app.predict.view import PredictView
from app.shared import choices
from app.shared.chains import ABOUT, written
from app.shared.controls import in_words
from app.shared.export import Facts, model_facts
from app.shared.templating import render
from backend.datasets import Dataset
from backend.merging import merge_weights
from backend.pipeline import Prediction
from backend.prompting import Prompt, build_prompt
from backend.questions import PromptVariant
from backend.record import made_by, notices
from backend.representation import VARIANT_PARTS
from backend.retrieval import PAPER_GAMMAS, RankedItem
from backend.retrieval.channels import Plan, plan

_ORDER_WORDS = {"rank": "rank of eq. 8", "chronological": "oldest first", "relevance": "most similar first"}
# What a recipe's spread is called: the head of its answers, and what the variance is taken over.
_SPREAD_WORDS = {
    "orders": ("history order", "the orders"),
    "left-out": ("the prompt", "leaving each past item out once"),
    "gamma": ("the prompt", "the paper's gammas"),
}
_RELATIONS = {
    "target": "the target",
    "later": "rated later",
    "unrated": "not rated",
}


def target_card(view: PredictView) -> str:
    """The item that is asked about."""
    question = view.prediction.question
    return render(
        "predict/target.html",
        label=view.data.item_label(question.item),
        categories=view.data.categories[question.item],
        user=view.data.user_ids[question.user],
        ratings=len(question.history_rows),
        noun=view.data.meta.item_noun,
        category_noun=view.data.meta.category_noun,
        dataset=view.request.dataset,
        rated=question.label is not None,
        command=view.command,
        made=[] if view.still else _made(view),
        address=view.request.query(),
        still=view.still,
    )


def _made(view: PredictView) -> Facts:
    """Which models made what is shown, with all that their results depend on."""
    results = {"tuned": view.prediction.answers, "reasoning": view.prediction.traces}
    return model_facts({role: asdict(made_by(model, results[role])) for role, model in view.players.items()})


def retrieve_panel(view: PredictView) -> str:
    """Step 1: the two channels, side by side, each with the similarity that ranked it."""
    question, config = view.prediction.question, view.prediction.recipe.retrieval
    both, how = question.channels, plan(config)
    ranked = (both.ranked_by[0], both.ranked_by[1] or both.similarity)
    variants = (how.first, how.second or config.variant)
    channels = [
        {
            "name": name,
            "about": choices.channel(name, view.data.meta),
            "parts": VARIANT_PARTS[variant],
            "rows": _rows(view, items, similarity, variant),
        }
        for name, items, similarity, variant in zip(
            both.names, (both.relevant, both.recent), ranked, variants, strict=True
        )
    ]
    return render(
        "predict/retrieve.html",
        channels=channels,
        variant=config.variant,
        variant_help=choices.VARIANTS[config.variant],
        strategy=config.strategy,
        strategy_help=choices.strategy(config.strategy, view.data.meta),
        parts_used=tuple(dict.fromkeys(part for variant in variants for part in VARIANT_PARTS[variant])),
        part_help=choices.PARTS,
        target_silent=question.item in view.explained.silent,
        meta=view.data.meta,
        past=len(question.history_rows),
        still=view.still,
    )


def rerank_panel(view: PredictView) -> str:
    """Step 2: eq. 8 for every chosen item, and, where gamma applies, for which gamma the set changes."""
    question, config, data = view.prediction.question, view.prediction.recipe.retrieval, view.data
    how = plan(config)
    largest = max((row.score for row in question.chosen), default=1.0) or 1.0
    return render(
        "predict/rerank.html",
        lines=[
            {
                "label": data.item_label(row.item),
                "code": row.item,
                "id": data.item_ids[row.item],
                "anchor": row_anchor(row.item),
                "row": row,
                "entered": row.item in view.entered,
            }
            | _scores(row, how, largest)
            for row in question.chosen
        ],
        left=[data.item_label(int(str(item))) for item in view.left],
        names=how.names,
        no_order="" if data.meta.time_ordered or "recency" not in how.names else choices.NO_ORDER,
        strategy=config.strategy,
        how=how,
        strip=curves.gamma_strip(view.stretches, config.gamma) if view.stretches else "",
        sets=len(view.stretches),
        still=view.still,
    )


def row_anchor(item: int) -> str:
    """The id of a chosen item's row in step 2."""
    return f"past-{item}"


def nearest_panel(view: PredictView) -> str:
    """The items nearest to one item; before it was looked up, that this is going on."""
    near, data = view.nearest, view.data
    if near is None:
        return render("predict/nearest_pending.html")
    parts = VARIANT_PARTS[near.variant]
    return render(
        "predict/nearest.html",
        label=data.item_label(near.item),
        is_target=near.item == view.prediction.question.item,
        target=view.prediction.question.item,
        problem=near.problem,
        silent=near.item in near.explained.silent,
        variant=near.variant,
        parts=parts,
        rows=[
            {
                "code": row.item,
                "label": data.item_label(row.item),
                "categories": ", ".join(data.categories[row.item]),
                "relation": _RELATIONS.get(row.relation, ""),
                "rating": row.rating,
                **_similarity(row.item, row.similarity, near.explained, parts),
            }
            for row in near.rows
        ],
        meta=data.meta,
        still=view.still,
    )


def map_overlay(view: PredictView) -> str:
    """What the item map marks, as JSON: item codes, and where the map itself is fetched."""
    question, near, data = view.prediction.question, view.nearest, view.data
    variant = view.prediction.recipe.retrieval.variant
    rows = question.history_rows
    return json.dumps(
        {
            "url": f"map/{quote(data.meta.name, safe='')}/{quote(variant, safe='')}",
            "target": question.item,
            "history": list(dict.fromkeys(data.item_index[rows.start : rows.stop].tolist())),
            "chosen": [row.item for row in question.chosen],
            "near": _marked(near)[0],
            "neighbours": _marked(near)[1],
        }
    )


def _marked(near: Nearest | None) -> tuple[int | None, list[int]]:
    return (None, []) if near is None else (near.item, [row.item for row in near.rows])


def _rows(
    view: PredictView, items: Sequence[int], similarity: Mapping[int, float], variant: str
) -> list[dict[str, Any]]:
    question, data = view.prediction.question, view.data
    rows = {int(data.item_index[row]): row for row in question.history_rows}
    return [
        {
            "code": item,
            "label": data.item_label(item),
            "categories": ", ".join(data.categories[item]),
            "date": _date(int(data.timestamp[rows[item]])) if data.meta.time_ordered else "",
            "rating": float(data.rating[rows[item]]),
            **_similarity(item, similarity[item], view.explained, VARIANT_PARTS[variant]),
        }
        for item in items
    ]


def _similarity(item: int, similarity: float, explained: Explained, parts: Sequence[str]) -> dict[str, Any]:
    """A similarity with its parts; a bar of full width would be a cosine of 1 in every part."""
    values = [(part, explained.cosines[item][part]) for part in parts]
    return {
        "similarity": similarity,
        "parts": [
            {"name": part, "value": value, "width": 100 * min(abs(value), 1.0) / len(parts), "minus": value < 0}
            for part, value in values
        ],
        "said": " + ".join(f"{part} {value:.3f}" for part, value in values).replace("-", "−") if len(parts) > 1 else "",
        "silent": COLLABORATIVE in parts and item in explained.silent,
    }


def _scores(row: RankedItem, how: Plan, largest: float) -> dict[str, Any]:
    """Eq. 8 filled in for both channels, and which of the two the item keeps."""
    first = how.gamma / row.relevance_rank**how.beta if row.relevance_rank else 0.0
    second = (1 - how.gamma) / row.recency_rank**how.beta if row.recency_rank else 0.0
    return {
        "first": first,
        "second": second,
        "first_width": 100 * first / largest,
        "second_width": 100 * second / largest,
        "first_counts": how.combine == "sum" or first >= second,
        "second_counts": how.combine == "sum" or second > first,
    }


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def ask_panel(view: PredictView) -> str:
    """Step 3: M_G's answer per history order, and the prompt that M_R gets."""
    shown, stale = _shown(view, lambda p: p.answers[0] is not None)
    question, wording = view.prediction.question, view.prediction.recipe.prompting.knowledge
    # Until the tuned model has answered, the prompt has a hole where its sentence will stand.
    hole = f"[ once asked: the tuned model's answer as a sentence, {wording} wording ]"
    prompt = view.prediction.reason_prompt or build_prompt("reason", question.subject, question.lines, hole)
    return render(
        "predict/ask.html",
        answers=[
            {"variant": _variant_words(variant, view.data), "p": answer.p_yes if answer else None}
            for variant, answer in zip(shown.question.variants, shown.answers, strict=True)
        ],
        notices=notices(shown.answers),
        p_g=shown.p_g,
        var_g=shown.var_g,
        temperature=shown.recipe.tuned.p_g_temperature,
        parts=_parts(prompt, max((trace.dropped for trace in view.prediction.traces if trace), default=0)),
        injected=prompt.knowledge_span is not None,
        evidence=question.subject.evidence,
        spread=_SPREAD_WORDS[shown.recipe.tuned.spread],
        waits=view.prediction.reason_prompt is None,
        still=view.still,
        stale=_setting(shown) if stale else "",
        model=view.models["tuned"],
        unknown=any(answer.unknown for answer in shown.answers if answer),
        live=_live(view),
    )


def _variant_words(variant: PromptVariant, data: Dataset) -> str:
    if variant.without is not None:
        return f"without {data.item_label(variant.without)}"
    if variant.gamma is not None:
        return f"gamma {PAPER_GAMMAS[variant.gamma]}"
    said = _ORDER_WORDS[variant.order]
    return f"{said} ({choices.NO_ORDER})" if variant.order == "chronological" and not data.meta.time_ordered else said


def _parts(prompt: Prompt, dropped: int) -> list[tuple[str, str]]:
    """The prompt's text in parts, each with what it is: ``knowledge``, ``dropped`` for want of room, or nothing."""
    marked = [(*span, "dropped") for span in prompt.droppable[:dropped]]
    marked += [(*prompt.knowledge_span, "knowledge")] if prompt.knowledge_span else []
    parts, at = [], 0
    for start, end, kind in sorted(marked):
        parts += [("", prompt.text[at:start]), (kind, prompt.text[start:end])]
        at = end
    return [*parts, ("", prompt.text[at:])]


def reason_panel(view: PredictView, *, elsewhere: bool = False) -> str:
    """Step 4: the chains, finished or being written, and their spread.

    ``elsewhere``: on another page, without the rows that a citation leads to and the script that compares two chains.
    """
    shown, stale = _shown(view, lambda p: any(p.traces))
    pieces = view.run.pieces if view.run and not stale else {}
    live = _live(view)
    question = shown.question
    chains = [
        written(index, trace, pieces.get(index), live, question.lines, question.subject.target)
        for index, trace in enumerate(shown.traces)
    ]
    known = [trace.p_yes for trace in shown.chains if trace.p_yes is not None]
    return render(
        "predict/reason.html",
        chains=chains,
        about=ABOUT,
        rows={} if elsewhere else _cited_rows(view),
        comparable=not (view.still or elsewhere) and len(known) > 1,
        still=view.still,
        dots=curves.dots(known, shown.p_r) if known else "",
        notices=notices(shown.traces),
        count=sum(trace is not None for trace in shown.traces),
        wanted=len(shown.traces),
        unreadable=sum(chain.verdict == "no_answer" for chain in chains if chain.trace),
        p_r=shown.p_r,
        var_r=shown.var_r,
        stale=_setting(shown) if stale else "",
        live=live,
        nothing=not any(shown.traces) and not pieces,
        model=view.models["reasoning"],
        unknown=any(trace.unknown for trace in shown.traces if trace),
    )


def _cited_rows(view: PredictView) -> dict[str, str]:
    """Where the page shows what a chain can cite, by label: the target, and the rows of step 2 as they are now."""
    question, data = view.prediction.question, view.data
    rows = {data.item_label(row.item): row_anchor(row.item) for row in reversed(question.chosen)}
    return rows | {question.subject.target.label: "question"}


def merge_panel(view: PredictView) -> str:
    """Step 5: eq. 10 filled in, on one axis, and along alpha and epsilon."""
    shown, stale = _shown(view, lambda p: p.complete)
    if not shown.complete or not shown.chains:
        return render("predict/merge_empty.html", live=_live(view), lacks_chains=shown.lacks_chains)
    merging = shown.recipe.merging
    weights = merge_weights(shown.var_r, shown.var_g, merging.alpha, merging.epsilon)
    return render(
        "predict/merge.html",
        p=shown,
        merging=merging,
        share=float(weights.share_reasoning),
        weight_r=float(weights.raw_reasoning),
        weight_g=float(weights.raw_tuned),
        axis=curves.axis(shown.p_g, shown.p_r, shown.p_final),
        over_alpha=curves.over_alpha(shown),
        over_epsilon=curves.over_epsilon(shown),
        label=shown.question.label,
        truth=view.truth,
        right=(shown.p_final > 0.5) == shown.question.label,
        rule=view.data.meta.label_rule.describe(),
        stale=_setting(shown) if stale else "",
    )


def run_status(view: PredictView) -> str:
    """One line about what is going on."""
    prediction, run = view.prediction, view.run
    missing = sum(answer is None for answer in prediction.answers) + sum(trace is None for trace in prediction.traces)
    return render(
        "predict/status.html", run=run, other=view.other_run, complete=prediction.complete, missing=missing,
        earlier=view.earlier, reached=_reached(prediction), unknown=prediction.unknown,
    )  # fmt: skip


def _reached(prediction: Prediction) -> str:
    """How far it came: ``at 3 of 6 chains``, or by its answers where no chain was reached or wanted."""
    for parts, what in ((prediction.traces, "chains"), (prediction.answers, "answers")):
        known = sum(part is not None and not part.unknown for part in parts)
        if known:
            return f"at {known} of {len(parts)} {what}"
    return "before its first answer"


def _shown(view: PredictView, known: Callable[[Prediction], Any]) -> tuple[Prediction, bool]:
    """The present prediction, or the stale one where only that has what a panel draws; and which it is."""
    if view.stale is not None and not known(view.prediction):
        return view.stale, True
    return view.prediction, False


def _live(view: PredictView) -> bool:
    return bool(view.run and view.run.live)


def _setting(prediction: Prediction) -> str:
    """What both models were asked under, in words."""
    stages = ("retrieval", "prompting", "reasoning")
    return ", ".join(in_words(prediction.recipe, stage, digits=3) for stage in stages)


def against_box() -> str:
    """The same for every page: what it shows is fetched once another way is picked."""
    return render("predict/other_choice_box.html", variants=choices.VARIANTS, strategies=choices.STRATEGIES)


def against_table(sides: tuple[ChoiceSide, ChoiceSide], data: Dataset) -> str:
    """What enters the prompt by each way, and what only one has."""
    here, there = sides
    different = [name for name in ("variant", "strategy") if getattr(here, name) != getattr(there, name)]
    return render(
        "predict/other_choice.html",
        sides=[
            {
                "name": getattr(side, different[0]) if different else f"{side.variant}, {side.strategy}",
                "rows": [{"label": data.item_label(row.item), "there": row.there} for row in side.rows],
                "own": [data.item_label(item) for item in side.own],
            }
            for side in sides
        ],
        same=not different,
        shared=len(here.rows) - len(here.own),
        count=len(here.rows),
        noun=data.meta.item_noun,
        no_order="" if data.meta.time_ordered else choices.NO_ORDER,
    )
